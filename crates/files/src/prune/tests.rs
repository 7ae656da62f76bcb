//! Pruning, held against what is sorted in memory and against PyTorch.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use espalier_checkpoint::{Checkpoint, Dtype, Error, NamedTensor, Provider};
use proptest::prelude::*;

use super::*;
use crate::observe::Silent;

fn elements(amount: Amount, scope: PruneScope) -> Pruning {
    let pattern = PrunePattern::Elements { amount, scope };
    Pruning { pattern, method: PruneMethod::L1, keep_mask: false }
}

fn with(tensors: impl IntoIterator<Item = NamedTensor>) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    tensors.into_iter().for_each(|tensor| checkpoint.push(tensor).unwrap());
    checkpoint
}

fn prune(pruning: &Pruning, checkpoint: &Checkpoint) -> Pruned {
    let pruned = pruning.of(checkpoint, &Selection::default(), &Arc::new(Silent)).unwrap();
    // The report says what the tensors are.
    for row in &pruned.report.tensors {
        let zeros = |checkpoint: &Checkpoint, name: &str| {
            let tensor = checkpoint.get(name).unwrap();
            tensor.values().unwrap().filter(|x| *x == 0.0).count()
        };
        assert_eq!(row.zeros_before, zeros(checkpoint, &row.name));
        if !pruning.keep_mask {
            assert_eq!(row.zeros_after, zeros(&pruned.checkpoint, &row.name), "{row:?}");
        }
    }
    pruned
}

fn fault(pruning: &Pruning, checkpoint: &Checkpoint) -> PruneFault {
    match pruning.of(checkpoint, &Selection::default(), &Arc::new(Silent)) {
        Err(FilesError::Prune(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// Numbers that look random, a third of them zero if there are to be some.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).map(|x| if x > 0.7 { 0.0 } else { x }).collect()
}

/// A tensor of one of the types, whose bytes cannot be read in parts if `whole`.
fn tensor(name: &str, shape: Vec<usize>, dtype: Dtype, values: &[f64], whole: bool) -> NamedTensor {
    let bytes: Vec<u8> = match dtype {
        Dtype::F16 => values.iter().flat_map(|x| half::f16::from_f64(*x).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|x| half::bf16::from_f64(*x).to_le_bytes()).collect(),
        Dtype::F32 => values.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    if whole {
        NamedTensor::lazy(name, dtype, shape, Arc::new(Streamed(bytes))).unwrap()
    } else {
        NamedTensor::new(name, dtype, shape, bytes).unwrap()
    }
}

#[derive(Debug)]
struct Streamed(Vec<u8>);

impl Provider for Streamed {
    fn read(&self) -> Result<Vec<u8>, Error> {
        Ok(self.0.clone())
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        self.0.chunks(100_003).try_for_each(|piece| take(piece).map_err(crate::pieces::taken))
    }
}

const TYPES: [Dtype; 4] = [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16];

/// All but the `count` lowest ones, by sorting.
fn sorted(tensors: &[Vec<f64>], count: usize) -> Vec<Vec<f64>> {
    let mut all: Vec<(f64, usize, usize)> = Vec::new();
    for (at, values) in tensors.iter().enumerate() {
        all.extend(values.iter().enumerate().map(|(i, x)| (x.abs(), at, i)));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut out = tensors.to_vec();
    all[..count].iter().for_each(|(_, at, i)| out[*at][*i] = 0.0);
    out
}

proptest! {
    #[test]
    fn the_lowest_go(
        tensors in prop::collection::vec((0usize..5, 1usize..50, 0usize..4, any::<bool>()), 1..5),
        same_type in any::<bool>(),
        seed in 0u64..1000,
        fraction in 0.0..=1.0f64,
        layer in any::<bool>(),
    ) {
        let made = tensors.iter().enumerate().map(|(i, (rows, columns, dtype, whole))| {
            let dtype = TYPES[if same_type { tensors[0].2 } else { *dtype }];
            let values = numbers(rows * columns, seed + i as u64);
            tensor(&format!("t{i}"), vec![*rows, *columns], dtype, &values, *whole)
        });
        let checkpoint = with(made);
        let before: Vec<Vec<f64>> = checkpoint.iter().map(|t| t.to_f64_vec().unwrap()).collect();
        let total: usize = before.iter().map(Vec::len).sum();
        let scope = if layer { PruneScope::Layer } else { PruneScope::Global };
        let pruned = prune(&elements(Amount::Fraction(fraction), scope), &checkpoint);
        let after: Vec<Vec<f64>> = pruned.checkpoint.iter().map(|t| t.to_f64_vec().unwrap()).collect();
        let expected = if layer {
            let each = before.iter().flat_map(|values| {
                sorted(std::slice::from_ref(values), count_to_prune(fraction, values.len()))
            });
            each.collect()
        } else {
            sorted(&before, count_to_prune(fraction, total))
        };
        prop_assert_eq!(after, expected);
    }
}

#[test]
fn large_ones_and_many_ties() {
    // Over several pieces and blocks; of few values, so that the cut is in the middle of equal ones.
    for (dtype, whole) in [(Dtype::F32, false), (Dtype::BF16, true), (Dtype::F16, false)] {
        let values: Vec<f64> = numbers(1_300_000, 3).iter().map(|x| (x * 9.0).round()).collect();
        let made = [("a", 1000, 1300), ("b", 1300, 1000)]
            .map(|(name, rows, columns)| tensor(name, vec![rows, columns], dtype, &values, whole));
        let checkpoint = with(made);
        let count = 1_777_777;
        let expected = sorted(&[values.clone(), values.clone()], count);
        let pruned = prune(&elements(Amount::Count(count), PruneScope::Global), &checkpoint);
        for (tensor, expected) in pruned.checkpoint.iter().zip(&expected) {
            assert!(tensor.to_f64_vec().unwrap() == *expected, "{dtype}");
        }
    }
}

#[test]
fn n_of_m_along_the_last_dimension() {
    for columns in [8, 10, 3, 70_001] {
        let rows = 3;
        let values = numbers(rows * columns, 5);
        for method in [PruneMethod::L1, PruneMethod::Random { seed: 4 }] {
            let checkpoint = with([tensor("a", vec![rows, columns], Dtype::F64, &values, false)]);
            let pattern = PrunePattern::Groups { n: 2, m: 4 };
            let pruned = prune(&Pruning { pattern, method, keep_mask: true }, &checkpoint);
            let mask = pruned.checkpoint.get("a_mask").unwrap().to_f64_vec().unwrap();
            for (mask, values) in mask.chunks(columns).zip(values.chunks(columns)) {
                for (mask, values) in mask.chunks(4).zip(values.chunks(4)) {
                    let kept = mask.iter().filter(|x| **x == 1.0).count();
                    assert_eq!(kept, if mask.len() == 4 { 2 } else { mask.len() });
                    let least = |keep: f64| {
                        let some = mask.iter().zip(values).filter(|(mask, _)| **mask == keep);
                        some.map(|(_, x)| x.abs()).collect::<Vec<_>>()
                    };
                    let gone = least(0.0).into_iter().fold(0.0, f64::max);
                    let kept = least(1.0).into_iter().fold(f64::INFINITY, f64::min);
                    assert!(method != PruneMethod::L1 || gone <= kept);
                }
            }
        }
    }
}

#[test]
fn random_ones_are_exactly_so_many_and_the_same_on_any_threads() {
    let checkpoint = with([
        tensor("a", vec![100, 1000], Dtype::F32, &numbers(100_000, 1), false),
        tensor("b", vec![50, 1000], Dtype::BF16, &numbers(50_000, 2), true),
    ]);
    let run = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let pruning = Pruning {
            method: PruneMethod::Random { seed },
            keep_mask: true,
            ..elements(Amount::Count(55_555), PruneScope::Global)
        };
        let pruned = pool.install(|| prune(&pruning, &checkpoint));
        let mask = |name| pruned.checkpoint.get(name).unwrap().to_f64_vec().unwrap();
        [mask("a_mask"), mask("b_mask")].concat()
    };
    let mask = run(1, 1);
    assert_eq!(mask.iter().filter(|x| **x == 0.0).count(), 55_555);
    let share = mask[..100_000].iter().filter(|x| **x == 0.0).count();
    assert!((36_000..38_000).contains(&share), "{share}");
    assert!(mask == run(1, 3) && mask != run(2, 1));
}

#[test]
fn channels_of_what_is_streamed_as_of_what_is_not() {
    let (rows, columns) = (300, 900);
    let values = numbers(rows * columns, 8);
    for dim in [0, 1, -1] {
        let pattern = PrunePattern::Channels { amount: Amount::Fraction(0.3), norm: 2.0, dim };
        let pruning = Pruning { pattern, method: PruneMethod::L1, keep_mask: false };
        let of = |whole| {
            let made = tensor("a", vec![rows, columns], Dtype::F32, &values, whole);
            prune(&pruning, &with([made])).checkpoint.get("a").unwrap().to_f64_vec().unwrap()
        };
        let pruned = of(false);
        assert!(pruned == of(true));
        let is_gone = |channel: usize| match dim {
            0 => pruned[channel * columns..][..columns].iter().all(|x| *x == 0.0),
            _ => pruned.iter().skip(channel).step_by(columns).all(|x| *x == 0.0),
        };
        let channels = if dim == 0 { rows } else { columns };
        assert_eq!((0..channels).filter(|channel| is_gone(*channel)).count(), channels * 3 / 10);
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/prune")
}

#[test]
fn as_pytorch() {
    let text = std::fs::read_to_string(data().join("cases.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 12);
    for case in cases {
        let amount: Amount = case["amount"].as_str().unwrap().parse().unwrap();
        let pattern = match case["norm"].as_str() {
            Some(norm) => {
                let dim = isize::try_from(case["dim"].as_i64().unwrap()).unwrap();
                PrunePattern::Channels { amount, norm: norm.parse().unwrap(), dim }
            }
            None if case["scope"] == "global" => {
                PrunePattern::Elements { amount, scope: PruneScope::Global }
            }
            None => PrunePattern::Elements { amount, scope: PruneScope::Layer },
        };
        let input = match case["dtype"].as_str() {
            Some(dtype) => format!("input_{dtype}.safetensors"),
            None => "input.safetensors".to_owned(),
        };
        let input = Checkpoint::open(data().join(input)).unwrap();
        let name = case["name"].as_str().unwrap();
        for (keep_mask, ending) in [(false, ""), (true, "_masks")] {
            let pruned = prune(&Pruning { pattern, method: PruneMethod::L1, keep_mask }, &input);
            let path = data().join(format!("{name}{ending}.safetensors"));
            let expected = Checkpoint::open(path).unwrap();
            assert_eq!(pruned.checkpoint.len(), expected.len());
            for tensor in &expected {
                let found = pruned.checkpoint.get(tensor.name()).unwrap();
                assert_eq!(found.dtype(), tensor.dtype());
                assert_eq!(found.shape(), tensor.shape());
                // PyTorch multiplies by zero, and has a sign there.
                let (found, expected) = (found.to_f64_vec().unwrap(), tensor.to_f64_vec().unwrap());
                assert_eq!(found, expected, "{name}: {}", tensor.name());
            }
        }
    }
}

#[test]
fn tied_tensors_are_pruned_as_one() {
    let embedding = tensor("embedding", vec![2, 3], Dtype::F32, &numbers(6, 1), false);
    let checkpoint = with([embedding.clone(), embedding.with_name("head")]);
    let mut pruning = elements(Amount::Count(3), PruneScope::Global);
    let pruned = prune(&pruning, &checkpoint);
    assert_eq!(pruned.report.tensors.len(), 1);
    assert_eq!(pruned.checkpoint.ties(), [("head", "embedding")]);
    pruning.keep_mask = true;
    let pruned = prune(&pruning, &checkpoint);
    let ties = [("head_orig", "embedding_orig"), ("head_mask", "embedding_mask")];
    assert_eq!(pruned.checkpoint.ties(), ties);
}

#[test]
fn what_is_chosen() {
    let checkpoint = with([
        tensor("w", vec![2, 2], Dtype::F32, &[1.0, 2.0, 3.0, 4.0], false),
        tensor("b", vec![2], Dtype::F32, &[0.1, 0.2], false),
        NamedTensor::new("ids", Dtype::I32, vec![1, 1], vec![1, 0, 0, 0]).unwrap(),
    ]);
    let names = |include: &[&str]| {
        let selection = Selection::new(include, &[]).unwrap();
        let pruned = elements(Amount::Count(1), PruneScope::Global).of(
            &checkpoint,
            &selection,
            &Arc::new(Silent),
        );
        pruned.map(|pruned| {
            pruned.report.tensors.iter().map(|row| row.name.clone()).collect::<Vec<_>>()
        })
    };
    assert_eq!(names(&[]).unwrap(), ["w"]);
    assert_eq!(names(&["b"]).unwrap(), ["b"]);
    assert_eq!(names(&["*"]).unwrap(), ["w", "b"]);
    let nothing = names(&["ids"]).unwrap_err();
    assert!(matches!(nothing, FilesError::Prune(PruneFault::Nothing { chosen: 1, .. })));
    assert!(matches!(names(&["x*"]), Err(FilesError::NoMatch { .. })));
}

#[test]
fn what_is_refused() {
    let of =
        |name: &str, values: &[f64]| tensor(name, vec![1, values.len()], Dtype::F32, values, false);
    let half = Amount::Fraction(0.5);
    for scope in [PruneScope::Global, PruneScope::Layer] {
        let nan = with([of("a", &[1.0]), of("b", &[f64::NAN, 1.0, f64::NAN])]);
        let expected = PruneFault::NotANumber { tensor: "b".into(), found: 2, numel: 3 };
        assert_eq!(fault(&elements(half, scope), &nan), expected);
        let groups = PrunePattern::Groups { n: 1, m: 2 };
        assert_eq!(fault(&Pruning { pattern: groups, ..elements(half, scope) }, &nan), expected);
        // At random nothing is ranked by its value.
        let random = Pruning { method: PruneMethod::Random { seed: 1 }, ..elements(half, scope) };
        assert!(random.of(&nan, &Selection::default(), &Arc::new(Silent)).is_ok());
    }
    let small = with([of("a", &[1.0, 2.0])]);
    let found = fault(&elements(Amount::Count(3), PruneScope::Layer), &small);
    assert_eq!(found.to_string(), "3 elements cannot be pruned in tensor \"a\": there are 2");
    let pattern = PrunePattern::Channels { amount: half, norm: 2.0, dim: 2 };
    let found = fault(&Pruning { pattern, ..elements(half, PruneScope::Layer) }, &small);
    assert!(matches!(found, PruneFault::Dim { dim: 2, .. }));
    let masked = with([of("a_orig", &[1.0, 2.0]), of("a_mask", &[1.0, 0.0])]);
    let found = fault(&elements(half, PruneScope::Global), &masked);
    assert!(matches!(found, PruneFault::Masked { .. }));
    let groups = PrunePattern::Groups { n: 3, m: 2 };
    let found = fault(&Pruning { pattern: groups, ..elements(half, PruneScope::Global) }, &small);
    assert_eq!(found, PruneFault::Groups { n: 3, m: 2 });
    assert!("1.5".parse::<Amount>().is_err() && "x".parse::<Amount>().is_err());
}

/// Cancels once asked a second time.
#[derive(Default)]
struct Impatient(AtomicBool);

impl Observer for Impatient {
    fn cancelled(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }
}

#[test]
fn what_is_cancelled_stops() {
    let values = numbers(300_000, 1);
    for whole in [true, false] {
        let checkpoint = with([tensor("a", vec![300, 1000], Dtype::F32, &values, whole)]);
        let pruning = elements(Amount::Fraction(0.5), PruneScope::Global);
        let result =
            pruning.of(&checkpoint, &Selection::default(), &Arc::new(Impatient::default()));
        assert!(matches!(result, Err(FilesError::Cancelled)), "{result:?}");
    }
}

//! What holds for any shape, amount and value.

use std::collections::BTreeSet;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Tensor};
use espalier::init::Rng;
use espalier::nn::Sequential;
use espalier::parametrize::{
    FixedRank, Lora, LowRank, NonNegative, Orthogonal, PositiveDefinite, PositiveSemidefinite,
    Rule, Rules, Scale, SigmoidMask, Skew, SpectralNorm, Sphere, Symmetric, WeightNorm,
};
use espalier::prune::{Amount, L1Unstructured};
use espalier::{Error, Leave, ParameterTree, Parametrized};
use proptest::prelude::*;

use crate::common::{
    Holder, Host, ORIGINAL, Tolerance, assert_close, assert_same, device, everything, put, stored,
    tensor, values,
};

fn random(seed: u64, scale: f64, count: usize) -> Vec<f64> {
    let mut rng = Rng::seeded(seed);
    (0..count).map(|_| scale * rng.normal()).collect()
}

/// The largest deviation of the Gram matrix of the smaller side from the identity.
fn deviation(weight: Tensor<2>) -> f64 {
    let [rows, columns] = weight.dims();
    let turned = weight.clone().transpose();
    let gram = if rows >= columns { turned.matmul(weight) } else { weight.matmul(turned) };
    let side = rows.min(columns);
    let gram = values(gram).into_iter().enumerate();
    gram.map(|(i, g)| (g - f64::from(i % (side + 1) == 0)).abs()).fold(0.0, f64::max)
}

/// A rule with its options, for a weight of `[rows, columns]`.
struct Row {
    label: &'static str,
    make: fn(usize, usize) -> Box<dyn Rule>,
    /// Only for square matrices.
    square: bool,
    /// Whether every value that it makes can be assigned to it.
    inverts: bool,
}

const fn row(label: &'static str, make: fn(usize, usize) -> Box<dyn Rule>) -> Row {
    Row { label, make, square: false, inverts: true }
}

const fn square(row: Row) -> Row {
    Row { square: true, ..row }
}

const fn one_way(row: Row) -> Row {
    Row { inverts: false, ..row }
}

/// Every rule of the library.
const RULES: [Row; 23] = [
    row("weight_norm dim", |_, _| Box::new(WeightNorm::dim(0))),
    row("weight_norm whole", |_, _| Box::new(WeightNorm::whole())),
    // Its right inverse is the identity, and its vectors follow the value only step by step.
    one_way(row("spectral_norm", |_, _| Box::new(SpectralNorm::new()))),
    row("orthogonal cayley", |_, _| Box::new(Orthogonal::cayley())),
    row("orthogonal exp", |_, _| Box::new(Orthogonal::exp())),
    row("orthogonal householder", |_, _| Box::new(Orthogonal::householder())),
    row("orthogonal new", |_, _| Box::new(Orthogonal::new())),
    row("orthogonal householder plain", |_, _| {
        Box::new(Orthogonal::householder().trivialization(false))
    }),
    one_way(row("orthogonal exp plain", |_, _| Box::new(Orthogonal::exp().trivialization(false)))),
    square(row("symmetric", |_, _| Box::new(Symmetric::new()))),
    square(row("skew", |_, _| Box::new(Skew::new()))),
    square(row("positive_definite", |_, _| Box::new(PositiveDefinite::new()))),
    square(row("positive_semidefinite", |rows, _| {
        Box::new(PositiveSemidefinite::rank(rows.div_ceil(2)))
    })),
    row("low_rank", |rows, columns| Box::new(LowRank::new(rows.min(columns).div_ceil(2)))),
    row("fixed_rank", |rows, columns| Box::new(FixedRank::new(rows.min(columns).div_ceil(2)))),
    row("sphere dim", |_, _| Box::new(Sphere::dim(0).radius(1.5))),
    row("sphere whole", |_, _| Box::new(Sphere::whole())),
    row("scale by", |_, _| Box::new(Scale::by(-2.5))),
    row("scale learned", |_, _| Box::new(Scale::learned(0.5))),
    row("non_negative softplus", |_, _| Box::new(NonNegative::softplus())),
    row("non_negative square", |_, _| Box::new(NonNegative::square())),
    row("sigmoid_mask", |_, _| Box::new(SigmoidMask::new())),
    row("lora", |_, _| Box::new(Lora::new(1))),
];

impl Row {
    /// The rule on a random weight, its originals moved at random.
    fn net(&self, seed: u64, rows: usize, columns: usize) -> Parametrized<Holder<2>> {
        let rows = if self.square { columns } else { rows };
        let numbers = random(seed, 1.0, rows * columns);
        let weight = tensor(&numbers, &[rows, columns], DType::F64);
        let mut net = Parametrized::new(Holder::<2>::holding(weight));
        net.register("weight", (self.make)(rows, columns)).unwrap();
        for (index, path) in originals(&net).into_iter().enumerate() {
            let old = stored::<2, _>(&net, &path).detach();
            let noise = random(seed ^ (index as u64 + 1), 0.5, old.shape().num_elements());
            let noise = tensor::<2>(&noise, &old.dims(), DType::F64);
            net = put(net, &path, old + noise);
        }
        net
    }
}

/// The paths of the originals; what a rule trains beside them is not among them.
fn originals(net: &Parametrized<Holder<2>>) -> Vec<String> {
    let paths = net.named_parameters().into_iter().map(|info| info.path);
    paths.filter(|path| path.starts_with(ORIGINAL)).collect()
}

/// The first word of each label, for a rule may be there with several options.
#[test]
fn every_rule_of_the_library_is_in_the_table() {
    let names = RULES.iter().filter_map(|row| row.label.split(' ').next());
    let rules = Rules::builtin();
    let known: BTreeSet<&str> = rules.names().into_iter().collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), known);
}

/// An amount as a fraction or as a count, and the number of values it means out of `available`.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Fraction(f64),
    Count(f64),
}

impl Ask {
    fn of(self, available: usize) -> (Amount, usize) {
        match self {
            Self::Fraction(fraction) => {
                // Half to even, written out: what is exactly half goes to the even neighbour.
                let exact = fraction * available as f64;
                let (below, rest) = (exact.floor(), exact - exact.floor());
                let up = rest > 0.5 || (rest == 0.5 && below % 2.0 == 1.0);
                (Amount::fraction(fraction), below as usize + usize::from(up))
            }
            Self::Count(part) => {
                let count = (part * available as f64) as usize;
                (Amount::count(count), count)
            }
        }
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (0.0..=1.0).prop_map(Ask::Fraction),
        (0u32..=8).prop_map(|eighths| Ask::Fraction(f64::from(eighths) / 8.0)),
        (0.0..=1.0).prop_map(Ask::Count),
    ]
}

fn count(kept: &[bool]) -> usize {
    kept.iter().filter(|kept| **kept).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cayley_map_is_orthogonal(
        rows in 1usize..=32,
        columns in 1usize..=32,
        scale in 0.01f64..2.0,
        trivialization: bool,
        seed: u64,
    ) {
        let start = tensor(&random(seed, 1.0, rows * columns), &[rows, columns], DType::F32);
        let mut net = Parametrized::new(Holder::<2>::holding(start));
        net.register("weight", Orthogonal::cayley().trivialization(trivialization)).unwrap();
        let original = random(seed.wrapping_add(1), scale, rows * columns);
        let original = tensor::<2>(&original, &[rows, columns], DType::F32);
        let net = put(net, "parametrizations.weight.original", original);
        let allowed = 1e-5 * (rows.max(columns) as f64).sqrt();
        let off = deviation(net.get("weight").unwrap());
        prop_assert!(off <= allowed, "off by {off:e}, allowed {allowed:e}");
    }

    #[test]
    fn what_a_rule_makes_can_be_assigned_to_it(
        rows in 1usize..=6,
        columns in 1usize..=6,
        seed in 0..u64::MAX / 2,
    ) {
        for row in RULES.iter().filter(|row| row.inverts) {
            let value: Tensor<2> = row.net(seed, rows, columns).get("weight").unwrap();
            let mut other = row.net(seed + 1, rows, columns);
            other.set("weight", value.clone().detach()).unwrap();
            let found = values(other.get::<2>("weight").unwrap());
            assert_close(row.label, &found, &values(value), Tolerance::new(1e-10, 1e-10));
        }
    }

    #[test]
    fn removing_leaves_the_original_to_the_bit(
        rows in 1usize..=6,
        columns in 1usize..=6,
        seed: u64,
    ) {
        for row in &RULES {
            let mut net = row.net(seed, rows, columns);
            let originals = originals(&net);
            if let [only] = originals.as_slice() {
                let original = values(stored::<2, _>(&net, only));
                net.remove("weight", Leave::Original).unwrap();
                prop_assert!(!net.is_parametrized("weight"), "{}", row.label);
                assert_same(row.label, &values(net.get::<2>("weight").unwrap()), &original);
                assert_same(row.label, &values(net.fold().weight()), &original);
                continue;
            }
            let before = everything(&net);
            let error = net.remove("weight", Leave::Original).unwrap_err();
            prop_assert!(
                matches!(error, Error::SeveralOriginals { originals: n, .. } if n == originals.len()),
                "{}: {error}", row.label
            );
            prop_assert_eq!(everything(&net), before);
        }
    }

    #[test]
    fn pruning_counts_are_exact_and_masks_only_shrink(
        dims in prop::collection::vec(0usize..=6, 3),
        asks in prop::collection::vec(ask(), 1..4),
        seed: u64,
    ) {
        let size: usize = dims.iter().product();
        // Whole numbers, for ties among the scores; none is zero.
        let numbers: Vec<f64> =
            random(seed, 2.0, size).iter().map(|x| x.round() + 0.5).collect();
        let weight = tensor(&numbers, &dims, DType::F32);
        let mut net = Parametrized::new(Holder::<3>::holding(weight));
        let mut kept = vec![true; size];
        for ask in asks {
            let available = count(&kept);
            let (amount, expected) = ask.of(available);
            net.prune("weight", L1Unstructured::new(amount)).unwrap();
            let now = net.kept("weight").unwrap();
            prop_assert_eq!(count(&now), available - expected);
            prop_assert!(now.iter().zip(&kept).all(|(now, before)| *before || !*now));
            prop_assert_eq!(net.zeros("weight").unwrap(), size - count(&now));
            // What was pruned in this call is no larger than what is left.
            let magnitude = |index: &usize| numbers[*index].abs();
            let pruned = (0..size).filter(|i| kept[*i] && !now[*i]).map(|i| magnitude(&i));
            let left = (0..size).filter(|i| now[*i]).map(|i| magnitude(&i));
            prop_assert!(pruned.fold(0.0, f64::max) <= left.fold(f64::INFINITY, f64::min));
            kept = now;
        }
        // The same mask again changes nothing, and removing keeps the zeros.
        let before = values(net.get::<3>("weight").unwrap());
        net.prune("weight", L1Unstructured::new(0)).unwrap();
        prop_assert_eq!(net.kept("weight").unwrap(), kept);
        net.remove("weight", Leave::Parametrized).unwrap();
        assert_same("removed", &values(net.get::<3>("weight").unwrap()), &before);
    }

    #[test]
    fn tied_names_are_one_after_an_edit_through_either(
        inputs in 1usize..6,
        outputs in 1usize..6,
        through_alias: bool,
        transposed: bool,
        pruned: bool,
        seed: u64,
    ) {
        let layer = |from, to| -> Linear { LinearConfig::new(from, to).init(&device()) };
        let second = if transposed { layer(outputs, inputs) } else { layer(inputs, outputs) };
        let mut net =
            Parametrized::new(Sequential::new().with(layer(inputs, outputs)).with(second));
        if transposed {
            net.tie_transposed("1.weight", "0.weight").unwrap();
        } else {
            net.tie("1.weight", "0.weight").unwrap();
        }
        if pruned {
            net.prune("1.weight", L1Unstructured::new(0.3)).unwrap();
        }
        let path = if through_alias { "1.weight" } else { "0.weight" };
        let dims = net.value(path).unwrap().dims();
        let numbers = random(seed, 1.0, inputs * outputs);
        net.set(path, tensor::<2>(&numbers, &dims, DType::F32)).unwrap();

        let canonical: Tensor<2> = net.get("0.weight").unwrap();
        let alias: Tensor<2> = net.get("1.weight").unwrap();
        let alias = if transposed { alias.transpose() } else { alias };
        assert_same("alias", &values(alias), &values(canonical));
        let step = net.effective();
        let weight = |index: usize| {
            let layer: &Linear = step[index].get().unwrap();
            layer.weight.val()
        };
        let second = if transposed { weight(1).transpose() } else { weight(1) };
        assert_same("layers", &values(second), &values(weight(0)));
        let set = values(net.get::<2>(path).unwrap());
        let zeros = set.iter().filter(|value| **value == 0.0).count();
        prop_assert_eq!(zeros > 0, pruned && inputs * outputs > 1);
        for (found, given) in set.iter().zip(&numbers) {
            prop_assert!(*found == 0.0 || *found == f64::from(*given as f32));
        }
    }
}

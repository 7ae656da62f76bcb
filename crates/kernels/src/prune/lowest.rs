//! Pruning what has the lowest scores, of several tensors together.

use super::clear::clear_up_to;
use super::cut::{cut_at, greatest};
use super::keys::Key;
use super::scores::Candidate;

/// Clears the `count` kept positions of lowest score, those of all candidates together.
///
/// Of equal scores the earlier one goes first: that of the earlier candidate, then that earlier in
/// the [`Order`](crate::Order). So exactly `count` positions are cleared, the same ones on every
/// run; all of them if there are no more. A NaN is greater than every number.
///
/// The score of the last one that was pruned is returned, if any was.
///
/// The tensors are read a few times; nothing as long as they are is copied or sorted.
///
/// ```
/// use espalier_kernels::{Bits, Candidate, Order, Scores, Values, prune_lowest};
/// let (mut first, mut second) = (Bits::all(3), Bits::all(2));
/// let threshold = prune_lowest(
///     &mut [
///         Candidate {
///             scores: Scores::Magnitude(Values::F32(&[3.0, -1.0, 2.0])),
///             order: Order::Stored,
///             kept: &mut first,
///         },
///         Candidate {
///             scores: Scores::Magnitude(Values::F64(&[-0.5, 9.0])),
///             order: Order::Stored,
///             kept: &mut second,
///         },
///     ],
///     2,
/// );
/// assert_eq!(threshold, Some(1.0));
/// assert_eq!(first.iter().collect::<Vec<_>>(), [true, false, true]);
/// assert_eq!(second.iter().collect::<Vec<_>>(), [false, true]);
/// ```
///
/// # Panics
///
/// If there is not one score for each position.
pub fn prune_lowest(candidates: &mut [Candidate<'_>], count: usize) -> Option<f64> {
    candidates.iter().for_each(|candidate| candidate.check());
    let kept = candidates.iter().map(|candidate| candidate.kept.count()).sum::<usize>();
    let count = count.min(kept);
    if count == 0 {
        None
    } else if candidates.iter().any(|candidate| candidate.scores.wide()) {
        Some(prune::<u64>(candidates, kept, count))
    } else {
        Some(prune::<u32>(candidates, kept, count))
    }
}

fn prune<K: Key>(candidates: &mut [Candidate<'_>], kept: usize, count: usize) -> f64 {
    if count == kept {
        let last = greatest::<K>(candidates);
        candidates.iter_mut().for_each(|candidate| candidate.kept.words.fill(0));
        return last.score();
    }
    let cut = cut_at::<K>(candidates, kept, count);
    clear_up_to(candidates, cut);
    cut.key.score()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::PIECE;
    use crate::prune::bits::Bits;
    use crate::prune::scores::{Order, Scores, Values};
    use crate::test::{assert_same_on_threads, numbers, single};
    use half::{bf16, f16};
    use proptest::prelude::*;

    /// A tensor and what to do with it.
    #[derive(Debug, Clone)]
    struct Case {
        values: Vec<f64>,
        dtype: u8,
        order: Order,
        kept: Bits,
    }

    /// The elements of a case, in its type.
    struct Held(u8, Vec<f32>, Vec<f64>, Vec<f16>, Vec<bf16>);

    impl Held {
        fn new(case: &Case) -> Self {
            let x = &case.values;
            Self(
                case.dtype,
                single(x),
                x.clone(),
                x.iter().map(|x| f16::from_f64(*x)).collect(),
                x.iter().map(|x| bf16::from_f64(*x)).collect(),
            )
        }

        fn values(&self) -> Values<'_> {
            match self.0 {
                0 => Values::F32(&self.1),
                1 => Values::F64(&self.2),
                2 => Values::F16(&self.3),
                _ => Values::BF16(&self.4),
            }
        }

        fn scores(&self) -> Scores<'_> {
            Scores::Magnitude(self.values())
        }
    }

    fn place(order: Order, i: usize) -> usize {
        match order {
            Order::Stored => i,
            Order::Transposed { rows, columns, .. } => {
                (i / rows / columns * columns + i % columns) * rows + i / columns % rows
            }
        }
    }

    /// By sorting.
    fn plain(cases: &[Case], held: &[Held], count: usize) -> (Vec<Bits>, Option<f64>) {
        let mut all = Vec::new();
        for (c, (case, held)) in cases.iter().zip(held).enumerate() {
            let mut x = vec![0.0; case.values.len()];
            held.values().read_double(0, &mut x);
            for i in (0..x.len()).filter(|i| case.kept.get(*i)) {
                all.push((x[i].abs(), c, place(case.order, i), i));
            }
        }
        let number = |x: f64| if x.is_nan() { f64::NAN } else { x };
        all.sort_by(|a, b| {
            number(a.0).total_cmp(&number(b.0)).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))
        });
        let mut kept: Vec<Bits> = cases.iter().map(|case| case.kept.clone()).collect();
        let count = count.min(all.len());
        all[..count].iter().for_each(|(_, c, _, i)| kept[*c].set(*i, false));
        (kept, count.checked_sub(1).map(|last| all[last].0))
    }

    fn found(cases: &[Case], held: &[Held], count: usize) -> (Vec<Bits>, Option<f64>) {
        let mut kept: Vec<Bits> = cases.iter().map(|case| case.kept.clone()).collect();
        let mut candidates: Vec<_> = cases
            .iter()
            .zip(held.iter().zip(&mut kept))
            .map(|(case, (held, kept))| Candidate {
                scores: held.scores(),
                order: case.order,
                kept,
            })
            .collect();
        let threshold = prune_lowest(&mut candidates, count);
        (kept, threshold)
    }

    fn same(a: &(Vec<Bits>, Option<f64>), b: &(Vec<Bits>, Option<f64>)) -> bool {
        let bits = |x: Option<f64>| x.map(|x| if x.is_nan() { f64::NAN } else { x }.to_bits());
        a.0 == b.0 && bits(a.1) == bits(b.1)
    }

    fn case() -> impl Strategy<Value = Case> {
        let number = prop_oneof![
            4 => (-4i8..5).prop_map(f64::from),
            3 => -1.0..1.0f64,
            1 => Just(f64::NAN),
            1 => Just(f64::NEG_INFINITY),
        ];
        let shape = (1usize..4, 0usize..12, 1usize..12);
        (shape, 0u8..4, any::<bool>()).prop_flat_map(move |((batch, rows, columns), dtype, t)| {
            let n = batch * rows * columns;
            let order = if t { Order::Transposed { batch, rows, columns } } else { Order::Stored };
            let kept = prop_oneof![
                Just(Bits::all(n)),
                prop::collection::vec(any::<bool>(), n).prop_map(|kept| kept.into_iter().collect())
            ];
            (prop::collection::vec(number.clone(), n), kept).prop_map(move |(values, kept)| Case {
                values,
                dtype,
                order,
                kept,
            })
        })
    }

    proptest! {
        #[test]
        fn as_by_sorting(cases in prop::collection::vec(case(), 0..4), ask in 0usize..500) {
            let held: Vec<Held> = cases.iter().map(Held::new).collect();
            let before: usize = cases.iter().map(|case| case.kept.count()).sum();
            for count in [ask, ask % (before + 1), before] {
                let (kept, threshold) = found(&cases, &held, count);
                let after: usize = kept.iter().map(Bits::count).sum();
                prop_assert_eq!(before - after, count.min(before));
                for (kept, case) in kept.iter().zip(&cases) {
                    let mut both = kept.clone();
                    both.and(&case.kept);
                    prop_assert_eq!(&both, kept, "a mask only shrinks");
                }
                prop_assert!(same(&(kept, threshold), &plain(&cases, &held, count)));
            }
        }
    }

    /// Of more than a piece each: with few ties, with many, and with some pruned before.
    fn large() -> Vec<Case> {
        let (rows, columns) = (300, PIECE / 150);
        let n = rows * columns;
        let across = |batch| Order::Transposed { batch, rows: rows / batch, columns };
        let few = |x: Vec<f64>| x.into_iter().map(|x| (x * 8.0).round() / 8.0).collect();
        let some = Bits::collect(n, (0..n).map(|i| i * i % 11 < 7));
        let case = |values, order, kept| Case { values, dtype: 0, order, kept };
        vec![
            case(numbers(n, 1), Order::Stored, Bits::all(n)),
            case(few(numbers(n, 2)), Order::Stored, some.clone()),
            case(few(numbers(n, 3)), across(1), Bits::all(n)),
            case(few(numbers(n, 4)), across(3), some),
            case(vec![f64::NAN; 100], Order::Stored, Bits::all(100)),
        ]
    }

    #[test]
    fn large_ones_as_by_sorting_on_any_threads() {
        let cases = large();
        for dtype in [0, 1] {
            let of_type = |case: &Case| Case { dtype, ..case.clone() };
            let mut sets: Vec<Vec<Case>> = cases.iter().map(|case| vec![of_type(case)]).collect();
            sets.push(cases.iter().map(of_type).collect());
            for set in sets {
                let held: Vec<Held> = set.iter().map(Held::new).collect();
                let n: usize = set.iter().map(|case| case.kept.count()).sum();
                for count in [1, n / 10, n / 2, n * 4 / 5, n - 1] {
                    let found = found(&set, &held, count);
                    assert!(same(&found, &plain(&set, &held, count)), "{dtype}, {count} of {n}");
                }
                assert_same_on_threads(|| found(&set, &held, n / 3).0);
            }
        }
    }

    #[test]
    fn random_ones_follow_the_order_and_are_spread() {
        let n = 3 * PIECE;
        let prune = |order, count| {
            let mut kept = Bits::all(n);
            let scores = Scores::Random { seed: 3 };
            let last = prune_lowest(&mut [Candidate { scores, order, kept: &mut kept }], count);
            (kept, last)
        };
        let (kept, last) = prune(Order::Stored, n / 4);
        assert_eq!(kept.count(), n - n / 4);
        assert!(last.is_some_and(|last| (last - 0.25).abs() < 0.01), "{last:?}");
        let order = Order::Transposed { batch: 3, rows: 1 << 6, columns: PIECE >> 6 };
        let (across, _) = prune(order, n / 4);
        assert_eq!(across.transposed(3, 1 << 6, PIECE >> 6), kept);
        assert_same_on_threads(|| prune(order, n / 3));
        // Every part of it loses about its share.
        for part in kept.words().chunks(64) {
            let kept: u32 = part.iter().map(|word| word.count_ones()).sum();
            assert!((kept as i64 - 64 * 48).abs() < 200, "{kept}");
        }
    }

    #[test]
    fn products_in_single_precision_unless_one_is_double() {
        let (x, y) = ([1e-30f32, 1e-20, 1.0], [1e-30f32, 1.0, 1.0]);
        let wide = y.map(f64::from);
        for (y, first) in [(Values::F32(&y), Some(0.0)), (Values::F64(&wide), Some(1e-60))] {
            let mut kept = Bits::all(3);
            let scores = Scores::Product(Values::F32(&x), y);
            let last =
                prune_lowest(&mut [Candidate { scores, order: Order::Stored, kept: &mut kept }], 1);
            assert!(last.zip(first).is_some_and(|(a, b)| (a - b).abs() <= 1e-66), "{last:?}");
        }
    }

    #[test]
    #[should_panic(expected = "one score for each position")]
    fn lengths_are_checked() {
        let scores = Scores::Magnitude(Values::F32(&[1.0]));
        prune_lowest(&mut [Candidate { scores, order: Order::Stored, kept: &mut Bits::all(2) }], 1);
    }
}

//! Which values to prune: the `k` of smallest magnitude.

use crate::Real;

/// The number of units that a fraction of `total` asks for, rounded half to even.
///
/// This is PyTorch's `round(amount * tensor_size)`. `fraction` is taken as within `[0, 1]`; the
/// caller checks it.
///
/// ```
/// use espalier_kernels::count_to_prune;
/// assert_eq!(count_to_prune(0.5, 5), 2); // 2.5 to even
/// assert_eq!(count_to_prune(0.5, 7), 4); // 3.5 to even
/// assert_eq!(count_to_prune(1.0, 7), 7);
/// ```
pub fn count_to_prune(fraction: f64, total: usize) -> usize {
    let count = (fraction * total as f64).round_ties_even();
    (count.max(0.0) as usize).min(total)
}

/// Clears in `keep` the `count` kept positions whose score has the smallest magnitude.
///
/// `scores` and `keep` run over the same positions; only positions with `keep[i] == true` compete.
/// Equal magnitudes are broken by position (the earlier one is pruned first), so that exactly
/// `count` positions are cleared, the same ones on every run. A NaN counts as larger than every
/// number. If fewer than `count` positions are kept, all of them are cleared.
///
/// Cost: linear in the number of kept positions on average.
///
/// ```
/// use espalier_kernels::prune_smallest;
/// let mut keep = vec![true; 4];
/// prune_smallest(&[3.0f32, -1.0, 1.0, -2.0], &mut keep, 2);
/// assert_eq!(keep, [true, false, false, true]);
/// ```
///
/// # Panics
///
/// If `scores` and `keep` differ in length.
pub fn prune_smallest<T: Real>(scores: &[T], keep: &mut [bool], count: usize) {
    assert_eq!(scores.len(), keep.len(), "one score for each position");
    if count == 0 {
        return;
    }
    let mut candidates: Vec<(u64, usize)> = scores
        .iter()
        .zip(keep.iter())
        .enumerate()
        .filter(|(_, (_, kept))| **kept)
        .map(|(position, (score, _))| (score.magnitude_key(), position))
        .collect();
    if count < candidates.len() {
        candidates.select_nth_unstable(count);
        candidates.truncate(count);
    }
    for (_, position) in candidates {
        keep[position] = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_earlier_position() {
        let mut keep = vec![true; 6];
        prune_smallest(&[0.5f32, -0.5, 0.5, 0.5, -0.5, 0.1], &mut keep, 3);
        assert_eq!(keep, [false, false, true, true, true, false]);
    }

    #[test]
    fn nan_is_never_small() {
        let mut keep = vec![true; 3];
        prune_smallest(&[f64::NAN, 1e300, -f64::INFINITY], &mut keep, 2);
        assert_eq!(keep, [true, false, false]);
    }

    #[test]
    fn halves_round_to_even() {
        let counts: Vec<_> = [1, 3, 5, 7, 9].map(|n| count_to_prune(0.5, n)).into();
        assert_eq!(counts, [0, 2, 2, 4, 4]);
    }

    proptest! {
        #[test]
        fn exactly_the_requested_number_and_the_smallest_ones(
            values in prop::collection::vec((-4i8..4, any::<bool>()), 0..200),
            ask in 0usize..250,
        ) {
            let scores: Vec<f32> = values.iter().map(|(v, _)| f32::from(*v)).collect();
            let before: Vec<bool> = values.iter().map(|(_, k)| *k).collect();
            let mut keep = before.clone();
            prune_smallest(&scores, &mut keep, ask);
            let eligible = before.iter().filter(|k| **k).count();
            let pruned: Vec<usize> = (0..keep.len()).filter(|i| before[*i] && !keep[*i]).collect();
            prop_assert_eq!(pruned.len(), ask.min(eligible));
            prop_assert!((0..keep.len()).all(|i| before[i] || !keep[i]), "a mask only shrinks");
            // Every pruned (magnitude, position) precedes every kept one.
            let largest_pruned = pruned.iter().map(|i| (scores[*i].abs() as u8, *i)).max();
            let smallest_kept =
                (0..keep.len()).filter(|i| keep[*i]).map(|i| (scores[i].abs() as u8, i)).min();
            if let (Some(p), Some(k)) = (largest_pruned, smallest_kept) {
                prop_assert!(p < k);
            }
        }
    }
}

//! How many a fraction is.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even() {
        let counts: Vec<_> = [1, 3, 5, 7, 9].map(|n| count_to_prune(0.5, n)).into();
        assert_eq!(counts, [0, 2, 2, 4, 4]);
    }
}

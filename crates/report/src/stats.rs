//! Statistics of the elements of one tensor, in `f64`.

/// What is said of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stats {
    pub(crate) zeros: u64,
    pub(crate) nonfinite: u64,
    /// The rest is over the finite elements, and absent if there are none.
    pub(crate) mean: Option<f64>,
    pub(crate) std: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// The square root of the sum of the squares, absent if it is too large for a `f64`.
    pub(crate) l2: Option<f64>,
}

/// Within these bounds squares neither overflow nor vanish, even summed over 2^63 elements.
const SAFE: std::ops::Range<f64> = 1e-140..1e140;

/// Measures in two passes: the extremes and counts first, then the sums of differences from the
/// mean, which lose no digits to a large mean.
pub(crate) fn measure(values: impl Iterator<Item = f64> + Clone) -> Stats {
    let (mut zeros, mut nonfinite, mut finite) = (0u64, 0u64, 0u64);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.clone() {
        if value.is_finite() {
            finite += 1;
            zeros += u64::from(value == 0.0);
            min = min.min(value);
            max = max.max(value);
        } else {
            nonfinite += 1;
        }
    }
    if finite == 0 {
        let none = None;
        return Stats {
            zeros,
            nonfinite,
            mean: none,
            std: none,
            min: none,
            max: none,
            l2: Some(0.0),
        };
    }
    // Sums are of values in this unit: 1 unless squares would overflow or vanish.
    let largest = min.abs().max(max.abs());
    let unit = if largest == 0.0 || SAFE.contains(&largest) { 1.0 } else { largest };
    let scaled = || values.clone().filter(|value| value.is_finite()).map(|value| value / unit);

    let count = finite as f64;
    let mean = scaled().fold(Sum::default(), Sum::add).value() / count;
    let (squares, deviations) =
        scaled().fold(<(Sum, Sum)>::default(), |(squares, deviations), v| {
            let deviation = v - mean;
            (squares.add(v * v), deviations.add(deviation * deviation))
        });
    let l2 = squares.value().sqrt() * unit;
    Stats {
        zeros,
        nonfinite,
        // Rounding must not carry the mean past the extremes.
        mean: Some((mean * unit).clamp(min, max)),
        std: Some((deviations.value() / count).sqrt() * unit),
        min: Some(min),
        max: Some(max),
        l2: l2.is_finite().then_some(l2),
    }
}

/// A sum that keeps what each addition rounds away (Neumaier's method).
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    sum: f64,
    rounded_away: f64,
}

impl Sum {
    fn add(self, value: f64) -> Self {
        let sum = self.sum + value;
        let lost = if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        Self { sum, rounded_away: self.rounded_away + lost }
    }

    fn value(self) -> f64 {
        self.sum + self.rounded_away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Stats {
        measure(values.iter().copied())
    }

    #[test]
    fn a_plain_tensor() {
        let stats = of(&[1.0, -2.0, 0.0, 5.0, -0.0, 2.0]);
        assert_eq!((stats.zeros, stats.nonfinite), (2, 0));
        assert_eq!((stats.min, stats.max), (Some(-2.0), Some(5.0)));
        assert_eq!(stats.mean, Some(1.0));
        // Squares of the deviations: 0 9 1 16 1 1.
        assert_eq!(stats.std, Some((28.0f64 / 6.0).sqrt()));
        assert_eq!(stats.l2, Some(34.0f64.sqrt()));
    }

    #[test]
    fn a_large_mean_takes_no_digits() {
        let stats = of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert_eq!(stats.mean, Some(1e9 + 10.0));
        assert_eq!(stats.std, Some(22.5f64.sqrt()));
    }

    #[test]
    fn small_numbers_among_large_are_counted() {
        assert_eq!(of(&[1e16, 1.0, 1.0, -1e16]).mean, Some(0.5));
        assert_eq!(of(&vec![0.1; 1000]).mean, Some(0.1));
        assert_eq!(of(&vec![0.1; 1000]).std, Some(0.0));
    }

    #[test]
    fn only_finite_values_count() {
        let stats = of(&[f64::NAN, 3.0, f64::INFINITY, 1.0, f64::NEG_INFINITY]);
        assert_eq!((stats.nonfinite, stats.mean, stats.std), (3, Some(2.0), Some(1.0)));
        assert_eq!((stats.min, stats.max), (Some(1.0), Some(3.0)));
    }

    #[test]
    fn nothing_finite() {
        for (values, nonfinite) in [(&[][..], 0), (&[f64::NAN, f64::INFINITY][..], 2)] {
            let stats = of(values);
            assert_eq!((stats.zeros, stats.nonfinite), (0, nonfinite));
            assert_eq!([stats.mean, stats.std, stats.min, stats.max], [None; 4]);
            assert_eq!(stats.l2, Some(0.0));
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        let stats = of(&[f64::MAX, f64::MAX, -f64::MAX, -f64::MAX]);
        assert_eq!((stats.mean, stats.std), (Some(0.0), Some(f64::MAX)));
        // Twice the largest number: there is no such number.
        assert_eq!(stats.l2, None);
        let stats = of(&[3e-200, 4e-200]);
        assert!((stats.l2.unwrap() / 5e-200 - 1.0).abs() < 1e-15);
        assert!((stats.std.unwrap() / 5e-201 - 1.0).abs() < 1e-15);
        let least = f64::from_bits(1);
        assert_eq!(of(&[least]).l2, Some(least));
    }
}

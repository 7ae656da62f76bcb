//! How the values of a tensor are spread.

use serde::Serialize;

/// Bars of a histogram.
pub(crate) const BARS: usize = 64;

/// The number of elements in each of some equal ranges from `min` to `max`. Elements that are exactly zero are counted
/// apart, for in a pruned tensor they are most of it, and so are those that are not finite.
///
/// ```
/// # use std::sync::Arc;
/// # use espalier_checkpoint::{Checkpoint, NamedTensor};
/// # use espalier_files::{Detail, Silent, measure};
/// let tensor = NamedTensor::f32("w", vec![3], &[0.0, 1.0, 2.0])?;
/// let measured = measure(&tensor, Detail::default(), &Arc::new(Silent))?;
/// let histogram = measured.histogram.unwrap();
/// assert_eq!((histogram.min, histogram.max), (0.0, 2.0));
/// assert_eq!(histogram.counts.iter().sum::<u64>(), 2); // without the zero
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Where the first range begins: the least finite element.
    pub min: f64,
    /// Where the last one ends: the greatest finite element, which is within it.
    pub max: f64,
    /// The elements in each range, exact zeros left out. One range if all elements are the same.
    pub counts: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new(min: f64, max: f64) -> Self {
        Self { min, max, counts: vec![0; if min == max { 1 } else { BARS }] }
    }

    /// The counts of some values.
    pub(crate) fn of(&self, values: &[f64]) -> Vec<u64> {
        let bars = self.counts.len();
        let mut counts = vec![0; bars];
        // Halved, or the width of all could be too large for a number.
        let (low, width) = (self.min / 2.0, self.max / 2.0 - self.min / 2.0);
        for value in values.iter().copied().filter(|v| v.is_finite() && *v != 0.0) {
            let share = (value / 2.0 - low) / width;
            // Of a single value it is 0 / 0, which becomes 0.
            let bar = (share * bars as f64) as usize;
            counts[bar.min(bars - 1)] += 1;
        }
        counts
    }

    pub(crate) fn add(&mut self, counts: &[u64]) {
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &[f64], min: f64, max: f64) -> Vec<u64> {
        let mut histogram = Histogram::new(min, max);
        let found = histogram.of(values);
        histogram.add(&found);
        histogram.counts
    }

    #[test]
    fn the_extremes_are_in_the_first_and_the_last_range() {
        let found = counts(&[-1.0, 1.0, 1.0, 0.0, f64::NAN, f64::INFINITY], -1.0, 1.0);
        assert_eq!((found.len(), found[0], found[BARS - 1]), (BARS, 1, 2));
        assert_eq!(found.iter().sum::<u64>(), 3);
    }

    #[test]
    fn all_alike_and_all_of_the_range() {
        assert_eq!(counts(&[2.0, 2.0], 2.0, 2.0), [2]);
        assert_eq!(counts(&[0.0], 0.0, 0.0), [0]);
        let found = counts(&[-f64::MAX, 1.0, f64::MAX], -f64::MAX, f64::MAX);
        assert_eq!((found[0], found[BARS / 2], found[BARS - 1]), (1, 1, 1));
    }
}

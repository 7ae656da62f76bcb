//! Moments, extremes and histogram of the values of a tensor.

use burn::tensor::{DType, Element, Tensor, TensorData, bf16, f16};
use serde::Serialize;

use super::error::ObserveError;

/// What a tensor's values are like.
///
/// NaN and infinities are counted and otherwise left out: everything else is of the finite values,
/// computed in double precision. Where there are too few of them, a number is NaN, never an error.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::observe::Stats;
///
/// let values = [3.0, 0.0, -4.0, f32::NAN, 1.0];
/// let stats = Stats::of(&Tensor::<1>::from_floats(values, &Device::default()), 2)?;
/// assert_eq!((stats.count, stats.nan, stats.zeros, stats.zero_fraction()), (5, 1, 1, 0.2));
/// assert_eq!((stats.min, stats.max, stats.mean), (-4.0, 3.0, 0.0));
/// assert_eq!(stats.norm, 26f64.sqrt());
/// assert_eq!((stats.edges(), stats.bins), (vec![-4.0, -0.5, 3.0], vec![1, 3]));
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// How many values there are, of all kinds.
    pub count: u64,
    /// How many are zero.
    pub zeros: u64,
    /// How many are NaN.
    pub nan: u64,
    /// How many are infinite.
    pub inf: u64,
    /// The L2 norm, `sqrt(sum(x^2))`; 0 for no values.
    pub norm: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation as of `torch.std`: `sqrt(sum((x - mean)^2) / (n - 1))`.
    pub std: f64,
    /// The smallest value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values lie in each of the equal bins between `min` and `max`; see
    /// [`edges`](Self::edges). One bin if all values are equal, none if there are no values.
    pub bins: Vec<u64>,
}

impl Stats {
    /// The statistics of a float tensor, with a histogram of `bins` equal bins: none for 0, at
    /// most 4096.
    ///
    /// # Errors
    ///
    /// [`Error::Observe`](crate::Error::Observe) if the values cannot be read from the device.
    pub fn of<const D: usize>(tensor: &Tensor<D>, bins: usize) -> Result<Self, crate::Error> {
        Ok(Self::of_data(&read("tensor", tensor)?, bins))
    }

    /// `data` is as [`read`] gives it.
    pub(super) fn of_data(data: &TensorData, bins: usize) -> Self {
        with_slice!(data, values => measure(values, bins))
    }

    /// The fraction of values that are zero; 0 for no values.
    pub fn zero_fraction(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.zeros as f64 / self.count as f64 }
    }

    /// How many values are neither NaN nor infinite.
    pub fn finite(&self) -> u64 {
        self.count - self.nan - self.inf
    }

    /// The edges of the bins, one more than there are bins; empty if there are none.
    ///
    /// A value on an edge is in the bin that begins there, the greatest value in the last bin.
    pub fn edges(&self) -> Vec<f64> {
        if self.bins.is_empty() { Vec::new() } else { edges(self.min, self.max, self.bins.len()) }
    }

    fn empty() -> Self {
        let nan = f64::NAN;
        Self {
            count: 0,
            zeros: 0,
            nan: 0,
            inf: 0,
            norm: 0.0,
            mean: nan,
            std: nan,
            min: nan,
            max: nan,
            bins: Vec::new(),
        }
    }
}

/// A float that statistics are made of.
pub(super) trait Real: Element + Copy {
    fn real(self) -> f64;
}
impl Real for f64 {
    fn real(self) -> f64 {
        self
    }
}
impl Real for f32 {
    fn real(self) -> f64 {
        f64::from(self)
    }
}
impl Real for f16 {
    fn real(self) -> f64 {
        f64::from(self)
    }
}
impl Real for bf16 {
    fn real(self) -> f64 {
        f64::from(self)
    }
}

/// Runs `$body` with `$values` the values of data that [`read`] gave, in their own type.
macro_rules! with_slice {
    ($data:expr, $values:ident => $body:expr) => {{
        use burn::tensor::{DType, bf16, f16};
        use $crate::observe::stats::slice;
        match $data.dtype() {
            DType::F64 => {
                let $values = slice::<f64>($data);
                $body
            }
            DType::F16 => {
                let $values = slice::<f16>($data);
                $body
            }
            DType::BF16 => {
                let $values = slice::<bf16>($data);
                $body
            }
            _ => {
                let $values = slice::<f32>($data);
                $body
            }
        }
    }};
}
use with_slice;

pub(super) fn slice<T: Real>(data: &TensorData) -> &[T] {
    match data.as_slice() {
        Ok(values) => values,
        Err(error) => unreachable!("`read` leaves four types: {error}"),
    }
}

/// The values of a tensor on the host, as f64, f32, f16 or bf16.
pub(super) fn read<const D: usize>(
    path: &str,
    tensor: &Tensor<D>,
) -> Result<TensorData, ObserveError> {
    let failed = |reason: String| ObserveError::Values { path: path.to_owned(), reason };
    let data = tensor.clone().try_into_data().map_err(|error| failed(error.to_string()))?;
    match data.dtype() {
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => Ok(data),
        _ => data.try_cast_as::<f32>().map_err(|error| failed(error.to_string())),
    }
}

/// `||after - before||`; `None` if the shapes differ.
pub(super) fn distance(before: &TensorData, after: &TensorData) -> Option<f64> {
    if before.shape() != after.shape() || before.dtype() != after.dtype() {
        return None;
    }
    fn of<T: Real>(before: &[T], after: &[T]) -> f64 {
        let mut sums = [0.0; LANES];
        let mut add = |lane: usize, old: T, new: T| {
            let change = new.real() - old.real();
            sums[lane] += change * change;
        };
        let ((old, old_rest), (new, new_rest)) = (before.as_chunks(), after.as_chunks());
        for (old, new) in old.iter().zip(new) {
            let (old, new): (&[T; LANES], &[T; LANES]) = (old, new);
            (0..LANES).for_each(|lane| add(lane, old[lane], new[lane]));
        }
        for (lane, (old, new)) in old_rest.iter().zip(new_rest).enumerate() {
            add(lane, *old, *new);
        }
        sums.iter().sum::<f64>().sqrt()
    }
    Some(with_slice!(before, old => of(old, slice(after))))
}

/// Independent sums, so that the processor need not wait for one addition before the next.
const LANES: usize = 2;

/// One pass for moments and extremes, one for the bins.
fn measure<T: Real>(values: &[T], bins: usize) -> Stats {
    let mut stats = Stats { count: values.len() as u64, ..Stats::empty() };
    let Some(shift) = values.iter().map(|value| value.real()).find(|value| value.is_finite())
    else {
        stats.nan = values.iter().filter(|value| value.real().is_nan()).count() as u64;
        stats.inf = stats.count - stats.nan;
        return stats;
    };
    let mut sums = Sums::of::<T, false>(values, shift);
    if !sums.shifted.iter().sum::<f64>().is_finite() {
        sums = Sums::of::<T, true>(values, shift);
    }
    let n = stats.count - sums.odd.iter().sum::<u64>();
    let (sum, sum_squares) =
        (sums.shifted.iter().sum::<f64>(), sums.shifted_squares.iter().sum::<f64>());
    stats.zeros = sums.zeros.iter().sum();
    stats.nan = sums.nan.iter().sum();
    stats.inf = stats.count - n - stats.nan;
    stats.norm = sums.squares.iter().sum::<f64>().sqrt();
    stats.mean = shift + sum / n as f64;
    if n > 1 {
        stats.std = ((sum_squares - sum * sum / n as f64).max(0.0) / (n - 1) as f64).sqrt();
    }
    stats.min = sums.low.iter().copied().fold(shift, f64::min);
    stats.max = sums.high.iter().copied().fold(shift, f64::max);
    stats.bins = histogram(values, stats.min, stats.max, n, bins);
    stats
}

/// What one pass finds, in lanes.
struct Sums {
    squares: [f64; LANES],
    /// Deviations from a value that is among them: squares of a large mean would drown the spread.
    shifted: [f64; LANES],
    shifted_squares: [f64; LANES],
    low: [f64; LANES],
    high: [f64; LANES],
    zeros: [u64; LANES],
    /// NaN and infinities.
    odd: [u64; LANES],
    nan: [u64; LANES],
}

impl Sums {
    /// With `ODD`, values that are not finite are left out; without, they make `shifted` not finite.
    fn of<T: Real, const ODD: bool>(values: &[T], shift: f64) -> Self {
        let (zero, none) = ([0.0; LANES], [0; LANES]);
        let mut sums = Self {
            squares: zero,
            shifted: zero,
            shifted_squares: zero,
            low: [shift; LANES],
            high: [shift; LANES],
            zeros: none,
            odd: none,
            nan: none,
        };
        let (blocks, rest) = values.as_chunks::<LANES>();
        for block in blocks {
            for (lane, value) in block.iter().enumerate() {
                sums.add::<ODD>(lane, value.real(), shift);
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            sums.add::<ODD>(lane, value.real(), shift);
        }
        sums
    }

    #[inline(always)]
    fn add<const ODD: bool>(&mut self, lane: usize, value: f64, shift: f64) {
        let (mut kept, mut within) = (value, value);
        if ODD && !value.is_finite() {
            (kept, within) = (0.0, shift);
            self.odd[lane] += 1;
            self.nan[lane] += u64::from(value.is_nan());
        }
        let off = within - shift;
        self.squares[lane] += kept * kept;
        self.shifted[lane] += off;
        self.shifted_squares[lane] += off * off;
        self.low[lane] = if within < self.low[lane] { within } else { self.low[lane] };
        self.high[lane] = if within > self.high[lane] { within } else { self.high[lane] };
        self.zeros[lane] += u64::from(value == 0.0);
    }
}

fn edges(min: f64, max: f64, bins: usize) -> Vec<f64> {
    let width = max - min;
    let mut edges: Vec<f64> =
        (0..bins).map(|bin| min + width * (bin as f64 / bins as f64)).collect();
    edges.push(max);
    edges
}

/// Beyond it, the spacing of doubles is one.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// More bins than anyone looks at; a histogram's size is bounded by it.
const MAX_BINS: usize = 4096;

fn histogram<T: Real>(values: &[T], min: f64, max: f64, finite: u64, bins: usize) -> Vec<u64> {
    let bins = bins.min(MAX_BINS);
    if bins == 0 {
        return Vec::new();
    }
    let scale = bins as f64 / (max - min);
    // All equal, or so close or so far apart that there is no width to divide.
    if !(scale.is_finite() && scale > 0.0) {
        return vec![finite];
    }
    let edges = edges(min, max, bins);
    // The upper edge of the last bin is in it.
    let mut uppers = edges[1..].to_vec();
    uppers[bins - 1] = f64::INFINITY;
    // Four counters a bin: a run of equal values need not wait for one.
    let mut counts = vec![[0u64; 4]; bins];
    let mut count = |lane: usize, x: f64| {
        // Its lowest bits are the product, rounded to a whole number.
        let guess = ((x - min) * scale + WHOLE).to_bits() as u32 as usize;
        let guess = guess.min(bins - 1);
        // The edges decide; the guess is at most one off.
        let bin = guess + usize::from(x >= uppers[guess]) - usize::from(x < edges[guess]);
        counts[bin][lane] += 1;
    };
    let (blocks, rest) = values.as_chunks::<4>();
    if finite == values.len() as u64 {
        for block in blocks {
            block.iter().enumerate().for_each(|(lane, value)| count(lane, value.real()));
        }
        rest.iter().for_each(|value| count(0, value.real()));
    } else {
        values.iter().map(|value| value.real()).filter(|x| x.is_finite()).for_each(|x| count(0, x));
    }
    counts.into_iter().map(|counts| counts.iter().sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_nothing_finite() {
        let none = measure::<f32>(&[], 4);
        assert_eq!((none.count, none.norm, none.bins.len(), none.edges().len()), (0, 0.0, 0, 0));
        assert!(none.mean.is_nan() && none.std.is_nan() && none.min.is_nan());
        assert_eq!(none.zero_fraction(), 0.0);
        let odd = measure(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY], 4);
        assert_eq!((odd.count, odd.nan, odd.inf, odd.finite()), (3, 1, 2, 0));
        assert!(odd.max.is_nan() && odd.bins.is_empty());
    }

    #[test]
    fn equal_values_are_in_one_bin() {
        let stats = measure(&[0.1f32; 37], 8);
        assert_eq!((stats.bins.clone(), stats.std), (vec![37], 0.0));
        assert_eq!(stats.mean, f64::from(0.1f32), "no rounding of the sum");
        assert_eq!(stats.edges(), [stats.min, stats.max]);
        let one = measure(&[2.0f64], 8);
        assert!(one.std.is_nan(), "as torch.std of one value");
        assert_eq!((one.mean, one.norm), (2.0, 2.0));
    }

    #[test]
    fn the_edges_decide_and_nothing_is_lost() {
        // Thirds and tenths: the products that find the bin round to both sides.
        for bins in [1, 3, 7, 10, 64] {
            let values: Vec<f64> = (0..=420).map(|i| -1.0 + f64::from(i) / 210.0).collect();
            let stats = measure(&values, bins);
            let edges = stats.edges();
            assert_eq!((edges.len(), edges[0], edges[bins]), (bins + 1, -1.0, 1.0));
            let expected: Vec<u64> = (0..bins)
                .map(|bin| {
                    let last = bin + 1 == bins;
                    let within = |x: &&f64| **x >= edges[bin] && (last || **x < edges[bin + 1]);
                    values.iter().filter(within).count() as u64
                })
                .collect();
            assert_eq!(stats.bins, expected, "{bins} bins");
            assert_eq!(stats.bins.iter().sum::<u64>(), 421);
        }
    }

    #[test]
    fn a_large_mean_leaves_the_spread() {
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        let stats = measure(&values, 2);
        assert!((stats.std - (1000.0f64 / 999.0 / 4.0).sqrt()).abs() < 1e-12, "{}", stats.std);
        assert_eq!((stats.mean, stats.bins), (1e9 + 0.5, vec![500, 500]));
    }

    #[test]
    fn values_that_are_not_finite_are_left_out_of_the_bins() {
        let values: Vec<f32> = (0..101).map(|i| i as f32 / 100.0).collect();
        let mut odd = values.clone();
        odd.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let (clean, odd) = (measure(&values, 9), measure(&odd, 9));
        assert_eq!((odd.count, odd.nan, odd.inf), (104, 1, 2));
        assert_eq!(Stats { count: 101, nan: 0, inf: 0, ..odd }, clean);
        assert_eq!(measure(&values, usize::MAX).bins.len(), MAX_BINS);
    }

    #[test]
    fn the_widest_range_does_not_overflow_a_bin() {
        let stats = measure(&[-f64::MAX, 0.0, f64::MAX], 4);
        assert_eq!(stats.bins, [3]);
        let tiny = f64::from_bits(1);
        assert_eq!(measure(&[0.0, tiny], 4).bins, [2]);
    }

    #[test]
    fn half_precision_is_read_as_it_is() {
        let halves: Vec<f16> = [0.5, -2.0, 0.0].into_iter().map(f16::from_f32).collect();
        let brains: Vec<bf16> = [0.5, -2.0, 0.0].into_iter().map(bf16::from_f32).collect();
        let doubles = measure(&[0.5f64, -2.0, 0.0], 4);
        let data = [TensorData::new(halves, [3]), TensorData::new(brains, [3])];
        for data in data {
            assert_eq!(Stats::of_data(&data, 4), doubles, "{:?}", data.dtype());
        }
    }
}

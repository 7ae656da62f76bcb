//! Statistics of elements in one pass, in double precision.

use pulp::Arch;

use crate::elements::{Decoded, Elements, Ordered};

/// Elements that are measured at once: they stay in the first cache, should a second look be needed.
const BLOCK: usize = 4096;

/// Sums that are kept side by side, and elements that are added to each before it is touched.
const COLUMNS: usize = 64;
const ROWS: usize = 8;

/// How often the square of the mean may hold the variance before a block is looked at again. A difference of sums of
/// squares is then right to 1e-13 of itself.
const CLOSE: f64 = 1e3;

/// Within these bounds squares neither overflow nor vanish, even summed over 2^63 elements.
const SAFE: std::ops::Range<f64> = 1e-140..1e140;

/// Statistics of elements: counts, extremes, mean, deviation and norm.
///
/// All but the counts are over the finite elements. Sums are of double precision whatever the elements are, of blocks of
/// 4096; a block whose mean is large against its deviation is summed again around the mean, so that no digits are
/// lost to it. Blocks are put together by the formula of T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating
/// formulae and a pairwise algorithm for computing sample variances", 1979. What is merged in one order gives one
/// result, to the bit.
///
/// ```
/// use espalier_kernels::{Elements, Moments};
/// let mut moments = Moments::default();
/// for piece in [[1.0f32, -1.0], [0.0, f32::NAN]] {
///     moments.add(Elements::F32, &piece.map(f32::to_le_bytes).concat());
/// }
/// assert_eq!((moments.zeros(), moments.nonfinite()), (1, 1));
/// assert_eq!((moments.mean(), moments.min(), moments.max()), (Some(0.0), Some(-1.0), Some(1.0)));
/// assert_eq!(moments.l2(), Some(2f64.sqrt()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    finite: u64,
    zeros: u64,
    nonfinite: u64,
    min: f64,
    max: f64,
    /// The sums are of elements divided by this: 1 unless squares would overflow or vanish.
    unit: f64,
    sum: Sum,
    /// Of the squares of what is left of the elements without their mean.
    deviations: f64,
    squares: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            finite: 0,
            zeros: 0,
            nonfinite: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            unit: f64::MIN_POSITIVE,
            sum: Sum::default(),
            deviations: 0.0,
            squares: 0.0,
        }
    }
}

impl Moments {
    /// Adds elements. A complex number counts by its magnitude.
    ///
    /// ```
    /// use espalier_kernels::{Elements, Moments};
    /// let mut moments = Moments::default();
    /// moments.add(Elements::I8, &[0, 0xff, 2]);
    /// assert_eq!((moments.count(), moments.min()), (3, Some(-1.0)));
    /// ```
    pub fn add(&mut self, elements: Elements, bytes: &[u8]) {
        struct Measure<'a>(&'a mut Moments);
        impl Decoded<()> for Measure<'_> {
            #[inline(always)]
            fn take<T: Ordered, const N: usize>(
                self,
                elements: &[[u8; N]],
                decode: impl Fn([u8; N]) -> T + Copy,
            ) {
                Arch::new().dispatch(
                    #[inline(always)]
                    move || {
                        // Taken by value, this can be called once only, and is one with its call: else it would be a
                        // function of its own, without the instructions that are dispatched to.
                        let Self(moments) = self;
                        for elements in elements.chunks(BLOCK) {
                            moments.merge(&block(elements, decode, extremes(elements, decode)));
                        }
                    },
                );
            }

            #[inline(always)]
            fn take_short(self, elements: &[[u8; 2]], decode: impl Fn([u8; 2]) -> f32 + Copy) {
                Arch::new().dispatch(
                    #[inline(always)]
                    move || {
                        let Self(moments) = self;
                        for elements in elements.chunks(BLOCK) {
                            let found = short_extremes(elements, decode);
                            moments.merge(&block(elements, decode, found));
                        }
                    },
                );
            }
        }
        elements.decoded(bytes, Measure(self));
    }

    /// Adds what another one has measured.
    ///
    /// ```
    /// use espalier_kernels::{Elements, Moments};
    /// let (mut moments, mut other) = (Moments::default(), Moments::default());
    /// moments.add(Elements::U8, &[1]);
    /// other.add(Elements::U8, &[3]);
    /// moments.merge(&other);
    /// assert_eq!((moments.mean(), moments.std()), (Some(2.0), Some(1.0)));
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        self.nonfinite += other.nonfinite;
        if other.finite == 0 {
            return;
        }
        let unit = self.unit.max(other.unit);
        let (mut a, mut b) = (*self, *other);
        a.rescale(unit);
        b.rescale(unit);
        let (n, m) = (a.finite as f64, b.finite as f64);
        let between = if a.finite == 0 {
            0.0
        } else {
            let apart = b.sum.value() / m - a.sum.value() / n;
            apart * apart * (n / (n + m)) * m
        };
        self.finite += b.finite;
        self.min = self.min.min(b.min);
        self.max = self.max.max(b.max);
        self.unit = unit;
        self.sum = a.sum.add(b.sum.sum).add(b.sum.rounded_away);
        self.deviations = a.deviations + b.deviations + between;
        self.squares = a.squares + b.squares;
    }

    fn rescale(&mut self, unit: f64) {
        if self.unit != unit {
            let by = self.unit / unit;
            self.sum = Sum { sum: self.sum.sum * by, rounded_away: self.sum.rounded_away * by };
            // One after the other, for the square may not be a number.
            self.deviations = self.deviations * by * by;
            self.squares = self.squares * by * by;
        }
    }

    /// The number of elements.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().count(), 0);
    /// ```
    pub fn count(&self) -> u64 {
        self.finite + self.nonfinite
    }

    /// The number of elements that are zero, of either sign.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().zeros(), 0);
    /// ```
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The number of elements that are infinite or not a number.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().nonfinite(), 0);
    /// ```
    pub fn nonfinite(&self) -> u64 {
        self.nonfinite
    }

    /// The least finite element, if there is one.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().min(), None);
    /// ```
    pub fn min(&self) -> Option<f64> {
        (self.finite > 0).then_some(self.min)
    }

    /// The largest finite element, if there is one.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().max(), None);
    /// ```
    pub fn max(&self) -> Option<f64> {
        (self.finite > 0).then_some(self.max)
    }

    /// The mean of the finite elements, if there are any.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().mean(), None);
    /// ```
    pub fn mean(&self) -> Option<f64> {
        // Rounding must not carry the mean past the extremes.
        let mean = self.sum.value() / self.finite as f64 * self.unit;
        (self.finite > 0).then(|| mean.clamp(self.min, self.max))
    }

    /// The standard deviation of the finite elements themselves, `sqrt(sum_i (x_i - mean)^2 / n)`: divided by their
    /// number, as `numpy.std` and `torch.std(correction=0)` are, not by one less.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().std(), None);
    /// ```
    pub fn std(&self) -> Option<f64> {
        let variance = self.deviations / self.finite as f64;
        (self.finite > 0).then(|| variance.sqrt() * self.unit)
    }

    /// The Euclidean norm of the finite elements, unless it is too large for a `f64`.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Moments::default().l2(), Some(0.0));
    /// ```
    pub fn l2(&self) -> Option<f64> {
        let l2 = self.squares.sqrt() * self.unit;
        l2.is_finite().then_some(l2)
    }
}

/// Measures at most [`BLOCK`] elements.
#[inline(always)]
fn block<T: Ordered, const N: usize>(
    elements: &[[u8; N]],
    decode: impl Fn([u8; N]) -> T + Copy,
    Extremes { zeros, min, max }: Extremes,
) -> Moments {
    let (sum, squares) = sums(
        elements,
        #[inline(always)]
        |element| decode(element).wide(),
    );
    let size = min.abs().max(max.abs());
    // An infinity or NaN anywhere makes this one too.
    if !squares.is_finite() || !(size == 0.0 || SAFE.contains(&size)) {
        return careful(elements, decode);
    }
    let count = elements.len() as f64;
    let mean = sum / count;
    let mut deviations = squares - sum * mean;
    if deviations * CLOSE < mean * mean * count {
        let (sum, squares) = sums(
            elements,
            #[inline(always)]
            |element| decode(element).wide() - mean,
        );
        // The mean may be off by its rounding.
        deviations = squares - sum * sum / count;
    }
    Moments {
        finite: elements.len() as u64,
        zeros: u64::from(zeros),
        nonfinite: 0,
        min,
        max,
        unit: if size == 0.0 { f64::MIN_POSITIVE } else { 1.0 },
        sum: Sum::default().add(sum),
        deviations: deviations.max(0.0),
        squares,
    }
}

/// What is told by order. Of an element that is a NaN it is told falsely.
struct Extremes {
    zeros: u32,
    min: f64,
    max: f64,
}

/// In integers, which compilers reduce in vectors.
#[inline(always)]
fn extremes<T: Ordered, const N: usize>(
    elements: &[[u8; N]],
    decode: impl Fn([u8; N]) -> T,
) -> Extremes {
    let (mut zeros, mut least, mut most) = (0u32, T::MOST, T::LEAST);
    for element in elements {
        let x = decode(*element);
        let key = x.key();
        // A check for overflow, of which there is none, would keep this out of vectors.
        zeros = zeros.wrapping_add(u32::from(x == T::ZERO));
        least = least.min(key);
        most = most.max(key);
    }
    // A zero of the other sign is none.
    let (min, max) = (T::of_key(least).wide() + 0.0, T::of_key(most).wide() + 0.0);
    Extremes { zeros, min, max }
}

/// As [`extremes`], of floats of 16 bits as they are, twice as many in a vector.
#[inline(always)]
fn short_extremes(elements: &[[u8; 2]], decode: impl Fn([u8; 2]) -> f32) -> Extremes {
    let turned = |bits: i16| bits ^ ((bits >> 15) & i16::MAX);
    let (mut zeros, mut least, mut most) = (0u16, i16::MAX, i16::MIN);
    for element in elements {
        let bits = i16::from_le_bytes(*element);
        let key = turned(bits);
        zeros = zeros.wrapping_add(u16::from(bits & i16::MAX == 0));
        least = least.min(key);
        most = most.max(key);
    }
    let value = |key| f64::from(decode(turned(key).to_le_bytes())) + 0.0;
    Extremes { zeros: u32::from(zeros), min: value(least), max: value(most) }
}

/// The sum of what `term` makes of elements, and that of its squares.
#[inline(always)]
fn sums<const N: usize>(elements: &[[u8; N]], term: impl Fn([u8; N]) -> f64) -> (f64, f64) {
    let (rows, _) = elements.as_chunks::<COLUMNS>();
    let (groups, _) = rows.as_chunks::<ROWS>();
    let rest = elements[groups.len() * ROWS * COLUMNS..].iter().map(|element| term(*element));
    let (mut sum, mut square) = rest.fold((0.0, 0.0), |(sum, square), x| (sum + x, square + x * x));
    let (mut sums, mut squares) = ([0.0f64; COLUMNS], [0.0f64; COLUMNS]);
    for group in groups {
        for column in 0..COLUMNS {
            // In registers; the columns are the elements of vectors.
            let (mut sum, mut square) = (0.0, 0.0);
            for row in group {
                let x = term(row[column]);
                sum += x;
                square += x * x;
            }
            sums[column] += sum;
            squares[column] += square;
        }
    }
    sum += sums.iter().sum::<f64>();
    square += squares.iter().sum::<f64>();
    (sum, square)
}

/// As [`block`], for elements that are not all finite or whose squares are not.
#[inline(never)]
fn careful<T: Ordered, const N: usize>(
    elements: &[[u8; N]],
    decode: impl Fn([u8; N]) -> T + Copy,
) -> Moments {
    let all = || elements.iter().map(|element| decode(*element).wide());
    let finite = || all().filter(|x| x.is_finite());
    let (min, max) =
        finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), x| (x.min(min), x.max(max)));
    let count = finite().count();
    if count == 0 {
        return Moments { nonfinite: elements.len() as u64, ..Moments::default() };
    }
    let size = min.abs().max(max.abs());
    let unit = match size {
        0.0 => f64::MIN_POSITIVE,
        size if SAFE.contains(&size) => 1.0,
        size => size,
    };
    let sum = finite().map(|x| x / unit).fold(Sum::default(), Sum::add);
    let mean = sum.value() / count as f64;
    let deviations = finite().map(|x| x / unit - mean).map(|x| x * x).sum();
    Moments {
        finite: count as u64,
        zeros: finite().filter(|x| *x == 0.0).count() as u64,
        nonfinite: (elements.len() - count) as u64,
        min,
        max,
        unit,
        sum,
        deviations,
        squares: finite().map(|x| x / unit).map(|x| x * x).sum(),
    }
}

/// A sum that keeps what each addition rounds away (A. Neumaier's method, 1974).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sum {
    sum: f64,
    rounded_away: f64,
}

impl Sum {
    #[inline(always)]
    fn add(self, value: f64) -> Self {
        let sum = self.sum + value;
        let lost = if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        Self { sum, rounded_away: self.rounded_away + lost }
    }

    #[inline(always)]
    fn value(self) -> f64 {
        self.sum + self.rounded_away
    }
}

#[cfg(test)]
mod tests;

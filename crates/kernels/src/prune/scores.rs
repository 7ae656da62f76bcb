//! What positions are ranked by.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::bits::Bits;

/// Elements of a tensor, of one of the float types.
///
/// ```
/// use espalier_kernels::Values;
/// assert_eq!(Values::F32(&[1.0, 2.0]).len(), 2);
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
    /// Half precision.
    F16(&'a [f16]),
    /// Half the bits of single precision, its range.
    BF16(&'a [bf16]),
}

impl Values<'_> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F64(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::BF16(x) => x.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they need double precision.
    pub(crate) fn wide(&self) -> bool {
        matches!(self, Self::F64(_))
    }

    /// Those from `start` on in single precision.
    pub(crate) fn read_single(&self, start: usize, out: &mut [f32]) {
        let range = start..start + out.len();
        match self {
            Self::F32(x) => out.copy_from_slice(&x[range]),
            Self::F64(x) => out.iter_mut().zip(&x[range]).for_each(|(out, x)| *out = *x as f32),
            Self::F16(x) => x[range].convert_to_f32_slice(out),
            Self::BF16(x) => x[range].convert_to_f32_slice(out),
        }
    }

    /// Those from `start` on in double precision.
    pub(crate) fn read_double(&self, start: usize, out: &mut [f64]) {
        let range = start..start + out.len();
        match self {
            Self::F32(x) => out.iter_mut().zip(&x[range]).for_each(|(out, x)| *out = (*x).into()),
            Self::F64(x) => out.copy_from_slice(&x[range]),
            Self::F16(x) => x[range].convert_to_f64_slice(out),
            Self::BF16(x) => x[range].convert_to_f64_slice(out),
        }
    }
}

/// What positions are ranked by. A NaN ranks above every number, and no NaN above another.
///
/// ```
/// use espalier_kernels::{Bits, Candidate, Order, Scores, Values, prune_lowest};
/// let (weight, grad) = ([1.0f32, 2.0, -3.0], [5.0f32, -1.0, 1.0]);
/// let mut kept = Bits::all(3);
/// let scores = Scores::Product(Values::F32(&weight), Values::F32(&grad));
/// prune_lowest(&mut [Candidate { scores, order: Order::Stored, kept: &mut kept }], 1);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [true, false, true]);
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Scores<'a> {
    /// `|x|`
    Magnitude(Values<'a>),
    /// `|x y|`, in single precision unless one of both is in double.
    Product(Values<'a>, Values<'a>),
    /// A number in `[0, 1)` that depends on nothing but the seed and the position in the order:
    /// the lowest ones are a uniform sample.
    ///
    /// Tensors ranked together need seeds of their own, or the same positions have the same score.
    Random {
        /// Another one gives other numbers.
        seed: u64,
    },
}

impl Scores<'_> {
    /// Whether they need double precision.
    pub(crate) fn wide(&self) -> bool {
        match self {
            Self::Magnitude(x) => x.wide(),
            Self::Product(x, y) => x.wide() || y.wide(),
            Self::Random { .. } => true,
        }
    }

    /// # Panics
    ///
    /// If there are not `n` of them.
    #[track_caller]
    pub(crate) fn check(&self, n: usize) {
        let fits = match self {
            Self::Magnitude(x) => x.len() == n,
            Self::Product(x, y) => x.len() == n && y.len() == n,
            Self::Random { .. } => true,
        };
        assert!(fits, "one score for each position");
    }
}

/// In which order positions count: the earlier one of two equal scores is the lower one.
///
/// ```
/// use espalier_kernels::{Bits, Candidate, Order, Scores, Values, prune_lowest};
/// let mut kept = Bits::all(4);
/// let scores = Scores::Magnitude(Values::F32(&[1.0; 4]));
/// let order = Order::Transposed { batch: 1, rows: 2, columns: 2 };
/// prune_lowest(&mut [Candidate { scores, order, kept: &mut kept }], 2);
/// // The first column.
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [false, true, false, true]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of memory.
    Stored,
    /// That of the transposes of row-major matrices, one after the other.
    Transposed {
        /// The number of matrices.
        batch: usize,
        /// Rows of each, as stored.
        rows: usize,
        /// Columns of each, as stored.
        columns: usize,
    },
}

impl Order {
    /// The same order, as stored where it is that.
    pub(crate) fn plain(self) -> Self {
        match self {
            Self::Transposed { rows, columns, .. } if rows > 1 && columns > 1 => self,
            _ => Self::Stored,
        }
    }

    /// Gives `put` where the positions stored from `start` on are in the order, for each element.
    #[inline(always)]
    pub(crate) fn positions<T>(self, start: usize, out: &mut [T], put: impl Fn(usize) -> T) {
        let Self::Transposed { rows, columns, .. } = self.plain() else {
            out.iter_mut().zip(start..).for_each(|(out, i)| *out = put(i));
            return;
        };
        let (mut i, mut out) = (start, out);
        while !out.is_empty() {
            // To the end of the row.
            let (row, column) = (i / columns, i % columns);
            let first = (row / rows * columns + column) * rows + row % rows;
            let (here, others) = out.split_at_mut((columns - column).min(out.len()));
            i += here.len();
            here.iter_mut().enumerate().for_each(|(j, out)| *out = put(first + j * rows));
            out = others;
        }
    }
}

/// A tensor whose positions compete for being kept.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// What its positions are ranked by.
    pub scores: Scores<'a>,
    /// In which order they count.
    pub order: Order,
    /// Which ones are kept so far: only these compete.
    pub kept: &'a mut Bits,
}

impl Candidate<'_> {
    /// # Panics
    ///
    /// If the lengths differ.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.scores.check(self.kept.len());
        if let Order::Transposed { batch, rows, columns } = self.order {
            assert_eq!(self.kept.len(), batch * rows * columns, "as many positions");
        }
    }
}

//! The working matrix of this folder, and products of such matrices.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use crate::Real;
use crate::pieces::{Cut, each, pieces};
use crate::tiles::{Rows, transpose};

/// Multiplications below which threads cost more than they give.
pub(super) const PARALLEL: usize = 1 << 22;

/// Multiplications that are worth a thread.
pub(super) const SHARE: usize = 1 << 20;

/// Rows and columns of a product are shared out by so many.
pub(super) const EDGE: usize = 8;

/// Side of the square tiles of passes that read along columns.
const TILE: usize = 32;

/// Elements that stay in the first cache while several sums run over them.
const CHUNK: usize = 1024;

/// A row-major matrix whose rows do not all fall on the same lines of the cache.
#[derive(Debug, Clone)]
pub(super) struct Matrix<T> {
    values: Vec<T>,
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<T: Real> Matrix<T> {
    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        // Rows a multiple of half a page apart evict one another when a product reads columns.
        let bytes = columns * size_of::<T>();
        let stride = if columns > 0 && bytes.is_multiple_of(1024) {
            columns + 64 / size_of::<T>()
        } else {
            columns
        };
        Self { values: vec![T::ZERO; rows * stride], rows, columns, stride }
    }

    /// The matrix that `values` holds: row-major, or the transpose of it.
    pub(super) fn read(rows: usize, columns: usize, transposed: bool, values: &[T]) -> Self {
        let mut out = Self::zeros(rows, columns);
        if transposed {
            let stride = out.stride;
            transpose(&mut out.values, stride, columns, Rows { values, stride: rows });
        } else {
            for (i, row) in values.chunks_exact(columns).enumerate() {
                out.row_mut(i).copy_from_slice(row);
            }
        }
        out
    }

    /// Writes the first `columns` columns row-major, or their transpose.
    pub(super) fn write(&self, columns: usize, transposed: bool, values: &mut [T]) {
        if transposed {
            transpose(values, self.rows, self.rows, self.as_rows());
        } else {
            for (i, row) in values.chunks_exact_mut(columns).enumerate() {
                row.copy_from_slice(&self.row(i)[..columns]);
            }
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Elements from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// All rows, `stride` elements each.
    pub(super) fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Its rows as they are stored.
    pub(super) fn as_rows(&self) -> Rows<'_, T> {
        Rows { values: &self.values, stride: self.stride }
    }

    /// An element.
    pub(super) fn at(&self, row: usize, column: usize) -> T {
        self.values[row * self.stride + column]
    }

    pub(super) fn row(&self, i: usize) -> &[T] {
        &self.values[i * self.stride..][..self.columns]
    }

    pub(super) fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.values[i * self.stride..][..self.columns]
    }

    pub(super) fn view(&self) -> MatRef<'_, T> {
        MatRef::from_row_major_slice_with_stride(&self.values, self.rows, self.columns, self.stride)
    }

    pub(super) fn view_mut(&mut self) -> MatMut<'_, T> {
        // Of the transpose: faer 0.24.4's view of a row-major slice with a stride, when mutable, takes
        // the stride for the other one's, and writes outside the slice.
        MatMut::from_column_major_slice_with_stride_mut(
            &mut self.values,
            self.columns,
            self.rows,
            self.stride,
        )
        .transpose_mut()
    }

    pub(super) fn transpose(&self) -> MatRef<'_, T> {
        self.view().transpose()
    }

    /// The block of these rows and columns.
    pub(super) fn block(&self, rows: Range<usize>, columns: Range<usize>) -> MatRef<'_, T> {
        self.view().submatrix(rows.start, columns.start, rows.len(), columns.len())
    }

    /// The block of these rows and columns.
    pub(super) fn block_mut(&mut self, rows: Range<usize>, columns: Range<usize>) -> MatMut<'_, T> {
        self.view_mut().submatrix_mut(rows.start, columns.start, rows.len(), columns.len())
    }

    /// The first rows.
    pub(super) fn head(&self, rows: usize) -> Self {
        let values = self.values[..rows * self.stride].to_vec();
        Self { values, rows, ..*self }
    }

    /// Subtracts the transpose of a square matrix from the first rows, below the diagonal.
    pub(super) fn subtract_lower_transpose(&mut self, other: &Self) {
        lower_tiles(other.rows, |down, along| {
            for i in down {
                let end = along.end.min(i);
                for j in along.start..end {
                    self.values[i * self.stride + j] -= other.values[j * other.stride + i];
                }
            }
        });
    }

    pub(super) fn add_to_diagonal(&mut self, value: T) {
        let stride = self.stride;
        for i in 0..self.rows.min(self.columns) {
            self.values[i * stride + i] += value;
        }
    }

    /// Multiplies every element.
    pub(super) fn scale(&mut self, by: T) {
        self.values.iter_mut().for_each(|x| *x *= by);
    }

    /// Makes a square matrix symmetric (`sign` 1) or skew (`sign` -1) after its lower triangle; the
    /// diagonal is left alone.
    pub(super) fn mirror(&mut self, sign: T) {
        let stride = self.stride;
        let values = &mut self.values;
        lower_tiles(self.rows, |down, along| {
            for j in along {
                for i in down.start.max(j + 1)..down.end {
                    values[j * stride + i] = sign * values[i * stride + j];
                }
            }
        });
    }

    /// `(M + sign M^T) / 2`, in place.
    pub(super) fn fold(&mut self, sign: T) {
        let (stride, half) = (self.stride, T::of(0.5));
        let values = &mut self.values;
        lower_tiles(self.rows, |down, along| {
            for i in down {
                for j in along.start..along.end.min(i + 1) {
                    let mean = half * (values[i * stride + j] + sign * values[j * stride + i]);
                    values[i * stride + j] = mean;
                    values[j * stride + i] = sign * mean;
                }
            }
        });
    }

    /// The strictly lower part of `scale (M - M^T)`, in the first `columns` columns.
    pub(super) fn lower_skew(&self, columns: usize, scale: T) -> Self {
        let mut out = Self::zeros(self.rows, columns);
        let stride = out.stride;
        rows_in_tiles(&mut out.values, stride, columns, |i, along, out| {
            let row = self.row(i);
            for j in along.start..along.end.min(i) {
                out[j] = scale * (row[j] - self.at(j, i));
            }
        });
        out
    }

    /// The greatest sum of magnitudes in a row, and the sum of squares.
    pub(super) fn norms(&self) -> (f64, f64) {
        const LANES: usize = 16;
        let (mut greatest, mut squares) = (0.0f64, 0.0f64);
        for i in 0..self.rows {
            let (sum, square) = Arch::new().dispatch(
                #[inline(always)]
                || {
                    let (mut sums, mut powers) = ([T::ZERO; LANES], [T::ZERO; LANES]);
                    for chunk in self.row(i).chunks(LANES) {
                        for ((sum, power), &x) in sums.iter_mut().zip(&mut powers).zip(chunk) {
                            *sum += if x < T::ZERO { -x } else { x };
                            *power += x * x;
                        }
                    }
                    let total = |lanes: [T; LANES]| lanes.iter().map(|x| x.wide()).sum::<f64>();
                    (total(sums), total(powers))
                },
            );
            // Not `max`, which would drop a NaN.
            if sum > greatest || sum.is_nan() {
                greatest = sum;
            }
            squares += square;
        }
        (greatest, squares)
    }
}

impl<A: Cut> Cut for Vec<A> {
    fn cut(self, at: usize) -> (Self, Self) {
        self.into_iter().map(|slice| slice.cut(at)).unzip()
    }
}

impl Cut for Range<usize> {
    fn cut(self, at: usize) -> (Self, Self) {
        let middle = self.start + at;
        (self.start..middle, middle..self.end)
    }
}

/// Calls `work` for each row of a matrix of this stride, some columns at a time, so that what it
/// reads down columns of another matrix stays in the cache; on all threads if that pays.
pub(super) fn rows_in_tiles<T: Real>(
    values: &mut [T],
    stride: usize,
    columns: usize,
    work: impl Fn(usize, Range<usize>, &mut [T]) + Sync + Send,
) {
    let n = values.len();
    let bands = values.chunks_mut(TILE * stride.max(1)).enumerate();
    each(n, bands, |(band, values)| {
        for start in (0..columns).step_by(TILE) {
            let along = start..columns.min(start + TILE);
            for (i, row) in (band * TILE..).zip(values.chunks_mut(stride)) {
                work(i, along.clone(), row);
            }
        }
    });
}

/// Calls `work` for each tile of a matrix.
fn tiles(rows: usize, columns: usize, mut work: impl FnMut(Range<usize>, Range<usize>)) {
    for i in (0..rows).step_by(TILE) {
        for j in (0..columns).step_by(TILE) {
            work(i..rows.min(i + TILE), j..columns.min(j + TILE));
        }
    }
}

/// Calls `work` for the tiles of a square matrix on and below its diagonal.
fn lower_tiles(n: usize, mut work: impl FnMut(Range<usize>, Range<usize>)) {
    tiles(n, n, |down, along| {
        if along.start < down.end {
            work(down, along);
        }
    });
}

/// Sums of matrices of one shape: `outs[o] = sum_i weights[o][i] ins[i] + identity[o] I`, in one
/// pass over memory.
pub(super) fn combine<T: Real, const O: usize, const I: usize>(
    outs: [&mut Matrix<T>; O],
    ins: [&Matrix<T>; I],
    weights: [[f64; I]; O],
    identity: [f64; O],
) {
    let mut outs = outs;
    let n = ins[0].values.len();
    let slices: Vec<&mut [T]> = outs.iter_mut().map(|m| m.values.as_mut_slice()).collect();
    pieces(n, (slices, 0..n), |(mut slices, range)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for start in (0..range.len()).step_by(CHUNK) {
                    let end = range.len().min(start + CHUNK);
                    for (out, weights) in slices.iter_mut().zip(&weights) {
                        let out = &mut out[start..end];
                        let mut first = true;
                        for (m, &weight) in ins.iter().zip(weights) {
                            if weight == 0.0 {
                                continue;
                            }
                            let (weight, m) = (T::of(weight), &m.values[range.start..][start..end]);
                            if first {
                                out.iter_mut().zip(m).for_each(|(out, &m)| *out = weight * m);
                            } else {
                                out.iter_mut().zip(m).for_each(|(out, &m)| *out += weight * m);
                            }
                            first = false;
                        }
                    }
                }
            },
        );
    });
    for (out, identity) in outs.into_iter().zip(identity) {
        if identity != 0.0 {
            out.add_to_diagonal(T::of(identity));
        }
    }
}

/// `target += weight source`.
pub(super) fn add<T: Real>(target: &mut Matrix<T>, weight: f64, source: &Matrix<T>) {
    let weight = T::of(weight);
    let n = source.values.len();
    pieces(n, (&mut target.values[..], &source.values[..]), |(target, source)| {
        Arch::new().dispatch(
            #[inline(always)]
            || target.iter_mut().zip(source).for_each(|(t, &s)| *t += weight * s),
        );
    });
}

/// `out = alpha lhs rhs`, or that added to `out`.
pub(crate) fn product<T: Real>(
    out: MatMut<'_, T>,
    accum: Accum,
    alpha: f64,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
) {
    let work = lhs.nrows() * lhs.ncols() * rhs.ncols();
    let parts = (work / SHARE).clamp(1, rayon::current_num_threads());
    shared(parts, out, accum, T::of(alpha), lhs, rhs);
}

/// A product in so many parts, each one thread's.
///
/// A part is some rows or columns of the result, so that no thread waits for another's packing, and
/// no sum is cut.
fn shared<T: Real>(
    parts: usize,
    out: MatMut<'_, T>,
    accum: Accum,
    alpha: T,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
) {
    let (m, n) = (out.nrows(), out.ncols());
    if parts <= 1 || m.max(n) < 2 * EDGE {
        return matmul(out, accum, lhs, rhs, alpha, Par::Seq);
    }
    let few = parts / 2;
    let at = |size: usize| (size * few / parts).next_multiple_of(EDGE).min(size);
    if m >= n {
        let at = at(m);
        let (top, bottom) = out.split_at_row_mut(at);
        let (above, below) = lhs.split_at_row(at);
        rayon::join(
            || shared(few, top, accum, alpha, above, rhs),
            || shared(parts - few, bottom, accum, alpha, below, rhs),
        );
    } else {
        let at = at(n);
        let (left, right) = out.split_at_col_mut(at);
        let (first, second) = rhs.split_at_col(at);
        rayon::join(
            || shared(few, left, accum, alpha, lhs, first),
            || shared(parts - few, right, accum, alpha, lhs, second),
        );
    }
}

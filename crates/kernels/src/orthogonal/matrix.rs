//! The working matrix of this folder, and products of such matrices.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::reborrow::ReborrowMut;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use crate::Real;
use crate::pieces::{Cut, pieces};

/// Multiplications below which threads cost more than they give.
pub(super) const PARALLEL: usize = 1 << 22;

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
        let stride =
            if columns > 0 && bytes % 1024 == 0 { columns + 64 / size_of::<T>() } else { columns };
        Self { values: vec![T::ZERO; rows * stride], rows, columns, stride }
    }

    /// The matrix that `values` holds: row-major, or the transpose of it.
    pub(super) fn read(rows: usize, columns: usize, transposed: bool, values: &[T]) -> Self {
        let mut out = Self::zeros(rows, columns);
        if transposed {
            let stride = out.stride;
            tiles(rows, columns, |down, along| {
                for i in down {
                    for j in along.clone() {
                        out.values[i * stride + j] = values[j * rows + i];
                    }
                }
            });
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
            let rows = self.rows;
            tiles(columns, rows, |down, along| {
                for j in down {
                    for i in along.clone() {
                        values[j * rows + i] = self.values[i * self.stride + j];
                    }
                }
            });
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
        let stride = self.stride;
        lower_tiles(self.rows, |down, along| {
            for i in down {
                let end = along.end.min(i).min(columns);
                let row = out.row_mut(i);
                for (j, x) in row.iter_mut().enumerate().take(end).skip(along.start) {
                    *x = scale * (self.values[i * stride + j] - self.values[j * stride + i]);
                }
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
            if !(sum <= greatest) {
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

/// The threads for so many multiplications.
fn threads(work: usize) -> Par {
    if work < PARALLEL { Par::Seq } else { Par::rayon(0) }
}

/// `out = alpha lhs rhs`, or that added to `out`.
pub(super) fn product<T: Real>(
    out: MatMut<'_, T>,
    accum: Accum,
    alpha: f64,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
) {
    let work = lhs.nrows() * lhs.ncols() * rhs.ncols();
    matmul(out, accum, lhs, rhs, T::of(alpha), threads(work));
}

/// `lhs rhs` for a product known to be symmetric (`sign` 1) or skew (`sign` -1): the lower triangle,
/// at little more than half the price, and its mirror image.
pub(super) fn mirrored<T: Real>(lhs: MatRef<'_, T>, rhs: MatRef<'_, T>, sign: f64) -> Matrix<T> {
    let n = lhs.nrows();
    let mut out = Matrix::zeros(n, n);
    product_of_parts(
        out.view_mut(),
        Part::Lower,
        Accum::Replace,
        1.0,
        (lhs, Part::Full),
        (rhs, Part::Full),
    );
    out.mirror(T::of(sign));
    out
}

/// Where a matrix may differ from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everywhere.
    Full,
    /// On and below the diagonal.
    Lower,
    /// On and above the diagonal.
    Upper,
}

impl Part {
    /// The columns of rows `rows` that count, of `n`.
    fn columns(self, rows: &Range<usize>, n: usize) -> Range<usize> {
        match self {
            Part::Full => 0..n,
            Part::Lower => 0..rows.end.min(n),
            Part::Upper => rows.start.min(n)..n,
        }
    }

    /// The rows of columns `columns` that count, of `n`.
    fn rows(self, columns: &Range<usize>, n: usize) -> Range<usize> {
        match self {
            Part::Full => 0..n,
            Part::Lower => columns.start.min(n)..n,
            Part::Upper => 0..columns.end.min(n),
        }
    }
}

/// [`product`] of triangular or trapezoidal matrices, by panels that leave the zeros out.
///
/// The zeros must be stored. Of `out` at least the elements in `wanted` are computed.
pub(super) fn product_of_parts<T: Real>(
    mut out: MatMut<'_, T>,
    wanted: Part,
    accum: Accum,
    alpha: f64,
    (lhs, left): (MatRef<'_, T>, Part),
    (rhs, right): (MatRef<'_, T>, Part),
) {
    let (m, n, depth) = (lhs.nrows(), rhs.ncols(), lhs.ncols());
    // Small panels save more multiplications, large ones multiply faster.
    let side = |size: usize| (size / 8).clamp(64, 256);
    let by_rows = left != Part::Full || wanted != Part::Full;
    let by_columns = right != Part::Full || wanted != Part::Full;
    let (high, wide) =
        (if by_rows { side(m) } else { m.max(1) }, if by_columns { side(n) } else { n.max(1) });
    for i in (0..m).step_by(high) {
        let rows = i..m.min(i + high);
        let here = wanted.columns(&rows, n);
        for j in (0..n).step_by(wide) {
            let columns = j..n.min(j + wide);
            if columns.start >= here.end || columns.end <= here.start {
                continue;
            }
            let (a, b) = (left.columns(&rows, depth), right.rows(&columns, depth));
            let inner = a.start.max(b.start)..a.end.min(b.end);
            let mut target =
                out.rb_mut().submatrix_mut(rows.start, columns.start, rows.len(), columns.len());
            if inner.is_empty() {
                if accum == Accum::Replace {
                    target.fill(T::ZERO);
                }
                continue;
            }
            product(
                target.rb_mut(),
                accum,
                alpha,
                lhs.submatrix(rows.start, inner.start, rows.len(), inner.len()),
                rhs.submatrix(inner.start, columns.start, inner.len(), columns.len()),
            );
        }
    }
}

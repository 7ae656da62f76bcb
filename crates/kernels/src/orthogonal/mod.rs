//! Orthogonal matrices from free ones: the exponential and Cayley's map of a skew matrix, and
//! products of Householder reflections, with their gradients.

mod cayley;
pub(crate) mod congruence;
mod divide;
mod exp;
mod householder;
mod inverse;
pub(crate) mod matrix;
mod parts;
mod series;
mod square;
#[cfg(test)]
mod tests;
mod thin;

use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;

use matrix::{Matrix, PARALLEL, product};

use crate::{DenseError, Real};

/// Multiplications in a batch of small matrices below which one thread does them all.
const BATCH: usize = 1 << 18;

/// A map from matrices to orthogonal ones.
///
/// For a tall `X`, `n x k`, the first two take its strictly lower part `L` into a skew matrix
/// `A = [L 0] - [L 0]^T`, `n x n`, and the result is the first `k` columns of an orthogonal matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrthogonalMap {
    /// `exp(A)`.
    Exp,
    /// `(I - A/2)^-1 (I + A/2)`.
    Cayley,
    /// `H_1 ... H_k` with `H_j = I - 2 v_j v_j^T / |v_j|^2`, `v_j` the column `j` of `L` with a 1 on the
    /// diagonal. Column `j` of the result is multiplied by the sign of `X`'s diagonal there, that of
    /// zero being plus.
    Householder,
}

/// How a batch of tall matrices is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Number of matrices.
    pub batch: usize,
    /// Rows of each, at least as many as columns.
    pub rows: usize,
    /// Columns of each.
    pub columns: usize,
    /// Each is stored as its transpose, `columns x rows`, row-major.
    pub transposed: bool,
}

impl Frame {
    fn size(&self) -> usize {
        self.rows * self.columns
    }

    /// Does `work` on a thread of the pool, if it is enough that others will share it: from outside
    /// each sharing would wake the pool anew.
    fn at_home<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if self.rows * self.size() < PARALLEL && !self.spread() {
            work()
        } else {
            rayon::scope(|_| work())
        }
    }

    /// Rows and columns as they are stored.
    fn stored(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    fn is_square(&self, map: OrthogonalMap) -> bool {
        map == OrthogonalMap::Cayley && self.rows == self.columns
    }

    fn check<T>(&self, values: &[T], columns: usize) -> Result<(), DenseError> {
        if self.rows < self.columns {
            return Err(DenseError::Wide { rows: self.rows, columns: self.columns });
        }
        let rows = self.batch.saturating_mul(self.rows);
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(DenseError::Length { rows, columns, found: values.len() });
        }
        Ok(())
    }

    fn read<T: Real>(&self, values: &[T]) -> Matrix<T> {
        Matrix::read(self.rows, self.columns, self.transposed, values)
    }

    /// Whether the matrices of a batch are shared out to threads, rather than each one's products.
    fn spread(&self) -> bool {
        let work = self.rows * self.size();
        self.batch > 1 && work < PARALLEL && work.saturating_mul(self.batch) >= BATCH
    }
}

/// What [`orthogonal_backward`] needs of [`orthogonal`].
#[derive(Debug, Clone)]
pub struct OrthogonalTape<T> {
    frame: Frame,
    steps: Vec<Steps<T>>,
}

#[derive(Debug, Clone)]
enum Steps<T> {
    Exp(series::Series<T>),
    Thin(thin::Thin<T>),
    Cayley(Matrix<T>),
    Square(square::Square<T>),
    Householder(householder::Reflections<T>),
}

/// The orthogonal matrices that `map` makes of the matrices `x`, times `base` from the left.
///
/// `x` and the result are stored as `frame` says, `base` as `batch` row-major matrices of
/// `rows x rows`, never transposed. With `keep` there is a tape for the gradient too. Values that are
/// not finite give values that are not.
///
/// The maps are those of PyTorch's `torch.nn.utils.parametrizations.orthogonal` (Lezcano-Casado,
/// "Trivializations for gradient-based optimization on manifolds", 2019). The exponential is one of
/// Taylor's polynomials (Bader, Blanes, Casas, 2019); where the matrix has far more rows than columns
/// it is reduced to one of twice its columns.
///
/// ```
/// use espalier_kernels::{Frame, OrthogonalMap, orthogonal};
/// let frame = Frame { batch: 1, rows: 2, columns: 2, transposed: false };
/// let (q, _) = orthogonal(OrthogonalMap::Exp, &frame, &[0.0f64, 0.0, 0.5, 0.0], None, false)?;
/// let (sin, cos) = 0.5f64.sin_cos();
/// assert!(q.iter().zip([cos, -sin, sin, cos]).all(|(a, b)| (a - b).abs() < 1e-14));
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Wide`] for more columns than rows, [`DenseError::Length`] if `x` or `base` has
/// another length.
pub fn orthogonal<T: Real>(
    map: OrthogonalMap,
    frame: &Frame,
    x: &[T],
    base: Option<&[T]>,
    keep: bool,
) -> Result<(Vec<T>, Option<OrthogonalTape<T>>), DenseError> {
    T::orthogonal(map, frame, x, base, keep)
}

pub(crate) fn value<T: Real>(
    map: OrthogonalMap,
    frame: &Frame,
    x: &[T],
    base: Option<&[T]>,
    keep: bool,
) -> Result<(Vec<T>, Option<OrthogonalTape<T>>), DenseError> {
    frame.check(x, frame.columns)?;
    if let Some(base) = base {
        frame.check(base, frame.rows)?;
    }
    Ok(frame.at_home(|| value_at_home(map, frame, x, base, keep)))
}

fn value_at_home<T: Real>(
    map: OrthogonalMap,
    frame: &Frame,
    x: &[T],
    base: Option<&[T]>,
    keep: bool,
) -> (Vec<T>, Option<OrthogonalTape<T>>) {
    let mut value = vec![T::ZERO; x.len()];
    let one = |(i, out): (usize, &mut [T])| {
        let x = &x[i * frame.size()..][..frame.size()];
        if frame.is_square(map) {
            let n = frame.rows;
            let base = base.map(|base| &base[i * n * n..][..n * n]);
            return keep.then_some(Steps::Square(square::forward(
                n,
                frame.transposed,
                x,
                base,
                out,
            )));
        }
        let x = frame.read(x);
        let (q, steps) = forward(map, x);
        match base {
            None => q.write(frame.columns, frame.transposed, out),
            Some(base) => product(
                tall_mut(frame, out),
                Accum::Replace,
                1.0,
                base_of(frame, base, i),
                q.block(0..frame.rows, 0..frame.columns),
            ),
        }
        keep.then_some(steps)
    };
    let size = frame.size().max(1);
    // Not into an option yet: that would stop at the first matrix without a tape.
    let steps: Vec<_> = if frame.spread() {
        value.par_chunks_exact_mut(size).enumerate().map(one).collect()
    } else {
        value.chunks_exact_mut(size).enumerate().map(one).collect()
    };
    let steps = steps.into_iter().flatten().collect();
    (value, keep.then_some(OrthogonalTape { frame: *frame, steps }))
}

/// The gradient of `x` for that of the value that [`orthogonal`] gave with `x` and `base`.
///
/// Stored as `x` is; zero where `x` does not count, which is its diagonal and what lies above.
///
/// ```
/// use espalier_kernels::{Frame, OrthogonalMap, orthogonal, orthogonal_backward};
/// let frame = Frame { batch: 1, rows: 2, columns: 2, transposed: false };
/// let x = [0.0f64, 0.0, 0.5, 0.0];
/// let (_, tape) = orthogonal(OrthogonalMap::Exp, &frame, &x, None, true)?;
/// let tape = tape.ok_or("asked for")?;
/// // The upper left element is cos(x).
/// let dx = orthogonal_backward(&tape, &x, None, &[1.0, 0.0, 0.0, 0.0]);
/// assert!((dx[2] + 0.5f64.sin()).abs() < 1e-14);
/// assert_eq!((dx[0], dx[1], dx[3]), (0.0, 0.0, 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// If a slice has another length than those [`orthogonal`] was given.
pub fn orthogonal_backward<T: Real>(
    tape: &OrthogonalTape<T>,
    x: &[T],
    base: Option<&[T]>,
    grad: &[T],
) -> Vec<T> {
    T::orthogonal_backward(tape, x, base, grad)
}

pub(crate) fn gradient<T: Real>(
    tape: &OrthogonalTape<T>,
    x: &[T],
    base: Option<&[T]>,
    grad: &[T],
) -> Vec<T> {
    let frame = &tape.frame;
    let length = frame.batch * frame.size();
    assert!(x.len() == length && grad.len() == length, "slices of the length of the value");
    assert!(base.is_none_or(|b| b.len() == frame.batch * frame.rows * frame.rows), "a whole base");
    frame.at_home(|| gradient_at_home(tape, x, base, grad))
}

fn gradient_at_home<T: Real>(
    tape: &OrthogonalTape<T>,
    x: &[T],
    base: Option<&[T]>,
    grad: &[T],
) -> Vec<T> {
    let frame = &tape.frame;
    let size = frame.size();
    let mut dx = vec![T::ZERO; grad.len()];
    let one = |(i, (out, steps)): (usize, (&mut [T], &Steps<T>))| {
        let grad = &grad[i * size..][..size];
        if let Steps::Square(steps) = steps {
            return square::backward(steps, grad, out);
        }
        let g = match base {
            None => frame.read(grad),
            Some(base) => {
                let mut g = Matrix::zeros(frame.rows, frame.columns);
                product(
                    g.view_mut(),
                    Accum::Replace,
                    1.0,
                    base_of(frame, base, i).transpose(),
                    tall(frame, grad),
                );
                g
            }
        };
        let x = || frame.read(&x[i * size..][..size]);
        let dx = match steps {
            Steps::Exp(series) => exp::backward(series, g),
            Steps::Thin(thin) => thin::backward(thin, x(), &g),
            Steps::Square(_) => unreachable!("done before the base is looked at"),
            Steps::Cayley(inverse) => cayley::backward(inverse, &x(), &g),
            Steps::Householder(reflections) => householder::backward(reflections, &x(), g),
        };
        dx.write(frame.columns, frame.transposed, out);
    };
    if frame.spread() {
        dx.par_chunks_exact_mut(size.max(1)).zip(&tape.steps).enumerate().for_each(one);
    } else {
        dx.chunks_exact_mut(size.max(1)).zip(&tape.steps).enumerate().for_each(one);
    }
    dx
}

fn forward<T: Real>(map: OrthogonalMap, x: Matrix<T>) -> (Matrix<T>, Steps<T>) {
    match map {
        OrthogonalMap::Exp if thin::pays(x.rows(), x.columns()) => {
            let (q, thin) = thin::forward(x);
            (q, Steps::Thin(thin))
        }
        OrthogonalMap::Exp => {
            let (q, series) = exp::forward(&x);
            (q, Steps::Exp(series))
        }
        OrthogonalMap::Cayley => {
            let (q, inverse) = cayley::forward(&x);
            (q, Steps::Cayley(inverse))
        }
        OrthogonalMap::Householder => {
            let (q, reflections) = householder::forward(&x);
            (q, Steps::Householder(reflections))
        }
    }
}

/// The base of matrix `i`.
fn base_of<'a, T: Real>(frame: &Frame, base: &'a [T], i: usize) -> MatRef<'a, T> {
    let n = frame.rows;
    MatRef::from_row_major_slice(&base[i * n * n..][..n * n], n, n)
}

/// The tall matrix that a slice holds.
fn tall<'a, T: Real>(frame: &Frame, values: &'a [T]) -> MatRef<'a, T> {
    if frame.transposed {
        MatRef::from_row_major_slice(values, frame.columns, frame.rows).transpose()
    } else {
        MatRef::from_row_major_slice(values, frame.rows, frame.columns)
    }
}

/// The tall matrix that a slice holds.
fn tall_mut<'a, T: Real>(frame: &Frame, values: &'a mut [T]) -> MatMut<'a, T> {
    if frame.transposed {
        MatMut::from_row_major_slice_mut(values, frame.columns, frame.rows).transpose_mut()
    } else {
        MatMut::from_row_major_slice_mut(values, frame.rows, frame.columns)
    }
}

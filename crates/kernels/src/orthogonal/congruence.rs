//! Symmetric matrices from eigenvectors and eigenvalues.

use faer::Accum;

use super::matrix::{Matrix, product, rows_in_tiles};
use super::parts::{Part, product_of_parts};
use super::{Frame, tall};
use crate::Real;

/// `Q diag(l) Q^T` for every tall `Q` that `frame` tells, with `columns` numbers in `l` for each:
/// `batch` row-major symmetric matrices of `rows x rows`.
///
/// ```
/// use espalier_kernels::{Frame, congruence};
/// let frame = Frame { batch: 1, rows: 2, columns: 1, transposed: false };
/// assert_eq!(congruence(&frame, &[1.0f32, 2.0], &[3.0]), [3.0, 6.0, 6.0, 12.0]);
/// ```
///
/// # Panics
///
/// If a slice does not have the length said.
pub fn congruence<T: Real>(frame: &Frame, q: &[T], l: &[T]) -> Vec<T> {
    T::congruence(frame, q, l)
}

/// The gradients of [`congruence`] for `q` and `l`.
///
/// With `S = G + G^T`: `S Q diag(l)`, and half the sums of `Q` times `S Q` down the columns.
///
/// ```
/// use espalier_kernels::{Frame, congruence_backward};
/// let frame = Frame { batch: 1, rows: 2, columns: 1, transposed: false };
/// // The upper left element is `l q_0^2`.
/// let (dq, dl) = congruence_backward(&frame, &[1.0f32, 2.0], &[3.0], &[1.0, 0.0, 0.0, 0.0]);
/// assert_eq!((dq, dl), (vec![6.0, 0.0], vec![1.0]));
/// ```
///
/// # Panics
///
/// If a slice does not have the length said.
pub fn congruence_backward<T: Real>(
    frame: &Frame,
    q: &[T],
    l: &[T],
    grad: &[T],
) -> (Vec<T>, Vec<T>) {
    T::congruence_backward(frame, q, l, grad)
}

fn check<T>(frame: &Frame, q: &[T], l: &[T]) {
    assert_eq!(q.len(), frame.batch * frame.size(), "elements of the matrices");
    assert_eq!(l.len(), frame.batch * frame.columns, "a number for each column");
}

/// Multiplies each column, rows where the matrix is stored as its transpose, by its number.
fn scale<T: Real>(frame: &Frame, stored: &mut Matrix<T>, l: &[T]) {
    for i in 0..stored.rows() {
        let row = stored.row_mut(i);
        if frame.transposed {
            row.iter_mut().for_each(|x| *x *= l[i]);
        } else {
            row.iter_mut().zip(l).for_each(|(x, &l)| *x *= l);
        }
    }
}

/// The matrix as it is stored.
fn stored<T: Real>(frame: &Frame, values: &[T]) -> Matrix<T> {
    let (rows, columns) = frame.stored();
    Matrix::read(rows, columns, false, values)
}

pub(crate) fn value<T: Real>(frame: &Frame, q: &[T], l: &[T]) -> Vec<T> {
    check(frame, q, l);
    let (n, k) = (frame.rows, frame.columns);
    let mut out = vec![T::ZERO; frame.batch * n * n];
    if q.is_empty() {
        return out;
    }
    frame.at_home(|| {
        for (i, out) in out.chunks_exact_mut(n * n).enumerate() {
            let q = &q[i * frame.size()..][..frame.size()];
            let mut scaled = stored(frame, q);
            scale(frame, &mut scaled, &l[i * k..][..k]);
            let left = if frame.transposed { scaled.transpose() } else { scaled.view() };
            let mut m = Matrix::zeros(n, n);
            product_of_parts(
                m.view_mut(),
                Part::Lower,
                Accum::Replace,
                1.0,
                (left, Part::Full),
                (tall(frame, q).transpose(), Part::Full),
            );
            rows_in_tiles(out, n, n, |i, along, out| {
                for j in along {
                    out[j] = if j <= i { m.at(i, j) } else { m.at(j, i) };
                }
            });
        }
        out
    })
}

pub(crate) fn gradient<T: Real>(frame: &Frame, q: &[T], l: &[T], grad: &[T]) -> (Vec<T>, Vec<T>) {
    check(frame, q, l);
    let (n, k) = (frame.rows, frame.columns);
    assert_eq!(grad.len(), frame.batch * n * n, "elements of the value");
    let (mut dq, mut dl) = (vec![T::ZERO; q.len()], Vec::with_capacity(l.len()));
    if q.is_empty() {
        dl.resize(l.len(), T::ZERO);
        return (dq, dl);
    }
    frame.at_home(|| {
        for (i, dq) in dq.chunks_exact_mut(frame.size()).enumerate() {
            let q = &q[i * frame.size()..][..frame.size()];
            let grad = &grad[i * n * n..][..n * n];
            let mut s = Matrix::zeros(n, n);
            let stride = s.stride();
            rows_in_tiles(s.values_mut(), stride, n, |i, along, row| {
                for j in along {
                    row[j] = grad[i * n + j] + grad[j * n + i];
                }
            });
            let (rows, columns) = frame.stored();
            let mut m = Matrix::zeros(rows, columns);
            if frame.transposed {
                let q = tall(frame, q).transpose();
                product(m.view_mut(), Accum::Replace, 1.0, q, s.view());
            } else {
                product(m.view_mut(), Accum::Replace, 1.0, s.view(), tall(frame, q));
            }
            let mut sums = vec![0.0; k];
            for (i, q) in q.chunks_exact(columns).enumerate() {
                let terms = q.iter().zip(m.row(i)).map(|(&q, &m)| (q * m).wide());
                if frame.transposed {
                    sums[i] = terms.sum();
                } else {
                    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                }
            }
            dl.extend(sums.iter().map(|sum| T::of(0.5 * sum)));
            scale(frame, &mut m, &l[i * k..][..k]);
            m.write(columns, false, dq);
        }
        (dq, dl)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_gradient, assert_near, dot, numbers};

    #[test]
    fn values_and_gradients() {
        for (batch, rows, columns) in [(1, 1, 1), (2, 5, 3), (1, 70, 70), (1, 130, 70), (3, 2, 0)] {
            for transposed in [false, true] {
                let frame = Frame { batch, rows, columns, transposed };
                let (q, l) = (numbers(batch * rows * columns, 1), numbers(batch * columns, 2));
                let at = |i: usize, r: usize, c: usize| {
                    let place = if transposed { c * rows + r } else { r * columns + c };
                    q[i * rows * columns + place]
                };
                let found = congruence(&frame, &q, &l);
                let mut expected = Vec::new();
                for i in 0..batch {
                    for r in 0..rows {
                        for s in 0..rows {
                            let term = |c| at(i, r, c) * l[i * columns + c] * at(i, s, c);
                            expected.push((0..columns).map(term).sum::<f64>());
                        }
                    }
                }
                assert_near(&found, &expected, 1e-13);
                let given = numbers(found.len(), 3);
                let (dq, dl) = congruence_backward(&frame, &q, &l, &given);
                if columns == 0 {
                    continue;
                }
                assert_gradient(&q, &dq, |q| dot(&congruence(&frame, q, &l), &given));
                assert_gradient(&l, &dl, |l| dot(&congruence(&frame, &q, l), &given));
            }
        }
    }
}

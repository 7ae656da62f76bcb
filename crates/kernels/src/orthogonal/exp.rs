//! The exponential of a skew matrix.

use super::matrix::Matrix;
use super::series::{Series, exponential};
use crate::Real;

/// The skew matrix `[X 0] - [X 0]^T` of the strictly lower part of a tall `X`.
pub(super) fn skew<T: Real>(x: &Matrix<T>) -> Matrix<T> {
    let (n, k) = (x.rows(), x.columns());
    let mut a = Matrix::zeros(n, n);
    for i in 1..n {
        let end = i.min(k);
        a.row_mut(i)[..end].copy_from_slice(&x.row(i)[..end]);
    }
    a.mirror(T::of(-1.0));
    a
}

/// `exp(A)`, all columns.
pub(super) fn forward<T: Real>(x: &Matrix<T>) -> (Matrix<T>, Series<T>) {
    exponential(skew(x), true)
}

/// The gradient of `X` for that of the first columns.
pub(super) fn backward<T: Real>(series: &Series<T>, gradient: Matrix<T>) -> Matrix<T> {
    let (n, k) = (gradient.rows(), gradient.columns());
    let padded = if n == k {
        gradient
    } else {
        let mut padded = Matrix::zeros(n, n);
        for i in 0..n {
            padded.row_mut(i)[..k].copy_from_slice(gradient.row(i));
        }
        padded
    };
    series.backward(padded).lower_skew(k, T::of(1.0))
}

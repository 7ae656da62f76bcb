//! Cayley's map of a skew matrix.
//!
//! `I - A/2` is `[[I - K/2, X2^T/2], [-X2/2, I]]` for a tall `X` with strictly lower part `[X1; X2]`
//! and `K = X1 - X1^T`, so that one inverse of `X`'s smaller side is enough:
//! `S = I - K/2 + X2^T X2 / 4`, `Q = [2 S^-1 - I; X2 S^-1]`. The symmetric part of `S` is at least
//! `I`.

use faer::Accum;

use super::exp::skew;
use super::inverse::invert;
use super::matrix::{Matrix, add, product};
use super::parts::mirrored;
use crate::Real;

/// The value, and `S^-1`, which is all that the gradient needs besides `X`.
pub(super) fn forward<T: Real>(x: &Matrix<T>) -> (Matrix<T>, Matrix<T>) {
    let (n, k) = (x.rows(), x.columns());
    let mut s = skew(&x.head(k));
    s.scale(T::of(-0.5));
    let rest = x.block(k..n, 0..k);
    if n > k {
        add(&mut s, 0.25, &mirrored(rest.transpose(), rest, 1.0));
    }
    s.add_to_diagonal(T::of(1.0));
    invert(s.view_mut(), false);
    let mut q = Matrix::zeros(n, k);
    product(q.block_mut(k..n, 0..k), Accum::Replace, 1.0, rest, s.view());
    for i in 0..k {
        q.row_mut(i).iter_mut().zip(s.row(i)).for_each(|(q, &s)| *q = s + s);
    }
    q.add_to_diagonal(T::of(-1.0));
    (q, s)
}

/// The gradient of `X`.
pub(super) fn backward<T: Real>(inverse: &Matrix<T>, x: &Matrix<T>, g: &Matrix<T>) -> Matrix<T> {
    let (n, k) = (x.rows(), x.columns());
    let rest = (x.block(k..n, 0..k), g.block(k..n, 0..k));
    let mut dinverse = g.head(k);
    dinverse.scale(T::of(2.0));
    product(dinverse.view_mut(), Accum::Add, 1.0, rest.0.transpose(), rest.1);
    let mut half = Matrix::zeros(k, k);
    product(half.view_mut(), Accum::Replace, -1.0, inverse.transpose(), dinverse.view());
    let mut ds = dinverse;
    product(ds.view_mut(), Accum::Replace, 1.0, half.view(), inverse.transpose());
    let top = ds.lower_skew(k, T::of(-0.5));
    if n == k {
        return top;
    }
    let mut dx = Matrix::zeros(n, k);
    for i in 0..k {
        dx.row_mut(i).copy_from_slice(top.row(i));
    }
    ds.fold(T::of(1.0));
    product(dx.block_mut(k..n, 0..k), Accum::Replace, 1.0, rest.1, inverse.transpose());
    product(dx.block_mut(k..n, 0..k), Accum::Add, 0.5, rest.0, ds.view());
    dx
}

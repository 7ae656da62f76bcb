//! The exponential of a skew matrix of low rank.
//!
//! For a tall `X`, strictly lower, with top `X1` and `A = X E^T - E X^T`, `E` the first columns of
//! the identity: `A [E, X/a] = [E, X/a] H` with `H = [[-X1^T, -X^T X / a], [a I, X1]]`, a matrix of
//! twice `X`'s columns. So `exp(A) E` is `[E, X/a]` times the first columns of `exp(H)`. `a` balances
//! the blocks of `H`; the value does not depend on it.

use faer::Accum;

use super::matrix::{Matrix, product};
use super::parts::mirrored;
use super::series::{Series, exponential};
use crate::Real;

/// What the gradient needs besides `X`.
#[derive(Debug, Clone)]
pub(super) struct Thin<T> {
    balance: f64,
    /// The lower left block of `exp(H)`, divided by `a`.
    r: Matrix<T>,
    series: Series<T>,
}

/// Whether this way is the faster one: 15 products of twice the columns against some 12.
pub(super) fn pays(n: usize, k: usize) -> bool {
    5 * k <= 2 * n
}

/// Zeros on the diagonal, which cancels out in `A`, and above it.
fn lower<T: Real>(x: &mut Matrix<T>) {
    for i in 0..x.rows().min(x.columns()) {
        x.row_mut(i)[i..].fill(T::ZERO);
    }
}

/// The first columns of `exp(A)`.
pub(super) fn forward<T: Real>(mut x: Matrix<T>) -> (Matrix<T>, Thin<T>) {
    let k = x.columns();
    lower(&mut x);
    let gram = mirrored(x.transpose(), x.view(), 1.0);
    let size = gram.norms().0.sqrt();
    // A power of two changes no digits. The least keeps the degree of a zero `X` low.
    let balance = if size.is_finite() { 2f64.powf(size.max(1e-3).log2().floor()) } else { 1.0 };
    let (factor, inverse) = (T::of(balance), T::of(-1.0 / balance));
    let mut h = Matrix::zeros(2 * k, 2 * k);
    for i in 0..k {
        for j in 0..k {
            h.row_mut(i)[j] = -x.row(j)[i];
        }
        for (h, &g) in h.row_mut(i)[k..].iter_mut().zip(gram.row(i)) {
            *h = inverse * g;
        }
        h.row_mut(k + i)[i] = factor;
        h.row_mut(k + i)[k..].copy_from_slice(x.row(i));
    }
    let (e, series) = exponential(h, false);
    let mut r = Matrix::zeros(k, k);
    for i in 0..k {
        for (r, &e) in r.row_mut(i).iter_mut().zip(e.row(k + i)) {
            *r = -inverse * e;
        }
    }
    let mut q = Matrix::zeros(x.rows(), k);
    product(q.view_mut(), Accum::Replace, 1.0, x.view(), r.view());
    for i in 0..k {
        q.row_mut(i).iter_mut().zip(e.row(i)).for_each(|(q, &e)| *q += e);
    }
    (q, Thin { balance, r, series })
}

/// The gradient of `X`.
pub(super) fn backward<T: Real>(thin: &Thin<T>, mut x: Matrix<T>, g: &Matrix<T>) -> Matrix<T> {
    let k = x.columns();
    lower(&mut x);
    let mut de = Matrix::zeros(2 * k, 2 * k);
    product(
        de.block_mut(k..2 * k, 0..k),
        Accum::Replace,
        1.0 / thin.balance,
        x.transpose(),
        g.view(),
    );
    for i in 0..k {
        de.row_mut(i)[..k].copy_from_slice(g.row(i));
    }
    let dh = thin.series.backward(de);
    let mut dx = Matrix::zeros(x.rows(), k);
    product(dx.view_mut(), Accum::Replace, 1.0, g.view(), thin.r.transpose());
    let mut dgram = Matrix::zeros(k, k);
    for i in 0..k {
        dgram.row_mut(i).copy_from_slice(&dh.row(i)[k..]);
    }
    dgram.fold(T::of(1.0));
    product(dx.view_mut(), Accum::Add, -2.0 / thin.balance, x.view(), dgram.view());
    for i in 0..k {
        for j in 0..k {
            dx.row_mut(i)[j] += dh.row(k + i)[k + j] - dh.row(j)[i];
        }
    }
    lower(&mut dx);
    dx
}

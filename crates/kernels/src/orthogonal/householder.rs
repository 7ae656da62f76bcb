//! Products of Householder reflections, in their compact form (Schreiber and Van Loan, 1989).
//!
//! With `V` the strictly lower part of a tall `X` and a unit diagonal, and
//! `S = striu(V^T V) + diag(V^T V) / 2`: `H_1 ... H_k = I - V S^-1 V^T` for
//! `H_j = I - 2 v_j v_j^T / |v_j|^2`.

use faer::Accum;

use super::inverse::invert;
use super::matrix::{Matrix, product};
use super::parts::{Part, product_of_parts};
use crate::Real;

/// What the gradient needs besides `X`.
#[derive(Debug, Clone)]
pub(super) struct Reflections<T> {
    /// `S^-1`.
    t: Matrix<T>,
    /// `S^-1 V1^T`, with `V1` the top of `V`.
    y: Matrix<T>,
}

/// `V`.
fn vectors<T: Real>(mut x: Matrix<T>) -> Matrix<T> {
    for i in 0..x.columns() {
        let row = x.row_mut(i);
        row[i] = T::of(1.0);
        row[i + 1..].fill(T::ZERO);
    }
    x
}

/// Multiplies each column by the sign that `X` has on its diagonal; that of zero is plus.
fn sign_columns<T: Real>(m: &mut Matrix<T>, x: &Matrix<T>) {
    let signs: Vec<T> =
        (0..x.columns()).map(|i| T::of(if x.row(i)[i] < T::ZERO { -1.0 } else { 1.0 })).collect();
    for i in 0..m.rows() {
        m.row_mut(i).iter_mut().zip(&signs).for_each(|(m, &sign)| *m *= sign);
    }
}

/// The first columns of the product, each with its sign.
pub(super) fn forward<T: Real>(x: &Matrix<T>) -> (Matrix<T>, Reflections<T>) {
    let (n, k) = (x.rows(), x.columns());
    let v = vectors(x.clone());
    let mut t = Matrix::zeros(k, k);
    product_of_parts(
        t.view_mut(),
        Part::Upper,
        Accum::Replace,
        1.0,
        (v.transpose(), Part::Upper),
        (v.view(), Part::Lower),
    );
    for i in 0..k {
        let row = t.row_mut(i);
        row[..i].fill(T::ZERO);
        row[i] *= T::of(0.5);
    }
    invert(t.view_mut(), true);
    let mut y = Matrix::zeros(k, k);
    product_of_parts(
        y.view_mut(),
        Part::Upper,
        Accum::Replace,
        1.0,
        (t.view(), Part::Upper),
        (v.block(0..k, 0..k).transpose(), Part::Upper),
    );
    let mut q = Matrix::zeros(n, k);
    product_of_parts(
        q.view_mut(),
        Part::Full,
        Accum::Replace,
        -1.0,
        (v.view(), Part::Lower),
        (y.view(), Part::Upper),
    );
    q.add_to_diagonal(T::of(1.0));
    sign_columns(&mut q, x);
    (q, Reflections { t, y })
}

/// The gradient of `X`; its diagonal gets none.
///
/// With `Z = V T`, `P = Z^T G` and `D` the upper part of `P Y^T`, which is the gradient of `S`:
/// `dV = -G Y^T - [P^T; 0] + V (striu(D) + striu(D)^T + diag(D))`.
pub(super) fn backward<T: Real>(
    Reflections { t, y }: &Reflections<T>,
    x: &Matrix<T>,
    mut g: Matrix<T>,
) -> Matrix<T> {
    let (n, k) = (x.rows(), x.columns());
    sign_columns(&mut g, x);
    let v = vectors(x.clone());
    let mut z = Matrix::zeros(n, k);
    product_of_parts(
        z.view_mut(),
        Part::Full,
        Accum::Replace,
        1.0,
        (v.view(), Part::Lower),
        (t.view(), Part::Upper),
    );
    let mut p = Matrix::zeros(k, k);
    product(p.view_mut(), Accum::Replace, 1.0, z.transpose(), g.view());
    // The transpose of D, whose lower part is wanted.
    let mut d = Matrix::zeros(k, k);
    product_of_parts(
        d.view_mut(),
        Part::Lower,
        Accum::Replace,
        1.0,
        (y.view(), Part::Upper),
        (p.transpose(), Part::Full),
    );
    d.mirror(T::of(1.0));
    let mut dx = z;
    product_of_parts(
        dx.view_mut(),
        Part::Lower,
        Accum::Replace,
        -1.0,
        (g.view(), Part::Full),
        (y.transpose(), Part::Lower),
    );
    product_of_parts(
        dx.view_mut(),
        Part::Lower,
        Accum::Add,
        1.0,
        (v.view(), Part::Lower),
        (d.view(), Part::Full),
    );
    dx.subtract_lower_transpose(&p);
    for i in 0..k {
        dx.row_mut(i)[i..].fill(T::ZERO);
    }
    dx
}

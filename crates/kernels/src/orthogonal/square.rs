//! Cayley's map of a square matrix together with its base: `B (2 Z - I)` for `Z = (I - A/2)^-1`.
//!
//! With `Y = B Z` the value is `2 Y - B`, and the gradient of `A/2` is `2 Y^T G Z^T`: the base costs
//! one product in all. Where matrices are stored as their transposes, all of this is transposed.

use std::ops::Range;

use faer::{Accum, MatRef};

use super::inverse::invert;
use super::matrix::{Matrix, product, rows_in_tiles};
use crate::Real;

/// What the gradient needs.
#[derive(Debug, Clone)]
pub(super) struct Square<T> {
    transposed: bool,
    /// `Z`.
    z: Matrix<T>,
    /// `B Z`, if there is a base.
    y: Option<Matrix<T>>,
}

/// Writes the value for `x`, both `n x n` and stored as said; the base never is transposed.
pub(super) fn forward<T: Real>(
    n: usize,
    transposed: bool,
    x: &[T],
    base: Option<&[T]>,
    out: &mut [T],
) -> Square<T> {
    let mut z = shifted(n, transposed, x);
    invert(z.view_mut(), false);
    let y = base.map(|base| {
        let mut y = Matrix::zeros(n, n);
        let base = MatRef::from_row_major_slice(base, n, n);
        if transposed {
            product(y.view_mut(), Accum::Replace, 1.0, z.view(), base.transpose());
        } else {
            product(y.view_mut(), Accum::Replace, 1.0, base, z.view());
        }
        y
    });
    let factor = y.as_ref().unwrap_or(&z);
    rows_in_tiles(out, n, n, |i, along, out| {
        let factor = factor.row(i);
        match base {
            Some(base) if transposed => {
                along.for_each(|j| out[j] = factor[j] + factor[j] - base[j * n + i]);
            }
            Some(base) => along.for_each(|j| out[j] = factor[j] + factor[j] - base[i * n + j]),
            None => {
                along.clone().for_each(|j| out[j] = factor[j] + factor[j]);
                if along.contains(&i) {
                    out[i] -= T::of(1.0);
                }
            }
        }
    });
    Square { transposed, z, y }
}

/// Of the columns `along` of row `i` those that count, and their mirror image: below and above the
/// diagonal, or the other way round in a transpose.
fn sides(transposed: bool, i: usize, along: Range<usize>) -> (Range<usize>, Range<usize>) {
    let (below, above) = (along.start..along.end.min(i), along.start.max(i + 1)..along.end);
    if transposed { (above, below) } else { (below, above) }
}

/// `I - A/2` for the skew matrix `A` of the part that counts.
fn shifted<T: Real>(n: usize, transposed: bool, x: &[T]) -> Matrix<T> {
    let mut m = Matrix::zeros(n, n);
    let (stride, half) = (m.stride(), T::of(0.5));
    rows_in_tiles(m.values_mut(), stride, n, |i, along, row| {
        if along.contains(&i) {
            row[i] = T::of(1.0);
        }
        let (here, there) = sides(transposed, i, along);
        here.for_each(|j| row[j] = -half * x[i * n + j]);
        there.for_each(|j| row[j] = half * x[j * n + i]);
    });
    m
}

/// Writes the gradient of `x`, stored as `x` is, into zeros.
pub(super) fn backward<T: Real>(
    Square { transposed, z, y }: &Square<T>,
    gradient: &[T],
    out: &mut [T],
) {
    let n = z.rows();
    let g = MatRef::from_row_major_slice(gradient, n, n);
    let y = y.as_ref().unwrap_or(z);
    let (left, right) = if *transposed { (z, y) } else { (y, z) };
    let (mut half, mut whole) = (Matrix::zeros(n, n), Matrix::zeros(n, n));
    product(half.view_mut(), Accum::Replace, 1.0, left.transpose(), g);
    product(whole.view_mut(), Accum::Replace, 1.0, half.view(), right.transpose());
    rows_in_tiles(out, n, n, |i, along, out| {
        let row = whole.row(i);
        sides(*transposed, i, along).0.for_each(|j| out[j] = row[j] - whole.at(j, i));
    });
}

//! Cayley's map of a square matrix together with its base: `B (2 Z - I)` for `Z = (I - A/2)^-1`.
//!
//! With `Y = B Z` the value is `2 Y - B`, and the gradient of `A/2` is the skew part of `2 Y^T G Z^T`.
//! With a base `Z` itself is not needed: to multiply by it is to divide by `I - A/2`. Where matrices
//! are stored as their transposes, all of this is transposed.

use std::ops::Range;

use faer::{Accum, MatRef};

use super::divide::{divide_left, divide_right, factor};
use super::inverse::invert;
use super::matrix::{Matrix, product, rows_in_tiles};
use crate::Real;

/// What the gradient needs.
#[derive(Debug, Clone)]
pub(super) struct Square<T> {
    transposed: bool,
    steps: Steps<T>,
}

#[derive(Debug, Clone)]
enum Steps<T> {
    /// Without a base, `Z`.
    Alone(Matrix<T>),
    /// The factors of `I - A/2`, and `B Z`.
    Based(Matrix<T>, Matrix<T>),
}

/// Writes the value for `x`, both `n x n` and stored as said; the base never is transposed.
pub(super) fn forward<T: Real>(
    n: usize,
    transposed: bool,
    x: &[T],
    base: Option<&[T]>,
    out: &mut [T],
) -> Square<T> {
    let mut s = shifted(n, transposed, x);
    let steps = match base {
        None => {
            invert(s.view_mut(), false);
            Steps::Alone(s)
        }
        Some(base) => {
            factor(s.view_mut());
            let mut y = Matrix::read(n, n, transposed, base);
            if transposed {
                divide_left(s.view(), y.view_mut());
            } else {
                divide_right(s.view(), y.view_mut());
            }
            Steps::Based(s, y)
        }
    };
    let (Steps::Alone(half) | Steps::Based(_, half)) = &steps;
    rows_in_tiles(out, n, n, |i, along, out| {
        let half = half.row(i);
        match base {
            Some(base) if transposed => {
                along.for_each(|j| out[j] = half[j] + half[j] - base[j * n + i]);
            }
            Some(base) => along.for_each(|j| out[j] = half[j] + half[j] - base[i * n + j]),
            None => {
                along.clone().for_each(|j| out[j] = half[j] + half[j]);
                if along.contains(&i) {
                    out[i] -= T::of(1.0);
                }
            }
        }
    });
    Square { transposed, steps }
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
    Square { transposed, steps }: &Square<T>,
    gradient: &[T],
    out: &mut [T],
) {
    let (Steps::Alone(y) | Steps::Based(_, y)) = steps;
    let n = y.rows();
    let g = MatRef::from_row_major_slice(gradient, n, n);
    let mut inner = Matrix::zeros(n, n);
    if *transposed {
        product(inner.view_mut(), Accum::Replace, 1.0, g, y.transpose());
    } else {
        product(inner.view_mut(), Accum::Replace, 1.0, y.transpose(), g);
    }
    let whole = match steps {
        Steps::Alone(z) => {
            let mut whole = Matrix::zeros(n, n);
            if *transposed {
                product(whole.view_mut(), Accum::Replace, 1.0, z.transpose(), inner.view());
            } else {
                product(whole.view_mut(), Accum::Replace, 1.0, inner.view(), z.transpose());
            }
            whole
        }
        Steps::Based(factors, _) => {
            // A product with `Z^T`, whose transpose is one with `Z`.
            let turned = inner.view_mut().transpose_mut();
            if *transposed {
                divide_right(factors.view(), turned);
            } else {
                divide_left(factors.view(), turned);
            }
            inner
        }
    };
    rows_in_tiles(out, n, n, |i, along, out| {
        let row = whole.row(i);
        sides(*transposed, i, along).0.for_each(|j| out[j] = row[j] - whole.at(j, i));
    });
}

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
use crate::tiles::{Rows, with_transpose};

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
    let twice = |out: &mut [T], half: &[T], base: &[T]| {
        for (out, (half, base)) in out.iter_mut().zip(half.iter().zip(base)) {
            *out = *half + *half - *base;
        }
    };
    match base {
        Some(base) if transposed => with_transpose(
            out,
            n,
            n,
            Rows { values: base, stride: n },
            #[inline(always)]
            |i, along, out, base| twice(out, &half.row(i)[along], base),
        ),
        Some(base) => rows_in_tiles(out, n, n, |i, along, out| {
            twice(&mut out[along.clone()], &half.row(i)[along.clone()], &base[i * n..][along]);
        }),
        None => rows_in_tiles(out, n, n, |i, along, out| {
            let half = half.row(i);
            along.clone().for_each(|j| out[j] = half[j] + half[j]);
            if along.contains(&i) {
                out[i] -= T::of(1.0);
            }
        }),
    }
    Square { transposed, steps }
}

/// Of the columns `along` of row `i`, from their first on, those that count and their mirror image:
/// below and above the diagonal, or the other way round in a transpose.
fn sides(transposed: bool, i: usize, along: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let n = along.len();
    let below = 0..i.saturating_sub(along.start).min(n);
    let above = (i + 1).saturating_sub(along.start).min(n)..n;
    if transposed { (above, below) } else { (below, above) }
}

/// `I - A/2` for the skew matrix `A` of the part that counts.
fn shifted<T: Real>(n: usize, transposed: bool, x: &[T]) -> Matrix<T> {
    let mut m = Matrix::zeros(n, n);
    let (stride, half) = (m.stride(), T::of(0.5));
    with_transpose(
        m.values_mut(),
        stride,
        n,
        Rows { values: x, stride: n },
        #[inline(always)]
        |i, along, to, image| {
            let (here, there) = sides(transposed, i, &along);
            let own = &x[i * n..][along];
            for (to, own) in to[here.clone()].iter_mut().zip(&own[here]) {
                *to = -half * *own;
            }
            for (to, image) in to[there.clone()].iter_mut().zip(&image[there]) {
                *to = half * *image;
            }
        },
    );
    m.add_to_diagonal(T::of(1.0));
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
    with_transpose(
        out,
        n,
        n,
        whole.as_rows(),
        #[inline(always)]
        |i, along, to, image| {
            let here = sides(*transposed, i, &along).0;
            let own = &whole.row(i)[along][here.clone()];
            for (to, (own, image)) in to[here.clone()].iter_mut().zip(own.iter().zip(&image[here]))
            {
                *to = *own - *image;
            }
        },
    );
}

//! Products with the inverse of a matrix that needs no pivoting, without that inverse.
//!
//! Cut in four, `S = [[A, B], [C, D]]` is `[[A, 0], [C, D']] [[I, B'], [0, I]]` for `B' = A^-1 B` and
//! the Schur complement `D' = D - C B'`. These take the places of what they are made from, and `A` and
//! `D'` are cut again. The factors cost a third of the inverse, and to divide by them costs as much as
//! to multiply by it.

use faer::linalg::matmul::matmul;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

use super::inverse::invert;
use super::matrix::{EDGE, Matrix, SHARE, product};
use crate::Real;

/// Side of the blocks of the diagonal, which are inverted.
const BLOCK: usize = 128;

/// The factors, in place, of a matrix whose symmetric part is positive definite. `A` and `D'` have
/// that property again, as in [`invert`]; the smallest of them are there as their inverses.
pub(super) fn factor<T: Real>(m: MatMut<'_, T>) {
    if m.nrows() <= BLOCK {
        return invert(m, false);
    }
    let at = middle(m.nrows());
    let (mut a, mut b, c, mut d) = m.split_at_mut(at, at);
    factor(a.rb_mut());
    divide_left(a.rb(), b.rb_mut());
    product(d.rb_mut(), Accum::Add, -1.0, c.rb(), b.rb());
    factor(d);
}

/// `S^-1 R` in place of `R`, for the factors of `S`.
pub(super) fn divide_left<T: Real>(factors: MatRef<'_, T>, r: MatMut<'_, T>) {
    by_columns(factors.nrows().pow(2), r, &|r| {
        let mut spare = Matrix::zeros(BLOCK.min(r.nrows()), r.ncols());
        left(factors, r, &mut spare);
    });
}

/// `R S^-1` in place of `R`, for the factors of `S`.
pub(super) fn divide_right<T: Real>(factors: MatRef<'_, T>, r: MatMut<'_, T>) {
    by_columns(factors.nrows().pow(2), r.transpose_mut(), &|r| {
        let mut spare = Matrix::zeros(r.ncols(), BLOCK.min(r.nrows()));
        right(factors, r.transpose_mut(), &mut spare);
    });
}

/// Where a matrix is cut in two.
fn middle(n: usize) -> usize {
    (n / 2).next_multiple_of(EDGE)
}

/// Does `work`, so many multiplications for each column, on some columns on each thread.
///
/// Columns do not wait for one another, so that threads meet but once.
fn by_columns<T: Real>(each: usize, r: MatMut<'_, T>, work: &(impl Fn(MatMut<'_, T>) + Sync)) {
    fn share<T: Real>(parts: usize, r: MatMut<'_, T>, work: &(impl Fn(MatMut<'_, T>) + Sync)) {
        if parts <= 1 || r.ncols() < 2 * EDGE {
            return work(r);
        }
        let few = parts / 2;
        let at = (r.ncols() * few / parts).next_multiple_of(EDGE).min(r.ncols());
        let (first, rest) = r.split_at_col_mut(at);
        rayon::join(|| share(few, first, work), || share(parts - few, rest, work));
    }
    let parts = (each * r.ncols() / SHARE).clamp(1, rayon::current_num_threads());
    share(parts, r, work);
}

fn left<T: Real>(factors: MatRef<'_, T>, mut r: MatMut<'_, T>, spare: &mut Matrix<T>) {
    let n = r.nrows();
    if n <= BLOCK {
        let mut out = spare.block_mut(0..n, 0..r.ncols());
        matmul(out.rb_mut(), Accum::Replace, factors, r.rb(), T::of(1.0), Par::Seq);
        return r.copy_from(out);
    }
    let at = middle(n);
    let (a, b, c, d) = factors.split_at(at, at);
    let (mut x, mut y) = r.split_at_row_mut(at);
    left(a, x.rb_mut(), spare);
    matmul(y.rb_mut(), Accum::Add, c, x.rb(), T::of(-1.0), Par::Seq);
    left(d, y.rb_mut(), spare);
    matmul(x, Accum::Add, b, y.rb(), T::of(-1.0), Par::Seq);
}

fn right<T: Real>(factors: MatRef<'_, T>, mut r: MatMut<'_, T>, spare: &mut Matrix<T>) {
    let n = r.ncols();
    if n <= BLOCK {
        let mut out = spare.block_mut(0..r.nrows(), 0..n);
        matmul(out.rb_mut(), Accum::Replace, r.rb(), factors, T::of(1.0), Par::Seq);
        return r.copy_from(out);
    }
    let at = middle(n);
    let (a, b, c, d) = factors.split_at(at, at);
    let (mut x, mut y) = r.split_at_col_mut(at);
    matmul(y.rb_mut(), Accum::Add, x.rb(), b, T::of(-1.0), Par::Seq);
    right(d, y.rb_mut(), spare);
    matmul(x.rb_mut(), Accum::Add, y.rb(), c, T::of(-1.0), Par::Seq);
    right(a, x, spare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_near, assert_same_on_threads, numbers};

    /// The identity and a skew matrix, row-major.
    fn shifted(n: usize) -> Vec<f64> {
        let x = numbers(n * n, 1);
        let scale = 4.0 / (n as f64).sqrt();
        (0..n * n)
            .map(|at| match (at / n, at % n) {
                (i, j) if i == j => 1.0,
                (i, j) => scale * (x[i * n + j] - x[j * n + i]),
            })
            .collect()
    }

    fn flat(m: &Matrix<f64>) -> Vec<f64> {
        (0..m.rows()).flat_map(|i| m.row(i).to_vec()).collect()
    }

    #[test]
    fn quotients_times_the_matrix_are_what_was_divided() {
        for (n, k) in [(1, 1), (7, 3), (128, 40), (129, 1), (200, 300), (421, 70)] {
            let plain = Matrix::read(n, n, false, &shifted(n));
            let mut factors = plain.clone();
            factor(factors.view_mut());
            let values = numbers(n * k, 2);
            // Row-major, and as the transpose of such a matrix.
            for turned in [false, true] {
                let (rows, columns) = if turned { (k, n) } else { (n, k) };
                let mut r = Matrix::read(rows, columns, false, &values);
                let mut again = Matrix::zeros(n, k);
                if turned {
                    divide_left(factors.view(), r.view_mut().transpose_mut());
                    let r = r.transpose();
                    product(again.view_mut(), Accum::Replace, 1.0, plain.view(), r);
                    let expected = Matrix::read(n, k, true, &values);
                    assert_near(&flat(&again), &flat(&expected), 1e-12);
                } else {
                    divide_left(factors.view(), r.view_mut());
                    product(again.view_mut(), Accum::Replace, 1.0, plain.view(), r.view());
                    assert_near(&flat(&again), &values, 1e-12);
                }
                let (rows, columns) = if turned { (n, k) } else { (k, n) };
                let mut r = Matrix::read(rows, columns, false, &values);
                let mut again = Matrix::zeros(k, n);
                if turned {
                    divide_right(factors.view(), r.view_mut().transpose_mut());
                    let r = r.transpose();
                    product(again.view_mut(), Accum::Replace, 1.0, r, plain.view());
                    let expected = Matrix::read(k, n, true, &values);
                    assert_near(&flat(&again), &flat(&expected), 1e-12);
                } else {
                    divide_right(factors.view(), r.view_mut());
                    product(again.view_mut(), Accum::Replace, 1.0, r.view(), plain.view());
                    assert_near(&flat(&again), &values, 1e-12);
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (n, k) = (300, 210);
        let (matrix, values) = (shifted(n), numbers(n * k, 2));
        assert_same_on_threads(|| {
            let mut factors = Matrix::read(n, n, false, &matrix);
            factor(factors.view_mut());
            let mut tall = Matrix::read(n, k, false, &values);
            divide_left(factors.view(), tall.view_mut());
            let mut wide = Matrix::read(k, n, false, &values);
            divide_right(factors.view(), wide.view_mut());
            (flat(&factors), flat(&tall), flat(&wide))
        });
    }
}

//! The inverse of a matrix that needs no pivoting, mostly by products.

use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut};
use pulp::Arch;

use super::matrix::{Matrix, product};
use crate::Real;

/// Side of the blocks that are inverted row by row.
const LEAF: usize = 32;

/// The inverse, in place, of a matrix whose symmetric part is positive definite, or of an upper
/// triangular one (`upper`).
///
/// Both halves of the recursion have that property again: the first block because it is a principal
/// block, the other because the Schur complement's inverse is one of the inverse. So no pivot is
/// small, and none is looked for.
pub(super) fn invert<T: Real>(m: MatMut<'_, T>, upper: bool) {
    let n = m.nrows();
    if n <= LEAF {
        return invert_leaf(m);
    }
    let half = (n / 2).next_multiple_of(LEAF).min(n - 1);
    let (mut a, mut b, mut c, mut d) = m.split_at_mut(half, half);
    invert(a.rb_mut(), upper);
    let mut ab = Matrix::zeros(half, n - half);
    product(ab.view_mut(), Accum::Replace, 1.0, a.rb(), b.rb());
    if upper {
        invert(d.rb_mut(), upper);
        product(b, Accum::Replace, -1.0, ab.view(), d.rb());
        return;
    }
    let mut ca = Matrix::zeros(n - half, half);
    product(ca.view_mut(), Accum::Replace, 1.0, c.rb(), a.rb());
    product(d.rb_mut(), Accum::Add, -1.0, c.rb(), ab.view());
    invert(d.rb_mut(), upper);
    product(b.rb_mut(), Accum::Replace, -1.0, ab.view(), d.rb());
    product(c.rb_mut(), Accum::Replace, -1.0, d.rb(), ca.view());
    product(a, Accum::Add, -1.0, ab.view(), c.rb());
}

/// Gauss and Jordan's elimination, rows of a fixed length.
fn invert_leaf<T: Real>(mut m: MatMut<'_, T>) {
    let n = m.nrows();
    let mut rows = [[T::ZERO; LEAF]; LEAF];
    for (i, row) in rows.iter_mut().enumerate().take(n) {
        for (j, x) in row.iter_mut().enumerate().take(n) {
            *x = m[(i, j)];
        }
    }
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for p in 0..n {
                let mut pivot = rows[p];
                let inverse = T::of(1.0) / pivot[p];
                pivot[p] = T::of(1.0);
                pivot.iter_mut().for_each(|x| *x *= inverse);
                for row in &mut rows[..n] {
                    let factor = row[p];
                    row[p] = T::ZERO;
                    row.iter_mut().zip(&pivot).for_each(|(x, &y)| *x -= factor * y);
                }
                rows[p] = pivot;
            }
        },
    );
    for (i, row) in rows.iter().enumerate().take(n) {
        for (j, &x) in row.iter().enumerate().take(n) {
            m[(i, j)] = x;
        }
    }
}

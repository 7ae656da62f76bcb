//! Products of triangular and trapezoidal matrices.

use faer::reborrow::ReborrowMut;
use faer::{Accum, MatMut, MatRef};

use super::matrix::{Matrix, product};
use crate::Real;

/// Where a matrix may differ from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everywhere.
    Full,
    /// On and below the diagonal.
    Lower,
    /// On and above the diagonal.
    Upper,
    /// Nowhere.
    Zero,
}

impl Part {
    /// The part of a block at `(row, column)` of the four.
    fn block(self, row: usize, column: usize) -> Self {
        match self {
            Part::Lower if row < column => Part::Zero,
            Part::Upper if row > column => Part::Zero,
            Part::Lower | Part::Upper if row != column => Part::Full,
            part => part,
        }
    }
}

/// Side up to which zeros are multiplied as other numbers are.
const LEAF: usize = 64;

/// Multiplications that are offered to another thread.
const OFFER: usize = 1 << 18;

/// [`product`] of matrices with zeros, most of which are left out.
///
/// The zeros must be stored. Of `out` at least the elements in `wanted` are computed. Triangles are
/// cut in four again and again, so that most of the work is products of large full blocks.
pub(super) fn product_of_parts<T: Real>(
    mut out: MatMut<'_, T>,
    wanted: Part,
    accum: Accum,
    alpha: f64,
    (lhs, left): (MatRef<'_, T>, Part),
    (rhs, right): (MatRef<'_, T>, Part),
) {
    let (m, n, depth) = (lhs.nrows(), rhs.ncols(), lhs.ncols());
    // What is triangular is cut at one place along both of its sides.
    let [of_out, of_lhs, of_rhs] = [wanted, left, right].map(|part| part != Part::Full);
    let side = [(of_out, m.min(n)), (of_lhs, m.min(depth)), (of_rhs, depth.min(n))]
        .into_iter()
        .filter_map(|(triangular, side)| triangular.then_some(side))
        .min();
    let Some(side) = side.filter(|side| *side > LEAF) else {
        return product(out, accum, alpha, lhs, rhs);
    };
    let at = (side / 2).next_multiple_of(8);
    let cut = |triangular: bool, size: usize| if triangular { at } else { size };
    let (row, column) = (cut(of_out || of_lhs, m), cut(of_out || of_rhs, n));
    let middle = cut(of_lhs || of_rhs, depth);
    let (a, b) = (quarters(lhs, row, middle), quarters(rhs, middle, column));
    let block = |i: usize, j: usize, mut out: MatMut<'_, T>| {
        let wanted = wanted.block(i, j);
        if wanted == Part::Zero || out.nrows() == 0 || out.ncols() == 0 {
            return;
        }
        let mut accum = accum;
        for k in 0..2 {
            let (lhs, rhs) = ((a[i][k], left.block(i, k)), (b[k][j], right.block(k, j)));
            if lhs.0.ncols() > 0 && lhs.1 != Part::Zero && rhs.1 != Part::Zero {
                product_of_parts(out.rb_mut(), wanted, accum, alpha, lhs, rhs);
                accum = Accum::Add;
            }
        }
        if accum == Accum::Replace {
            out.fill(T::ZERO);
        }
    };
    let (top_left, top_right, bottom_left, bottom_right) = out.rb_mut().split_at_mut(row, column);
    let top = || both(m * n * depth, || block(0, 0, top_left), || block(0, 1, top_right));
    let bottom = || both(m * n * depth, || block(1, 0, bottom_left), || block(1, 1, bottom_right));
    both(m * n * depth, top, bottom);
}

/// Does both, on two threads if that pays.
fn both(work: usize, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    if work < OFFER {
        first();
        second();
    } else {
        rayon::join(first, second);
    }
}

fn quarters<T: Real>(m: MatRef<'_, T>, row: usize, column: usize) -> [[MatRef<'_, T>; 2]; 2] {
    let (a, b, c, d) = m.split_at(row, column);
    [[a, b], [c, d]]
}

/// `lhs rhs` for a product known to be symmetric (`sign` 1) or skew (`sign` -1): the lower triangle,
/// at little more than half the price, and its mirror image.
pub(super) fn mirrored<T: Real>(lhs: MatRef<'_, T>, rhs: MatRef<'_, T>, sign: f64) -> Matrix<T> {
    let n = lhs.nrows();
    let mut out = Matrix::zeros(n, n);
    product_of_parts(
        out.view_mut(),
        Part::Lower,
        Accum::Replace,
        1.0,
        (lhs, Part::Full),
        (rhs, Part::Full),
    );
    out.mirror(T::of(sign));
    out
}

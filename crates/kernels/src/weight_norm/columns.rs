//! Slices whose runs are too short to be summed one by one: rows are added to each other.

use pulp::Arch;

use super::{Factors, Slices};
use crate::Real;
use crate::fresh::fresh;
use crate::pieces::{Pieces, twice};
use crate::sums::{add_products, rows_in_piece, together};

impl Slices {
    /// Elements of the rows that are taken at a time. Half a piece: more of what the first pass has
    /// read is still there for the second.
    fn band(&self) -> usize {
        let width = self.width();
        rows_in_piece(2 * width) * width
    }

    /// The sum of each slice, from those of the columns of each band.
    fn gather(&self, parts: &[Vec<f64>]) -> Vec<f64> {
        let columns = together(self.width(), &parts.concat());
        columns.chunks(self.inner).map(|columns| columns.iter().sum()).collect()
    }
}

/// `sum a b` over each column.
fn products<T: Real>(width: usize, a: &[T], b: &[T]) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    Arch::new().dispatch(
        #[inline(always)]
        || add_products(a, b, &mut sums),
    );
    sums
}

/// As [`weight_norm`](super::weight_norm).
pub(super) fn value<T: Real>(slices: &Slices, g: &[T], v: &[T]) -> (Vec<T>, Vec<T>) {
    let (n, width) = (v.len(), slices.width());
    let mut norms = Vec::new();
    let w = fresh(n, |w| {
        let (lengths, _) = twice(
            n,
            Pieces::new(slices.band(), n, (w, v)),
            |(_, v)| products(width, v, v),
            |parts| {
                let sums = slices.gather(&parts).into_iter();
                let norms: Vec<T> = sums.map(|sum| T::of(sum.sqrt())).collect();
                let factors: Vec<T> = g.iter().zip(&norms).map(|(g, norm)| *g / *norm).collect();
                (norms, slices.spread(&factors))
            },
            |(w, v), (_, factors)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let mut w = w.writer();
                        for v in v.chunks(width) {
                            w.extend(v.iter().zip(factors).map(|(v, factor)| *v * *factor));
                        }
                    },
                );
            },
        );
        norms = lengths;
    });
    (w, norms)
}

/// As [`weight_norm_backward`](super::weight_norm_backward).
pub(super) fn gradients<T: Real>(
    slices: &Slices,
    g: &[T],
    v: &[T],
    norms: &[T],
    grad: &mut [T],
) -> Vec<T> {
    let (n, width) = (v.len(), slices.width());
    let (lengths, ..) = twice(
        n,
        Pieces::new(slices.band(), n, (grad, v)),
        |(grad, v)| products(width, grad, v),
        |parts| {
            let dots = slices.gather(&parts);
            let all = dots.iter().zip(g.iter().zip(norms));
            let all: Vec<_> = all.map(|(dot, (g, norm))| Factors::new(*dot, *g, *norm)).collect();
            let each = |of: fn(&Factors<T>) -> T| all.iter().map(of).collect::<Vec<_>>();
            let whole = slices.spread(&each(|factors| factors.whole));
            let along = slices.spread(&each(|factors| factors.along));
            (each(|factors| factors.length), whole, along)
        },
        |(grad, v), (_, whole, along)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (grad, v) in grad.chunks_mut(width).zip(v.chunks(width)) {
                        let factors = whole.iter().zip(along);
                        for ((grad, v), (whole, along)) in grad.iter_mut().zip(v).zip(factors) {
                            *grad = *whole * (*grad - *along * *v);
                        }
                    }
                },
            );
        },
    );
    lengths
}

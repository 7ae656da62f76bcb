//! Weight normalization: a length for each slice of a tensor, and its gradients.

mod columns;

use pulp::Arch;

use crate::Real;
use crate::fresh::fresh;
use crate::pieces::{Cut, PIECE, Pieces, each, pieces};
use crate::sums::{add_products, dot, long_dot, rows_in_piece, together};

/// A row-major tensor seen as `outer x kept x inner`.
///
/// Lengths are taken over `outer` and `inner`, one for each index of `kept`.
///
/// ```
/// use espalier_kernels::Slices;
/// // A `2 x 3 x 4` tensor, a length for each index of its second dimension.
/// assert_eq!(Slices { outer: 2, kept: 3, inner: 4 }.len(), 24);
/// // One length for the whole of it.
/// assert_eq!(Slices { outer: 1, kept: 1, inner: 24 }.len(), 24);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slices {
    /// Elements of the dimensions before the one kept, multiplied.
    pub outer: usize,
    /// Elements of the dimension kept: the number of lengths.
    pub kept: usize,
    /// Elements of the dimensions after it, multiplied.
    pub inner: usize,
}

impl Slices {
    /// Elements of the tensor.
    pub fn len(&self) -> usize {
        self.outer * self.kept * self.inner
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of a row: everything for one index of `outer`.
    pub(crate) fn width(&self) -> usize {
        self.kept * self.inner
    }

    /// Whether runs are too short to be summed one by one: then rows are added to each other.
    fn by_column(&self) -> bool {
        self.outer > 1 && self.inner < 64
    }

    /// Whether each slice is one run that fits the cache: summed and used in one go.
    pub(crate) fn by_run(&self) -> bool {
        self.outer == 1 && self.inner <= PIECE
    }

    /// Runs of `inner` elements in a piece.
    pub(crate) fn group(&self) -> usize {
        (PIECE / self.inner.max(1)).max(1)
    }

    /// `sum a b` over each slice.
    pub(crate) fn dots<T: Real>(&self, a: &[T], b: &[T]) -> Vec<f64> {
        let (n, runs) = (self.len(), self.outer * self.kept);
        if self.by_column() {
            let width = self.width();
            let rows = rows_in_piece(width);
            let mut parts = vec![0.0; self.outer.div_ceil(rows) * width];
            let ab = a.chunks(rows * width).zip(b.chunks(rows * width));
            each(n, ab.zip(parts.chunks_mut(width)), |((a, b), sums)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || add_products(a, b, sums),
                );
            });
            let columns = together(width, &parts);
            return columns.chunks(self.inner).map(|columns| columns.iter().sum()).collect();
        }
        let mut parts = vec![0.0; runs];
        if self.inner > PIECE {
            for (part, run) in parts.iter_mut().zip(Pieces::new(self.inner, n, (a, b))) {
                *part = long_dot(run.0, run.1);
            }
        } else {
            let group = self.group();
            let ab = Pieces::new(group * self.inner, n, (a, b));
            each(n, ab.zip(parts.chunks_mut(group)), |((a, b), parts)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let runs = a.chunks(self.inner).zip(b.chunks(self.inner));
                        for ((a, b), part) in runs.zip(parts) {
                            *part = dot(a, b);
                        }
                    },
                );
            });
        }
        together(self.kept, &parts)
    }

    /// Does `rows` on some rows (all indices of `kept`), or `run` on runs that belong to one index.
    pub(crate) fn apply<S: Cut>(
        &self,
        slices: S,
        rows: impl Fn(S) + Sync + Send,
        run: impl Fn(usize, S) + Sync + Send,
    ) {
        if self.by_column() {
            let (n, width) = (self.len(), self.width());
            each(n, Pieces::new(rows_in_piece(width) * width, n, slices), |piece| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || rows(piece),
                );
            });
        } else {
            self.runs(slices, run);
        }
    }

    /// Does `run` on runs that belong to one index of `kept`.
    fn runs<S: Cut>(&self, slices: S, run: impl Fn(usize, S) + Sync + Send) {
        let n = self.len();
        if self.inner > PIECE {
            for (index, slices) in Pieces::new(self.inner, n, slices).enumerate() {
                pieces(self.inner, slices, |piece| {
                    Arch::new().dispatch(
                        #[inline(always)]
                        || run(index % self.kept, piece),
                    );
                });
            }
        } else {
            let group = self.group();
            let size = group * self.inner;
            let tasks = Pieces::new(size, n, slices).enumerate();
            each(n, tasks, |(index, piece)| {
                let elements = size.min(n - index * size);
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let runs = Pieces::new(self.inner, elements, piece).enumerate();
                        runs.for_each(|(at, piece)| run((index * group + at) % self.kept, piece));
                    },
                );
            });
        }
    }

    /// A factor for each element of a row, where rows are worked on.
    pub(crate) fn spread<T: Real>(&self, factors: &[T]) -> Vec<T> {
        // Runs need none, and may be long.
        if self.inner == 1 || !self.by_column() {
            return factors.to_vec();
        }
        factors.iter().flat_map(|factor| std::iter::repeat_n(*factor, self.inner)).collect()
    }
}

/// `w = g v / ||v||`, and the lengths `||v||`, one for each index of `kept`.
///
/// A slice of zeros has no direction: it becomes NaN. `g` has `kept` elements. Squares are summed
/// in double precision, a few at a time.
///
/// ```
/// use espalier_kernels::{Slices, weight_norm};
/// let rows = Slices { outer: 1, kept: 2, inner: 2 };
/// let (w, norms) = weight_norm(&rows, &[10.0f32, 1.0], &[3.0, 4.0, 0.0, 2.0]);
/// assert_eq!((w, norms), (vec![6.0, 8.0, 0.0, 1.0], vec![5.0, 2.0]));
/// ```
///
/// # Panics
///
/// If the slices do not have the lengths said.
pub fn weight_norm<T: Real>(slices: &Slices, g: &[T], v: &[T]) -> (Vec<T>, Vec<T>) {
    assert!(v.len() == slices.len() && g.len() == slices.kept, "as many elements as said");
    if slices.is_empty() {
        return (Vec::new(), vec![T::ZERO; slices.kept]);
    }
    if slices.by_run() {
        let mut norms = vec![T::ZERO; slices.kept];
        let group = slices.group();
        let w = fresh(v.len(), |w| {
            let wv = Pieces::new(group * slices.inner, v.len(), (w, v));
            let tasks = wv.zip(norms.chunks_mut(group).zip(g.chunks(group)));
            each(v.len(), tasks, |((w, v), (norms, g))| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let mut w = w.writer();
                        for (v, (norm, g)) in v.chunks(slices.inner).zip(norms.iter_mut().zip(g)) {
                            *norm = T::of(dot(v, v).sqrt());
                            let factor = *g / *norm;
                            w.extend(v.iter().map(|v| *v * factor));
                        }
                    },
                );
            });
        });
        return (w, norms);
    }
    if slices.by_column() {
        return columns::value(slices, g, v);
    }
    let norms: Vec<T> = slices.dots(v, v).into_iter().map(|sum| T::of(sum.sqrt())).collect();
    let factors: Vec<T> = g.iter().zip(&norms).map(|(g, norm)| *g / *norm).collect();
    let w = fresh(v.len(), |w| {
        slices.runs(
            (w, v),
            #[inline(always)]
            |index, (w, v)| w.writer().extend(v.iter().map(|v| *v * factors[index])),
        );
    });
    (w, norms)
}

/// The gradients of [`weight_norm`] for `g`, which is returned, and for `v`, which takes the place
/// of that for `w`.
///
/// `grad_g = <grad, v> / ||v||` and `grad_v = g/||v|| (grad - v <grad, v>/||v||^2)`.
///
/// ```
/// use espalier_kernels::{Slices, weight_norm_backward};
/// let rows = Slices { outer: 1, kept: 1, inner: 2 };
/// let mut grad = [25.0, 0.0];
/// let grad_g = weight_norm_backward(&rows, &[5.0f64], &[3.0, 4.0], &[5.0], &mut grad);
/// assert_eq!((grad_g, grad), (vec![15.0], [16.0, -12.0]));
/// ```
///
/// # Panics
///
/// If the slices do not have the lengths said.
pub fn weight_norm_backward<T: Real>(
    slices: &Slices,
    g: &[T],
    v: &[T],
    norms: &[T],
    grad: &mut [T],
) -> Vec<T> {
    let kept = slices.kept;
    assert!(v.len() == slices.len() && grad.len() == v.len(), "as many elements as said");
    assert!(g.len() == kept && norms.len() == kept, "one length for each slice");
    if slices.is_empty() {
        return vec![T::ZERO; kept];
    }
    if slices.by_run() {
        let mut grad_g = vec![T::ZERO; kept];
        let group = slices.group();
        let large = Pieces::new(group * slices.inner, v.len(), (grad, v));
        let small = Pieces::new(group, kept, (&mut grad_g[..], g, norms));
        each(v.len(), large.zip(small), |((grad, v), (grad_g, g, norms))| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let size = slices.inner;
                    let runs = grad.chunks_mut(size).zip(v.chunks(size));
                    let lengths = grad_g.iter_mut().zip(g.iter().zip(norms));
                    for ((grad, v), (grad_g, (g, norm))) in runs.zip(lengths) {
                        let factors = Factors::new(dot(grad, v), *g, *norm);
                        *grad_g = factors.length;
                        turn(grad, v, &factors);
                    }
                },
            );
        });
        return grad_g;
    }
    if slices.by_column() {
        return columns::gradients(slices, g, v, norms, grad);
    }
    let dots = slices.dots(grad, v);
    let all = dots.iter().zip(g.iter().zip(norms));
    let all: Vec<_> = all.map(|(dot, (g, norm))| Factors::new(*dot, *g, *norm)).collect();
    slices.runs(
        (grad, v),
        #[inline(always)]
        |index, (grad, v)| turn(grad, v, &all[index]),
    );
    all.iter().map(|factors| factors.length).collect()
}

/// What the gradient of a slice is made with.
struct Factors<T> {
    /// The gradient for its length, `<grad, v>/||v||`.
    length: T,
    /// `g/||v||`.
    whole: T,
    /// `<grad, v>/||v||^2`: how much of `v` is in the gradient.
    along: T,
}

impl<T: Real> Factors<T> {
    #[inline(always)]
    fn new(dot: f64, g: T, norm: T) -> Self {
        let length = dot / norm.wide();
        Self { length: T::of(length), whole: g / norm, along: T::of(length / norm.wide()) }
    }
}

#[inline(always)]
fn turn<T: Real>(grad: &mut [T], v: &[T], factors: &Factors<T>) {
    let (whole, along) = (factors.whole, factors.along);
    for (grad, v) in grad.iter_mut().zip(v) {
        *grad = whole * (*grad - along * *v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{
        self, assert_gradient, assert_near, assert_same_on_threads, numbers, single,
    };

    /// One of every way through, and odd ones.
    const SHAPES: [[usize; 3]; 14] = [
        [1, 1, 1],
        [1, 1, 7],
        [1, 5, 300],
        [3, 1, 1],
        [33, 19, 1],
        [9, 4, 9],
        [5, 3, 100],
        [2, 2, PIECE + 5],
        [1, 1, 3 * PIECE + 1],
        [1, 3, PIECE + 5],
        [1, 333, 600],
        [600, 333, 1],
        [100, 33, 70],
        [40, PIECE / 8, 1],
    ];

    fn slices([outer, kept, inner]: [usize; 3]) -> Slices {
        Slices { outer, kept, inner }
    }

    /// Element by element; with `rounded` the numbers as single precision has them.
    fn plain(s: &Slices, g: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let kept = |i: usize| i / s.inner % s.kept;
        let mut squares = vec![0.0; s.kept];
        v.iter().enumerate().for_each(|(i, v)| squares[kept(i)] += v * v);
        let norms: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
        let w = v.iter().enumerate().map(|(i, v)| g[kept(i)] * v / norms[kept(i)]).collect();
        (w, norms)
    }

    fn plain_backward(
        s: &Slices,
        g: &[f64],
        v: &[f64],
        norms: &[f64],
        grad: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let kept = |i: usize| i / s.inner % s.kept;
        let mut dots = vec![0.0; s.kept];
        (0..v.len()).for_each(|i| dots[kept(i)] += grad[i] * v[i]);
        let grad_v = (0..v.len()).map(|i| {
            let (k, dot) = (kept(i), dots[kept(i)]);
            g[k] / norms[k] * (grad[i] - v[i] * dot / norms[k].powi(2))
        });
        let grad_v = grad_v.collect();
        (dots.iter().zip(norms).map(|(dot, norm)| dot / norm).collect(), grad_v)
    }

    #[test]
    fn every_way_gives_what_plain_loops_give() {
        for shape in SHAPES {
            let s = slices(shape);
            let (g, v, grad) = (numbers(s.kept, 1), numbers(s.len(), 2), numbers(s.len(), 3));
            let (w, norms) = weight_norm(&s, &g, &v);
            let (expected_w, expected_norms) = plain(&s, &g, &v);
            assert_near(&w, &expected_w, 1e-12);
            assert_near(&norms, &expected_norms, 1e-12);
            let mut grad_v = grad.clone();
            let grad_g = weight_norm_backward(&s, &g, &v, &norms, &mut grad_v);
            let (expected_g, expected_v) = plain_backward(&s, &g, &v, &norms, &grad);
            assert_near(&grad_g, &expected_g, 1e-12);
            assert_near(&grad_v, &expected_v, 1e-12);
        }
    }

    #[test]
    fn single_precision_is_near_double() {
        for shape in SHAPES {
            let s = slices(shape);
            let wide = |values: Vec<f32>| values.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let (g, v) = (single(&numbers(s.kept, 1)), single(&numbers(s.len(), 2)));
            let (w, norms) = weight_norm(&s, &g, &v);
            let (expected_w, expected_norms) = plain(&s, &wide(g), &wide(v));
            for (found, expected) in
                w.iter().chain(&norms).zip(expected_w.iter().chain(&expected_norms))
            {
                let off = (f64::from(*found) - expected).abs() / expected.abs();
                assert!(off <= 1.3e-6, "{shape:?}: {found} and {expected}");
            }
        }
    }

    #[test]
    fn gradients_are_slopes() {
        for shape in [[1, 1, 1], [1, 3, 5], [4, 3, 1], [2, 3, 5], [2, 3, 70], [1, 1, 9]] {
            let s = slices(shape);
            let (g, v, given) = (numbers(s.kept, 4), numbers(s.len(), 5), numbers(s.len(), 6));
            let (_, norms) = weight_norm(&s, &g, &v);
            let mut grad_v = given.clone();
            let grad_g = weight_norm_backward(&s, &g, &v, &norms, &mut grad_v);
            assert_gradient(&g, &grad_g, |g| test::dot(&weight_norm(&s, g, &v).0, &given));
            if s.len() > 1 {
                assert_gradient(&v, &grad_v, |v| test::dot(&weight_norm(&s, &g, v).0, &given));
            }
        }
    }

    #[test]
    fn a_slice_of_zeros_is_nan_and_no_other() {
        for shape in [[1, 2, 3], [3, 2, 1], [3, 2, 70], [1, 2, PIECE + 1]] {
            let s = slices(shape);
            let mut v = vec![1.0f32; s.len()];
            let zero = |i: usize| i / s.inner % s.kept == 1;
            (0..v.len()).filter(|i| zero(*i)).for_each(|i| v[i] = 0.0);
            let (w, norms) = weight_norm(&s, &[1.0, 1.0], &v);
            assert_eq!(norms[1], 0.0);
            let mut grad_v = v.clone();
            let grad_g = weight_norm_backward(&s, &[1.0, 1.0], &v, &norms, &mut grad_v);
            assert!(grad_g[1].is_nan() && !grad_g[0].is_nan());
            for i in 0..v.len() {
                assert_eq!((w[i].is_nan(), grad_v[i].is_nan()), (zero(i), zero(i)));
            }
        }
    }

    #[test]
    fn nothing_in_nothing_out() {
        let s = slices([0, 3, 2]);
        assert_eq!(weight_norm(&s, &[1.0f32; 3], &[]), (vec![], vec![0.0; 3]));
        let grad_g = weight_norm_backward(&s, &[1.0f32; 3], &[], &[0.0; 3], &mut []);
        assert_eq!(grad_g, [0.0; 3]);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        for shape in SHAPES.into_iter().filter(|shape| shape.iter().product::<usize>() > 2 * PIECE)
        {
            let s = slices(shape);
            let (g, v) = (single(&numbers(s.kept, 1)), single(&numbers(s.len(), 2)));
            assert_same_on_threads(|| {
                let (w, norms) = weight_norm(&s, &g, &v);
                let mut grad_v = w.clone();
                (weight_norm_backward(&s, &g, &v, &norms, &mut grad_v), grad_v, w)
            });
        }
    }
}

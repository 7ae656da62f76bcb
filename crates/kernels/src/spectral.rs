//! Spectral normalization: power iteration, division by the largest singular value, gradients.

use pulp::Arch;

use crate::Real;
use crate::fresh::fresh;
use crate::pieces::{Pieces, each, pieces};
use crate::sums::{add_rows, dot, long_dot, rows_in_piece, together};

/// A `rows x columns` matrix and how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spectral {
    /// Rows of the matrix, the length of `u`.
    pub rows: usize,
    /// Columns of the matrix, the length of `v`.
    pub columns: usize,
    /// Whether it is stored as its `columns x rows` transpose (row-major both).
    pub transposed: bool,
}

/// A matrix as it is stored. Vectors for its rows are called left, those for its columns right.
struct Stored<'a, T> {
    width: usize,
    values: &'a [T],
}

impl Spectral {
    fn check<T>(&self, w: &[T], u: &[T], v: &[T]) {
        assert!(w.len() == self.rows * self.columns, "as many elements as said");
        assert!(u.len() == self.rows && v.len() == self.columns, "one vector for each side");
    }

    fn stored<'a, T>(&self, values: &'a [T]) -> Stored<'a, T> {
        Stored { width: if self.transposed { self.rows } else { self.columns }, values }
    }
}

impl<T: Real> Stored<'_, T> {
    fn pieces(&self) -> std::slice::Chunks<'_, T> {
        self.values.chunks(self.width * rows_in_piece(self.width))
    }

    fn parts(&self) -> Vec<f64> {
        vec![0.0; self.pieces().len() * self.width]
    }

    /// The product with a vector: a sum along each row.
    fn times(&self, right: &[T]) -> Vec<f64> {
        let mut out = vec![0.0; self.values.len() / self.width];
        let tasks = self.pieces().zip(out.chunks_mut(rows_in_piece(self.width)));
        each(self.values.len(), tasks, |(piece, out)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (row, out) in piece.chunks_exact(self.width).zip(out) {
                        *out = dot(row, right);
                    }
                },
            );
        });
        out
    }

    /// The product of the transpose with a vector: a sum along each column.
    fn transposed_times(&self, left: &[T]) -> Vec<f64> {
        let mut parts = self.parts();
        let left = left.chunks(rows_in_piece(self.width));
        let tasks = self.pieces().zip(left).zip(parts.chunks_mut(self.width));
        each(self.values.len(), tasks, |((piece, left), sums)| {
            Arch::new().dispatch(
                #[inline(always)]
                || add_rows(left, piece, sums),
            );
        });
        together(self.width, &parts)
    }

    /// Both in one pass: `left = S right` and `S^T left`.
    fn there_and_back(&self, right: &[T], left: &mut [T]) -> Vec<f64> {
        let mut parts = self.parts();
        let left = left.chunks_mut(rows_in_piece(self.width));
        let tasks = self.pieces().zip(left).zip(parts.chunks_mut(self.width));
        each(self.values.len(), tasks, |((piece, left), sums)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    // A few rows at a time, so that they are in the cache on the way back.
                    for (rows, left) in piece.chunks(FEW * self.width).zip(left.chunks_mut(FEW)) {
                        for (row, left) in rows.chunks_exact(self.width).zip(left.iter_mut()) {
                            *left = T::of(dot(row, right));
                        }
                        add_rows(left, rows, sums);
                    }
                },
            );
        });
        together(self.width, &parts)
    }
}

/// Rows that are in the cache together.
const FEW: usize = 8;

fn length(vector: impl Iterator<Item = f64>) -> f64 {
    vector.map(|x| x * x).sum::<f64>().sqrt()
}

/// The length to divide by: at least `eps`, NaN if it is NaN.
fn divisor(length: f64, eps: f64) -> f64 {
    if length < eps { eps } else { length }
}

fn normalize<T: Real>(from: &[f64], eps: f64, to: &mut [T]) {
    let by = divisor(length(from.iter().copied()), eps);
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::of(from / by);
    }
}

fn wide_dot<T: Real>(a: &[f64], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b.wide()).sum()
}

/// `n` steps of power iteration, in place; the largest singular value as `u` and `v` then have it,
/// `u . (W v)`.
///
/// A step is `u = normalize(W v)`, `v = normalize(W^T u)`, where lengths below `eps` count as `eps`
/// (`torch.nn.functional.normalize`). Without steps the value alone is computed. A matrix that is
/// stored as it is (not transposed) is read once for a step.
///
/// Source: Miyato et al., 2018, arXiv:1802.05957.
///
/// ```
/// use espalier_kernels::{Spectral, power_iteration};
/// let square = Spectral { rows: 2, columns: 2, transposed: false };
/// let (mut u, mut v) = ([0.0f64, 1.0], [0.6, 0.8]);
/// let sigma = power_iteration(&square, &[3.0, 0.0, 0.0, 1.0], &mut u, &mut v, 1e-12, 20);
/// assert!((sigma - 3.0).abs() < 1e-12 && (v[0] - 1.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// If the slices do not have the lengths said.
pub fn power_iteration<T: Real>(
    matrix: &Spectral,
    w: &[T],
    u: &mut [T],
    v: &mut [T],
    eps: f64,
    n: usize,
) -> T {
    matrix.check(w, u, v);
    if w.is_empty() {
        return T::ZERO;
    }
    let stored = matrix.stored(w);
    if n == 0 {
        let wv = if matrix.transposed { stored.transposed_times(v) } else { stored.times(v) };
        return T::of(wide_dot(&wv, u));
    }
    let mut sigma = 0.0;
    for _ in 0..n {
        let back = if matrix.transposed {
            normalize(&stored.transposed_times(v), eps, u);
            stored.times(u)
        } else {
            there_and_back(&stored, u, v, eps)
        };
        normalize(&back, eps, v);
        // `u . (W v)` is `(W^T u) . v`: no third product.
        sigma = wide_dot(&back, v);
    }
    T::of(sigma)
}

/// `u = normalize(W v)`, and `W^T u`.
fn there_and_back<T: Real>(stored: &Stored<'_, T>, u: &mut [T], v: &[T], eps: f64) -> Vec<f64> {
    let mut back = stored.there_and_back(v, u);
    let long = length(u.iter().map(|u| u.wide()));
    let by = divisor(long, eps);
    u.iter_mut().for_each(|u| *u = T::of(u.wide() / by));
    if (1e-12..1e12).contains(&long) {
        back.iter_mut().for_each(|x| *x /= by);
        back
    } else {
        // Its square may not fit single precision: once more with `u` normalized.
        stored.transposed_times(u)
    }
}

/// `W / sigma` and `sigma`, after `n` steps of [`power_iteration`] on `u` and `v`.
///
/// ```
/// use espalier_kernels::{Spectral, spectral_norm};
/// let row = Spectral { rows: 1, columns: 2, transposed: false };
/// let (mut u, mut v) = ([1.0f32], [1.0, 0.0]);
/// let (w, sigma) = spectral_norm(&row, &[3.0, 4.0], &mut u, &mut v, 1e-12, 1);
/// assert_eq!((sigma, w), (5.0, vec![0.6, 0.8]));
/// ```
///
/// # Panics
///
/// If the slices do not have the lengths said.
pub fn spectral_norm<T: Real>(
    matrix: &Spectral,
    w: &[T],
    u: &mut [T],
    v: &mut [T],
    eps: f64,
    n: usize,
) -> (Vec<T>, T) {
    let sigma = power_iteration(matrix, w, u, v, eps, n);
    let out = fresh(w.len(), |out| {
        pieces(w.len(), (out, w), |(out, w)| {
            Arch::new().dispatch(
                #[inline(always)]
                || out.writer().extend(w.iter().map(|w| *w / sigma)),
            );
        });
    });
    (out, sigma)
}

/// The gradient of [`spectral_norm`] for `W`, from that for `W / sigma`; `u` and `v` as they are
/// after it, taken for constants as in PyTorch.
///
/// `grad/sigma - <grad, W>/sigma^2 u v^T`, stored as `W` is.
///
/// ```
/// use espalier_kernels::{Spectral, spectral_norm_backward};
/// let row = Spectral { rows: 1, columns: 2, transposed: false };
/// let (w, v) = ([3.0f64, 4.0], [0.6, 0.8]);
/// let grad = spectral_norm_backward(&row, &w, &[1.0], &v, 5.0, &[0.0, 25.0]);
/// assert!((grad[0] + 2.4).abs() < 1e-12 && (grad[1] - 1.8).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// If the slices do not have the lengths said.
pub fn spectral_norm_backward<T: Real>(
    matrix: &Spectral,
    w: &[T],
    u: &[T],
    v: &[T],
    sigma: T,
    grad: &[T],
) -> Vec<T> {
    matrix.check(w, u, v);
    assert!(grad.len() == w.len(), "as many elements as said");
    let mut out = vec![T::ZERO; w.len()];
    if out.is_empty() {
        return out;
    }
    let scale = T::of(1.0 / sigma.wide());
    let along = long_dot(grad, w) / (sigma.wide() * sigma.wide());
    let (left, right) = if matrix.transposed { (v, u) } else { (u, v) };
    let width = right.len();
    let rows = rows_in_piece(width);
    let large = Pieces::new(rows * width, w.len(), (&mut out[..], grad));
    each(w.len(), large.zip(left.chunks(rows)), |((out, grad), left)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = out.chunks_exact_mut(width).zip(grad.chunks_exact(width));
                for ((out, grad), left) in rows.zip(left) {
                    let along = T::of(along * left.wide());
                    for ((out, grad), right) in out.iter_mut().zip(grad).zip(right) {
                        *out = *grad * scale - along * *right;
                    }
                }
            },
        );
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{
        self, assert_gradient, assert_near, assert_same_on_threads, numbers, single,
    };

    const EPS: f64 = 1e-12;
    const SHAPES: [(usize, usize); 6] = [(1, 1), (1, 9), (13, 1), (7, 5), (40, 129), (700, 333)];

    fn unit(n: usize, seed: u64) -> Vec<f64> {
        let x = numbers(n, seed);
        let long = test::dot(&x, &x).sqrt();
        x.iter().map(|x| x / long).collect()
    }

    fn turned<T: Copy>(rows: usize, columns: usize, w: &[T]) -> Vec<T> {
        (0..w.len()).map(|i| w[i % rows * columns + i / rows]).collect()
    }

    /// The definition, in double precision: `u`, `v`, sigma.
    fn plain(
        (rows, columns): (usize, usize),
        w: &[f64],
        (mut u, mut v): (Vec<f64>, Vec<f64>),
        n: usize,
    ) -> (Vec<f64>, Vec<f64>, f64) {
        let normalize = |x: Vec<f64>| {
            let long = test::dot(&x, &x).sqrt().max(EPS);
            x.into_iter().map(|x| x / long).collect::<Vec<_>>()
        };
        let times =
            |v: &[f64]| -> Vec<f64> { w.chunks(columns).map(|row| test::dot(row, v)).collect() };
        let back = |u: &[f64]| -> Vec<f64> {
            (0..columns).map(|j| (0..rows).map(|i| u[i] * w[i * columns + j]).sum()).collect()
        };
        for _ in 0..n {
            u = normalize(times(&v));
            v = normalize(back(&u));
        }
        let sigma = test::dot(&u, &times(&v));
        (u, v, sigma)
    }

    #[test]
    fn steps_are_those_of_the_definition_however_stored() {
        for (rows, columns) in SHAPES {
            let w = numbers(rows * columns, 1);
            for (n, transposed) in [(0, false), (0, true), (1, false), (1, true), (3, false)] {
                let matrix = Spectral { rows, columns, transposed };
                let (u, v) = (unit(rows, 2), unit(columns, 3));
                let (eu, ev, es) = plain((rows, columns), &w, (u.clone(), v.clone()), n);
                let stored = if transposed { turned(rows, columns, &w) } else { w.clone() };
                let (mut u2, mut v2) = (u.clone(), v.clone());
                let (out, sigma) = spectral_norm(&matrix, &stored, &mut u2, &mut v2, EPS, n);
                assert_near(&u2, &eu, 1e-12);
                assert_near(&v2, &ev, 1e-12);
                assert_near(&[sigma], &[es], 1e-12);
                let expected: Vec<f64> = stored.iter().map(|w| w / es).collect();
                assert_near(&out, &expected, 1e-9);

                let (mut u3, mut v3) = (single(&u), single(&v));
                let sigma = power_iteration(&matrix, &single(&stored), &mut u3, &mut v3, EPS, n);
                assert_near(&u3, &eu, 1e-6);
                assert_near(&v3, &ev, 1e-6);
                assert_near(&[sigma], &[es], 1e-6);
            }
        }
    }

    #[test]
    fn very_small_and_very_large_matrices_in_single_precision() {
        let w = numbers(15, 7);
        for scale in [1e-30, 1e30] {
            let scaled: Vec<f32> = w.iter().map(|w| (w * scale) as f32).collect();
            let eps = 1e-12 * scale;
            let matrix = Spectral { rows: 3, columns: 5, transposed: false };
            let (mut u, mut v) = (single(&unit(3, 1)), single(&unit(5, 2)));
            let sigma = power_iteration(&matrix, &scaled, &mut u, &mut v, eps, 2);
            let (eu, ev, es) = plain((3, 5), &w, (unit(3, 1), unit(5, 2)), 2);
            assert_near(&u, &eu, 1e-6);
            assert_near(&v, &ev, 1e-6);
            assert!((f64::from(sigma) / scale - es).abs() < 1e-6);
        }
    }

    #[test]
    fn gradients_are_slopes_with_the_vectors_held() {
        for (rows, columns) in [(1, 1), (4, 7), (7, 4)] {
            let given = numbers(rows * columns, 5);
            let w = numbers(rows * columns, 4);
            for transposed in [false, true] {
                let matrix = Spectral { rows, columns, transposed };
                let (mut u, mut v) = (unit(rows, 2), unit(columns, 3));
                let sigma = power_iteration(&matrix, &w, &mut u, &mut v, EPS, 1);
                let grad = spectral_norm_backward(&matrix, &w, &u, &v, sigma, &given);
                assert_gradient(&w, &grad, |w| {
                    let (mut u, mut v) = (u.clone(), v.clone());
                    test::dot(&spectral_norm(&matrix, w, &mut u, &mut v, EPS, 0).0, &given)
                });
            }
        }
    }

    #[test]
    fn zeros_have_no_direction() {
        let matrix = Spectral { rows: 2, columns: 3, transposed: false };
        let (mut u, mut v) = ([1.0f32, 0.0], [1.0, 0.0, 0.0]);
        let (w, sigma) = spectral_norm(&matrix, &[0.0; 6], &mut u, &mut v, EPS, 1);
        assert_eq!((u, v, sigma), ([0.0; 2], [0.0; 3], 0.0));
        assert!(w.iter().all(|w| w.is_nan()));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (rows, columns) = (700, 333);
        let (w, grad) = (single(&numbers(rows * columns, 1)), single(&numbers(rows * columns, 2)));
        for transposed in [false, true] {
            let matrix = Spectral { rows, columns, transposed };
            assert_same_on_threads(|| {
                let (mut u, mut v) = (single(&unit(rows, 1)), single(&unit(columns, 2)));
                let (out, sigma) = spectral_norm(&matrix, &w, &mut u, &mut v, EPS, 2);
                let back = spectral_norm_backward(&matrix, &w, &u, &v, sigma, &grad);
                (out, back, u, v)
            });
        }
    }
}

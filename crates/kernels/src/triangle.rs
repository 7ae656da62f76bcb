//! Symmetric and skew-symmetric matrices from a triangle, and the way back of their gradients.
//!
//! Mirroring reads along one side and writes along the other. In tiles both stay in the cache.

use pulp::Arch;

use crate::Real;
use crate::pieces::{PIECE, each};
use crate::tiles::{TILE, Tile, turned};

/// Symmetric matrices: the triangle that counts, diagonal included, and its mirror image.
///
/// `x` is a batch of row-major `n x n` matrices; `lower` says which triangle counts.
///
/// ```
/// use espalier_kernels::symmetric;
/// assert_eq!(symmetric(1, 2, false, &[1.0f32, 2.0, 9.0, 3.0]), [1.0, 2.0, 2.0, 3.0]);
/// assert_eq!(symmetric(1, 2, true, &[1.0f32, 2.0, 9.0, 3.0]), [1.0, 9.0, 9.0, 3.0]);
/// ```
///
/// # Panics
///
/// If `x` does not have `batch * n * n` elements.
pub fn symmetric<T: Real>(batch: usize, n: usize, lower: bool, x: &[T]) -> Vec<T> {
    mirror::<T, false>(batch, n, lower, x)
}

/// The gradient of [`symmetric`]: of the triangle that counts, the sum of both mirror images; the
/// diagonal once; elsewhere zero.
///
/// ```
/// use espalier_kernels::symmetric_backward;
/// assert_eq!(symmetric_backward(1, 2, false, &[1.0f32, 2.0, 9.0, 3.0]), [1.0, 11.0, 0.0, 3.0]);
/// ```
///
/// # Panics
///
/// If `grad` does not have `batch * n * n` elements.
pub fn symmetric_backward<T: Real>(batch: usize, n: usize, lower: bool, grad: &[T]) -> Vec<T> {
    fold::<T, false>(batch, n, lower, grad)
}

/// Skew-symmetric matrices `tri(X) - tri(X)^T`, where `tri` is the triangle that counts without the
/// diagonal.
///
/// ```
/// use espalier_kernels::skew;
/// assert_eq!(skew(1, 2, true, &[1.0f32, 2.0, 9.0, 3.0]), [0.0, -9.0, 9.0, 0.0]);
/// ```
///
/// # Panics
///
/// If `x` does not have `batch * n * n` elements.
pub fn skew<T: Real>(batch: usize, n: usize, lower: bool, x: &[T]) -> Vec<T> {
    mirror::<T, true>(batch, n, lower, x)
}

/// The gradient of [`skew`]: of the triangle that counts, the difference to the mirror image;
/// elsewhere, the diagonal included, zero.
///
/// ```
/// use espalier_kernels::skew_backward;
/// assert_eq!(skew_backward(1, 2, true, &[1.0f32, 2.0, 9.0, 3.0]), [0.0, 0.0, 7.0, 0.0]);
/// ```
///
/// # Panics
///
/// If `grad` does not have `batch * n * n` elements.
pub fn skew_backward<T: Real>(batch: usize, n: usize, lower: bool, grad: &[T]) -> Vec<T> {
    fold::<T, true>(batch, n, lower, grad)
}

/// Some rows of a matrix that is being made, as many as a tile has.
struct Strip<'a, T> {
    /// All of the matrix it is made from.
    from: &'a [T],
    n: usize,
    /// The first row.
    first: usize,
    rows: &'a mut [T],
}

/// The strips of one matrix.
fn strips_of<'a, T>(
    n: usize,
    from: &'a [T],
    to: &'a mut [T],
) -> impl Iterator<Item = Strip<'a, T>> + use<'a, T> {
    let rows = to.chunks_mut(TILE * n).enumerate();
    rows.map(move |(strip, rows)| Strip { from, n, first: strip * TILE, rows })
}

/// Does `work` on the strips of a batch.
fn strips<T: Real>(
    batch: usize,
    n: usize,
    from: &[T],
    to: &mut [T],
    work: impl Fn(Strip<'_, T>) + Sync + Send,
) {
    assert!(from.len() == batch * n * n, "as many elements as said");
    if from.is_empty() {
        return;
    }
    let (total, size) = (from.len(), n * n);
    if size > PIECE {
        let matrices = from.chunks(size).zip(to.chunks_mut(size));
        each(total, matrices.flat_map(|(from, to)| strips_of(n, from, to)), work);
    } else {
        // Whole matrices, as many as a piece has.
        let group = size * (PIECE / size);
        each(total, from.chunks(group).zip(to.chunks_mut(group)), |(from, to)| {
            let matrices = from.chunks(size).zip(to.chunks_mut(size));
            matrices.flat_map(|(from, to)| strips_of(n, from, to)).for_each(&work);
        });
    }
}

impl<T: Real> Strip<'_, T> {
    /// The row after the last.
    fn last(&self) -> usize {
        self.first + self.rows.len() / self.n
    }

    /// Rows: the index in the matrix, the row, the one it is made from.
    #[inline(always)]
    fn rows(&mut self) -> impl Iterator<Item = (usize, &mut [T], &[T])> {
        let from = self.from[self.first * self.n..].chunks_exact(self.n);
        let rows = self.rows.chunks_exact_mut(self.n).zip(from).enumerate();
        rows.map(|(index, (to, from))| (self.first + index, to, from))
    }

    /// What is mirrored to the columns `start..end` of this strip.
    #[inline(always)]
    fn image(&self, start: usize, end: usize) -> Tile<T> {
        let (first, last) = (self.first, self.last());
        let mut tile = [[T::ZERO; TILE]; TILE];
        let rows = self.from[start * self.n..end * self.n].chunks_exact(self.n);
        for (tile, row) in tile.iter_mut().zip(rows) {
            // A constant length is copied in registers.
            match row[first..last].first_chunk() {
                Some(whole) => *tile = *whole,
                None => tile[..last - first].copy_from_slice(&row[first..last]),
            }
        }
        turned(&tile)
    }

    /// Does `work` on all elements on one side of the diagonal, in runs: the elements to be made,
    /// what stands there, what stands at the mirrored place.
    #[inline(always)]
    fn with_image(&mut self, lower: bool, work: impl Fn(&mut [T], &[T], &[T])) {
        let (n, first, last) = (self.n, self.first, self.last());
        let image = self.image(first, last);
        for ((i, to, from), image) in self.rows().zip(&image) {
            let side = if lower { first..i } else { i + 1..last };
            let image = &image[side.start - first..side.end - first];
            work(&mut to[side.clone()], &from[side], image);
        }
        let side = if lower { 0..first } else { last..n };
        for start in side.clone().step_by(TILE) {
            let end = (start + TILE).min(side.end);
            let image = self.image(start, end);
            for ((_, to, from), image) in self.rows().zip(&image) {
                let (to, from) = (&mut to[start..end], &from[start..end]);
                match (to.first_chunk_mut::<TILE>(), from.first_chunk::<TILE>()) {
                    (Some(to), Some(from)) => work(to, from, image),
                    _ => work(to, from, &image[..end - start]),
                }
            }
        }
    }
}

/// A copy of a row, some hundred bytes at a time: long copies by the system stumble where both sides
/// lie at the same place in a page, as rows of two matrices do.
#[inline(always)]
fn copy<T: Real>(to: &mut [T], from: &[T]) {
    for (to, from) in to.chunks_mut(TILE).zip(from.chunks(TILE)) {
        match (to.first_chunk_mut::<TILE>(), from.first_chunk::<TILE>()) {
            (Some(to), Some(from)) => *to = *from,
            _ => to.copy_from_slice(from),
        }
    }
}

fn mirror<T: Real, const SKEW: bool>(batch: usize, n: usize, lower: bool, x: &[T]) -> Vec<T> {
    let mut out = vec![T::ZERO; x.len()];
    strips(batch, n, x, &mut out, |mut strip| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (i, to, from) in strip.rows() {
                    let own = match (lower, SKEW) {
                        (true, true) => 0..i,
                        (true, false) => 0..i + 1,
                        (false, true) => i + 1..n,
                        (false, false) => i..n,
                    };
                    copy(&mut to[own.clone()], &from[own]);
                }
                strip.with_image(
                    !lower,
                    #[inline(always)]
                    |to, _, image| {
                        for (to, image) in to.iter_mut().zip(image) {
                            *to = if SKEW { -*image } else { *image };
                        }
                    },
                );
            },
        );
    });
    out
}

fn fold<T: Real, const SKEW: bool>(batch: usize, n: usize, lower: bool, grad: &[T]) -> Vec<T> {
    let mut out = vec![T::ZERO; grad.len()];
    strips(batch, n, grad, &mut out, |mut strip| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                if !SKEW {
                    strip.rows().for_each(|(i, to, from)| to[i] = from[i]);
                }
                strip.with_image(
                    lower,
                    #[inline(always)]
                    |to, own, image| {
                        for (to, (own, image)) in to.iter_mut().zip(own.iter().zip(image)) {
                            *to = if SKEW { *own - *image } else { *own + *image };
                        }
                    },
                );
            },
        );
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{self, assert_gradient, assert_same_on_threads, numbers};

    fn plain(batch: usize, n: usize, of: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
        let size = n * n;
        (0..batch * size).map(|at| of(at / size * size, at % size / n, at % n)).collect()
    }

    #[test]
    fn every_size_gives_what_plain_loops_give() {
        let batches = [(1, 1), (3, 1), (2, 2), (5, 7), (1, 31), (1, 32), (2, 33), (1, 100)];
        for (batch, n) in batches.into_iter().chain([(200, 31), (1, 300), (2, 512), (2, 417)]) {
            let x = numbers(batch * n * n, 1);
            for lower in [false, true] {
                let at = |b: usize, i: usize, j: usize| x[b + i * n + j];
                let counts = |i: usize, j: usize| if lower { j < i } else { j > i };
                let expected =
                    plain(
                        batch,
                        n,
                        |b, i, j| {
                            if i == j || counts(i, j) { at(b, i, j) } else { at(b, j, i) }
                        },
                    );
                assert!(symmetric(batch, n, lower, &x) == expected, "{batch} {n} {lower}");
                let expected = plain(batch, n, |b, i, j| match () {
                    () if i == j => at(b, i, j),
                    () if counts(i, j) => at(b, i, j) + at(b, j, i),
                    () => 0.0,
                });
                assert!(symmetric_backward(batch, n, lower, &x) == expected, "{batch} {n} {lower}");
                let expected = plain(batch, n, |b, i, j| match () {
                    () if i == j => 0.0,
                    () if counts(i, j) => at(b, i, j),
                    () => -at(b, j, i),
                });
                assert!(skew(batch, n, lower, &x) == expected, "{batch} {n} {lower}");
                let expected =
                    plain(
                        batch,
                        n,
                        |b, i, j| {
                            if counts(i, j) { at(b, i, j) - at(b, j, i) } else { 0.0 }
                        },
                    );
                assert!(skew_backward(batch, n, lower, &x) == expected, "{batch} {n} {lower}");
            }
        }
    }

    #[test]
    fn single_precision_too() {
        let x: Vec<f32> = (0..70 * 70).map(|i| i as f32).collect();
        let w = symmetric(1, 70, true, &x);
        assert!((0..x.len()).all(|at| {
            let (i, j) = (at / 70, at % 70);
            w[at] == x[i.max(j) * 70 + i.min(j)]
        }));
    }

    #[test]
    fn gradients_are_slopes() {
        let (batch, n) = (2, 35);
        let (x, given) = (numbers(batch * n * n, 1), numbers(batch * n * n, 2));
        for lower in [false, true] {
            let grad = symmetric_backward(batch, n, lower, &given);
            assert_gradient(&x, &grad, |x| test::dot(&symmetric(batch, n, lower, x), &given));
            let grad = skew_backward(batch, n, lower, &given);
            assert_gradient(&x, &grad, |x| test::dot(&skew(batch, n, lower, x), &given));
        }
    }

    #[test]
    fn no_elements_no_work() {
        assert!(symmetric::<f32>(0, 3, true, &[]).is_empty());
        assert!(skew_backward::<f64>(4, 0, true, &[]).is_empty());
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let x = numbers(3 * 300 * 300, 1);
        assert_same_on_threads(|| symmetric(3, 300, true, &x));
        assert_same_on_threads(|| skew_backward(3, 300, false, &x));
    }
}

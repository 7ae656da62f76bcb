//! Symmetric and skew-symmetric matrices from a triangle, and the way back of their gradients.
//!
//! Mirroring reads along one side and writes along the other. In tiles both stay in the cache.

use pulp::Arch;

use crate::Real;
use crate::pieces::{PIECE, each};

/// Side of a tile.
const TILE: usize = 32;
/// Side of the blocks that a tile is turned in: a register of `f32`.
const BLOCK: usize = 8;

type Tile<T> = [[T; TILE]; TILE];

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
    fn last(&self) -> usize {
        self.first + self.rows.len() / self.n
    }

    /// Columns of this strip, beside the tile on the diagonal, on one side of it.
    #[inline(always)]
    fn side(&self, lower: bool) -> std::ops::Range<usize> {
        if lower { 0..self.first } else { self.last()..self.n }
    }

    /// Does `work` on parts of rows on one side of the diagonal: elements, and their mirror images.
    #[inline(always)]
    fn with_mirror_image(&mut self, lower: bool, work: impl Fn(&mut [T], &[T], &[T])) {
        let (n, first, last) = (self.n, self.first, self.last());
        let mut image = [[T::ZERO; TILE]; TILE];
        let side = self.side(lower);
        for start in side.clone().step_by(TILE) {
            let end = (start + TILE).min(side.end);
            for (row, image) in (start..end).zip(&mut image) {
                let from = &self.from[row * n + first..row * n + last];
                match from.first_chunk() {
                    Some(whole) => *image = *whole,
                    None => image[..from.len()].copy_from_slice(from),
                }
            }
            let image = turned(&image);
            for (index, image) in image[..last - first].iter().enumerate() {
                let columns = index * n + start..index * n + end;
                let from = &self.from[first * n..][columns.clone()];
                work(&mut self.rows[columns], from, &image[..end - start]);
            }
        }
    }

    /// Does `work` on the tile on the diagonal: row, column, element, own, mirror image.
    #[inline(always)]
    fn on_diagonal(&mut self, work: impl Fn(usize, usize, T, T) -> T) {
        for i in self.first..self.last() {
            for j in self.first..self.last() {
                let (own, image) = (self.from[i * self.n + j], self.from[j * self.n + i]);
                self.rows[(i - self.first) * self.n + j] = work(i, j, own, image);
            }
        }
    }
}

#[inline(always)]
fn turned<T: Real>(tile: &Tile<T>) -> Tile<T> {
    let mut out = [[T::ZERO; TILE]; TILE];
    for i in (0..TILE).step_by(BLOCK) {
        for j in (0..TILE).step_by(BLOCK) {
            for row in 0..BLOCK {
                for column in 0..BLOCK {
                    out[i + row][j + column] = tile[j + column][i + row];
                }
            }
        }
    }
    out
}

fn counts(lower: bool, i: usize, j: usize) -> bool {
    if lower { j < i } else { j > i }
}

fn mirror<T: Real, const SKEW: bool>(batch: usize, n: usize, lower: bool, x: &[T]) -> Vec<T> {
    let mut out = vec![T::ZERO; x.len()];
    strips(batch, n, x, &mut out, |mut strip| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let own = strip.side(lower);
                let (first, last) = (strip.first, strip.last());
                for (to, i) in strip.rows.chunks_exact_mut(n).zip(first..last) {
                    to[own.clone()].copy_from_slice(&strip.from[i * n..][own.clone()]);
                }
                strip.with_mirror_image(
                    !lower,
                    #[inline(always)]
                    |to, _, image| {
                        for (to, image) in to.iter_mut().zip(image) {
                            *to = if SKEW { -*image } else { *image };
                        }
                    },
                );
                strip.on_diagonal(
                    #[inline(always)]
                    |i, j, own, image| match (i == j, SKEW) {
                        (true, true) => T::ZERO,
                        (true, false) => own,
                        _ if counts(lower, i, j) => own,
                        (_, true) => -image,
                        (_, false) => image,
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
                strip.with_mirror_image(
                    lower,
                    #[inline(always)]
                    |to, own, image| {
                        for (to, (own, image)) in to.iter_mut().zip(own.iter().zip(image)) {
                            *to = if SKEW { *own - *image } else { *own + *image };
                        }
                    },
                );
                strip.on_diagonal(
                    #[inline(always)]
                    |i, j, own, image| match (i == j, SKEW) {
                        (true, false) => own,
                        (false, true) if counts(lower, i, j) => own - image,
                        (false, false) if counts(lower, i, j) => own + image,
                        _ => T::ZERO,
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

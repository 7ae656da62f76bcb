//! Matrices read along their columns, in square tiles: so that both what is read and what is written
//! stay in the cache.

use std::ops::Range;

use pulp::Arch;

use crate::Real;
use crate::pieces::each;

/// Side of a tile.
pub(crate) const TILE: usize = 64;

/// Rows of a block.
pub(crate) type Tile<T> = [[T; TILE]; TILE];

/// A row-major matrix, `stride` elements from one row to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) stride: usize,
}

impl<T: Real> Rows<'_, T> {
    /// The transpose of a block of at most [`TILE`] rows and columns.
    #[inline(always)]
    fn image(&self, rows: Range<usize>, columns: Range<usize>) -> Tile<T> {
        let mut tile = [[T::ZERO; TILE]; TILE];
        for (tile, row) in tile.iter_mut().zip(rows) {
            let row = &self.values[row * self.stride..][columns.clone()];
            // A constant length is copied in registers.
            match row.first_chunk() {
                Some(whole) => *tile = *whole,
                None => tile[..row.len()].copy_from_slice(row),
            }
        }
        turned(&tile)
    }
}

/// The transpose.
#[inline(always)]
pub(crate) fn turned<T: Real>(tile: &Tile<T>) -> Tile<T> {
    let mut out = [[T::ZERO; TILE]; TILE];
    for (i, row) in out.iter_mut().enumerate() {
        for (j, to) in row.iter_mut().enumerate() {
            *to = tile[j][i];
        }
    }
    out
}

/// Does `work` on every run of a matrix that lies in one tile: the row and the columns, the run, and
/// what stands there in the transpose of `from`; on all threads if that pays.
///
/// Rows of `values` are `stride` elements apart, of which the first `columns` count.
pub(crate) fn with_transpose<T: Real>(
    values: &mut [T],
    stride: usize,
    columns: usize,
    from: Rows<'_, T>,
    work: impl Fn(usize, Range<usize>, &mut [T], &[T]) + Sync + Send,
) {
    let bands = values.len().div_ceil((TILE * stride).max(1));
    let tasks = values.chunks_mut((TILE * stride).max(1)).zip(0..bands);
    each(bands * TILE * stride, tasks, |(band, index)| {
        let first = index * TILE;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for start in (0..columns).step_by(TILE) {
                    let along = start..columns.min(start + TILE);
                    let image = from.image(along.clone(), first..first + band.len() / stride);
                    for (local, (row, image)) in band.chunks_mut(stride).zip(&image).enumerate() {
                        let (run, image) = (&mut row[along.clone()], &image[..along.len()]);
                        work(first + local, along.clone(), run, image);
                    }
                }
            },
        );
    });
}

/// Writes the transpose of `from`.
pub(crate) fn transpose<T: Real>(
    values: &mut [T],
    stride: usize,
    columns: usize,
    from: Rows<'_, T>,
) {
    with_transpose(
        values,
        stride,
        columns,
        from,
        #[inline(always)]
        |_, _, to, image| match (to.first_chunk_mut::<TILE>(), image.first_chunk::<TILE>()) {
            (Some(to), Some(image)) => *to = *image,
            _ => to.copy_from_slice(image),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_same_on_threads, numbers};

    #[test]
    fn every_element_stands_at_its_mirrored_place() {
        for (rows, columns) in [(1, 1), (5, 70), (64, 64), (130, 3), (300, 500)] {
            for (stride, other) in [(columns, rows), (columns + 3, rows + 16)] {
                let from = numbers(columns * other, 1);
                let write = || {
                    let mut to = vec![7.0; rows * stride];
                    transpose(&mut to, stride, columns, Rows { values: &from, stride: other });
                    to
                };
                let to = write();
                for (i, row) in to.chunks(stride).enumerate() {
                    for (j, x) in row.iter().enumerate() {
                        let expected = if j < columns { from[j * other + i] } else { 7.0 };
                        assert_eq!(*x, expected, "{rows} {columns}: ({i}, {j})");
                    }
                }
                assert_same_on_threads(write);
            }
        }
        transpose::<f32>(&mut [], 0, 0, Rows { values: &[], stride: 0 });
    }
}

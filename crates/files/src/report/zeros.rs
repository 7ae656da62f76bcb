//! Where the zeros of a matrix are.

use serde::{Serialize, Serializer};

/// The share of zeros in each cell of a matrix that is cut into at most `side x side` of them: rows are the first
/// dimension, columns all others together. One row of a square number of values, 16 or more, is taken as a square:
/// the mask of an image's pixels.
///
/// ```
/// # use std::sync::Arc;
/// # use espalier_checkpoint::{Checkpoint, NamedTensor};
/// # use espalier_files::{Detail, Silent, measure};
/// let tensor = NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, 2.0, 3.0])?;
/// let measured = measure(&tensor, Detail::default(), &Arc::new(Silent))?;
/// let zeros = measured.zeros.unwrap();
/// assert_eq!((zeros.rows, zeros.columns, zeros.shares), (2, 2, vec![1.0, 0.0, 0.0, 0.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZeroMap {
    /// Cells from top to bottom.
    pub rows: usize,
    /// Cells from left to right.
    pub columns: usize,
    /// The share of zeros in each cell, row by row, from 0 to 1.
    ///
    /// Serialized as a text of a letter a cell, in 36 steps from `0` (none) to `z` (all); what is neither none nor all
    /// is neither `0` nor `z`.
    #[serde(serialize_with = "letters")]
    pub shares: Vec<f64>,
}

/// Steps of a share between nothing and all.
const STEPS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn letters<S: Serializer>(shares: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    let last = STEPS.len() - 1;
    let letter = |share: &f64| {
        let step = match *share {
            share if share <= 0.0 => 0,
            share if share >= 1.0 => last,
            share => ((share * last as f64).round() as usize).clamp(1, last - 1),
        };
        char::from(STEPS[step])
    };
    serializer.serialize_str(&shares.iter().map(letter).collect::<String>())
}

/// How a matrix is cut into cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zeros {
    rows: usize,
    columns: usize,
    side: usize,
}

impl Zeros {
    /// For a tensor of that shape, if it has two dimensions or more and an element.
    pub(crate) fn new(shape: &[usize], side: usize) -> Option<Self> {
        let (rows, rest) = shape.split_first()?;
        let columns: usize = rest.iter().product();
        // One row of a square number of values is a picture: the mask of an image's pixels.
        let root = columns.isqrt();
        if *rows == 1 && root >= 4 && root * root == columns && side > 0 {
            return Some(Self { rows: root, columns: root, side });
        }
        (!rest.is_empty() && *rows > 0 && columns > 0 && side > 0).then_some(Self {
            rows: *rows,
            columns,
            side,
        })
    }

    fn cells(&self) -> (usize, usize) {
        (self.rows.min(self.side), self.columns.min(self.side))
    }

    /// How many zeros these values add to which cell.
    pub(crate) fn of(&self, first: usize, values: &[f64]) -> Vec<(usize, u64)> {
        let (down, across) = self.cells();
        let mut found: Vec<(usize, u64)> = Vec::new();
        let (mut at, mut left) = (first, values);
        while !left.is_empty() {
            let (row, column) = (at / self.columns, at % self.columns);
            let cell = cell(column, self.columns, across);
            let length = (start(cell + 1, self.columns, across) - column).min(left.len());
            let (run, rest) = left.split_at(length);
            let zeros = run.iter().filter(|value| **value == 0.0).count() as u64;
            if zeros > 0 {
                let place = self::cell(row, self.rows, down) * across + cell;
                match found.last_mut() {
                    Some((last, count)) if *last == place => *count += zeros,
                    _ => found.push((place, zeros)),
                }
            }
            (at, left) = (at + length, rest);
        }
        found
    }

    /// The map, from the zeros of all cells.
    pub(crate) fn map(&self, counts: &[u64]) -> ZeroMap {
        let (rows, columns) = self.cells();
        let size =
            |place: usize, all, cells| start(place + 1, all, cells) - start(place, all, cells);
        let share = |(place, count): (usize, &u64)| {
            let (row, column) = (place / columns, place % columns);
            let elements = size(row, self.rows, rows) * size(column, self.columns, columns);
            *count as f64 / elements as f64
        };
        ZeroMap { rows, columns, shares: counts.iter().enumerate().map(share).collect() }
    }

    pub(crate) fn none(&self) -> Vec<u64> {
        let (rows, columns) = self.cells();
        vec![0; rows * columns]
    }
}

/// Where a cell begins, of `cells` that share `all` places.
fn start(cell: usize, all: usize, cells: usize) -> usize {
    // In the wider type, for the product of two sizes may be too large.
    (cell as u128 * all as u128).div_ceil(cells as u128) as usize
}

/// The cell of a place.
fn cell(place: usize, all: usize, cells: usize) -> usize {
    (place as u128 * cells as u128 / all as u128) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_of_a_square_number_is_a_picture() {
        let cells = |shape: &[usize]| Zeros::new(shape, 128).map(|zeros| zeros.cells());
        assert_eq!(cells(&[1, 64]), Some((8, 8)));
        assert_eq!(cells(&[1, 1, 16]), Some((4, 4)));
        assert_eq!(cells(&[1, 9]), Some((1, 9)), "too small to be one");
        assert_eq!(cells(&[1, 65]), Some((1, 65)));
        assert_eq!(cells(&[2, 64]), Some((2, 64)));
    }

    fn map(shape: &[usize], side: usize, values: &[f64], cut: usize) -> ZeroMap {
        let zeros = Zeros::new(shape, side).unwrap();
        let mut counts = zeros.none();
        let (a, b) = values.split_at(cut);
        for (place, count) in zeros.of(0, a).into_iter().chain(zeros.of(cut, b)) {
            counts[place] += count;
        }
        zeros.map(&counts)
    }

    proptest! {
        #[test]
        fn cells_begin_where_the_one_before_ends(all in 1..400usize, side in 1..150usize) {
            let cells = all.min(side);
            prop_assert_eq!((start(0, all, cells), start(cells, all, cells)), (0, all));
            for place in 0..all {
                let found = cell(place, all, cells);
                prop_assert!(start(found, all, cells) <= place);
                prop_assert!(place < start(found + 1, all, cells));
            }
        }

        #[test]
        fn the_map_holds_every_zero(
            rows in 2..40usize,
            columns in 1..40usize,
            side in 1..20usize,
            seed in any::<u64>(),
        ) {
            let count = rows * columns;
            let bits = |i: usize| seed.rotate_left(i as u32).wrapping_mul(i as u64 + 3) >> 63;
            let values: Vec<f64> = (0..count).map(|i| bits(i) as f64).collect();
            let map = map(&[rows, columns], side, &values, seed as usize % count);
            let size = |place, all, cells| start(place + 1, all, cells) - start(place, all, cells);
            let zeros: f64 = map.shares.iter().enumerate().map(|(place, share)| {
                let (row, column) = (place / map.columns, place % map.columns);
                share * (size(row, rows, map.rows) * size(column, columns, map.columns)) as f64
            }).sum();
            let expected = values.iter().filter(|value| **value == 0.0).count() as f64;
            prop_assert!((zeros - expected).abs() < 1e-9 * count as f64);
            prop_assert!(map.shares.iter().all(|share| (0.0..=1.0).contains(share)));
        }
    }

    #[test]
    fn a_cell_holds_the_share_of_its_block() {
        let mut values = vec![1.0; 24];
        // The lower right quarter of a 4 x 6 matrix, and one element of the upper left one.
        for place in [0, 15, 16, 17, 21, 22, 23] {
            values[place] = 0.0;
        }
        let map = map(&[4, 3, 2], 2, &values, 7);
        assert_eq!(map.shares, [1.0 / 6.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn only_none_and_all_are_written_so() {
        let shares = vec![0.0, 1e-9, 0.5, 1.0 - 1e-9, 1.0];
        let map = ZeroMap { rows: 1, columns: 5, shares };
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(json, r#"{"rows":1,"columns":5,"shares":"01iyz"}"#);
    }

    #[test]
    fn no_map_of_vectors_or_nothing() {
        for shape in [&[][..], &[5], &[0, 3], &[3, 0]] {
            assert!(Zeros::new(shape, 8).is_none());
        }
        assert!(Zeros::new(&[1, 1], 0).is_none());
    }
}

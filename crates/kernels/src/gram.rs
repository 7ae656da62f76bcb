//! How far a matrix is from one with a property: orthonormal rows or columns, symmetry.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, Par};

use crate::pieces::each;
use crate::{DenseError, Real};

/// Multiplications below which threads cost more than they give.
const PARALLEL: usize = 1 << 22;

/// Side of the blocks in which a matrix is held against its transpose.
const TILE: usize = 64;

/// The element that is furthest from what it should be.
///
/// ```
/// use espalier_kernels::{Departure, asymmetry};
/// let found = asymmetry(2, &[1.0, 2.0, 5.0, 1.0])?;
/// assert_eq!(found, Some(Departure { row: 1, column: 0, value: 5.0, expected: 2.0 }));
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Departure {
    /// Its row.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// What stands there.
    pub value: f64,
    /// What should.
    pub expected: f64,
}

impl Departure {
    /// How far the value is off; infinite if it is not a number.
    ///
    /// ```
    /// use espalier_kernels::Departure;
    /// let found = Departure { row: 0, column: 0, value: f64::NAN, expected: 1.0 };
    /// assert_eq!(found.off(), f64::INFINITY);
    /// ```
    pub fn off(&self) -> f64 {
        let off = (self.value - self.expected).abs();
        if off.is_nan() { f64::INFINITY } else { off }
    }

    /// The one that is further off, the first of equal ones.
    fn worse(self, other: Self) -> Self {
        if other.off() > self.off() { other } else { self }
    }
}

/// The element of the smaller Gram matrix of a row-major matrix that is furthest from the identity: of `A^T A` if there
/// are no more columns than rows, and of `A A^T` otherwise. None of an empty matrix.
///
/// ```
/// use espalier_kernels::{Departure, orthogonality};
/// // Two orthogonal columns, the second of length 2.
/// let found = orthogonality(3, 2, &[1.0, 0.0, 0.0, 2.0, 0.0, 0.0])?;
/// assert_eq!(found, Some(Departure { row: 1, column: 1, value: 4.0, expected: 1.0 }));
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] for a slice of another length.
pub fn orthogonality<T: Real>(
    rows: usize,
    columns: usize,
    values: &[T],
) -> Result<Option<Departure>, DenseError> {
    T::orthogonality(rows, columns, values)
}

pub(crate) fn orthogonality_of<T: Real>(
    rows: usize,
    columns: usize,
    values: &[T],
) -> Result<Option<Departure>, DenseError> {
    check(rows, columns, values)?;
    let matrix = MatRef::from_row_major_slice(values, rows, columns);
    let (n, tall) = if columns <= rows { (columns, matrix) } else { (rows, matrix.transpose()) };
    let mut gram = vec![T::ZERO; n * n];
    let par = if n * n * rows.max(columns) < PARALLEL { Par::Seq } else { Par::rayon(0) };
    matmul(
        MatMut::from_row_major_slice_mut(&mut gram, n, n),
        BlockStructure::TriangularLower,
        Accum::Replace,
        tall.transpose(),
        BlockStructure::Rectangular,
        tall,
        BlockStructure::Rectangular,
        T::of(1.0),
        par,
    );
    let mut found: Option<Departure> = None;
    for (row, values) in gram.chunks_exact(n.max(1)).enumerate() {
        for (column, value) in values[..=row].iter().enumerate() {
            let expected = if row == column { 1.0 } else { 0.0 };
            let here = Departure { row, column, value: value.wide(), expected };
            found = Some(found.map_or(here, |found| found.worse(here)));
        }
    }
    Ok(found)
}

/// The element below the diagonal of an `n x n` matrix that is furthest from the one that mirrors it. None if there is no
/// element below the diagonal.
///
/// See [`Departure`] for an example.
///
/// # Errors
///
/// [`DenseError::Length`] for a slice of another length.
pub fn asymmetry<T: Real>(n: usize, values: &[T]) -> Result<Option<Departure>, DenseError> {
    check(n, n, values)?;
    let bands = n.div_ceil(TILE);
    let mut found: Vec<Option<Departure>> = vec![None; bands];
    each(n * n, found.iter_mut().enumerate(), |(band, found)| {
        let rows = band * TILE..n.min((band + 1) * TILE);
        for first in (0..rows.end).step_by(TILE) {
            for row in rows.clone() {
                for column in first..row.min(first + TILE) {
                    let (value, mirrored) = (values[row * n + column], values[column * n + row]);
                    if value != mirrored {
                        let (value, expected) = (value.wide(), mirrored.wide());
                        let here = Departure { row, column, value, expected };
                        *found = Some(found.map_or(here, |found| found.worse(here)));
                    }
                }
            }
        }
    });
    let first = (n > 1).then(|| Departure {
        row: 1,
        column: 0,
        value: values[n].wide(),
        expected: values[1].wide(),
    });
    let worst = found.into_iter().flatten().reduce(Departure::worse);
    Ok(worst.or(first))
}

fn check<T>(rows: usize, columns: usize, values: &[T]) -> Result<(), DenseError> {
    if rows.checked_mul(columns) == Some(values.len()) {
        return Ok(());
    }
    Err(DenseError::Length { rows, columns, found: values.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_same_on_threads, numbers, single};

    #[test]
    fn the_furthest_of_all_products() {
        for (rows, columns) in [(1, 1), (7, 3), (3, 7), (70, 40), (200, 300)] {
            let values = numbers(rows * columns, 3);
            let found = orthogonality(rows, columns, &values).unwrap().unwrap();
            let n = rows.min(columns);
            let product = |i: usize, j: usize| -> f64 {
                if columns <= rows {
                    (0..rows).map(|k| values[k * columns + i] * values[k * columns + j]).sum()
                } else {
                    (0..columns).map(|k| values[i * columns + k] * values[j * columns + k]).sum()
                }
            };
            let off = |i, j| (product(i, j) - if i == j { 1.0 } else { 0.0 }).abs();
            let most = (0..n).flat_map(|i| (0..=i).map(move |j| (i, j)));
            let most = most.map(|(i, j)| off(i, j)).fold(0.0, f64::max);
            assert!((found.off() - most).abs() < 1e-12, "{rows} {columns}: {found:?}, {most}");
            assert!((off(found.row, found.column) - most).abs() < 1e-12);
            let narrow = orthogonality(rows, columns, &single(&values)).unwrap().unwrap();
            assert!((narrow.off() - most).abs() < 1e-4, "{narrow:?}");
        }
        assert_eq!(orthogonality::<f32>(0, 3, &[]).unwrap(), None);
        assert!(orthogonality(2, 2, &[1.0f32]).is_err());
    }

    #[test]
    fn a_nan_is_infinitely_far() {
        let mut values = vec![0.0f32; 25];
        (0..5).for_each(|i| values[6 * i] = 1.0);
        assert_eq!(orthogonality(5, 5, &values).unwrap().unwrap().off(), 0.0);
        assert_eq!(asymmetry(5, &values).unwrap().unwrap().off(), 0.0);
        values[7] = f32::NAN;
        assert_eq!(orthogonality(5, 5, &values).unwrap().unwrap().off(), f64::INFINITY);
        let found = asymmetry(5, &values).unwrap().unwrap();
        assert_eq!((found.off(), found.row, found.column), (f64::INFINITY, 2, 1));
    }

    #[test]
    fn every_pair_is_looked_at() {
        let n = 150;
        for (row, column) in [(149, 0), (64, 63), (1, 0), (149, 148), (70, 3)] {
            let mut values = vec![0.5f64; n * n];
            values[column * n + row] = 0.75;
            let found = asymmetry(n, &values).unwrap().unwrap();
            assert_eq!((found.row, found.column, found.off()), (row, column, 0.25));
        }
        let values = numbers(400 * 400, 1);
        assert_same_on_threads(|| asymmetry(400, &values).unwrap());
        assert_eq!(asymmetry(1, &[3.0f64]).unwrap(), None);
    }
}

//! Dense factorizations of small square and tall matrices, row-major, by `faer`.

use faer::MatRef;
use faer::linalg::solvers::DenseSolveCore;

use crate::Real;

/// Why a factorization gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DenseError {
    /// The slice does not hold a matrix of that shape.
    #[error("expected {rows} x {columns} = {} values, found {found}", rows * columns)]
    Length {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Values given.
        found: usize,
    },
    /// The matrix has no inverse, or holds a value that is not finite.
    #[error("the {n} x {n} matrix is singular or not finite")]
    Singular {
        /// Side of the matrix.
        n: usize,
    },
    /// More columns than rows: they cannot be orthonormal.
    #[error("{columns} columns of {rows} values cannot be orthonormal; transpose the matrix first")]
    Wide {
        /// Rows given.
        rows: usize,
        /// Columns given.
        columns: usize,
    },
}

fn view<T: Real>(rows: usize, columns: usize, values: &[T]) -> Result<MatRef<'_, T>, DenseError> {
    if rows.checked_mul(columns) != Some(values.len()) {
        return Err(DenseError::Length { rows, columns, found: values.len() });
    }
    Ok(MatRef::from_row_major_slice(values, rows, columns))
}

/// The inverse of an `n x n` row-major matrix, by LU with partial pivoting.
///
/// ```
/// use espalier_kernels::inverse;
/// let inv = inverse(2, &[2.0f64, 0.0, 0.0, 4.0])?;
/// assert_eq!(inv, [0.5, 0.0, 0.0, 0.25]);
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] if the slice is not `n * n` long, [`DenseError::Singular`] if the result
/// is not finite.
pub fn inverse<T: Real>(n: usize, values: &[T]) -> Result<Vec<T>, DenseError> {
    let matrix = view(n, n, values)?;
    let inverted = matrix.partial_piv_lu().inverse();
    let mut out = Vec::with_capacity(values.len());
    for row in 0..n {
        for column in 0..n {
            out.push(inverted[(row, column)]);
        }
    }
    if out.iter().all(|x| x.finite()) { Ok(out) } else { Err(DenseError::Singular { n }) }
}

/// The orthogonal factor of a tall row-major matrix, signs chosen so that `R` has a non-negative
/// diagonal.
///
/// For `A = QR` with `A` of `rows x columns`, `rows >= columns`, the result is `Q` (the same
/// shape). With a non-negative diagonal of `R` the factorization is unique, so that an orthogonal
/// `A` comes back as it is.
///
/// ```
/// use espalier_kernels::orthonormal_columns;
/// let q = orthonormal_columns(2, 2, &[0.0f64, -3.0, 2.0, 0.0])?;
/// assert!((q[1] + 1.0).abs() < 1e-12 && (q[2] - 1.0).abs() < 1e-12);
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] for a slice of another length, [`DenseError::Wide`] for more columns than
/// rows, [`DenseError::Singular`] if a value is not finite.
pub fn orthonormal_columns<T: Real>(
    rows: usize,
    columns: usize,
    values: &[T],
) -> Result<Vec<T>, DenseError> {
    let matrix = view(rows, columns, values)?;
    if rows < columns {
        return Err(DenseError::Wide { rows, columns });
    }
    let factors = matrix.qr();
    let q = factors.compute_thin_Q();
    let r = factors.thin_R();
    let mut out = Vec::with_capacity(values.len());
    for row in 0..rows {
        for column in 0..columns {
            let value = q[(row, column)];
            out.push(if r[(column, column)] < T::ZERO { -value } else { value });
        }
    }
    if out.iter().all(|x| x.finite()) { Ok(out) } else { Err(DenseError::Singular { n: columns }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudo_random(n: usize) -> Vec<f64> {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        (0..n)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            })
            .collect()
    }

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        for n in [1, 2, 7, 33] {
            let a = pseudo_random(n * n);
            let b = inverse(n, &a).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let dot: f64 = (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-9, "n {n}, ({i}, {j}): {dot}");
                }
            }
        }
    }

    #[test]
    fn a_singular_matrix_is_an_error() {
        assert_eq!(inverse(2, &[1.0f64, 2.0, 2.0, 4.0]), Err(DenseError::Singular { n: 2 }));
        assert!(matches!(inverse(2, &[1.0f32]), Err(DenseError::Length { found: 1, .. })));
    }

    #[test]
    fn columns_come_out_orthonormal_and_an_orthogonal_matrix_is_kept() {
        let (rows, columns) = (9, 4);
        let q = orthonormal_columns(rows, columns, &pseudo_random(rows * columns)).unwrap();
        for i in 0..columns {
            for j in 0..columns {
                let dot: f64 = (0..rows).map(|k| q[k * columns + i] * q[k * columns + j]).sum();
                assert!((dot - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12);
            }
        }
        let again = orthonormal_columns(rows, columns, &q).unwrap();
        assert!(q.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(matches!(
            orthonormal_columns(1, 2, &[1.0f32, 2.0]),
            Err(DenseError::Wide { rows: 1, columns: 2 })
        ));
    }
}

//! Dense factorizations of small square and tall matrices, row-major, by `faer`.

use faer::linalg::solvers::DenseSolveCore;
use faer::{MatRef, Side};

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
    /// Values that are not finite, or iterations that did not end.
    #[error("the {rows} x {columns} matrix cannot be decomposed: a value is not finite")]
    Decomposition {
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

/// The values of a matrix, row-major.
fn row_major<T: Real>(matrix: MatRef<'_, T>) -> Vec<T> {
    let (rows, columns) = matrix.shape();
    (0..rows * columns).map(|i| matrix[(i / columns, i % columns)]).collect()
}

fn all_finite<T: Real>(parts: &[&[T]], rows: usize, columns: usize) -> Result<(), DenseError> {
    if parts.iter().all(|part| part.iter().all(|x| x.finite())) {
        return Ok(());
    }
    Err(DenseError::Decomposition { rows, columns })
}

/// The Householder reflectors of a tall row-major matrix, as LAPACK's `geqrf` leaves them, with a
/// sign on the diagonal.
///
/// For `A = QR` with `A` of `rows x columns`: below the diagonal the vectors `v_i` (whose element
/// `i` is 1), above it `R`, and on it `d_i = +1` or `-1`, so that
/// `H_1 .. H_columns diag(d)`, with `H_i = I - 2 v_i v_i^T / |v_i|^2`, is the orthogonal factor
/// with a non-negative diagonal of `R`. Where LAPACK takes no reflection (a column that is zero
/// below the diagonal) `v_i` is a unit vector and the sign makes up for it.
///
/// ```
/// use espalier_kernels::householder_reflectors;
/// // The identity: two reflections of unit vectors, turned back.
/// assert_eq!(householder_reflectors(2, 2, &[1.0f64, 0.0, 0.0, 1.0])?, [-1.0, 0.0, 0.0, -1.0]);
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] for a slice of another length, [`DenseError::Wide`] for more columns than
/// rows, [`DenseError::Decomposition`] if a value is not finite.
pub fn householder_reflectors<T: Real>(
    rows: usize,
    columns: usize,
    values: &[T],
) -> Result<Vec<T>, DenseError> {
    let matrix = view(rows, columns, values)?;
    if rows < columns {
        return Err(DenseError::Wide { rows, columns });
    }
    all_finite(&[values], rows, columns)?;
    let factors = matrix.qr();
    let (basis, coefficients, r) = (factors.Q_basis(), factors.Q_coeff(), factors.thin_R());
    let block = coefficients.nrows().max(1);
    let mut out = Vec::with_capacity(values.len());
    for row in 0..rows {
        for column in 0..columns {
            // Infinite where there is no reflection.
            let reflects = coefficients[(column % block, column)].finite();
            out.push(match row.cmp(&column) {
                std::cmp::Ordering::Less => r[(row, column)],
                std::cmp::Ordering::Greater if reflects => basis[(row, column)],
                std::cmp::Ordering::Greater => T::ZERO,
                std::cmp::Ordering::Equal => {
                    let sign = if r[(column, column)] < T::ZERO { -1.0 } else { 1.0 };
                    T::of(if reflects { sign } else { -sign })
                }
            });
        }
    }
    all_finite(&[&out], rows, columns)?;
    Ok(out)
}

/// The thin singular value decomposition `A = U diag(s) V^T` of a row-major matrix: `U` of
/// `rows x m`, the `m = min(rows, columns)` singular values from the greatest down, and `V` of
/// `columns x m`.
///
/// ```
/// use espalier_kernels::svd;
/// let [u, s, v] = svd(2, 2, &[0.0f64, 2.0, 3.0, 0.0])?;
/// assert!((s[0] - 3.0).abs() < 1e-12 && (s[1] - 2.0).abs() < 1e-12);
/// assert!((u[2] * v[0] - 1.0).abs() < 1e-12); // the same sign
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] for a slice of another length, [`DenseError::Decomposition`] if a value
/// is not finite.
pub fn svd<T: Real>(rows: usize, columns: usize, values: &[T]) -> Result<[Vec<T>; 3], DenseError> {
    let matrix = view(rows, columns, values)?;
    all_finite(&[values], rows, columns)?;
    let Ok(factors) = matrix.thin_svd() else {
        return Err(DenseError::Decomposition { rows, columns });
    };
    let s: Vec<T> = factors.S().column_vector().iter().copied().collect();
    let (u, v) = (row_major(factors.U()), row_major(factors.V()));
    all_finite(&[&u, &s, &v], rows, columns)?;
    Ok([u, s, v])
}

/// The eigenvalues, in ascending order, of a symmetric `n x n` matrix, of which the lower triangle
/// is read, and its eigenvectors as the columns of a row-major matrix.
///
/// ```
/// use espalier_kernels::eigh;
/// let [values, vectors] = eigh(2, &[2.0f64, 1.0, 1.0, 2.0])?;
/// assert!((values[0] - 1.0).abs() < 1e-12 && (values[1] - 3.0).abs() < 1e-12);
/// assert!((vectors[1] - vectors[3]).abs() < 1e-12); // (1, 1), normalized
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] if the slice is not `n * n` long, [`DenseError::Decomposition`] if a
/// value is not finite.
pub fn eigh<T: Real>(n: usize, values: &[T]) -> Result<[Vec<T>; 2], DenseError> {
    let matrix = view(n, n, values)?;
    all_finite(&[values], n, n)?;
    let Ok(factors) = matrix.self_adjoint_eigen(Side::Lower) else {
        return Err(DenseError::Decomposition { rows: n, columns: n });
    };
    let eigenvalues: Vec<T> = factors.S().column_vector().iter().copied().collect();
    let vectors = row_major(factors.U());
    all_finite(&[&eigenvalues, &vectors], n, n)?;
    Ok([eigenvalues, vectors])
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

    /// `a` of `rows x inner` times `b` of `inner x columns`.
    fn product(a: &[f64], b: &[f64], inner: usize, columns: usize) -> Vec<f64> {
        let rows = a.len() / inner;
        (0..rows * columns)
            .map(|i| {
                let (row, column) = (i / columns, i % columns);
                (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]).sum()
            })
            .collect()
    }

    fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
        let rows = a.len() / columns;
        (0..a.len()).map(|i| a[(i % rows) * columns + i / rows]).collect()
    }

    #[track_caller]
    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn reflectors_multiply_to_the_orthogonal_factor() {
        for (rows, columns) in [(1, 1), (2, 2), (5, 5), (9, 4), (70, 40)] {
            for rank_one in [false, true] {
                let mut a = pseudo_random(rows * columns);
                if rank_one {
                    a = (0..rows * columns).map(|i| (i % columns) as f64).collect();
                }
                let x = householder_reflectors(rows, columns, &a).unwrap();
                let mut q: Vec<f64> =
                    (0..rows * columns).map(|i| f64::from(i / columns == i % columns)).collect();
                for column in (0..columns).rev() {
                    let v: Vec<f64> = (0..rows)
                        .map(|row| match row.cmp(&column) {
                            std::cmp::Ordering::Less => 0.0,
                            std::cmp::Ordering::Equal => 1.0,
                            std::cmp::Ordering::Greater => x[row * columns + column],
                        })
                        .collect();
                    let square: f64 = v.iter().map(|v| v * v).sum();
                    let dots = product(&v, &q, rows, columns);
                    for (i, q) in q.iter_mut().enumerate() {
                        *q -= 2.0 * v[i / columns] * dots[i % columns] / square;
                    }
                }
                for (i, q) in q.iter_mut().enumerate() {
                    *q *= x[(i % columns) * (columns + 1)];
                }
                assert_near(&q, &orthonormal_columns(rows, columns, &a).unwrap());
            }
        }
    }

    #[test]
    fn decompositions_multiply_to_the_matrix() {
        for (rows, columns) in [(1, 1), (5, 5), (9, 4), (4, 9)] {
            let a = pseudo_random(rows * columns);
            let [mut u, s, v] = svd(rows, columns, &a).unwrap();
            assert!(s.is_sorted_by(|a, b| a >= b) && s.iter().all(|s| *s >= 0.0));
            u.iter_mut().enumerate().for_each(|(i, u)| *u *= s[i % s.len()]);
            assert_near(&product(&u, &transposed(&v, s.len()), s.len(), columns), &a);
        }
        for n in [1, 2, 7] {
            let a = pseudo_random(n * n);
            let a = product(&a, &transposed(&a, n), n, n);
            let [values, vectors] = eigh(n, &a).unwrap();
            assert!(values.is_sorted());
            let mut scaled = vectors.clone();
            scaled.iter_mut().enumerate().for_each(|(i, q)| *q *= values[i % n]);
            assert_near(&product(&scaled, &transposed(&vectors, n), n, n), &a);
        }
        let nan = Err(DenseError::Decomposition { rows: 1, columns: 1 });
        assert_eq!(svd(1, 1, &[f64::NAN]).map(|_| ()), nan);
        assert_eq!(eigh(1, &[f64::NAN]).map(|_| ()), nan);
        assert_eq!(householder_reflectors(1, 1, &[f64::NAN]).map(|_| ()), nan);
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

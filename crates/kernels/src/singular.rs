//! Singular values without their vectors, by `faer`.

use faer::MatRef;

use crate::{DenseError, Real};

/// The `min(rows, columns)` singular values of a row-major `rows x columns` matrix, from the greatest down.
///
/// Several times faster than [`svd`](crate::svd), which gives their vectors too.
///
/// ```
/// use espalier_kernels::singular_values;
/// let s = singular_values(2, 2, &[0.0f64, 2.0, 3.0, 0.0])?;
/// assert!((s[0] - 3.0).abs() < 1e-12 && (s[1] - 2.0).abs() < 1e-12);
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] for a slice of another length, [`DenseError::Decomposition`] if a value is not finite.
pub fn singular_values<T: Real>(
    rows: usize,
    columns: usize,
    values: &[T],
) -> Result<Vec<T>, DenseError> {
    T::singular_values(rows, columns, values)
}

pub(crate) fn singular_values_of<T: Real>(
    rows: usize,
    columns: usize,
    values: &[T],
) -> Result<Vec<T>, DenseError> {
    if rows.checked_mul(columns) != Some(values.len()) {
        return Err(DenseError::Length { rows, columns, found: values.len() });
    }
    let decomposition = DenseError::Decomposition { rows, columns };
    if !values.iter().all(|value| value.finite()) {
        return Err(decomposition);
    }
    match MatRef::from_row_major_slice(values, rows, columns).singular_values() {
        Ok(found) if found.iter().all(|value| value.finite()) => Ok(found),
        _ => Err(decomposition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svd;
    use crate::test::numbers;

    #[test]
    fn those_of_the_whole_decomposition() {
        for (rows, columns) in [(1, 1), (5, 5), (9, 4), (4, 9), (70, 33)] {
            let a = numbers(rows * columns, 3);
            let [_, expected, _] = svd(rows, columns, &a).unwrap();
            let found = singular_values(rows, columns, &a).unwrap();
            assert_eq!(found.len(), rows.min(columns));
            assert!(found.is_sorted_by(|a, b| a >= b));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-12 * expected.max(1.0));
            }
        }
    }

    #[test]
    fn nothing_without_elements_or_with_one_that_is_not_finite() {
        assert_eq!(singular_values::<f64>(0, 3, &[]), Ok(Vec::new()));
        assert_eq!(singular_values(2, 2, &[0.0f32; 4]), Ok(vec![0.0; 2]));
        let wrong = Err(DenseError::Decomposition { rows: 1, columns: 2 });
        assert_eq!(singular_values(1, 2, &[1.0, f64::NAN]), wrong);
        let wrong = Err(DenseError::Length { rows: 2, columns: 2, found: 3 });
        assert_eq!(singular_values(2, 2, &[1.0f64; 3]), wrong);
    }
}

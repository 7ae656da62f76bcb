//! A matrix product that is added to a matrix: what a low-rank adapter does to a weight.

use faer::{Accum, MatMut, MatRef};

use crate::orthogonal::matrix::product;
use crate::{DenseError, Real};

/// The sizes of a product `A B`, and how its result is stored.
///
/// ```
/// use espalier_kernels::Product;
/// let outer = Product { rows: 2, inner: 1, columns: 3, transposed: false };
/// assert_eq!(outer.rows * outer.columns, 6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Rows of `A`.
    pub rows: usize,
    /// Columns of `A`, rows of `B`.
    pub inner: usize,
    /// Columns of `B`.
    pub columns: usize,
    /// Whether the result is stored as its `columns x rows` transpose.
    pub transposed: bool,
}

/// Adds `alpha A B` to `out`. All are row-major, but for what [`Product`] says of the result.
///
/// ```
/// use espalier_kernels::{Product, add_product};
/// let mut out = [1.0f32; 4];
/// let outer = Product { rows: 2, inner: 1, columns: 2, transposed: false };
/// add_product(&outer, 0.5, &[2.0, 4.0], &[1.0, 3.0], &mut out)?;
/// assert_eq!(out, [2.0, 4.0, 3.0, 7.0]);
/// # Ok::<(), espalier_kernels::DenseError>(())
/// ```
///
/// # Errors
///
/// [`DenseError::Length`] for a slice that does not hold a matrix of its size.
pub fn add_product<T: Real>(
    sizes: &Product,
    alpha: f64,
    a: &[T],
    b: &[T],
    out: &mut [T],
) -> Result<(), DenseError> {
    T::add_product(sizes, alpha, a, b, out)
}

pub(crate) fn add<T: Real>(
    sizes: &Product,
    alpha: f64,
    a: &[T],
    b: &[T],
    out: &mut [T],
) -> Result<(), DenseError> {
    let Product { rows, inner, columns, transposed } = *sizes;
    for (rows, columns, found) in
        [(rows, inner, a.len()), (inner, columns, b.len()), (rows, columns, out.len())]
    {
        if rows.checked_mul(columns) != Some(found) {
            return Err(DenseError::Length { rows, columns, found });
        }
    }
    let out = if transposed {
        MatMut::from_row_major_slice_mut(out, columns, rows).transpose_mut()
    } else {
        MatMut::from_row_major_slice_mut(out, rows, columns)
    };
    let a = MatRef::from_row_major_slice(a, rows, inner);
    let b = MatRef::from_row_major_slice(b, inner, columns);
    product(out, Accum::Add, alpha, a, b);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_added_also_to_a_transpose() {
        for (rows, inner, columns) in [(3, 2, 4), (70, 8, 65), (2, 0, 2), (0, 1, 3)] {
            let values = |n: usize| -> Vec<f64> { (0..n).map(|i| (i % 7) as f64 - 3.0).collect() };
            let (a, b) = (values(rows * inner), values(inner * columns));
            for transposed in [false, true] {
                let mut out = vec![1.0; rows * columns];
                let sizes = Product { rows, inner, columns, transposed };
                add_product(&sizes, 2.0, &a, &b, &mut out).unwrap();
                for row in 0..rows {
                    for column in 0..columns {
                        let sum: f64 =
                            (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]).sum();
                        let at =
                            if transposed { column * rows + row } else { row * columns + column };
                        assert_eq!(out[at], 1.0 + 2.0 * sum);
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        let sizes = Product { rows: 2, inner: 1, columns: 2, transposed: false };
        let error = add_product(&sizes, 1.0, &[1.0f32; 2], &[1.0; 3], &mut [0.0; 4]);
        assert_eq!(error, Err(DenseError::Length { rows: 1, columns: 2, found: 3 }));
    }
}

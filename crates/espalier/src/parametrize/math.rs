//! Tensor functions that rules share, for the last two dimensions of a tensor.

use burn::tensor::{DType, Tensor, TensorData};
use espalier_kernels::{self as kernels, DenseError, Real};

/// Applies `change` to every matrix of a batch on the host, in f32 or f64, and puts the result
/// back where it came from, untracked.
fn each_matrix<const D: usize>(
    value: &Tensor<D>,
    f32s: impl Fn(usize, usize, &[f32]) -> Result<Vec<f32>, DenseError>,
    f64s: impl Fn(usize, usize, &[f64]) -> Result<Vec<f64>, DenseError>,
) -> Result<Tensor<D>, DenseError> {
    let dims = value.dims();
    let (rows, columns) = (dims[D - 2], dims[D - 1]);
    let data = value.clone().detach().into_data();
    let dtype = data.dtype();
    let result = if dtype == DType::F64 {
        TensorData::new(batch(&data_vec::<f64>(data), rows, columns, f64s)?, dims)
    } else {
        let values = data_vec::<f32>(data.convert::<f32>());
        TensorData::new(batch(&values, rows, columns, f32s)?, dims)
    };
    Ok(Tensor::from_data(result, (&value.device(), dtype)))
}

fn data_vec<T: burn::tensor::Element + Copy>(data: TensorData) -> Vec<T> {
    data.iter::<T>().collect()
}

fn batch<T: Real>(
    values: &[T],
    rows: usize,
    columns: usize,
    change: impl Fn(usize, usize, &[T]) -> Result<Vec<T>, DenseError>,
) -> Result<Vec<T>, DenseError> {
    let mut out = Vec::with_capacity(values.len());
    for matrix in values.chunks_exact((rows * columns).max(1)) {
        out.extend(change(rows, columns, matrix)?);
    }
    Ok(out)
}

/// The orthogonal factor of a QR decomposition with a non-negative diagonal of R, untracked.
pub(crate) fn orthonormal_columns<const D: usize>(
    value: &Tensor<D>,
) -> Result<Tensor<D>, DenseError> {
    each_matrix(value, kernels::orthonormal_columns, kernels::orthonormal_columns)
}

/// The inverse of the matrices in `value`, differentiable. NaN where one has no inverse.
///
/// The inverse `Z` is computed on the host, outside the graph; the result is one Newton step from
/// it, `2 Z - Z A Z`. Its value is `Z` to rounding and its derivative at `A = Z^-1` is
/// `-Z dA Z`, that of the inverse: exact first derivatives from tensor products alone, on any
/// device.
pub(super) fn inverse<const D: usize>(value: Tensor<D>) -> Tensor<D> {
    let inverted =
        each_matrix(&value, |n, _, m| kernels::inverse(n, m), |n, _, m| kernels::inverse(n, m));
    let z = inverted.unwrap_or_else(|_| value.clone().detach() * f32::NAN);
    z.clone() * 2.0 - z.clone().matmul(value).matmul(z)
}

/// The identity of `n x n`, with leading dimensions of size 1.
pub(super) fn identity<const D: usize>(n: usize, like: &Tensor<D>) -> Tensor<D> {
    let mut dims = [1; D];
    dims[D - 2] = n;
    dims[D - 1] = n;
    let data = (0..n * n).map(|i| if i % (n + 1) == 0 { 1.0f64 } else { 0.0 }).collect::<Vec<_>>();
    let data = TensorData::new(data, dims).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// The largest magnitude in a tensor, 0 for an empty one.
pub(super) fn largest<const D: usize>(value: Tensor<D>) -> f64 {
    if value.dims().contains(&0) {
        return 0.0;
    }
    value.detach().abs().max().into_scalar::<f64>()
}

/// The machine epsilon of a float type, as in `torch.finfo`.
pub(super) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => f64::from(f32::EPSILON),
    }
}

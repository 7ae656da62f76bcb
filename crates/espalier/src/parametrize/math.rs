//! Tensor functions that rules share, for the last two dimensions of a tensor.

use burn::tensor::{DType, Tensor, TensorData};
use espalier_kernels::{self as kernels, DenseError, Real};

use super::RuleError;
use crate::init::{Init, Rng};

/// Applies `split` to every matrix of a batch on the host, in f32 or f64, and stacks the parts that
/// it gives, matrices of `shapes`, where the batch came from, untracked.
fn split_each<const D: usize, const N: usize>(
    value: &Tensor<D>,
    shapes: [[usize; 2]; N],
    f32s: impl Fn(usize, usize, &[f32]) -> Result<[Vec<f32>; N], DenseError>,
    f64s: impl Fn(usize, usize, &[f64]) -> Result<[Vec<f64>; N], DenseError>,
) -> Result<[Tensor<D>; N], DenseError> {
    let data = value.clone().detach().into_data();
    if data.dtype() == DType::F64 {
        stack(value, shapes, &data_vec::<f64>(data), f64s)
    } else {
        stack(value, shapes, &data_vec::<f32>(data.convert::<f32>()), f32s)
    }
}

fn data_vec<T: burn::tensor::Element + Copy>(data: TensorData) -> Vec<T> {
    data.iter::<T>().collect()
}

fn stack<const D: usize, const N: usize, T: Real + burn::tensor::Element>(
    like: &Tensor<D>,
    shapes: [[usize; 2]; N],
    values: &[T],
    split: impl Fn(usize, usize, &[T]) -> Result<[Vec<T>; N], DenseError>,
) -> Result<[Tensor<D>; N], DenseError> {
    let dims = like.dims();
    let (rows, columns) = (dims[D - 2], dims[D - 1]);
    let mut stacked: [Vec<T>; N] = std::array::from_fn(|_| Vec::new());
    for matrix in values.chunks_exact((rows * columns).max(1)) {
        for (all, part) in stacked.iter_mut().zip(split(rows, columns, matrix)?) {
            all.extend(part);
        }
    }
    let mut index = 0;
    Ok(stacked.map(|values| {
        let mut dims = dims;
        dims[D - 2..].copy_from_slice(&shapes[index]);
        index += 1;
        Tensor::from_data(TensorData::new(values, dims), (&like.device(), like.dtype()))
    }))
}

/// Applies `change` to every matrix of a batch on the host; the shape stays. Untracked.
fn change_each<const D: usize>(
    value: &Tensor<D>,
    f32s: impl Fn(usize, usize, &[f32]) -> Result<Vec<f32>, DenseError>,
    f64s: impl Fn(usize, usize, &[f64]) -> Result<Vec<f64>, DenseError>,
) -> Result<Tensor<D>, DenseError> {
    let dims = value.dims();
    let [changed] = split_each(
        value,
        [[dims[D - 2], dims[D - 1]]],
        |rows, columns, m| Ok([f32s(rows, columns, m)?]),
        |rows, columns, m| Ok([f64s(rows, columns, m)?]),
    )?;
    Ok(changed)
}

/// The singular value decomposition `U diag(S) V^T`, untracked: `U` of `[.., rows, m]`, the values
/// `S` as `[.., 1, m]`, greatest first, `V` of `[.., columns, m]`, `m` the smaller side.
pub(super) fn svd<const D: usize>(value: &Tensor<D>) -> Result<[Tensor<D>; 3], DenseError> {
    let dims = value.dims();
    let (rows, columns) = (dims[D - 2], dims[D - 1]);
    let m = rows.min(columns);
    let shapes = [[rows, m], [1, m], [columns, m]];
    split_each(value, shapes, kernels::svd, kernels::svd)
}

/// Eigenvalues `[.., 1, n]` in ascending order and eigenvectors `[.., n, n]` of symmetric matrices,
/// of which the lower triangle is read, untracked.
pub(super) fn eigh<const D: usize>(value: &Tensor<D>) -> Result<[Tensor<D>; 2], DenseError> {
    let n = value.dims()[D - 1];
    let shapes = [[1, n], [n, n]];
    split_each(value, shapes, |n, _, m| kernels::eigh(n, m), |n, _, m| kernels::eigh(n, m))
}

/// Householder reflectors below the diagonal, signs on it: `espalier_kernels::householder_reflectors`.
pub(super) fn reflectors<const D: usize>(value: &Tensor<D>) -> Result<Tensor<D>, DenseError> {
    change_each(value, kernels::householder_reflectors, kernels::householder_reflectors)
}

/// The orthogonal factor of a QR decomposition with a non-negative diagonal of R, untracked.
pub(crate) fn orthonormal_columns<const D: usize>(
    value: &Tensor<D>,
) -> Result<Tensor<D>, DenseError> {
    change_each(value, kernels::orthonormal_columns, kernels::orthonormal_columns)
}

/// The inverse of the matrices in `value`, differentiable. NaN where one has no inverse.
///
/// The inverse `Z` is computed on the host, outside the graph; the result is one Newton step from
/// it, `2 Z - Z A Z`. Its value is `Z` to rounding and its derivative at `A = Z^-1` is
/// `-Z dA Z`, that of the inverse: exact first derivatives from tensor products alone, on any
/// device.
pub(super) fn inverse<const D: usize>(value: Tensor<D>) -> Tensor<D> {
    let inverted =
        change_each(&value, |n, _, m| kernels::inverse(n, m), |n, _, m| kernels::inverse(n, m));
    let z = inverted.unwrap_or_else(|_| value.clone().detach() * f32::NAN);
    z.clone() * 2.0 - z.clone().matmul(value).matmul(z)
}

/// Numbers of the host as a tensor with the dtype and device of `like`, untracked.
pub(super) fn from_host<const D: usize, const L: usize>(
    values: Vec<f64>,
    dims: [usize; D],
    like: &Tensor<L>,
) -> Tensor<D> {
    let data = TensorData::new(values, dims).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// Numbers drawn by `init` in the shape `dims` of PyTorch's layout, with the dtype and device of
/// `like`.
pub(super) fn drawn<const D: usize, const L: usize>(
    init: Init,
    dims: [usize; D],
    like: &Tensor<L>,
    rng: &mut Rng,
) -> Result<Tensor<D>, RuleError> {
    let values = init.values(&dims, rng).map_err(|_| RuleError::NoSample)?;
    Ok(from_host(values, dims, like))
}

/// Ones on the diagonal of `rows x columns`, with leading dimensions of size 1.
pub(super) fn eye<const D: usize>(rows: usize, columns: usize, like: &Tensor<D>) -> Tensor<D> {
    let mut dims = [1; D];
    dims[D - 2] = rows;
    dims[D - 1] = columns;
    let at = |i: usize| f64::from(i / columns.max(1) == i % columns.max(1));
    from_host((0..rows * columns).map(at).collect(), dims, like)
}

/// The identity of `n x n`, with leading dimensions of size 1.
pub(super) fn identity<const D: usize>(n: usize, like: &Tensor<D>) -> Tensor<D> {
    eye(n, n, like)
}

/// Ones on the diagonal of the last two dimensions, the shape of `like`.
pub(super) fn identity_like<const D: usize>(like: &Tensor<D>) -> Tensor<D> {
    let dims = like.dims();
    eye(dims[D - 2], dims[D - 1], like).expand(dims)
}

/// The first `count` numbers of the diagonal, as `[.., 1, count]`.
pub(super) fn diagonal<const D: usize>(value: Tensor<D>, count: usize) -> Tensor<D> {
    let value = value.narrow(D - 2, 0, count).narrow(D - 1, 0, count);
    // Not a product with the identity: what is beside the diagonal may be infinite.
    let beside = identity_like(&value).equal_elem(0.0);
    value.mask_fill(beside, 0.0).sum_dim(D - 2)
}

/// Numbers `[.., 1, m]` on the diagonal of matrices of `dims`, zeros elsewhere.
pub(super) fn on_diagonal<const D: usize>(values: Tensor<D>, dims: [usize; D]) -> Tensor<D> {
    let m = values.dims()[D - 1];
    let mut top = dims;
    top[D - 2] = m;
    top[D - 1] = m;
    let square = identity(m, &values).expand(top) * values;
    pad(pad(square, D - 1, dims[D - 1]), D - 2, dims[D - 2])
}

/// The tensor with zeros at its end, so that dimension `dim` has `size`.
pub(super) fn pad<const D: usize>(value: Tensor<D>, dim: usize, size: usize) -> Tensor<D> {
    let mut missing = value.dims();
    if missing[dim] == size {
        return value;
    }
    missing[dim] = size - missing[dim];
    let zeros = Tensor::zeros(missing, (&value.device(), value.dtype()));
    Tensor::cat(vec![value, zeros], dim)
}

/// The last two dimensions swapped.
pub(super) fn transposed<const D: usize>(value: Tensor<D>) -> Tensor<D> {
    value.swap_dims(D - 2, D - 1)
}

/// How far a value may be from a set whose numbers are sums over `n` others.
pub(super) fn tolerance(dtype: DType, n: usize) -> f64 {
    1e3 * epsilon(dtype) * (n as f64).sqrt()
}

/// `x` with `softplus(x) = y` for positive `y`: `y + log(1 - exp(-y))`, written so that no digits of
/// a small `y` are lost.
pub(super) fn inverse_softplus<const D: usize>(y: Tensor<D>) -> Tensor<D> {
    let t = (y.clone() * 0.5).tanh();
    y + (t.clone() * 2.0).log() - t.log1p()
}

/// The length of each slice, over all dimensions but `dim`; of the whole tensor without one.
pub(super) fn norm<const D: usize>(value: Tensor<D>, dim: Option<usize>) -> Tensor<D> {
    let others: Vec<usize> = (0..D).filter(|other| Some(*other) != dim).collect();
    value.square().sum_dims(&others).sqrt()
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

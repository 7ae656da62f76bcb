//! Orthonormal columns from unconstrained numbers: what the rules of orthogonal factors share.

use burn::tensor::{DType, Tensor};

use super::host::Orthonormal;
use super::math::{
    diagonal, eye, from_host, identity, identity_like, inverse, largest, orthonormal_columns, pad,
    transposed,
};
use super::skew::skewed_by_tensors;
use super::{OrthogonalMap, RuleError, Site};
use crate::host::{Constant, unary};
use crate::init::Rng;
use crate::tree::{Buffer, Layout};

/// How a weight lies as a tall matrix: a wide one is taken transposed.
#[derive(Debug, Clone)]
pub(super) struct Tall {
    layout: Layout,
    /// In PyTorch's layout.
    shape: Vec<usize>,
}

impl Tall {
    pub(super) fn of(site: &Site) -> Result<Self, RuleError> {
        site.matrices()?;
        Ok(Self { layout: site.layout, shape: site.torch_shape() })
    }

    /// The greater side.
    pub(super) fn rows(&self) -> usize {
        self.sides().0.max(self.sides().1)
    }

    /// The smaller side.
    pub(super) fn columns(&self) -> usize {
        self.sides().0.min(self.sides().1)
    }

    /// The last dimension in PyTorch's layout.
    pub(super) fn last(&self) -> usize {
        self.sides().1
    }

    fn sides(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [.., rows, columns] => (*rows, *columns),
            _ => (1, 1),
        }
    }

    fn is_wide(&self) -> bool {
        self.sides().0 < self.sides().1
    }

    /// Between Burn's layout of the weight and a tall matrix, both ways.
    pub(super) fn turn<const D: usize>(&self, value: Tensor<D>) -> Tensor<D> {
        // Two swaps cancel.
        if (self.layout == Layout::Transposed) == self.is_wide() {
            value
        } else {
            transposed(value)
        }
    }

    /// As [`orthonormal`], from numbers in Burn's layout to a value in Burn's layout.
    pub(super) fn orthonormal<const D: usize>(
        &self,
        map: OrthogonalMap,
        x: Tensor<D>,
        base: Option<Tensor<D>>,
    ) -> Tensor<D> {
        let stored = (self.layout == Layout::Transposed) != self.is_wide();
        orthonormal(map, x, base, stored)
    }

    /// The tall matrices of a value in Burn's layout.
    pub(super) fn take<const D: usize>(&self, value: Tensor<D>) -> Result<Tensor<D>, RuleError> {
        if self.layout.torch_shape(&value.dims()) != self.shape {
            return Err(RuleError::Value {
                expected: self.shape.clone(),
                found: value.dims().to_vec(),
            });
        }
        Ok(self.turn(value))
    }

    /// An identity of `side` for every matrix, on the device of the site.
    pub(super) fn base<const D: usize>(&self, side: usize, site: &Site) -> Buffer<D> {
        let like = Tensor::<D>::zeros([1; D], (&site.device, site.dtype));
        let mut dims = [1; D];
        let batch = D.saturating_sub(2);
        dims[..batch].copy_from_slice(&self.shape[..batch]);
        Buffer::new(identity(side, &like).repeat(&dims))
    }
}

/// The first `k` columns of an orthogonal matrix, times `base` from the left, for tall
/// `[.., n, k]` numbers. Nothing above the diagonal of `x` counts. With `stored` both the numbers and
/// the value are stored as their transposes.
pub(super) fn orthonormal<const D: usize>(
    map: OrthogonalMap,
    x: Tensor<D>,
    base: Option<Tensor<D>>,
    stored: bool,
) -> Tensor<D> {
    let turn = |x: Tensor<D>| if stored { transposed(x) } else { x };
    by_host(map, &x, base.as_ref(), stored).unwrap_or_else(|| turn(by_tensors(map, turn(x), base)))
}

/// By the kernels, where the numbers are in the host's memory.
fn by_host<const D: usize>(
    map: OrthogonalMap,
    x: &Tensor<D>,
    base: Option<&Tensor<D>>,
    transposed: bool,
) -> Option<Tensor<D>> {
    let base = match base {
        Some(base) => Some(Constant::of(base)?),
        None => None,
    };
    unary(x, Orthonormal::new(map, base, transposed))
}

/// The same on any device.
pub(super) fn by_tensors<const D: usize>(
    map: OrthogonalMap,
    x: Tensor<D>,
    base: Option<Tensor<D>>,
) -> Tensor<D> {
    let dims = x.dims();
    let (n, k) = (dims[D - 2], dims[D - 1]);
    let square = |x: Tensor<D>| skewed_by_tensors(true, pad(x, D - 1, n));
    let q = match map {
        OrthogonalMap::Cayley => cayley(square(x)),
        OrthogonalMap::Exp => exponential(square(x)),
        OrthogonalMap::Householder => householder(x),
    };
    let q = if q.dims()[D - 1] == k { q } else { q.narrow(D - 1, 0, k) };
    match base {
        Some(base) => base.matmul(q),
        None => q,
    }
}

/// `(I - A/2)^-1 (I + A/2)`, which is `2 (I - A/2)^-1 - I`: the two factors commute.
fn cayley<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    let id = identity(a.dims()[D - 1], &a);
    inverse(id.clone() - a * 0.5) * 2.0 - id
}

/// The matrix exponential: the Taylor polynomial of degree 16 of `A / 2^s`, squared `s` times.
///
/// `s` is such that what the polynomial leaves out is below rounding. The powers are grouped as by
/// Paterson and Stockmeyer, 1973: six products for sixteen powers.
fn exponential<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    let reach = if a.dtype() == DType::F64 { 0.78 } else { 1.5 };
    let norm = largest(a.clone().detach().abs().sum_dim(D - 1));
    let squarings = if norm.is_finite() { (norm / reach).log2().ceil().max(0.0) } else { 0.0 };
    let a = if squarings > 0.0 { a * (-squarings).exp2() } else { a };

    let id = identity(a.dims()[D - 1], &a);
    let a2 = a.clone().matmul(a.clone());
    let a3 = a2.clone().matmul(a.clone());
    let a4 = a2.clone().matmul(a2.clone());
    let mut coefficients = [1.0f64; 17];
    for power in 1..17 {
        coefficients[power] = coefficients[power - 1] / power as f64;
    }
    let group = |first: usize| {
        let c = &coefficients[first..];
        id.clone() * c[0] + a.clone() * c[1] + a2.clone() * c[2] + a3.clone() * c[3]
    };
    let mut sum = group(12) + a4.clone() * coefficients[16];
    for first in [8, 4, 0] {
        sum = group(first) + a4.clone().matmul(sum);
    }
    for _ in 0..squarings as usize {
        sum = sum.clone().matmul(sum);
    }
    sum
}

/// `H_1 .. H_k diag(sign(x_ii))` without its last `n - k` columns, `H_i = I - 2 v_i v_i^T / |v_i|^2`
/// for the columns `v_i` of `V = tril(X, -1) + I`.
///
/// The product of reflections is `I - V T V^T` with `T^-1 = striu(V^T V) + diag(V^T V) / 2` (the
/// compact WY form of Schreiber and Van Loan, 1989), so that products and one inverse do.
fn householder<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let dims = x.dims();
    let (n, k) = (dims[D - 2], dims[D - 1]);
    let signs = diagonal(x.clone().detach(), k);
    let negative = signs.clone().lower_elem(0.0);
    let signs = signs.ones_like().mask_fill(negative, -1.0);
    let unit = eye(n, k, &x);
    let v = x.tril(-1) + unit.clone();
    let gram = transposed(v.clone()).matmul(v.clone());
    let t = inverse(gram.clone().triu(1) + identity_like(&gram) * (gram * 0.5));
    let top = transposed(v.clone().narrow(D - 2, 0, k));
    (unit - v.matmul(t).matmul(top)) * signs
}

/// The largest element of `|Q^T Q - I|`.
pub(super) fn deviation<const D: usize>(q: &Tensor<D>) -> f64 {
    let gram = transposed(q.clone()).matmul(q.clone());
    let id = identity(q.dims()[D - 1], q);
    largest(gram - id)
}

/// The square orthogonal matrix that starts with the orthogonal factor of a tall one. The columns
/// that complete it are drawn from a fixed seed.
pub(super) fn complete<const D: usize>(tall: Tensor<D>) -> Result<Tensor<D>, RuleError> {
    let tall = tall.detach();
    let dims = tall.dims();
    let (n, k) = (dims[D - 2], dims[D - 1]);
    if n == k {
        // Kept to the bit where it is orthogonal already (PyTorch's tolerance).
        let tolerance = 10.0 * n as f64 * super::math::epsilon(tall.dtype()) + 1e-5;
        return if deviation(&tall) <= tolerance {
            Ok(tall)
        } else {
            Ok(orthonormal_columns(&tall)?)
        };
    }
    let mut missing = dims;
    missing[D - 1] = n - k;
    let normal = normal(missing, &tall, &mut Rng::seeded(0));
    Ok(orthonormal_columns(&Tensor::cat(vec![tall, normal], D - 1))?)
}

/// Orthonormal columns drawn evenly among all, `[.., n, k]` with `n >= k`: the orthogonal factor of
/// a normal matrix, by the sign of the diagonal of the other one (Mezzadri, 2007).
pub(super) fn uniform<const D: usize>(
    dims: [usize; D],
    like: &Tensor<D>,
    rng: &mut Rng,
) -> Result<Tensor<D>, RuleError> {
    Ok(orthonormal_columns(&normal(dims, like, rng))?)
}

fn normal<const D: usize>(dims: [usize; D], like: &Tensor<D>, rng: &mut Rng) -> Tensor<D> {
    let values = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    from_host(values, dims, like)
}

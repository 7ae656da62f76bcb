//! Matrices by their singular values or eigenvalues: what the rules of a rank or a sign share.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softplus;

use super::host::Congruence;
use super::link::matrix_link;
use super::math::{
    diagonal, drawn, eigh, inverse_softplus, largest, on_diagonal, svd, tolerance, transposed,
};
use super::stiefel::{Tall, complete, orthonormal};
use super::{Link, OrthogonalMap, Parametrization, Rule, RuleError, Site};
use crate::host::binary;
use crate::init::{Init, Rng};
use crate::tree::{Buffer, Layout};

/// What a positive singular value or eigenvalue is at least.
const LEAST: f64 = 1e-6;
/// What one that is not positive is taken for.
const START: f64 = 5e-6;

/// From free numbers to singular values or eigenvalues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spectrum {
    /// The numbers themselves.
    Free,
    /// Their magnitudes.
    Magnitude,
    /// `softplus + 1e-6`.
    Positive,
}

impl Spectrum {
    fn of<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Free => x,
            Self::Magnitude => x.abs(),
            Self::Positive => softplus(x, 1.0) + LEAST,
        }
    }

    /// The nearest values that there are.
    fn nearest<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Free => values,
            Self::Magnitude => values.clamp_min(0.0),
            Self::Positive => {
                let outside = values.clone().lower_equal_elem(LEAST);
                values.mask_fill(outside, START)
            }
        }
    }

    /// The numbers of the nearest values.
    fn inverse<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        let values = self.nearest(values);
        match self {
            Self::Free | Self::Magnitude => values,
            Self::Positive => inverse_softplus(values - LEAST),
        }
    }

    /// How far the least of the values is from the nearest one.
    fn lacks<const D: usize>(self, values: &Tensor<D>) -> f64 {
        let least = -largest_signed(values.clone().neg());
        match self {
            Self::Free => 0.0,
            Self::Magnitude => (-least).max(0.0),
            Self::Positive => (LEAST - least).max(0.0),
        }
    }
}

fn largest_signed<const D: usize>(values: Tensor<D>) -> f64 {
    values.detach().max().into_scalar::<f64>()
}

/// The options that the rules share, checked.
pub(super) struct Options {
    pub(super) rank: usize,
    pub(super) map: OrthogonalMap,
    pub(super) spectrum: Spectrum,
}

impl Options {
    fn checked(self, side: usize) -> Result<Self, RuleError> {
        let (option, expected, found) = if self.map == OrthogonalMap::Householder {
            ("map", "`exp` or `cayley`".to_owned(), "householder".to_owned())
        } else if self.rank == 0 || self.rank > side {
            ("rank", format!("a number from 1 to {side}"), self.rank.to_string())
        } else {
            return Ok(self);
        };
        Err(RuleError::Option { option, expected, found })
    }
}

/// The link of `rule` by singular values.
pub(super) fn singular(
    rule: &dyn Rule,
    site: &Site,
    options: Options,
    set: &'static str,
) -> Result<Link, RuleError> {
    let tall = Tall::of(site)?;
    let Options { rank, map, spectrum } = options.checked(tall.columns())?;
    matrix_link!(site, D => {
        let u_base = tall.base(tall.rows(), site);
        let v_base = tall.base(tall.columns(), site);
        Ok(Link::new::<D, _>(rule, SingularLink { u_base, v_base, rank, map, spectrum, set, tall }))
    })
}

/// The link of `rule` by eigenvalues; without a rank, the full one.
pub(super) fn eigen(
    rule: &dyn Rule,
    site: &Site,
    options: Options,
    set: &'static str,
) -> Result<Link, RuleError> {
    site.squares()?;
    let tall = Tall::of(site)?;
    let Options { rank, map, spectrum } = options.checked(tall.rows())?;
    let layout = site.layout;
    matrix_link!(site, D => {
        let base = tall.base(tall.rows(), site);
        Ok(Link::new::<D, _>(rule, EigenLink { base, rank, map, spectrum, set, layout }))
    })
}

/// `U diag(S) V^T` on one parameter: [`LowRank`](super::LowRank) and [`FixedRank`](super::FixedRank).
#[derive(Module, Debug)]
pub struct SingularLink<const D: usize> {
    /// The orthogonal matrices that training starts from, for the greater and the smaller side.
    u_base: Buffer<D>,
    v_base: Buffer<D>,
    #[module(skip)]
    rank: usize,
    #[module(skip)]
    map: OrthogonalMap,
    #[module(skip)]
    spectrum: Spectrum,
    #[module(skip)]
    set: &'static str,
    #[module(skip)]
    tall: Tall,
}

impl<const D: usize> SingularLink<D> {
    /// The greatest singular values, with their vectors.
    fn split(&self, tall: &Tensor<D>) -> Result<[Tensor<D>; 3], RuleError> {
        Ok(svd(tall)?.map(|part| part.narrow(D - 1, 0, self.rank)))
    }
}

impl<const D: usize> Parametrization<D> for SingularLink<D> {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = self.tall.turn(originals[0].clone());
        let left = |x: Tensor<D>| x.narrow(D - 1, 0, self.rank);
        let s = self.spectrum.of(diagonal(x.clone(), self.rank));
        let u = orthonormal(self.map, left(x.clone()), Some(self.u_base.value()), false);
        let v = orthonormal(self.map, left(transposed(x)), Some(self.v_base.value()), false);
        self.tall.turn((u * s).matmul(transposed(v)))
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let tall = self.tall.take(value)?;
        let [u, s, v] = self.split(&tall)?;
        let (u, v) = (complete(u)?, complete(v)?);
        self.u_base.set(u);
        self.v_base.set(v);
        Ok(vec![self.tall.turn(on_diagonal(self.spectrum.inverse(s), tall.dims()))])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let tall = self.tall.take(value.clone())?;
        let [_, s, _] = svd(&tall)?;
        let (rank, all) = (self.rank, s.dims()[D - 1]);
        let rest =
            if rank < all { largest(s.clone().narrow(D - 1, rank, all - rank)) } else { 0.0 };
        let by = rest.max(self.spectrum.lacks(&s.clone().narrow(D - 1, 0, rank)));
        if by <= tolerance(value.dtype(), self.tall.rows()) * largest(s) {
            return Ok(());
        }
        Err(RuleError::NotInSet { set: self.set, by })
    }

    /// The nearest matrix to a normal one of Xavier's standard deviation.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        let dims = self.tall.take(like.clone())?.dims();
        let [u, s, v] = self.split(&drawn(Init::XavierNormal(1.0), dims, like, rng)?)?;
        Ok(self.tall.turn((u * self.spectrum.nearest(s)).matmul(transposed(v))))
    }
}

/// `Q diag(L) Q^T` on one parameter: [`PositiveDefinite`](super::PositiveDefinite) and
/// [`PositiveSemidefinite`](super::PositiveSemidefinite).
#[derive(Module, Debug)]
pub struct EigenLink<const D: usize> {
    /// The orthogonal matrix that training starts from, in PyTorch's layout.
    base: Buffer<D>,
    #[module(skip)]
    rank: usize,
    #[module(skip)]
    map: OrthogonalMap,
    #[module(skip)]
    spectrum: Spectrum,
    #[module(skip)]
    set: &'static str,
    #[module(skip)]
    layout: Layout,
}

impl<const D: usize> EigenLink<D> {
    /// The greatest eigenvalues of the symmetric part, in ascending order, with their vectors.
    fn split(&self, value: &Tensor<D>) -> Result<[Tensor<D>; 2], RuleError> {
        let n = value.dims()[D - 1];
        let symmetric = (value.clone() + transposed(value.clone())) * 0.5;
        Ok(eigh(&symmetric)?.map(|part| part.narrow(D - 1, n - self.rank, self.rank)))
    }
}

impl<const D: usize> Parametrization<D> for EigenLink<D> {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = originals[0].clone();
        let l = self.spectrum.of(diagonal(x.clone(), self.rank));
        // The value is symmetric, so that only the numbers tell one layout from the other.
        let stored = self.layout == Layout::Transposed;
        let left = x.narrow(if stored { D - 2 } else { D - 1 }, 0, self.rank);
        let q = orthonormal(self.map, left, Some(self.base.value()), stored);
        binary(&q, &l, Congruence { transposed: stored })
            .unwrap_or_else(|| congruence_by_tensors(if stored { transposed(q) } else { q }, l))
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let value = self.layout.turn(value);
        let [l, q] = self.split(&value)?;
        self.base.set(complete(q)?);
        Ok(vec![self.layout.turn(on_diagonal(self.spectrum.inverse(l), value.dims()))])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let n = value.dims()[D - 1];
        let skew = value.clone() - transposed(value.clone());
        let [l, _] = eigh(&(value.clone() - skew.clone() * 0.5))?;
        let (rank, rest) = (self.rank, n - self.rank);
        let beside = if rest > 0 { largest(l.clone().narrow(D - 1, 0, rest)) } else { 0.0 };
        let lacks = self.spectrum.lacks(&l.clone().narrow(D - 1, rest, rank));
        let by = beside.max(lacks).max(largest(skew));
        if by <= tolerance(value.dtype(), n) * largest(l) {
            return Ok(());
        }
        Err(RuleError::NotInSet { set: self.set, by })
    }

    /// `X X^T` for a normal `X` of Xavier's standard deviation, which is Wishart distributed, brought
    /// into the set.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        let x = drawn(Init::XavierNormal(1.0), like.dims(), like, rng)?;
        let [l, q] = self.split(&x.clone().matmul(transposed(x)))?;
        Ok(congruence_by_tensors(q, self.spectrum.nearest(l)))
    }
}

/// `Q diag(l) Q^T`, on any device.
pub(super) fn congruence_by_tensors<const D: usize>(q: Tensor<D>, l: Tensor<D>) -> Tensor<D> {
    (q.clone() * l).matmul(transposed(q))
}

//! Spectral normalization: the greatest singular value is one.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::{Iterated, Normalized, Vectors};
use super::math::{drawn, svd, tolerance};
use super::sphere::positive;
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::host::{Constant, unary};
use crate::init::{Init, Rng};
use crate::tree::{Buffer, Layout};

/// Iterations of the power method when the rule is registered, as in PyTorch.
const FIRST: usize = 15;

/// Spectral normalization: the weight divided by an estimate of its greatest singular value.
///
/// - Formula: `W = X / s`, `s = u^T M v`, where `M` is `X` as a matrix of a row for each index of
///   `dim`. `u` and `v` estimate the singular vectors: `u = M v / |M v|`, `v = M^T u / |M^T u|`, by a
///   number of iterations for each effective module in training (PyTorch: for each read in training
///   mode); they are not differentiated. A vector is divided by its own length, exactly.
/// - State: the buffers `_u` and `_v`, in PyTorch's layout; none for a vector.
/// - Shapes: any to the same, of one dimension or more.
/// - Initialization: `X = W`; `u` and `v` are drawn from a fixed seed (PyTorch: from the global
///   generator) and brought near the singular vectors of the given weight by 15 iterations.
/// - Right inverse: the identity, of a value of another norm too; it leaves `u` and `v` alone, as
///   PyTorch does, so that a very different value is normalized only after some training steps.
/// - A weight of zeros is NaN, as in PyTorch.
/// - Errors: [`RuleError::Dim`] if the parameter has no such dimension, [`RuleError::Option`] for no
///   iterations or an `eps` that is not positive, [`RuleError::Empty`], [`RuleError::Rank`].
/// - Source: Miyato et al., 2018, arXiv:1802.05957; `torch.nn.utils.parametrizations.spectral_norm`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::{SpectralNorm, SpectralNormLink};
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
/// net.register("weight", SpectralNorm::new())?;
/// let list = net.parametrizations("weight")?;
/// let link: &SpectralNormLink = list.link(0).expect("the link that was registered");
/// assert_eq!(link.u().map(|u| u.dims()), Some([3])); // one number an output
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectralNorm {
    n_power_iterations: usize,
    eps: f64,
    /// None where the layer decides.
    dim: Option<usize>,
}

impl SpectralNorm {
    /// PyTorch's default: one iteration, `eps` 1e-12, rows for the outputs (dimension 0, of
    /// transposed convolutions 1). The dimension is chosen where the rule is registered, and saved.
    pub fn new() -> Self {
        Self { n_power_iterations: 1, eps: 1e-12, dim: None }
    }

    /// So many iterations for each effective module in training, at least one.
    pub fn power_iterations(self, n_power_iterations: usize) -> Self {
        Self { n_power_iterations, ..self }
    }

    /// Lengths below this are taken for it.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// A row of the matrix for each index of `dim`, counted in PyTorch's layout.
    pub fn dim(self, dim: usize) -> Self {
        Self { dim: Some(dim), ..self }
    }
}

impl Default for SpectralNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl Rule for SpectralNorm {
    fn name(&self) -> &str {
        "spectral_norm"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        if self.n_power_iterations == 0 {
            return Err(RuleError::Option {
                option: "n_power_iterations",
                expected: "one or more".to_owned(),
                found: "0".to_owned(),
            });
        }
        let eps = positive("eps", self.eps)?;
        site.elements()?;
        let rank = site.shape.len();
        let is_transposed = rank > 1 && site.layer.starts_with("ConvTranspose");
        let dim = self.dim.unwrap_or(usize::from(is_transposed));
        // Of PyTorch's layout, as the matrix is: only the error is wanted here.
        site.dim(dim)?;
        let chosen = Self { dim: Some(dim), ..*self };
        with_rank!(rank, D => {
            let mut dims = [1; D];
            dims.copy_from_slice(&site.shape);
            let value = match site.value.as_ref().map(|value| value.detach().into_rank::<D>()) {
                Some(Ok(value)) => value,
                // Of a value to come nothing is known.
                _ => Tensor::ones(dims, (&site.device, site.dtype)),
            };
            let mut link = SpectralNormLink {
                _u: None,
                _v: None,
                n_power_iterations: self.n_power_iterations,
                eps,
                dim,
                layout: site.layout,
            };
            if rank > 1 {
                link.start(&value)?;
            }
            Ok(Link::new::<D, _>(&chosen, link))
        }, else Err(RuleError::Rank { expected: 1, found: site.shape.clone() }))
    }
}

/// [`SpectralNorm`] on one parameter.
#[derive(Module, Debug)]
pub struct SpectralNormLink {
    /// Estimates of the singular vectors, under PyTorch's names.
    _u: Option<Buffer<1>>,
    _v: Option<Buffer<1>>,
    #[module(skip)]
    n_power_iterations: usize,
    #[module(skip)]
    eps: f64,
    /// In PyTorch's layout.
    #[module(skip)]
    dim: usize,
    #[module(skip)]
    layout: Layout,
}

impl SpectralNormLink {
    /// The estimate of the left singular vector; none for a vector.
    pub fn u(&self) -> Option<Tensor<1>> {
        self._u.as_ref().map(Buffer::value)
    }

    /// The estimate of the right singular vector; none for a vector.
    pub fn v(&self) -> Option<Tensor<1>> {
        self._v.as_ref().map(Buffer::value)
    }

    /// The weight as a matrix of one row for each index of the dimension.
    pub(super) fn matrix<const D: usize>(&self, value: Tensor<D>) -> Tensor<2> {
        let value = self.layout.turn(value);
        let mut axes: [usize; D] = std::array::from_fn(|axis| axis);
        axes[..=self.dim].rotate_right(1);
        let rows = value.dims()[self.dim];
        let columns = value.shape().num_elements() / rows.max(1);
        value.permute(axes).reshape([rows, columns])
    }

    fn normalized<const D: usize>(&self, vector: Tensor<D>) -> Tensor<D> {
        let others: [usize; D] = std::array::from_fn(|dim| dim);
        // Clamped before the root, which has no derivative at zero.
        let length = vector.clone().square().sum_dims(&others).clamp_min(self.eps * self.eps);
        vector / length.sqrt()
    }

    /// What the kernels are told, and whether they can take the weight as it is stored.
    pub(super) fn vectors<const D: usize>(&self, u: &Tensor<1>, v: &Tensor<1>) -> Option<Vectors> {
        let transposed = self.layout == Layout::Transposed;
        // A row-major matrix of this dimension by all others, or the transpose of one.
        let stored = if D == 2 { self.dim < 2 } else { self.dim == 0 && !transposed };
        if !stored {
            return None;
        }
        Some(Vectors {
            u: Constant::of(u)?,
            v: Constant::of(v)?,
            eps: self.eps,
            transposed: transposed != (self.dim == 1),
        })
    }

    /// Estimates of the weight's singular vectors, `iterations` better.
    pub(super) fn iterated<const D: usize>(
        &self,
        value: Tensor<D>,
        u: Tensor<1>,
        v: Tensor<1>,
        iterations: usize,
    ) -> [Tensor<1>; 2] {
        let (rows, columns) = (u.dims()[0], v.dims()[0]);
        let value = value.detach().without_autodiff();
        let by_host = self
            .vectors::<D>(&u, &v)
            .and_then(|vectors| unary::<D, 1>(&value, Iterated(vectors, iterations)));
        let [better_u, better_v] = match by_host {
            Some(both) => [both.clone().narrow(0, 0, rows), both.narrow(0, rows, columns)],
            None => {
                let (u, v) = (u.clone().without_autodiff(), v.without_autodiff());
                self.iterated_by_tensors(&self.matrix(value), u, v, iterations)
            }
        };
        // Back to the device that the buffers are on.
        let lifted = |better: Tensor<1>| {
            if u.is_autodiff() { Tensor::from_inner(better) } else { better }
        };
        [lifted(better_u), lifted(better_v)]
    }

    /// As [`Iterated`] on any device.
    pub(super) fn iterated_by_tensors(
        &self,
        m: &Tensor<2>,
        u: Tensor<1>,
        v: Tensor<1>,
        iterations: usize,
    ) -> [Tensor<1>; 2] {
        let (mut u, mut v) = (u, v);
        let transposed = m.clone().transpose();
        for _ in 0..iterations {
            u = self.normalized(times(m, v));
            v = self.normalized(times(&transposed, u.clone()));
        }
        [u, v]
    }

    fn start<const D: usize>(&mut self, value: &Tensor<D>) -> Result<(), RuleError> {
        let m = self.matrix(value.clone());
        let [rows, columns] = m.dims();
        let mut rng = Rng::seeded(0);
        let mut vector = |size| {
            let drawn = drawn::<1, 2>(Init::Normal(0.0, 1.0), [size], &m, &mut rng)?;
            Ok::<_, RuleError>(self.normalized(drawn))
        };
        let (u, v) = (vector(rows)?, vector(columns)?);
        let [u, v] = self.iterated(value.clone(), u, v, FIRST);
        self._u = Some(Buffer::new(u));
        self._v = Some(Buffer::new(v));
        Ok(())
    }

    /// As [`Normalized`] on any device; a vector divided by its length.
    pub(super) fn normalized_by_tensors<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self.sigma(x.clone()) {
            Some(sigma) => x / sigma.reshape([1; D]),
            None => self.normalized(x),
        }
    }

    /// The greatest singular value by the estimates, or the length of a vector.
    fn sigma<const D: usize>(&self, value: Tensor<D>) -> Option<Tensor<1>> {
        Some((self.u()? * times(&self.matrix(value), self.v()?)).sum())
    }
}

/// A matrix times a vector.
fn times(m: &Tensor<2>, v: Tensor<1>) -> Tensor<1> {
    m.clone().matmul(v.unsqueeze_dim(1)).squeeze_dim(1)
}

impl<const D: usize> Parametrization<D> for SpectralNormLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = &originals[0];
        let by_host = self.u().zip(self.v()).and_then(|(u, v)| self.vectors::<D>(&u, &v));
        by_host
            .and_then(|vectors| unary(x, Normalized(vectors)))
            .unwrap_or_else(|| self.normalized_by_tensors(x.clone()))
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![value])
    }

    fn advance(&self, originals: &[Tensor<D>]) {
        if let (Some(u), Some(v)) = (&self._u, &self._v) {
            let value = originals[0].clone();
            let [better_u, better_v] =
                self.iterated(value, u.value(), v.value(), self.n_power_iterations);
            u.update(better_u);
            v.update(better_v);
        }
    }

    /// The greatest singular value is one, exactly or by the estimates.
    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let off = |norm: f64| (norm - 1.0).abs();
        let by = match self.sigma(value.clone()) {
            Some(sigma) => {
                let [_, s, _] = svd(&self.matrix(value.clone()))?;
                off(sigma.into_scalar::<f64>()).min(off(s.max().into_scalar::<f64>()))
            }
            None => off(value.clone().square().sum().sqrt().into_scalar::<f64>()),
        };
        if by <= tolerance(value.dtype(), value.shape().num_elements()) {
            return Ok(());
        }
        Err(RuleError::NotInSet { set: "of spectral norm one", by })
    }

    /// Normal numbers, divided by the greatest singular value.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        let normal = drawn(Init::Normal(0.0, 1.0), like.dims(), like, rng)?;
        if D < 2 {
            return Ok(self.normalized(normal));
        }
        let [_, s, _] = svd(&self.matrix(normal.clone()))?;
        Ok(normal / s.max().reshape([1; D]))
    }
}

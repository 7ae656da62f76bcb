//! Weight normalization: a length and a direction.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::host::Normed;
use super::math::norm;
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::host::binary;

/// Weight normalization: the length of each slice is a parameter of its own.
///
/// - Formula: `W = g * V / ||V||`, the norm taken over all dimensions but `dim` (over all of them
///   for [`WeightNorm::whole`]).
/// - Originals: `original0 = g` (all dimensions 1 but `dim`), `original1 = V` (the weight's shape).
/// - Initialization: `g = ||W||`, `V = W`, so that the value does not change.
/// - Right inverse: the same.
/// - As in PyTorch, a slice of zeros has no direction: its value is NaN.
/// - Errors: [`RuleError::Dim`] if the parameter has no such dimension.
/// - Source: Salimans and Kingma, 2016, arXiv:1602.07868; `torch.nn.utils.parametrizations.weight_norm`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::WeightNorm;
/// use espalier::{ParameterTree, Parametrized};
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
/// net.register("weight", WeightNorm::dim(0))?;
/// let names: Vec<_> = net.named_parameters().into_iter().map(|p| (p.path, p.shape)).collect();
/// assert_eq!(names[0], ("parametrizations.weight.original0".to_string(), vec![1, 3]));
/// assert_eq!(names[1], ("parametrizations.weight.original1".to_string(), vec![5, 3]));
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeightNorm {
    dim: Option<usize>,
}

impl WeightNorm {
    /// One length for each index of `dim`, counted in PyTorch's layout: 0 is the output features
    /// (of a `Linear`, which Burn stores as `[in, out]`, too).
    pub fn dim(dim: usize) -> Self {
        Self { dim: Some(dim) }
    }

    /// One length for the whole tensor: PyTorch's `dim=None`.
    pub fn whole() -> Self {
        Self { dim: None }
    }
}

impl Default for WeightNorm {
    /// PyTorch's default, `dim=0`.
    fn default() -> Self {
        Self::dim(0)
    }
}

impl Rule for WeightNorm {
    fn name(&self) -> &str {
        "weight_norm"
    }

    fn options(&self) -> Value {
        json!({ "dim": self.dim })
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let dim = self.dim.map(|dim| site.dim(dim)).transpose()?;
        with_rank!(site.shape.len(), D => Ok(Link::new::<D, _>(self, WeightNormLink { dim })), else {
            Err(RuleError::Rank { expected: 1, found: site.shape.clone() })
        })
    }
}

/// [`WeightNorm`] on one parameter.
#[derive(Module, Debug)]
pub struct WeightNormLink {
    /// The dimension kept, in Burn's layout; none for the whole tensor.
    #[module(skip)]
    dim: Option<usize>,
}

impl WeightNormLink {
    /// Whether there is one length, which PyTorch saves without dimensions.
    pub fn is_whole(&self) -> bool {
        self.dim.is_none()
    }
}

/// As [`Normed`] on any device.
pub(super) fn normed_by_tensors<const D: usize>(
    dim: Option<usize>,
    g: Tensor<D>,
    v: Tensor<D>,
) -> Tensor<D> {
    v.clone() * (g / norm(v, dim))
}

impl<const D: usize> Parametrization<D> for WeightNormLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let [g, v] = originals else { unreachable!("registered with a length and a direction") };
        binary(g, v, Normed(self.dim))
            .unwrap_or_else(|| normed_by_tensors(self.dim, g.clone(), v.clone()))
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![norm(value.clone(), self.dim), value])
    }
}

//! Positive definite matrices.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spectrum::{Options, Spectrum, eigen};
use super::{Link, OrthogonalMap, Rule, RuleError, Site};

/// Symmetric positive definite matrices, by their eigenvalues.
///
/// - Formula: `W = Q diag(L) Q^T` with `Q = B exp(A)`, `A` the skew-symmetric matrix of the strictly
///   lower triangle of `X`, and `L = softplus(x_ii) + 1e-6`. `B` is the buffer `base`.
/// - Shapes: `[..., n, n]` to the same; leading dimensions are a batch.
/// - Initialization and right inverse: `B` becomes the eigenvectors of the symmetric part of the
///   value, the diagonal of `X` its eigenvalues. Those not above `1e-6` become `5e-6`: nearly the
///   nearest matrix of the set, which is open. geotorch refuses a value outside.
/// - Errors: [`RuleError::NotSquare`], [`RuleError::Rank`], [`RuleError::Empty`],
///   [`RuleError::Option`] for another map than the two.
/// - Source: `PSD` of geotorch (Lezcano-Casado, 2019, arXiv:1909.09501).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::PositiveDefinite;
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&device));
/// net.register("weight", PositiveDefinite::new())?;
/// let x = Tensor::<2>::from_data([[1.0, -2.0, 0.5]], &device);
/// let w: Tensor<2> = net.get("weight")?;
/// assert!(x.clone().matmul(w).matmul(x.transpose()).into_scalar::<f32>() > 0.0);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositiveDefinite {
    #[serde(default)]
    map: OrthogonalMap,
}

impl PositiveDefinite {
    /// By the exponential map.
    pub fn new() -> Self {
        Self { map: OrthogonalMap::Exp }
    }

    /// By this map: [`OrthogonalMap::Exp`] (the default) or [`OrthogonalMap::Cayley`].
    pub fn map(mut self, map: OrthogonalMap) -> Self {
        self.map = map;
        self
    }
}

impl Default for PositiveDefinite {
    fn default() -> Self {
        Self::new()
    }
}

impl Rule for PositiveDefinite {
    fn name(&self) -> &str {
        "positive_definite"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let rank = site.shape.last().copied().unwrap_or(0);
        let options = Options { rank, map: self.map, spectrum: Spectrum::Positive };
        eigen(self, site, options, "positive definite")
    }
}

//! Matrices of a rank.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spectrum::{Options, Spectrum, singular};
use super::{Link, OrthogonalMap, Rule, RuleError, Site};

/// Matrices of rank `r`, by a singular value decomposition.
///
/// - Formula: as [`LowRank`](super::LowRank), with singular values `softplus(S) + 1e-6`.
/// - Shapes: `[..., n, k]` to the same; leading dimensions are a batch. In PyTorch's layout.
/// - Initialization and right inverse: as [`LowRank`](super::LowRank). Singular values of the value
///   that are not above `1e-6` become `5e-6`; geotorch refuses a value of another rank.
/// - Errors: [`RuleError::Option`] for a rank that is not from 1 to the smaller side, or another map
///   than the two; [`RuleError::Rank`], [`RuleError::Empty`].
/// - Source: `FixedRank` of geotorch (Lezcano-Casado, 2019, arXiv:1909.09501).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::{FixedRank, OrthogonalMap};
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(6, 4).init(&Device::default()));
/// net.register("weight", FixedRank::new(2).map(OrthogonalMap::Cayley))?;
/// assert!(net.register("bias", FixedRank::new(2)).is_err());
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedRank {
    rank: usize,
    #[serde(default)]
    map: OrthogonalMap,
}

impl FixedRank {
    /// Matrices of this rank, by the exponential map.
    pub fn new(rank: usize) -> Self {
        Self { rank, map: OrthogonalMap::Exp }
    }

    /// By this map: [`OrthogonalMap::Exp`] (the default) or [`OrthogonalMap::Cayley`].
    pub fn map(self, map: OrthogonalMap) -> Self {
        Self { map, ..self }
    }
}

impl Rule for FixedRank {
    fn name(&self) -> &str {
        "fixed_rank"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let rank = self.rank;
        let options = Options { rank, map: self.map, spectrum: Spectrum::Positive };
        singular(self, site, options, "of that rank")
    }
}

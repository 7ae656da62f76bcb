//! Positive semidefinite matrices.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spectrum::{Options, Spectrum, eigen};
use super::{Link, OrthogonalMap, Rule, RuleError, Site};

/// Symmetric positive semidefinite matrices of rank `r` or less, by their eigenvalues.
///
/// - Formula: `W = Q diag(L) Q^T` with `Q` the first `r` columns of `B exp(A)`, `A` the
///   skew-symmetric matrix of the strictly lower triangle of the first `r` columns of `X`, and `L`
///   the magnitudes of the first `r` numbers of its diagonal. `B` is the buffer `base`. What stands
///   in `X` beyond the first `r` columns is not used.
/// - Shapes: `[..., n, n]` to the same; leading dimensions are a batch.
/// - Initialization and right inverse: `B` becomes the eigenvectors of the `r` greatest eigenvalues
///   of the symmetric part of the value (completed from a fixed seed), the diagonal of `X` these
///   eigenvalues, negative ones 0: the nearest matrix of the set. geotorch refuses a value outside.
///   As there, an eigenvalue of exactly 0 has no gradient.
/// - Errors: [`RuleError::Option`] for a rank that is not from 1 to `n`, or another map than the two;
///   [`RuleError::NotSquare`], [`RuleError::Rank`], [`RuleError::Empty`].
/// - Source: `PSSDLowRank` of geotorch (Lezcano-Casado, 2019, arXiv:1909.09501).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::PositiveSemidefinite;
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&device));
/// net.register("weight", PositiveSemidefinite::rank(1))?;
/// let w: Tensor<2> = net.get("weight")?;
/// let minor = w.clone().slice([0..1, 0..1]) * w.clone().slice([1..2, 1..2])
///     - w.clone().slice([0..1, 1..2]) * w.slice([1..2, 0..1]);
/// assert!(minor.into_scalar::<f32>().abs() < 1e-6); // of rank 1
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositiveSemidefinite {
    rank: usize,
    #[serde(default)]
    map: OrthogonalMap,
}

impl PositiveSemidefinite {
    /// Matrices of this rank or less, by the exponential map.
    pub fn rank(rank: usize) -> Self {
        Self { rank, map: OrthogonalMap::Exp }
    }

    /// By this map: [`OrthogonalMap::Exp`] (the default) or [`OrthogonalMap::Cayley`].
    pub fn map(self, map: OrthogonalMap) -> Self {
        Self { map, ..self }
    }
}

impl Rule for PositiveSemidefinite {
    fn name(&self) -> &str {
        "positive_semidefinite"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let rank = self.rank;
        let options = Options { rank, map: self.map, spectrum: Spectrum::Magnitude };
        eigen(self, site, options, "positive semidefinite of that rank or less")
    }
}

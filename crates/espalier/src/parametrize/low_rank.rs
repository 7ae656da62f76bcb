//! Matrices of a rank or less.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spectrum::{Options, Spectrum, singular};
use super::{Link, OrthogonalMap, Rule, RuleError, Site};

/// Matrices of rank `r` or less, by a singular value decomposition.
///
/// - Formula: `W = U diag(S) V^T` for a tall `n x k` weight (a wide one is the transpose of a tall
///   one), with `U` the first `r` columns of `B_U exp(A)`, `A` the skew-symmetric matrix of the
///   strictly lower triangle of `X`, `V` the same of the transposed upper one, and `S` the first `r`
///   numbers of the diagonal of `X`. The bases `B_U`, `B_V` are the buffers `u_base`, `v_base`.
///   What stands in `X` beyond the first `r` rows and columns is not used.
/// - Shapes: `[..., n, k]` to the same; leading dimensions are a batch. In PyTorch's layout.
/// - Initialization and right inverse: the bases become the singular vectors of the value (completed
///   from a fixed seed), `X` its `r` greatest singular values. Of a value of greater rank that is
///   the nearest one of rank `r`; geotorch refuses such a value.
/// - Errors: [`RuleError::Option`] for a rank that is not from 1 to `k`, or another map than the two;
///   [`RuleError::Rank`], [`RuleError::Empty`].
/// - Source: `LowRank` of geotorch (Lezcano-Casado, 2019, arXiv:1909.09501).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::LowRank;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(6, 4).init(&Device::default()));
/// net.register("weight", LowRank::new(2))?;
/// let list = net.parametrizations("weight")?;
/// assert!(list.links()[0].check(&net.value("weight")?).is_ok());
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRank {
    rank: usize,
    #[serde(default)]
    map: OrthogonalMap,
}

impl LowRank {
    /// Matrices of this rank or less, by the exponential map.
    pub fn new(rank: usize) -> Self {
        Self { rank, map: OrthogonalMap::Exp }
    }

    /// By this map: [`OrthogonalMap::Exp`] (the default) or [`OrthogonalMap::Cayley`].
    pub fn map(self, map: OrthogonalMap) -> Self {
        Self { map, ..self }
    }
}

impl Rule for LowRank {
    fn name(&self) -> &str {
        "low_rank"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let rank = self.rank;
        let options = Options { rank, map: self.map, spectrum: Spectrum::Free };
        singular(self, site, options, "of that rank or less")
    }
}

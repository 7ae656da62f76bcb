//! Orthogonal matrices by projection.

use super::{Constraint, RuleError};
use crate::erase::{AnyTensor, with_rank};
use crate::parametrize::{Site, orthonormal_columns};
use crate::tree::Layout;

/// Orthonormal columns (tall and square matrices) or rows (wide ones), by QR.
///
/// - Formula: the factor `Q` of `W = QR` with the diagonal of `R` positive, in PyTorch's layout; of
///   a wide matrix the transpose of that of its transpose. It is not the nearest orthogonal matrix,
///   but goes to it with the distance, and an orthogonal matrix stays as it is but for rounding.
/// - Shapes: `[..., n, k]`; leading dimensions are a batch.
/// - Errors: [`RuleError::Rank`] below two dimensions, [`RuleError::Empty`] without elements,
///   [`RuleError::Dense`] for a value that is not finite.
/// - Source: the retraction by QR of Absil, Mahony and Sepulchre, 2008 (Optimization Algorithms on
///   Matrix Manifolds). [`Orthogonal`](crate::parametrize::Orthogonal) instead makes the optimizer
///   move within the set.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor, Tolerance};
/// use espalier::constrain::{Constraints, OrthogonalProjection};
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(6, 4).init(&device));
/// net = Constraints::new().with("weight", OrthogonalProjection::new())?.apply(net)?;
/// let w: Tensor<2> = net.get("weight")?;
/// w.clone().transpose().matmul(w).into_data().assert_approx_eq::<f32>(
///     &Tensor::<2>::eye(4, &device).into_data(),
///     Tolerance::absolute(1e-5),
/// );
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrthogonalProjection {}

impl OrthogonalProjection {
    /// The constraint. It has no options.
    pub fn new() -> Self {
        Self {}
    }
}

impl Constraint for OrthogonalProjection {
    fn name(&self) -> &str {
        "orthogonal_projection"
    }

    fn check(&self, site: &Site) -> Result<(), RuleError> {
        let found = site.layout.torch_shape(&site.shape);
        if found.len() < 2 {
            return Err(RuleError::Rank { expected: 2, found });
        }
        if found.contains(&0) {
            return Err(RuleError::Empty { found });
        }
        Ok(())
    }

    fn apply(&self, value: AnyTensor, site: &Site) -> Result<AnyTensor, RuleError> {
        self.check(site)?;
        let torch = site.layout.torch_shape(&site.shape);
        let rank = torch.len();
        let is_wide = torch[rank - 2] < torch[rank - 1];
        // Two swaps cancel.
        let swapped = is_wide != (site.layout == Layout::Transposed);
        let tall = if swapped { value.transpose() } else { value };
        let found = tall.dims();
        let q: AnyTensor = with_rank!(rank, D => {
            if D < 2 {
                return Err(RuleError::Rank { expected: 2, found });
            }
            let tall =
                tall.into_rank::<D>().map_err(|_| RuleError::OwnRank { expected: D, found })?;
            orthonormal_columns(&tall)?.into()
        }, else return Err(RuleError::Rank { expected: 2, found }));
        Ok(if swapped { q.transpose() } else { q })
    }
}

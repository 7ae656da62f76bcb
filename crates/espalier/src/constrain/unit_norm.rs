//! Slices of norm one.

use super::norms::{Norms, Over};
use super::{Constraint, RuleError};
use crate::erase::AnyTensor;
use crate::parametrize::Site;

/// The Euclidean norm of each slice one: `keras.constraints.UnitNorm`.
///
/// - Formula: `w / (1e-7 + ||w||)`. A slice of zeros stays zero, since it has no direction.
/// - Slices, shapes: as [`MaxNorm`](super::MaxNorm).
/// - Errors: [`RuleError::Dim`] if the parameter has no such dimension.
/// - Source: Keras 3.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::constrain::{Constraints, UnitNorm};
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(2, 1).init(&device));
/// net.set("weight", Tensor::<2>::from_floats([[3.0], [4.0]], &device))?;
/// net = Constraints::new().with("weight", UnitNorm::new())?.apply(net)?;
/// let weight: Vec<f32> = net.get::<2>("weight")?.into_data().try_to_vec().unwrap();
/// assert!((weight[0] - 0.6).abs() < 1e-6 && (weight[1] - 0.8).abs() < 1e-6);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitNorm {
    over: Over,
}

impl UnitNorm {
    /// Output features of norm one.
    pub fn new() -> Self {
        Self { over: Over::AllBut(0) }
    }

    /// One norm for each index of `dim`, taken over all other dimensions.
    pub fn dim(self, dim: usize) -> Self {
        Self { over: Over::AllBut(dim) }
    }

    /// One norm for the whole tensor.
    pub fn whole(self) -> Self {
        Self { over: Over::Whole }
    }
}

impl Default for UnitNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl Constraint for UnitNorm {
    fn name(&self) -> &str {
        "unit_norm"
    }

    fn check(&self, site: &Site) -> Result<(), RuleError> {
        self.over.kept(site).map(drop)
    }

    fn apply(&self, value: AnyTensor, site: &Site) -> Result<AnyTensor, RuleError> {
        Norms { min: 1.0, max: 1.0, rate: 1.0 }.apply(self.over, value, site)
    }
}

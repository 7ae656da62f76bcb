//! Slices of a norm that is bounded.

use super::norms::{Norms, Over, expect};
use super::{Constraint, RuleError};
use crate::erase::AnyTensor;
use crate::parametrize::Site;

/// The Euclidean norm of each slice at most `max`: `keras.constraints.MaxNorm`.
///
/// - Formula: `w * max / (1e-7 + ||w||)` for a slice `w` with `||w|| > max`. Others stay to the
///   bit; Keras multiplies them by `||w|| / (1e-7 + ||w||)`, which is 1 but for rounding.
/// - Slices: one for each index of [`dim`](Self::dim), counted in PyTorch's layout, or the
///   [`whole`](Self::whole) tensor. The default 0 is one for each output feature: what Keras's
///   default `axis=0` is for its `[in, out]` kernel of a dense layer. (On a convolution and an
///   embedding that axis is another; 0 here is the output channel and the vector of a token.)
/// - Shapes: any.
/// - Errors: [`RuleError::Option`] unless `max` is above 0, [`RuleError::Dim`] if the parameter has
///   no such dimension.
/// - Source: Srebro, Rennie and Jaakkola, 2005; Srivastava et al., 2014 (Dropout), where it bounds
///   the weights into each unit; Keras 3.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::constrain::{Constraints, MaxNorm};
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(2, 2).init(&device));
/// net.set("weight", Tensor::<2>::from_floats([[3.0, 0.1], [4.0, 0.2]], &device))?; // [in, out]
/// net = Constraints::new().with("weight", MaxNorm::new(2.0))?.apply(net)?;
/// let weight: Vec<f32> = net.get::<2>("weight")?.into_data().try_to_vec().unwrap();
/// assert!((weight[0] - 1.2).abs() < 1e-6 && (weight[2] - 1.6).abs() < 1e-6);
/// assert_eq!((weight[1], weight[3]), (0.1, 0.2));
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxNorm {
    max: f64,
    over: Over,
}

impl MaxNorm {
    /// Norms of output features up to `max` (2 in Keras).
    pub fn new(max: f64) -> Self {
        Self { max, over: Over::AllBut(0) }
    }

    /// One norm for each index of `dim`, taken over all other dimensions.
    pub fn dim(self, dim: usize) -> Self {
        Self { over: Over::AllBut(dim), ..self }
    }

    /// One norm for the whole tensor.
    pub fn whole(self) -> Self {
        Self { over: Over::Whole, ..self }
    }
}

impl Default for MaxNorm {
    /// Keras's default, 2.
    fn default() -> Self {
        Self::new(2.0)
    }
}

impl Constraint for MaxNorm {
    fn name(&self) -> &str {
        "max_norm"
    }

    fn validate(&self) -> Result<(), RuleError> {
        expect(self.max > 0.0, "max", "a number above 0", self.max)
    }

    fn check(&self, site: &Site) -> Result<(), RuleError> {
        self.over.kept(site).map(drop)
    }

    fn apply(&self, value: AnyTensor, site: &Site) -> Result<AnyTensor, RuleError> {
        Norms { min: 0.0, max: self.max, rate: 1.0 }.apply(self.over, value, site)
    }
}

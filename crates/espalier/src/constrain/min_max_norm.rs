//! Slices of a norm between two bounds.

use super::norms::{Norms, Over, expect};
use super::{Constraint, RuleError};
use crate::erase::AnyTensor;
use crate::parametrize::Site;

/// The Euclidean norm of each slice between two bounds, or on its way there:
/// `keras.constraints.MinMaxNorm`.
///
/// - Formula: `w * desired / (1e-7 + ||w||)` with
///   `desired = rate * clip(||w||, min, max) + (1 - rate) * ||w||` for a slice `w` outside the
///   bounds. Others stay to the bit. A slice of zeros stays zero, since it has no direction.
/// - Slices, shapes: as [`MaxNorm`](super::MaxNorm).
/// - Errors: [`RuleError::Option`] unless `0 <= min <= max`, `max > 0` and `0 <= rate <= 1`,
///   [`RuleError::Dim`] if the parameter has no such dimension.
/// - Source: Keras 3.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::constrain::{Constraints, MinMaxNorm};
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(2, 1).init(&device));
/// net.set("weight", Tensor::<2>::from_floats([[3.0], [4.0]], &device))?; // norm 5
/// let halfway = MinMaxNorm::new(0.5, 1.0).rate(0.5);
/// net = Constraints::new().with("weight", halfway)?.apply(net)?;
/// let norm: f32 = net.get::<2>("weight")?.square().sum().sqrt().into_scalar();
/// assert!((norm - 3.0).abs() < 1e-5);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinMaxNorm {
    min: f64,
    max: f64,
    rate: f64,
    over: Over,
}

impl MinMaxNorm {
    /// Norms of output features from `min` to `max` (0 and 1 in Keras), at once.
    pub fn new(min: f64, max: f64) -> Self {
        Self { min, max, rate: 1.0, over: Over::AllBut(0) }
    }

    /// What part of the way to the bounds a norm goes each time (1 in Keras).
    pub fn rate(self, rate: f64) -> Self {
        Self { rate, ..self }
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

impl Default for MinMaxNorm {
    /// Keras's defaults, 0 and 1.
    fn default() -> Self {
        Self::new(0.0, 1.0)
    }
}

impl Constraint for MinMaxNorm {
    fn name(&self) -> &str {
        "min_max_norm"
    }

    fn validate(&self) -> Result<(), RuleError> {
        expect(self.max > 0.0, "max", "a number above 0", self.max)?;
        let between = (0.0..=self.max).contains(&self.min);
        expect(between, "min", "a number from 0 to `max`", self.min)?;
        expect((0.0..=1.0).contains(&self.rate), "rate", "a number from 0 to 1", self.rate)
    }

    fn check(&self, site: &Site) -> Result<(), RuleError> {
        self.over.kept(site).map(drop)
    }

    fn apply(&self, value: AnyTensor, site: &Site) -> Result<AnyTensor, RuleError> {
        Norms { min: self.min, max: self.max, rate: self.rate }.apply(self.over, value, site)
    }
}

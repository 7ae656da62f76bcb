//! The contract of a parametrization, and the built-in rules.
//!
//! A [`Rule`] says what to do (`Orthogonal::cayley()`); registering it on a parameter makes a
//! [`Link`] that does it there, with the state it needs. The mathematics of a link is a
//! [`Parametrization`]: `forward` from the originals to the value, `right_inverse` back, `check`.
//!
//! The functions here have the names of `torch.nn.utils.parametrize`, those of
//! [`parametrizations`] the names of `torch.nn.utils.parametrizations`; each calls a method of
//! [`Parametrized`](crate::Parametrized).

mod fixed_rank;
mod functions;
mod host;
mod link;
mod list;
mod lora;
mod low_rank;
mod math;
mod non_negative;
mod orthogonal;
pub mod parametrizations;
mod positive_definite;
mod positive_semidefinite;
mod registry;
mod scale;
mod sigmoid_mask;
mod skew;
mod spectral_norm;
mod spectrum;
mod sphere;
mod stiefel;
mod symmetric;
mod weight_norm;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::init::Rng;

pub use fixed_rank::FixedRank;
pub use functions::{
    cached, is_parametrized, register_parametrization, remove_parametrizations,
    transfer_parametrizations_and_params, type_before_parametrizations,
};
pub use link::{Link, Own, Rule, Site};
pub(crate) use list::describe;
pub use list::{IntoRules, ParametrizationList};
pub use lora::{Lora, LoraLink};
pub use low_rank::LowRank;
pub(crate) use math::orthonormal_columns;
pub use non_negative::{NonNegative, NonNegativeLink};
pub use orthogonal::{Orthogonal, OrthogonalLink, OrthogonalMap};
pub use positive_definite::PositiveDefinite;
pub use positive_semidefinite::PositiveSemidefinite;
pub use registry::Rules;
pub use scale::{Scale, ScaleLink};
pub use sigmoid_mask::{SigmoidMask, SigmoidMaskLink};
pub use skew::{Skew, SkewLink};
pub use spectral_norm::{SpectralNorm, SpectralNormLink};
pub use spectrum::{EigenLink, SingularLink};
pub use sphere::{Sphere, SphereLink};
pub use symmetric::{Symmetric, SymmetricLink};
pub use weight_norm::{WeightNorm, WeightNormLink};

/// Why a rule refuses a parameter or a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The rule cannot be inverted, so that nothing can be assigned through it.
    #[error("it has no right inverse, so a value cannot be assigned; {hint}")]
    NoRightInverse {
        /// What to do instead.
        hint: &'static str,
    },
    /// Too few dimensions.
    #[error("expected at least {expected} dimensions, found {} {found:?}", found.len())]
    Rank {
        /// The least number of dimensions.
        expected: usize,
        /// The shape given.
        found: Vec<usize>,
    },
    /// A tensor without elements, where the rule needs some.
    #[error("expected a tensor with elements, found shape {found:?}")]
    Empty {
        /// The shape given.
        found: Vec<usize>,
    },
    /// The last two dimensions must be equal.
    #[error("expected a square matrix, found shape {found:?}")]
    NotSquare {
        /// The shape given.
        found: Vec<usize>,
    },
    /// A dimension that the parameter does not have.
    #[error("dimension {dim} is outside the shape {found:?}")]
    Dim {
        /// The dimension asked for.
        dim: usize,
        /// The shape given.
        found: Vec<usize>,
    },
    /// An option of the rule that is out of its range, for any parameter or for this one.
    #[error("option `{option}`: expected {expected}, found {found}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The value has another shape than the parametrized tensor.
    #[error("expected a value of shape {expected:?}, found {found:?}")]
    Value {
        /// The shape of the parametrized tensor.
        expected: Vec<usize>,
        /// The shape of the value.
        found: Vec<usize>,
    },
    /// `forward(right_inverse(x))` has another shape than `x`.
    #[error(
        "registering may not change the shape of the tensor: expected {expected:?}, found \
         {found:?}; use `register_unsafe` if that is meant"
    )]
    ChangesShape {
        /// The shape of the tensor.
        expected: Vec<usize>,
        /// The shape of the parametrized one.
        found: Vec<usize>,
    },
    /// `forward(right_inverse(x))` has another element type than `x`.
    #[error(
        "registering may not change the dtype of the tensor: expected {expected}, found {found}"
    )]
    ChangesDtype {
        /// The dtype of the tensor.
        expected: String,
        /// The dtype of the parametrized one.
        found: String,
    },
    /// The last rule of the chain is another one than is asked for.
    #[error("the last rule of the chain is not `{expected}`; take those after it out first")]
    NotLast {
        /// The rule expected.
        expected: &'static str,
    },
    /// A value outside the set that the rule maps to.
    #[error("the value is not {set}: off by {by:e}")]
    NotInSet {
        /// The set: `symmetric`.
        set: &'static str,
        /// The largest deviation of an element.
        by: f64,
    },
    /// A link that cannot be taken out, since the other links cannot hold the present value.
    #[error(
        "without the link the value would change by up to {by:e}: the rules that are left cannot \
         hold it; remove them too, or set a value that they can hold"
    )]
    ValueChanges {
        /// The largest change of an element.
        by: f64,
    },
    /// Values that a factorization cannot take.
    #[error(transparent)]
    Dense(#[from] espalier_kernels::DenseError),
    /// A set that no value is drawn from.
    #[error("no value can be drawn from its set; set one, or initialize the parameter")]
    NoSample,
    /// A link that takes one tensor was given several.
    #[error("it takes {expected} tensor(s), found {found}")]
    Originals {
        /// How many it takes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Options that cannot be read back, from a file.
    #[error("options {options} are not those of the rule: {reason}")]
    Options {
        /// The options as saved.
        options: String,
        /// What is wrong.
        reason: String,
    },
    /// A rule name that is not known, from a file.
    #[error("unknown rule; known: {known}; add your own with `Rules::with`")]
    Unknown {
        /// The names known.
        known: String,
    },
    /// An own rule registered on a tensor of another rank.
    #[error("the rule is for rank {expected}, the tensor has shape {found:?}")]
    OwnRank {
        /// The rank the rule is written for.
        expected: usize,
        /// The shape of the tensor.
        found: Vec<usize>,
    },
}

/// The mathematics of a parametrization for tensors of rank `D`.
///
/// Its own trainable parameters and buffers come with `#[derive(Module)]`; they are visited, saved
/// and trained with the network. An own one:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::{Own, Parametrization, RuleError};
/// use espalier::Parametrized;
///
/// /// Every value positive: `exp(original)`.
/// #[derive(Module, Debug)]
/// struct Positive {}
///
/// impl Parametrization<2> for Positive {
///     fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
///         originals[0].clone().exp()
///     }
///     fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
///         Ok(vec![value.log()])
///     }
/// }
///
/// let linear = LinearConfig::new(3, 2).init(&Device::default());
/// let mut net = Parametrized::new(linear);
/// net.set("weight", Tensor::<2>::ones([3, 2], &Device::default()))?;
/// net.register("weight", Own::new("positive", Positive {}))?;
/// net.set("weight", Tensor::<2>::full([3, 2], 0.5, &Device::default()))?;
/// let weight: Tensor<2> = net.get("weight")?;
/// assert!((weight.sum().into_scalar::<f32>() - 3.0).abs() < 1e-6);
/// # Ok::<(), espalier::Error>(())
/// ```
pub trait Parametrization<const D: usize>: Module + ModuleDisplay + Sync + 'static {
    /// The value for these originals. Gradients flow back to them.
    ///
    /// The first link of a chain is given all originals, a later one the value of the link before.
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D>;

    /// Originals whose value is `value`, or near it where the set does not hold `value`.
    ///
    /// # Errors
    ///
    /// [`RuleError::NoRightInverse`] unless overridden: registering then takes the value itself as
    /// the original, and assigning is an error.
    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let _ = value;
        Err(RuleError::NoRightInverse { hint: "implement `right_inverse` for the rule" })
    }

    /// Moves state of its own (power iterations), once each time that a network in training
    /// computes its effective module, before [`forward`](Self::forward).
    ///
    /// Never called for reading a value, folding, saving or on a validation snapshot; so that a
    /// value that is read twice is one value. In PyTorch every read in training mode moves it. For
    /// the state, a [`Buffer`](crate::Buffer) that is [updated](crate::Buffer::update): it is
    /// copied with the network, saved, and never trained. Nothing here is differentiated.
    fn advance(&self, originals: &[Tensor<D>]) {
        let _ = originals;
    }

    /// A value drawn from the set that the rule maps to, with the shape, dtype and device of
    /// `like`: see `Parametrized::sample`.
    ///
    /// # Errors
    ///
    /// [`RuleError::NoSample`] unless overridden.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        let _ = (like, rng);
        Err(RuleError::NoSample)
    }

    /// Whether `value` is in the set that the rule maps to. Everything is, unless overridden.
    ///
    /// # Errors
    ///
    /// [`RuleError::NotInSet`] with the deviation.
    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let _ = value;
        Ok(())
    }
}

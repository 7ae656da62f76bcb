//! Constraints that hold after each step of an optimizer, by projection.
//!
//! A parametrization makes every value it computes one of its set, and the optimizer moves what it
//! is computed from. A constraint leaves the optimizer the values themselves and puts them back
//! after the step; nothing of it is in the graph. [`Constraints`] says which parameters obey what.
//!
//! | Keras (`keras.constraints`) | here |
//! | --- | --- |
//! | `MaxNorm` | [`MaxNorm`] |
//! | `NonNeg` | [`NonNeg`] |
//! | `UnitNorm` | [`UnitNorm`] |
//! | `MinMaxNorm` | [`MinMaxNorm`] |
//! | | [`OrthogonalProjection`] |

mod max_norm;
mod min_max_norm;
mod non_neg;
mod norms;
mod orthogonal;
mod project;
mod unit_norm;

use std::fmt::Debug;
use std::sync::Arc;

use burn::module::Module;

pub use max_norm::MaxNorm;
pub use min_max_norm::MinMaxNorm;
pub use non_neg::NonNeg;
pub use orthogonal::OrthogonalProjection;
pub(crate) use project::{Planned, Project};
pub use unit_norm::UnitNorm;

use crate::erase::AnyTensor;
use crate::error::Error;
use crate::frame::Parametrized;
use crate::parametrize::{RuleError, Site};
use crate::select::{IntoSelector, Selector};
use crate::tree::{self, Kind, ParamInfo};

/// A set of values, and the way into it.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::constrain::{Constraint, Constraints};
/// use espalier::parametrize::{RuleError, Site};
/// use espalier::{AnyTensor, Parametrized};
///
/// /// Every value at most one.
/// #[derive(Debug)]
/// struct AtMostOne;
///
/// impl Constraint for AtMostOne {
///     fn name(&self) -> &str {
///         "at_most_one"
///     }
///     fn apply(&self, value: AnyTensor, site: &Site) -> Result<AnyTensor, RuleError> {
///         let found = site.shape.clone();
///         let wrong = |_| RuleError::OwnRank { expected: 2, found };
///         Ok(value.into_rank::<2>().map_err(wrong)?.clamp_max(1.0).into())
///     }
/// }
///
/// let mut net = Parametrized::new(LinearConfig::new(3, 2).init(&Device::default()));
/// net.set("weight", Tensor::<2>::full([3, 2], 4.0, &Device::default()))?;
/// net = Constraints::new().with("weight", AtMostOne)?.apply(net)?;
/// assert_eq!(net.get::<2>("weight")?.max().into_scalar::<f32>(), 1.0);
/// # Ok::<(), espalier::Error>(())
/// ```
pub trait Constraint: Debug + Send + Sync {
    /// The name that errors tell.
    fn name(&self) -> &str;

    /// Whether its options make sense, wherever it applies. They do, unless overridden.
    ///
    /// # Errors
    ///
    /// [`RuleError::Option`] for an option out of its range.
    fn validate(&self) -> Result<(), RuleError> {
        Ok(())
    }

    /// Whether it fits a parameter at `site`. It does, unless overridden. Asked for every parameter
    /// before any is changed.
    ///
    /// # Errors
    ///
    /// If it does not.
    fn check(&self, site: &Site) -> Result<(), RuleError> {
        let _ = site;
        Ok(())
    }

    /// The value of the set for `value`, of the same shape; untracked, in Burn's layout.
    ///
    /// # Errors
    ///
    /// If there is none for such a value.
    fn apply(&self, value: AnyTensor, site: &Site) -> Result<AnyTensor, RuleError>;
}

/// A constraint and the parameters that obey it.
pub(crate) type Rule = (Selector, Arc<dyn Constraint>);

/// Which parameters obey which constraints.
///
/// Made once, applied after each step. Where several constraints select a parameter they apply in
/// the order they were added, which may leave one that an earlier one asked for.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::SgdConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::constrain::{Constraints, MaxNorm};
/// use espalier::Parametrized;
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(LinearConfig::new(3, 2).init(&device));
/// let constraints = Constraints::new().with("weight", MaxNorm::new(0.5))?;
/// let mut optim = SgdConfig::new().init();
/// for _ in 0..3 {
///     let grads = {
///         let step = net.effective();
///         net.grads((step.forward(Tensor::<2>::ones([1, 3], &device)) - 9.0).square().sum().backward())?
///     };
///     net = constraints.apply(optim.step(0.1, net, grads))?;
/// }
/// let norms = net.get::<2>("weight")?.square().sum_dim(0).sqrt(); // of each output feature
/// assert!(norms.max().into_scalar::<f32>() < 0.5 + 1e-6);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    rules: Vec<Rule>,
}

impl Constraints {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more, for the selected parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the selector does not parse, [`Error::Constraint`] for an option out
    /// of its range.
    pub fn with(
        mut self,
        selector: impl IntoSelector,
        constraint: impl Constraint + 'static,
    ) -> Result<Self, Error> {
        let selector = selector.into_selector()?;
        if let Err(source) = constraint.validate() {
            let constraint = constraint.name().to_owned();
            return Err(Error::Constraint { selector: selector.to_string(), constraint, source });
        }
        self.rules.push((selector, Arc::new(constraint)));
        Ok(self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The network with the selected parameters in their sets, after the optimizer's step.
    ///
    /// - Selectors speak effective names, and where they match none the names of originals.
    /// - Where a parameter is parametrized, its *value* is projected and assigned through the right
    ///   inverses, as by [`Parametrized::set`]; where their set cannot hold it, the value is what
    ///   they make of it. A value that is in its set already is not assigned, so that the originals
    ///   stay as they are.
    /// - A tied parameter is projected once, in the layout of the path it is tied to.
    /// - A pruned one stays pruned, and what is remembered under the mask stays.
    /// - Buffers are left out; frozen parameters are not.
    /// - Identities stay, and with them the optimizer's state.
    ///
    /// On Burn's CPU backend a parameter that nothing else holds is changed in its own memory: hold
    /// no clone of the network and drop what [`Parametrized::effective`] gave.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if a selector matches nothing, [`Error::Rule`] if a constraint does not
    /// fit a parameter or its value, or a right inverse refuses what was projected. The network is
    /// gone then; a clone made before is not changed.
    pub fn apply<M: Module>(&self, net: Parametrized<M>) -> Result<Parametrized<M>, Error> {
        if self.is_empty() { Ok(net) } else { net.constrained(&self.rules) }
    }

    /// As [`apply`](Self::apply), for a Burn module that is not wrapped. Parameters that are clones
    /// of each other are projected once and stay so.
    ///
    /// ```
    /// use burn::module::Param;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::constrain::{Constraints, NonNeg};
    ///
    /// let mut linear = LinearConfig::new(2, 1).with_bias(false).init(&Device::default());
    /// linear.weight = Param::from_data([[-1.0], [2.0]], &Device::default());
    /// let linear = Constraints::new().with("weight", NonNeg::new())?.apply_module(linear)?;
    /// assert_eq!(linear.weight.val().into_data().try_to_vec::<f32>().unwrap(), [0.0, 2.0]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn apply_module<M: Module>(&self, module: M) -> Result<M, Error> {
        if self.is_empty() {
            return Ok(module);
        }
        let infos = tree::tensors(&module);
        let plan = Planned::all(&self.rules, |selector| selected(selector, &infos))?;
        Project::all(module, &plan)
    }
}

/// The parameters among what a selector means, each once.
fn selected(selector: &Selector, infos: &[ParamInfo]) -> Result<Vec<ParamInfo>, Error> {
    let selection = selector.select_from(infos)?;
    let mut found: Vec<ParamInfo> = Vec::new();
    for info in selection.iter().filter(|info| info.kind == Kind::Parameter) {
        info.require_initialized()?;
        if found.iter().all(|other| other.id != info.id) {
            found.push(info.clone());
        }
    }
    match selection.iter().next() {
        Some(info) if found.is_empty() => {
            Err(Error::Kind { path: info.path.clone(), expected: Kind::Parameter })
        }
        _ => Ok(found),
    }
}

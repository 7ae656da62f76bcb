//! What a group may set for itself.

use std::fmt;

use burn::optim::Optimizer;

use super::hyper::Hyper;
use crate::schedule::{Target, Values};

/// Options of one group. What is not set is inherited from the optimizer of all groups.
///
/// ```
/// use espalier::optim::Options;
/// let options = Options::new().rate(1e-2).decay(0.0);
/// assert_eq!(options.to_string(), "rate 0.01, decay 0");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Options {
    pub(crate) rate: Option<f64>,
    pub(crate) momentum: Option<f64>,
    pub(crate) betas: Option<[f64; 2]>,
    pub(crate) epsilon: Option<f64>,
    pub(crate) decay: Option<f64>,
    pub(crate) rate_multiplier: Option<f64>,
    pub(crate) decay_multiplier: Option<f64>,
}

impl Options {
    /// Nothing set: everything inherited.
    pub fn new() -> Self {
        Self::default()
    }

    /// The learning rate.
    pub fn rate(self, rate: f64) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// The momentum of SGD.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum: Some(momentum), ..self }
    }

    /// The decays of the first and second moment of Adam and AdamW.
    pub fn betas(self, betas: [f64; 2]) -> Self {
        Self { betas: Some(betas), ..self }
    }

    /// What Adam and AdamW add to the root of the second moment.
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon: Some(epsilon), ..self }
    }

    /// The weight decay.
    pub fn decay(self, decay: f64) -> Self {
        Self { decay: Some(decay), ..self }
    }

    /// What the rate is multiplied by, whatever a schedule makes of it: Gluon's `lr_mult`.
    pub fn rate_multiplier(self, multiplier: f64) -> Self {
        Self { rate_multiplier: Some(multiplier), ..self }
    }

    /// What the decay is multiplied by: Gluon's `wd_mult`.
    pub fn decay_multiplier(self, multiplier: f64) -> Self {
        Self { decay_multiplier: Some(multiplier), ..self }
    }

    /// The options that are set, by name.
    fn set(&self) -> Vec<(&'static str, Vec<f64>)> {
        let one = |value: Option<f64>| value.map(|value| vec![value]);
        let all = [
            ("rate", one(self.rate)),
            ("momentum", one(self.momentum)),
            ("betas", self.betas.map(Vec::from)),
            ("epsilon", one(self.epsilon)),
            ("decay", one(self.decay)),
            ("rate multiplier", one(self.rate_multiplier)),
            ("decay multiplier", one(self.decay_multiplier)),
        ];
        all.into_iter().filter_map(|(name, values)| Some((name, values?))).collect()
    }

    /// Refuses options that the optimizer has not, and numbers that make no sense.
    pub(crate) fn check(&self, optimizer: &'static str, known: &[&str]) -> Result<(), OptionError> {
        for (option, values) in self.set() {
            if !option.ends_with("multiplier") && !known.contains(&option) {
                let known = known.join(", ");
                return Err(OptionError::Unknown { optimizer, option, known });
            }
            for found in values {
                check_range(option, found)?;
            }
        }
        Ok(())
    }
}

/// Refuses a number that makes no sense for an option.
pub(super) fn check_range(option: &'static str, found: f64) -> Result<(), OptionError> {
    let below_one = option == "momentum" || option == "betas";
    if found >= 0.0 && found.is_finite() && !(below_one && found >= 1.0) {
        return Ok(());
    }
    let expected = if below_one { "at least 0 and below 1" } else { "0 or a positive number" };
    Err(OptionError::Range { option, expected, found })
}

/// Refuses values that a group cannot start from.
pub(super) fn check_values(values: Values) -> Result<(), OptionError> {
    check_range("rate", values.rate)?;
    check_range("momentum", values.momentum)?;
    check_range("decay", values.decay)
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, values)) in self.set().into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            write!(f, "{comma}{name} {}", values.join(" and "))?;
        }
        Ok(())
    }
}

/// What is wrong with an option.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// An option that the optimizer does not have.
    #[error("{optimizer} has no option `{option}` that a group can set; it has {known}")]
    Unknown {
        /// The optimizer's name.
        optimizer: &'static str,
        /// The option given.
        option: &'static str,
        /// Those it has.
        known: String,
    },
    /// A schedule for what the optimizer reads only once.
    #[error("the {target} of {optimizer} cannot be scheduled: it is fixed when it is built")]
    Fixed {
        /// The optimizer's name.
        optimizer: &'static str,
        /// What the schedule would move.
        target: Target,
    },
    /// Two schedules on one thing, of which the second would overwrite the first.
    #[error(
        "two schedules move the {target}: `{first}` and `{second}`; make one of them with \
         `Schedule::chained` or `Schedule::sequential`"
    )]
    TwoSchedules {
        /// What both move.
        target: Target,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// A start value of what a schedule moves from the start value that it had.
    #[error("the {target} is moved by a schedule, which goes on from the value it started from")]
    Scheduled {
        /// What is scheduled.
        target: Target,
    },
    /// A number outside its range.
    #[error("`{option}` is {expected}, found {found}")]
    Range {
        /// The option.
        option: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The number given.
        found: f64,
    },
}

/// An optimizer that groups can give options and a schedule.
///
/// [`Sgd`](super::Sgd), [`Adam`](super::Adam) and [`AdamW`](super::AdamW) are; any optimizer of
/// Burn's is inside a [`BurnOptimizer`](super::BurnOptimizer).
pub trait GroupOptimizer: Optimizer {
    /// The optimizer's name, for listings.
    fn name(&self) -> &'static str;

    /// Its own rate, momentum (the first beta for Adam) and decay.
    fn values(&self) -> Values;

    /// Whether its own numbers make sense. Rate, momentum and decay are looked at if not told
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`OptionError::Range`] for one that is out of range.
    fn check(&self) -> Result<(), OptionError> {
        check_values(self.values())
    }

    /// The optimizer with the options that are set in place of its own.
    ///
    /// # Errors
    ///
    /// [`OptionError`] if it does not have an option or the number is out of range. Multipliers are
    /// the group's affair and passed over.
    fn with_options(self, options: &Options) -> Result<Self, OptionError>;

    /// Whether a schedule can move this: every step then reads it from the cell.
    fn follows(&self, target: Target) -> bool {
        let _ = target;
        true
    }

    /// The optimizer that reads rate, momentum and decay from `hyper` at each step.
    fn bound(self, hyper: Hyper) -> Self;
}

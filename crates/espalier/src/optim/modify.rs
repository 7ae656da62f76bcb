//! Multipliers for parts of a network, over its groups.

use crate::error::Error;
use crate::select::{IntoSelector, Selector};
use crate::tree::{ParamInfo, is_norm};

/// Rates and decays of some parameters, multiplied, whatever group they are in.
#[derive(Debug, Clone)]
pub(super) struct Modifier {
    /// What it is, for names of groups: `no decay`.
    pub(super) what: String,
    pub(super) who: Who,
    pub(super) factors: Factors,
}

/// What the rate and the decay of a parameter are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Factors {
    pub(super) rate: f64,
    pub(super) decay: f64,
}

impl Factors {
    pub(super) const ONE: Self = Self { rate: 1.0, decay: 1.0 };

    pub(super) fn times(self, other: Self) -> Self {
        Self { rate: self.rate * other.rate, decay: self.decay * other.decay }
    }
}

/// Whom a modifier is for.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// What a selector matches, at least one parameter.
    Selected(Selector),
    /// Biases and normalization layers, if there are any.
    BiasAndNorm,
}

impl Who {
    /// Whether this parameter is meant.
    pub(super) fn matches(&self, info: &ParamInfo) -> bool {
        match self {
            Self::Selected(selector) => selector.matches(info),
            Self::BiasAndNorm => is_bias_or_norm(info),
        }
    }
}

/// Whether weight decay is customarily left off: no matrix of weights.
fn is_bias_or_norm(info: &ParamInfo) -> bool {
    info.shape.len() < 2 || info.name() == "bias" || is_norm(&info.layer)
}

/// One modifier a layer: the last keeps its rate, each one before has `factor` times the rate of
/// the next.
pub(super) fn layer_wise<S: IntoSelector>(
    factor: f64,
    layers: impl IntoIterator<Item = S>,
) -> Result<Vec<Modifier>, Error> {
    let selectors =
        layers.into_iter().map(IntoSelector::into_selector).collect::<Result<Vec<_>, _>>()?;
    let last = selectors.len().saturating_sub(1);
    let modifier = |(index, selector): (usize, Selector)| {
        let power = i32::try_from(last - index).unwrap_or(i32::MAX);
        Modifier {
            what: format!("layer {}", index + 1),
            who: Who::Selected(selector),
            factors: Factors { rate: factor.powi(power), ..Factors::ONE },
        }
    };
    Ok(selectors.into_iter().enumerate().map(modifier).collect())
}

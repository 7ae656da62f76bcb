//! Numbers that are not negative.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::math::{drawn, epsilon, inverse_softplus, largest};
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::init::{Init, Rng};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Map {
    #[default]
    Softplus,
    Square,
}

/// Every number at least zero.
///
/// - Formula: `W = log(1 + exp(X))` for [`NonNegative::softplus`] (`X` itself above 20, as PyTorch's),
///   `W = X^2` for [`NonNegative::square`].
/// - Shapes: any to the same.
/// - Initialization and right inverse: `X = W + log(1 - exp(-W))`, `X = sqrt(W)`. What is not in the
///   set becomes the nearest that can be trained: for softplus, numbers that are not positive become
///   the machine epsilon; for the square, negative numbers become zero. Both have next to no
///   gradient there, so start from a weight that is not negative.
/// - Errors: none.
/// - Source: Chorowski and Zurada, 2015, doi:10.1109/TNNLS.2014.2310059 (networks of non-negative
///   weights); Dugas et al., 2001 (softplus).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::NonNegative;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
/// net.register("weight", NonNegative::softplus())?;
/// let w: Tensor<2> = net.get("weight")?;
/// assert!(w.min().into_scalar::<f32>() >= 0.0);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonNegative {
    #[serde(default)]
    map: Map,
}

impl NonNegative {
    /// By `log(1 + exp(X))`: every number is positive.
    pub fn softplus() -> Self {
        Self { map: Map::Softplus }
    }

    /// By `X^2`, which reaches zero.
    pub fn square() -> Self {
        Self { map: Map::Square }
    }
}

impl Rule for NonNegative {
    fn name(&self) -> &str {
        "non_negative"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let map = self.map;
        with_rank!(site.shape.len(), D => {
            Ok(Link::new::<D, _>(self, NonNegativeLink { map }))
        }, else Err(RuleError::Rank { expected: 1, found: site.shape.clone() }))
    }
}

/// [`NonNegative`] on one parameter.
#[derive(Module, Debug)]
pub struct NonNegativeLink {
    #[module(skip)]
    map: Map,
}

impl<const D: usize> Parametrization<D> for NonNegativeLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = originals[0].clone();
        match self.map {
            Map::Softplus => softplus(x, 1.0),
            Map::Square => x.square(),
        }
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![match self.map {
            Map::Softplus => {
                let outside = value.clone().lower_equal_elem(0.0);
                let least = epsilon(value.dtype());
                inverse_softplus(value.mask_fill(outside, least))
            }
            Map::Square => value.clamp_min(0.0).sqrt(),
        }])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = largest(value.clone().clamp_max(0.0));
        if by == 0.0 { Ok(()) } else { Err(RuleError::NotInSet { set: "non-negative", by }) }
    }

    /// The magnitudes of normal numbers of standard deviation 1.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        Ok(drawn(Init::Normal(0.0, 1.0), like.dims(), like, rng)?.abs())
    }
}

//! A mask that is learned.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, TensorData};
use espalier_kernels::{Bits, Candidate, Order, Scores, Values, count_to_prune, prune_lowest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sphere::positive;
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::tree::Layout;

/// A soft mask with one learned gate for each value.
///
/// - Formula: `W = X * sigmoid(S / t)` for the scores `S` and the temperature `t`.
/// - Shapes: any to the same. The scores are a parameter of the link, in PyTorch's layout, trained
///   and saved with the network (`parametrizations.weight.0.scores`).
/// - Initialization: every score is `initial` (2, a gate of 0.88); `X` is the weight over its gate,
///   so that the value does not change.
/// - Right inverse: `X = W / sigmoid(S / t)`, 0 where a gate is closed to the last bit.
/// - Training: add [`penalty`](SigmoidMaskLink::penalty) of the link to the loss, with a factor.
///   [`harden`](crate::Parametrized::harden) makes the gates exact zeros and ones.
/// - Errors: [`RuleError::Option`] for a target outside `[0, 1]` or a temperature that is not
///   positive.
/// - Source: Savarese, Silva and Maire, 2020, arXiv:1912.04427 (sigmoid gates with a temperature).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::{SigmoidMask, SigmoidMaskLink};
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(8, 6).init(&Device::default()));
/// net.register("weight", SigmoidMask::new().target_sparsity(0.75))?;
/// let list = net.parametrizations("weight")?;
/// let mask = list.link::<SigmoidMaskLink<2>>(0).ok_or("no mask")?;
/// assert!(mask.penalty().into_scalar::<f32>() > 0.0); // far from three quarters closed
/// net.harden("weight")?;
/// assert_eq!(net.zeros("weight")?, 36);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigmoidMask {
    target_sparsity: Option<f64>,
    temperature: f64,
    initial: f64,
}

impl Default for SigmoidMask {
    fn default() -> Self {
        Self { target_sparsity: None, temperature: 1.0, initial: 2.0 }
    }
}

impl SigmoidMask {
    /// Without a target, at temperature 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fraction of gates that [`penalty`](SigmoidMaskLink::penalty) wants closed, and that
    /// [`harden`](crate::Parametrized::harden) closes exactly.
    pub fn target_sparsity(self, target: f64) -> Self {
        Self { target_sparsity: Some(target), ..self }
    }

    /// What scores are divided by: the lower, the nearer gates are to 0 and 1.
    pub fn temperature(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }

    /// The score that every gate starts from.
    pub fn initial(self, score: f64) -> Self {
        Self { initial: score, ..self }
    }
}

impl Rule for SigmoidMask {
    fn name(&self) -> &str {
        "sigmoid_mask"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let refused = |option, expected: &str, found: f64| {
            let (expected, found) = (expected.to_owned(), found.to_string());
            Err(RuleError::Option { option, expected, found })
        };
        if let Some(target) = self.target_sparsity
            && !(0.0..=1.0).contains(&target)
        {
            return refused("target_sparsity", "a number from 0 to 1", target);
        }
        if !self.initial.is_finite() {
            return refused("initial", "a finite number", self.initial);
        }
        positive("temperature", self.temperature)?;
        let shape = site.layout.torch_shape(&site.shape);
        with_rank!(shape.len(), D => {
            let scores = vec![self.initial; shape.iter().product()];
            let scores = TensorData::new(scores, shape.clone()).convert_dtype(site.dtype);
            let scores = Tensor::<D>::from_data(scores, (&site.device, site.dtype));
            let link = SigmoidMaskLink {
                scores: Param::from_tensor(scores),
                layout: site.layout,
                target: self.target_sparsity,
                temperature: self.temperature,
            };
            Ok(Link::new::<D, _>(self, link))
        }, else Err(RuleError::Rank { expected: 1, found: shape }))
    }
}

/// [`SigmoidMask`] on one parameter.
#[derive(Module, Debug)]
pub struct SigmoidMaskLink<const D: usize> {
    /// In PyTorch's layout.
    scores: Param<Tensor<D>>,
    #[module(skip)]
    layout: Layout,
    #[module(skip)]
    target: Option<f64>,
    #[module(skip)]
    temperature: f64,
}

impl<const D: usize> SigmoidMaskLink<D> {
    /// The gates, from 0 to 1, in PyTorch's layout, gradient-tracking.
    pub fn gates(&self) -> Tensor<D> {
        sigmoid(self.scores.val() / self.temperature)
    }

    /// The fraction that the gates hold back, `1 - mean(gates)`: the expected sparsity.
    pub fn sparsity(&self) -> f64 {
        1.0 - self.gates().mean().into_scalar::<f64>()
    }

    /// What is to be added to the loss: `(sparsity - target)^2` with a target sparsity, else the
    /// mean of the gates. One element, gradient-tracking.
    pub fn penalty(&self) -> Tensor<1> {
        let open = self.gates().mean();
        match self.target {
            Some(target) => (open - (1.0 - target)).square(),
            None => open,
        }
    }

    /// The gates that stay when the mask is hardened, row-major in PyTorch's layout: with a target
    /// sparsity as many as it leaves, the greatest; without one those of 0.5 and above. Equal gates
    /// are closed in the order of storage.
    pub fn kept(&self) -> Vec<bool> {
        let scores = self.scores.val().into_data();
        let scores: Vec<f64> = scores.iter::<f64>().collect();
        let Some(target) = self.target else {
            return scores.iter().map(|score| *score >= 0.0).collect();
        };
        // Magnitudes order as scores do when the least is taken from all.
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let above: Vec<f64> = scores.iter().map(|score| score - least).collect();
        let mut kept = Bits::all(above.len());
        let closed = count_to_prune(target, above.len());
        let scores = Scores::Magnitude(Values::F64(&above));
        prune_lowest(&mut [Candidate { scores, order: Order::Stored, kept: &mut kept }], closed);
        kept.iter().collect()
    }
}

impl<const D: usize> Parametrization<D> for SigmoidMaskLink<D> {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        originals[0].clone() * self.layout.turn(self.gates())
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let gates = self.layout.turn(self.gates()).detach().set_require_grad(false);
        let closed = gates.clone().equal_elem(0.0);
        let open = gates.mask_fill(closed.clone(), 1.0);
        Ok(vec![(value / open).mask_fill(closed, 0.0)])
    }
}

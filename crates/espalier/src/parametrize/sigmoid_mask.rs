//! Gates that are trained with the weight: a soft pruning mask.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sphere::positive;
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::tree::Layout;

/// A trained gate on every number: pruning that is learned.
///
/// - Formula: `W = X * g` with gates `g = sigmoid(scores / t)`. The scores are the link's own trained
///   parameter, of the weight's shape in PyTorch's layout; `t` is the temperature, the lower the
///   nearer the gates are to 0 and 1.
/// - Shapes: any to the same.
/// - Initialization: every score is the `initial` one, and `X = W / g`, so that the value does not
///   change.
/// - Right inverse: `X = W / g`, where that is a finite number, else `W`.
/// - Sparsity: add [`SigmoidMaskLink::penalty`] to the loss. When the gates have settled,
///   [`Parametrized::harden`](crate::Parametrized::harden) makes a pruning mask of them.
/// - Errors: [`RuleError::Option`] for a target that is not within 0 and 1, a temperature that is not
///   positive, an initial score that is not finite.
/// - Source: Savarese et al., 2020, arXiv:1912.04427 (sigmoid gates at a temperature); Louizos et
///   al., 2018, arXiv:1712.01312 (a penalty on the gates' mean).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::{SigmoidMask, SigmoidMaskLink};
/// use espalier::Parametrized;
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&device));
/// net.register("weight", SigmoidMask::new().target_sparsity(0.75))?;
/// let loss = {
///     let list = net.parametrizations("weight")?;
///     let link: &SigmoidMaskLink<2> = list.link(0).expect("the link that was registered");
///     let step = net.effective();
///     step.forward(Tensor::<2>::ones([2, 5], &device)).square().mean() + link.penalty() * 0.1
/// };
/// let grads = net.grads(loss.backward())?;
/// net.harden("weight")?; // a quarter of twenty is kept
/// assert_eq!(net.zeros("weight")?, 15);
/// # drop(grads);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigmoidMask {
    target_sparsity: Option<f64>,
    temperature: f64,
    initial: f64,
}

impl SigmoidMask {
    /// Without a target, at temperature 1, with scores of 0: gates of one half.
    pub fn new() -> Self {
        Self { target_sparsity: None, temperature: 1.0, initial: 0.0 }
    }

    /// The share of gates to close, from 0 to 1.
    pub fn target_sparsity(self, target: f64) -> Self {
        Self { target_sparsity: Some(target), ..self }
    }

    /// What scores are divided by, a positive number.
    pub fn temperature(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }

    /// The score that every gate starts from.
    pub fn initial(self, logit: f64) -> Self {
        Self { initial: logit, ..self }
    }
}

impl Default for SigmoidMask {
    fn default() -> Self {
        Self::new()
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
        let temperature = positive("temperature", self.temperature)?;
        site.elements()?;
        with_rank!(site.shape.len(), D => {
            let Ok(dims) = <[usize; D]>::try_from(site.torch_shape()) else {
                unreachable!("the rank was asked for")
            };
            let scores = Tensor::<D>::full(dims, self.initial, (&site.device, site.dtype));
            let link = SigmoidMaskLink {
                scores: Param::from_tensor(scores),
                target: self.target_sparsity,
                temperature,
                layout: site.layout,
            };
            Ok(Link::new::<D, _>(self, link))
        }, else Err(RuleError::Rank { expected: 1, found: site.shape.clone() }))
    }
}

/// [`SigmoidMask`] on one parameter.
#[derive(Module, Debug)]
pub struct SigmoidMaskLink<const D: usize> {
    /// In PyTorch's layout.
    scores: Param<Tensor<D>>,
    #[module(skip)]
    target: Option<f64>,
    #[module(skip)]
    temperature: f64,
    #[module(skip)]
    layout: Layout,
}

impl<const D: usize> SigmoidMaskLink<D> {
    /// The gates, between 0 and 1, in the layout of the weight. Gradients flow to the scores.
    pub fn gates(&self) -> Tensor<D> {
        self.layout.turn(self.torch_gates())
    }

    fn torch_gates(&self) -> Tensor<D> {
        sigmoid(self.scores.val() / self.temperature)
    }

    /// The share of gates below one half.
    pub fn sparsity(&self) -> f64 {
        let gates = self.gate_values();
        gates.iter().filter(|gate| **gate < 0.5).count() as f64 / gates.len().max(1) as f64
    }

    /// What to add to the loss, times a strength: `(mean(g) - (1 - target))^2` with a target, else
    /// `mean(g)`. Gradients flow to the scores.
    pub fn penalty(&self) -> Tensor<1> {
        let mean = self.torch_gates().mean();
        match self.target {
            Some(target) => (mean - (1.0 - target)).square(),
            None => mean,
        }
    }

    /// The gates as numbers, in PyTorch's layout.
    fn gate_values(&self) -> Vec<f64> {
        self.torch_gates().detach().into_data().iter::<f64>().collect()
    }

    /// The positions that stay open, of those in `keep`, in PyTorch's layout: with a target exactly
    /// its share of all where `keep` has as many, those with the greatest gates (of equal ones the
    /// later); without one, gates of one half or more.
    pub(crate) fn harden(&self, keep: &mut [bool]) {
        let gates = self.gate_values();
        match self.target {
            Some(target) => {
                let stay = espalier_kernels::count_to_prune(1.0 - target, gates.len());
                let kept = keep.iter().filter(|kept| **kept).count();
                espalier_kernels::prune_smallest(&gates, keep, kept.saturating_sub(stay));
            }
            None => keep.iter_mut().zip(gates).for_each(|(kept, gate)| *kept &= gate >= 0.5),
        }
    }
}

impl<const D: usize> Parametrization<D> for SigmoidMaskLink<D> {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        originals[0].clone() * self.gates()
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let x = value.clone() / self.gates().detach();
        let lost = x.clone().is_finite().bool_not();
        Ok(vec![x.mask_where(lost, value)])
    }
}

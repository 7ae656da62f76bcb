//! Burn's own optimizers in groups.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::hyper::Hyper;
use super::options::{GroupOptimizer, OptionError, Options};
use crate::schedule::{Target, Values};

/// Any optimizer of Burn's with a rate of its own, to stand in [`Groups`](super::Groups).
///
/// Its rate can be set and scheduled; its other options are fixed when it is built.
///
/// ```
/// use burn::optim::LionConfig;
/// use espalier::optim::{BurnOptimizer, GroupOptimizer};
///
/// let lion = BurnOptimizer::new("Lion", LionConfig::new().build(), 1e-4);
/// assert_eq!(lion.values().rate, 1e-4);
/// ```
#[derive(Debug, Clone)]
pub struct BurnOptimizer<O> {
    name: &'static str,
    optimizer: O,
    rate: f64,
    hyper: Option<Hyper>,
}

impl<O: Optimizer> BurnOptimizer<O> {
    /// The optimizer under a name, with a rate.
    pub fn new(name: &'static str, optimizer: O, rate: f64) -> Self {
        Self { name, optimizer, rate, hyper: None }
    }
}

impl<O: Optimizer> GroupOptimizer for BurnOptimizer<O> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn values(&self) -> Values {
        Values { rate: self.rate, momentum: 0.0, decay: 0.0 }
    }
    fn with_options(self, options: &Options) -> Result<Self, OptionError> {
        options.check(self.name, &["rate"])?;
        Ok(Self { rate: options.rate.unwrap_or(self.rate), ..self })
    }
    fn follows(&self, target: Target) -> bool {
        target == Target::Rate
    }
    fn bound(self, hyper: Hyper) -> Self {
        Self { hyper: Some(hyper), ..self }
    }
}

impl<O: Optimizer> Optimizer for BurnOptimizer<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let rate = self.hyper.as_ref().map_or(rate, |hyper| hyper.get().rate);
        self.optimizer.step(rate, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        O::to_device(state, device)
    }
}

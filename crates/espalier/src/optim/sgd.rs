//! Stochastic gradient descent.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource, join_path};
use burn::tensor::{DType, Device, Tensor};
use espalier_kernels::{SgdStep, sgd};

use super::host::{Taken, as_slices, restored, with_real};
use super::hyper::Hyper;
use super::options::{GroupOptimizer, OptionError, Options, check_values};
use crate::prune::in_force;
use crate::schedule::Values;

/// Stochastic gradient descent with momentum: `torch.optim.SGD`.
///
/// With gradient `g` (plus `decay * w`): the velocity is `g` at first, then
/// `momentum * velocity + (1 - dampening) * g`; `w -= rate * velocity`. Without momentum
/// `w -= rate * g`. Nesterov's follows `g + momentum * velocity`.
///
/// On Burn's CPU backend the update is one pass over the memory, in place; elsewhere it is made of
/// tensor operations.
///
/// ```
/// use burn::module::{Module, Param};
/// use burn::optim::{GradientsParams, ModuleOptimizer};
/// use burn::tensor::{Device, Tensor};
/// use espalier::optim::Sgd;
///
/// let device = Device::default().autodiff();
/// let weight = Param::from_tensor(Tensor::<1>::from_data([1.0], &device));
/// let grads = GradientsParams::from_grads((weight.val() * 3.0).sum().backward(), &weight);
/// let weight = ModuleOptimizer::from(Sgd::new()).step(0.5, weight, grads);
/// assert_eq!(weight.val().into_data().try_to_vec::<f32>().unwrap(), [-0.5]);
/// ```
#[derive(Debug, Clone)]
pub struct Sgd {
    rate: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    decay: f64,
    maximize: bool,
    hyper: Option<Hyper>,
}

/// What [`Sgd`] remembers of a parameter. Saved in records as Burn's own.
#[derive(Debug, Clone)]
pub struct SgdState<const D: usize> {
    /// The velocity; none before there is a momentum. While that is 0 it stays, as in PyTorch.
    pub velocity: Option<Tensor<D>>,
}

/// Where Burn's record of its SGD has the velocity.
const MOMENTUM: &str = "momentum";

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(velocity) = &self.velocity {
            out.push_tensor(&join_path(prefix, MOMENTUM), "velocity", velocity.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let data = src.take_tensor(&join_path(prefix, MOMENTUM), "velocity");
        let velocity = match data {
            Some(data) => Some(restored(data, device)?),
            None => None,
        };
        Some(Self { velocity })
    }
}

impl Sgd {
    /// With PyTorch's defaults: rate 0.001, no momentum, no decay.
    pub fn new() -> Self {
        Self {
            rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            decay: 0.0,
            maximize: false,
            hyper: None,
        }
    }

    /// The rate in groups. A bare `ModuleOptimizer` passes its own.
    pub fn with_rate(self, rate: f64) -> Self {
        Self { rate, ..self }
    }

    /// The decay of the velocity.
    pub fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// What the gradient's part in the velocity is less than 1.
    pub fn with_dampening(self, dampening: f64) -> Self {
        Self { dampening, ..self }
    }

    /// Whether to look one step ahead (Sutskever et al., 2013).
    pub fn with_nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// The weight decay, added to the gradient.
    pub fn with_decay(self, decay: f64) -> Self {
        Self { decay, ..self }
    }

    /// Whether to go up the gradient instead of down.
    pub fn with_maximize(self, maximize: bool) -> Self {
        Self { maximize, ..self }
    }

    /// The numbers of a step; the first one has the gradient itself for velocity.
    fn numbers(&self, rate: f64, first: bool) -> SgdStep {
        let Values { rate, momentum, decay } = match &self.hyper {
            Some(hyper) => hyper.get(),
            None => Values { rate, momentum: self.momentum, decay: self.decay },
        };
        SgdStep {
            rate,
            l2: decay,
            momentum,
            dampening: if first { 0.0 } else { self.dampening },
            nesterov: self.nesterov,
        }
    }

    fn step_slices<const D: usize>(
        &self,
        dtype: DType,
        numbers: &SgdStep,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (mut weight, mut grad) = (Taken::of(tensor), Taken::of(grad));
        let mut velocity =
            (numbers.momentum != 0.0).then(|| velocity.map_or_else(|| weight.zeros(), Taken::of));
        let kept = in_force::take(weight.numel());
        with_real!(dtype, T => {
            let velocity = velocity.as_mut().map(|velocity| velocity.slice::<T>());
            sgd::<T>(numbers, weight.slice(), grad.slice(), velocity, kept.as_deref());
        });
        (weight.into_tensor(), velocity.map(Taken::into_tensor))
    }

    fn step_tensors<const D: usize>(
        numbers: &SgdStep,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let grad =
            if numbers.l2 == 0.0 { grad } else { grad + tensor.clone().mul_scalar(numbers.l2) };
        if numbers.momentum == 0.0 {
            return (tensor - grad.mul_scalar(numbers.rate), None);
        }
        let velocity = match velocity {
            Some(velocity) => {
                velocity.mul_scalar(numbers.momentum)
                    + grad.clone().mul_scalar(1.0 - numbers.dampening)
            }
            None => grad.clone(),
        };
        let along = if numbers.nesterov {
            grad + velocity.clone().mul_scalar(numbers.momentum)
        } else {
            velocity.clone()
        };
        (tensor - along.mul_scalar(numbers.rate), Some(velocity))
    }
}

impl Default for Sgd {
    fn default() -> Self {
        Self::new()
    }
}

impl GroupOptimizer for Sgd {
    fn name(&self) -> &'static str {
        "SGD"
    }
    fn values(&self) -> Values {
        Values { rate: self.rate, momentum: self.momentum, decay: self.decay }
    }
    fn check(&self) -> Result<(), OptionError> {
        check_values(self.values())?;
        let found = self.dampening;
        if found.is_finite() {
            return Ok(());
        }
        Err(OptionError::Range { option: "dampening", expected: "a number", found })
    }
    fn with_options(self, options: &Options) -> Result<Self, OptionError> {
        options.check("SGD", &["rate", "momentum", "decay"])?;
        Ok(Self {
            rate: options.rate.unwrap_or(self.rate),
            momentum: options.momentum.unwrap_or(self.momentum),
            decay: options.decay.unwrap_or(self.decay),
            ..self
        })
    }
    fn bound(self, hyper: Hyper) -> Self {
        Self { hyper: Some(hyper), ..self }
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let grad = if self.maximize { grad.neg() } else { grad };
        // A record may be of another precision.
        let dtype = tensor.dtype();
        let velocity = state.and_then(|state| state.velocity).map(|part| part.cast(dtype));
        let numbers = self.numbers(rate, velocity.is_none());
        let (velocity, idle) =
            if numbers.momentum == 0.0 { (None, velocity) } else { (velocity, None) };
        let slices = match &velocity {
            Some(velocity) => as_slices(&[&tensor, &grad, velocity]),
            None => as_slices(&[&tensor, &grad]),
        };
        let (tensor, velocity) = match slices {
            Some(dtype) => self.step_slices(dtype, &numbers, tensor, grad, velocity),
            None => Self::step_tensors(&numbers, tensor, grad, velocity),
        };
        (tensor, Some(SgdState { velocity: velocity.or(idle) }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        SgdState { velocity: state.velocity.map(|velocity| velocity.to_device(device)) }
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use super::*;
    use crate::init::Rng;
    use burn::tensor::TensorData;

    #[test]
    fn slices_and_tensor_operations_agree() {
        for (dtype, off) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
            for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
                let sgd = Sgd::new().with_momentum(momentum).with_nesterov(nesterov);
                let sgd = sgd.with_decay(0.3).with_dampening(0.2);
                let mut rng = Rng::seeded(3);
                let mut draw = || {
                    let numbers: Vec<f64> = (0..12).map(|_| rng.normal()).collect();
                    let data = TensorData::new(numbers, [12]).convert_dtype(dtype);
                    Tensor::<1>::from_data(data, (&Device::flex(), dtype))
                };
                let start = draw();
                let (mut a, mut b) = (start.clone(), start);
                let (mut of_a, mut of_b) = (None, None);
                for step in 0..5 {
                    let (grad, numbers) = (draw(), sgd.numbers(0.1, step == 0));
                    (a, of_a) = sgd.step_slices(dtype, &numbers, a, grad.clone(), of_a);
                    (b, of_b) = Sgd::step_tensors(&numbers, b, grad, of_b);
                    assert_eq!(of_a.is_some(), momentum != 0.0);
                    let of = |w: &Tensor<1>, v: &Option<Tensor<1>>| -> Vec<f64> {
                        let all = [Some(w.clone()), v.clone()].into_iter().flatten();
                        all.flat_map(|t| t.into_data().iter::<f64>().collect::<Vec<_>>()).collect()
                    };
                    for (x, y) in of(&a, &of_a).into_iter().zip(of(&b, &of_b)) {
                        assert!((x - y).abs() <= off * (1.0 + y.abs()), "{dtype:?}: {x} and {y}");
                    }
                }
            }
        }
    }
}

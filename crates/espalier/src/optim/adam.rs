//! Adam and AdamW.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource, join_path};
use burn::tensor::{DType, Device, Tensor};
use espalier_kernels::{AdamStep, adam};

use super::host::{Taken, as_slices, restored, with_real};
use super::hyper::Hyper;
use super::options::{GroupOptimizer, OptionError, Options, check_range};
use crate::prune::in_force;
use crate::schedule::Values;

/// What Adam and AdamW have in common: all but where the decay goes.
#[derive(Debug, Clone)]
struct Moments {
    rate: f64,
    betas: [f64; 2],
    epsilon: f64,
    decay: f64,
    amsgrad: bool,
    maximize: bool,
    /// Whether the decay shrinks the weight itself (AdamW) or is part of the gradient (Adam).
    decoupled: bool,
    hyper: Option<Hyper>,
}

impl Moments {
    /// The numbers of step `time` (from 1).
    fn numbers(&self, rate: f64, time: usize) -> AdamStep {
        let Values { rate, momentum: beta1, decay } = match &self.hyper {
            Some(hyper) => hyper.get(),
            None => Values { rate, momentum: self.betas[0], decay: self.decay },
        };
        let beta2 = self.betas[1];
        let time = i32::try_from(time).unwrap_or(i32::MAX);
        AdamStep {
            shrink: if self.decoupled { 1.0 - rate * decay } else { 1.0 },
            l2: if self.decoupled { 0.0 } else { decay },
            beta1,
            beta2,
            epsilon: self.epsilon,
            step_size: rate / (1.0 - beta1.powi(time)),
            root_scale: 1.0 / (1.0 - beta2.powi(time)).sqrt(),
        }
    }

    fn step<const D: usize>(
        &self,
        rate: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentState<D>>,
    ) -> (Tensor<D>, MomentState<D>) {
        let grad = if self.maximize { grad.neg() } else { grad };
        // A record may be of another precision.
        let dtype = tensor.dtype();
        let state = state.map(|state| state.map(|part| part.cast(dtype)));
        let moments = state.as_ref().map(|state| (&state.moment_1, &state.moment_2));
        let slices = match moments {
            Some((m, v)) => as_slices(&[&tensor, &grad, m, v]),
            None => as_slices(&[&tensor, &grad]),
        };
        match slices {
            Some(dtype) => self.step_slices(dtype, rate, tensor, grad, state),
            None => self.step_tensors(rate, tensor, grad, state),
        }
    }

    /// One pass over the host's memory, in place on what is uniquely owned.
    fn step_slices<const D: usize>(
        &self,
        dtype: DType,
        rate: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentState<D>>,
    ) -> (Tensor<D>, MomentState<D>) {
        let mut weight = Taken::of(tensor);
        let mut grad = Taken::of(grad);
        let (time, mut m, mut v, peak) = match state {
            Some(state) => (
                state.time + 1,
                Taken::of(state.moment_1),
                Taken::of(state.moment_2),
                state.max_moment_2.map(Taken::of),
            ),
            None => (1, weight.zeros(), weight.zeros(), None),
        };
        let mut peak = if self.amsgrad { Some(peak.unwrap_or_else(|| v.zeros())) } else { None };
        let numbers = self.numbers(rate, time);
        let kept = in_force::take(weight.numel());
        let kept = kept.as_deref();
        with_real!(dtype, T => {
            let peak = peak.as_mut().map(|peak| peak.slice::<T>());
            adam::<T>(&numbers, weight.slice(), grad.slice(), m.slice(), v.slice(), peak, kept);
        });
        let state = MomentState {
            time,
            moment_1: m.into_tensor(),
            moment_2: v.into_tensor(),
            max_moment_2: peak.map(Taken::into_tensor),
        };
        (weight.into_tensor(), state)
    }

    /// The same as tensor operations, for every device and float type.
    fn step_tensors<const D: usize>(
        &self,
        rate: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentState<D>>,
    ) -> (Tensor<D>, MomentState<D>) {
        let (time, m, v, peak) = match state {
            Some(state) => (state.time + 1, state.moment_1, state.moment_2, state.max_moment_2),
            None => (1, grad.zeros_like(), grad.zeros_like(), None),
        };
        let numbers = self.numbers(rate, time);
        let grad =
            if numbers.l2 == 0.0 { grad } else { grad + tensor.clone().mul_scalar(numbers.l2) };
        let m = m.mul_scalar(numbers.beta1) + grad.clone().mul_scalar(1.0 - numbers.beta1);
        let v = v.mul_scalar(numbers.beta2) + grad.square().mul_scalar(1.0 - numbers.beta2);
        let peak = self.amsgrad.then(|| match peak {
            Some(peak) => peak.max_pair(v.clone()),
            None => v.clone(),
        });
        let seen = peak.clone().unwrap_or_else(|| v.clone());
        let denominator = seen.sqrt().mul_scalar(numbers.root_scale).add_scalar(numbers.epsilon);
        let update = (m.clone() / denominator).mul_scalar(numbers.step_size);
        let tensor = tensor.mul_scalar(numbers.shrink) - update;
        let state = MomentState { time, moment_1: m, moment_2: v, max_moment_2: peak };
        (tensor, state)
    }
}

/// What [`Adam`] and [`AdamW`] remember of a parameter. Saved in records as Burn's own, but read in
/// the precision of the file: Burn's is read in that of the device.
#[derive(Debug, Clone)]
pub struct MomentState<const D: usize> {
    /// The number of steps.
    pub time: usize,
    /// The mean of the gradients.
    pub moment_1: Tensor<D>,
    /// The mean of their squares.
    pub moment_2: Tensor<D>,
    /// The largest mean of squares, for AMSGrad.
    pub max_moment_2: Option<Tensor<D>>,
}

impl<const D: usize> MomentState<D> {
    fn map(self, change: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        Self {
            time: self.time,
            moment_1: change(self.moment_1),
            moment_2: change(self.moment_2),
            max_moment_2: self.max_moment_2.map(change),
        }
    }
}

/// Where Burn's records have it, and its parts.
const MOMENTUM: &str = "momentum";
const TIME: &str = "time";
const FIRST: &str = "moment_1";
const SECOND: &str = "moment_2";
const PEAK: &str = "max_moment_2";

impl<const D: usize> RecordState for MomentState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let prefix = join_path(prefix, MOMENTUM);
        out.push_scalar(&prefix, TIME, self.time.into());
        out.push_tensor(&prefix, FIRST, self.moment_1.to_data());
        out.push_tensor(&prefix, SECOND, self.moment_2.to_data());
        if let Some(peak) = &self.max_moment_2 {
            out.push_tensor(&prefix, PEAK, peak.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let prefix = join_path(prefix, MOMENTUM);
        Some(Self {
            time: src.take_scalar(&prefix, TIME)?.try_into().ok()?,
            moment_1: restored(src.take_tensor(&prefix, FIRST)?, device)?,
            moment_2: restored(src.take_tensor(&prefix, SECOND)?, device)?,
            max_moment_2: match src.take_tensor(&prefix, PEAK) {
                Some(peak) => Some(restored(peak, device)?),
                None => None,
            },
        })
    }
}

macro_rules! adam_optimizer {
    ($(#[$doc:meta])* $type:ident, $name:literal, decay $decay:expr, decoupled $decoupled:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $type(Moments);

        impl $type {
            /// With PyTorch's defaults.
            pub fn new() -> Self {
                Self(Moments {
                    rate: 1e-3,
                    betas: [0.9, 0.999],
                    epsilon: 1e-8,
                    decay: $decay,
                    amsgrad: false,
                    maximize: false,
                    decoupled: $decoupled,
                    hyper: None,
                })
            }

            /// The rate in groups. A bare `ModuleOptimizer` passes its own.
            pub fn with_rate(self, rate: f64) -> Self {
                Self(Moments { rate, ..self.0 })
            }

            /// The decays of the first and second moment.
            pub fn with_betas(self, betas: [f64; 2]) -> Self {
                Self(Moments { betas, ..self.0 })
            }

            /// What is added to the root of the second moment.
            pub fn with_epsilon(self, epsilon: f64) -> Self {
                Self(Moments { epsilon, ..self.0 })
            }

            /// The weight decay.
            pub fn with_decay(self, decay: f64) -> Self {
                Self(Moments { decay, ..self.0 })
            }

            /// Whether to divide by the greatest second moment so far (AMSGrad; Reddi et al., 2018).
            pub fn with_amsgrad(self, amsgrad: bool) -> Self {
                Self(Moments { amsgrad, ..self.0 })
            }

            /// Whether to go up the gradient instead of down.
            pub fn with_maximize(self, maximize: bool) -> Self {
                Self(Moments { maximize, ..self.0 })
            }
        }

        impl Default for $type {
            fn default() -> Self {
                Self::new()
            }
        }

        impl GroupOptimizer for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn values(&self) -> Values {
                let Moments { rate, betas: [momentum, _], decay, .. } = self.0;
                Values { rate, momentum, decay }
            }
            fn check(&self) -> Result<(), OptionError> {
                check_range("rate", self.0.rate)?;
                self.0.betas.iter().try_for_each(|beta| check_range("betas", *beta))?;
                check_range("epsilon", self.0.epsilon)?;
                check_range("decay", self.0.decay)
            }
            fn with_options(self, options: &Options) -> Result<Self, OptionError> {
                options.check($name, &["rate", "betas", "epsilon", "decay"])?;
                let old = self.0;
                Ok(Self(Moments {
                    rate: options.rate.unwrap_or(old.rate),
                    betas: options.betas.unwrap_or(old.betas),
                    epsilon: options.epsilon.unwrap_or(old.epsilon),
                    decay: options.decay.unwrap_or(old.decay),
                    ..old
                }))
            }
            fn bound(self, hyper: Hyper) -> Self {
                Self(Moments { hyper: Some(hyper), ..self.0 })
            }
        }

        impl Optimizer for $type {
            type State<const D: usize> = MomentState<D>;

            fn step<const D: usize>(
                &self,
                rate: LearningRate,
                tensor: Tensor<D>,
                grad: Tensor<D>,
                state: Option<Self::State<D>>,
            ) -> (Tensor<D>, Option<Self::State<D>>) {
                let (tensor, state) = self.0.step(rate, tensor, grad, state);
                (tensor, Some(state))
            }

            fn to_device<const D: usize>(
                state: Self::State<D>,
                device: &Device,
            ) -> Self::State<D> {
                state.map(|part| part.to_device(device))
            }
        }
    };
}

adam_optimizer! {
    /// Adam (Kingma and Ba, 2015): `torch.optim.Adam`.
    ///
    /// With gradient `g` (plus `decay * w`), `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, step `t`
    /// from 1: `w -= rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
    ///
    /// On Burn's CPU backend the update is one pass over the memory, in place; elsewhere it is made
    /// of tensor operations. Both agree to rounding, and with Burn's and PyTorch's own.
    ///
    /// ```
    /// use burn::module::{Module, Param};
    /// use burn::optim::{GradientsParams, ModuleOptimizer};
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::optim::Adam;
    ///
    /// let device = Device::default().autodiff();
    /// let weight = Param::from_tensor(Tensor::<1>::from_data([1.0, -1.0], &device));
    /// let grads = GradientsParams::from_grads((weight.val() * 3.0).sum().backward(), &weight);
    /// let weight = ModuleOptimizer::from(Adam::new()).step(0.1, weight, grads);
    /// let values: Vec<f32> = weight.val().into_data().try_into_vec().unwrap();
    /// assert!((values[0] - 0.9).abs() < 1e-6 && (values[1] + 1.1).abs() < 1e-6);
    /// ```
    Adam, "Adam", decay 0.0, decoupled false
}

adam_optimizer! {
    /// AdamW (Loshchilov and Hutter, 2019): `torch.optim.AdamW`.
    ///
    /// As [`Adam`], with the decay taken off the weight itself: `w *= 1 - rate * decay` before the
    /// update, which does not see it.
    ///
    /// ```
    /// use espalier::optim::{AdamW, GroupOptimizer};
    /// let adamw = AdamW::new().with_rate(3e-4).with_decay(0.1);
    /// assert_eq!(adamw.values().decay, 0.1);
    /// ```
    AdamW, "AdamW", decay 1e-2, decoupled true
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use super::*;
    use crate::init::Rng;

    /// Every part of a state as numbers.
    fn parts(tensor: &Tensor<2>, state: &MomentState<2>) -> Vec<f64> {
        let mut parts = vec![tensor, &state.moment_1, &state.moment_2];
        parts.extend(&state.max_moment_2);
        parts
            .into_iter()
            .flat_map(|part| part.to_data().iter::<f64>().collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn slices_and_tensor_operations_agree() {
        for (dtype, off) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
            for (amsgrad, decoupled) in [(false, false), (true, false), (false, true), (true, true)]
            {
                let AdamW(moments) = AdamW::new().with_amsgrad(amsgrad).with_decay(0.3);
                let moments = Moments { decoupled, ..moments };
                let mut rng = Rng::seeded(3);
                let mut draw = || {
                    let numbers: Vec<f64> = (0..12).map(|_| rng.normal()).collect();
                    let data = burn::tensor::TensorData::new(numbers, [3, 4]);
                    Tensor::<2>::from_data(data.convert_dtype(dtype), (&Device::flex(), dtype))
                };
                let start = draw();
                let (mut a, mut b) = (start.clone(), start);
                let (mut of_a, mut of_b) = (None, None);
                for _ in 0..5 {
                    let grad = draw();
                    let (next, state) = moments.step_slices(dtype, 0.1, a, grad.clone(), of_a);
                    let (twin, twin_state) = moments.step_tensors(0.1, b, grad, of_b);
                    let pairs = parts(&next, &state).into_iter().zip(parts(&twin, &twin_state));
                    for (x, y) in pairs {
                        assert!((x - y).abs() <= off * (1.0 + y.abs()), "{dtype:?}: {x} and {y}");
                    }
                    (a, b, of_a, of_b) = (next, twin, Some(state), Some(twin_state));
                }
            }
        }
    }

    #[test]
    fn the_fast_path_is_taken_where_it_can_be() {
        let tensor = |dtype| Tensor::<1>::zeros([2], (&Device::flex(), dtype));
        assert_eq!(as_slices(&[&tensor(DType::F32), &tensor(DType::F32)]), Some(DType::F32));
        assert_eq!(as_slices(&[&tensor(DType::F64)]), Some(DType::F64));
        assert_eq!(as_slices(&[&tensor(DType::F16)]), None);
        assert_eq!(as_slices(&[&tensor(DType::F32), &tensor(DType::F64)]), None);
    }
}

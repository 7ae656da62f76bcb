//! A batch norm that takes its channels from its first input.

use burn::config::Config;
use burn::module::{Param, RunningState};
use burn::nn::{BatchNorm, Initializer};
use burn::tensor::{Device, Tensor};

use super::deferred::{Recipe, lazy_layer};
use super::draw::{check_options, check_some, empty, with_values};
use super::marks::id_of;
use crate::error::Error;
use crate::nn::layer::{Layer, WidthError};
use crate::tree::Layout;

/// Configuration of a [`LazyBatchNorm`]: Burn's `BatchNormConfig` without the channels.
#[derive(Config, Debug)]
pub struct LazyBatchNormConfig {
    /// What is added to the variance, finite and positive.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// The share of a new batch in the running statistics, in `[0, 1]`.
    #[config(default = 0.1)]
    pub momentum: f64,
}

lazy_layer! {
    /// Batch normalization of inputs `[batch, channels, ...]`, whose channels are those of the
    /// first input: `torch.nn.LazyBatchNorm1d`, `2d` and `3d`, since Burn has one batch norm for
    /// inputs of any rank.
    ///
    /// See the [module](super) for what holds before and after.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::lazy::LazyBatchNormConfig;
    ///
    /// let device = Device::default();
    /// let layer = LazyBatchNormConfig::new().init(&device);
    /// let y = layer.forward(Tensor::<4>::ones([2, 3, 4, 4], &device))?;
    /// assert_eq!(y.dims(), [2, 3, 4, 4]);
    /// assert_eq!(layer.get()?.gamma.dims(), [3]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// Nothing is drawn: gammas start at 1, betas at 0.
    LazyBatchNorm, LazyBatchNormConfig, BatchNorm, |_| Some(0)
}

impl LazyBatchNorm {
    /// The output, of the shape of `input` (`[batch, channels, ...]`).
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] if the channels are not those of the first input.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Result<Tensor<D>, Error> {
        self.forward_any(input.into())?.into_rank()
    }

    fn uninitialized_text(&self) -> String {
        let LazyBatchNormConfig { epsilon, momentum, .. } = self.config();
        format!("LazyBatchNorm {{momentum: {momentum}, epsilon: {epsilon}}}")
    }
}

/// `state` with `channels` values, its own ones if it has as many.
fn statistic(
    state: RunningState<Tensor<1>>,
    channels: usize,
    initial: f64,
) -> RunningState<Tensor<1>> {
    let old = state.value();
    if old.dims() == [channels] {
        return state;
    }
    let new = Tensor::full([channels], initial, (&old.device(), old.dtype()));
    RunningState::with_id(id_of(&state), new)
}

impl Recipe for LazyBatchNormConfig {
    type Layer = BatchNorm;
    const NAME: &'static str = "LazyBatchNorm";
    const CONTAINER: &'static str = "Struct:LazyBatchNorm";

    fn blank(&self, device: &Device) -> BatchNorm {
        let statistic = || RunningState::new(Tensor::zeros([0], device));
        BatchNorm {
            gamma: empty([0], device),
            beta: empty([0], device),
            training: Param::from_bool(true),
            running_mean: statistic(),
            running_var: statistic(),
            momentum: self.momentum,
            epsilon: self.epsilon,
        }
    }

    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        check_options(input, &[], &Initializer::Ones, true)?;
        let wrong = |expected: &str, found: f64| WidthError {
            expected: expected.to_owned(),
            found: found.to_string(),
            input: input.to_vec(),
            inside: None,
        };
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(wrong("a finite, positive epsilon", self.epsilon));
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(wrong("a momentum in 0.0..=1.0", self.momentum));
        }
        check_some(input, 1, "channels")?;
        Ok(input.to_vec())
    }

    fn size(input: &[usize]) -> usize {
        input.get(1).copied().unwrap_or_default()
    }

    fn found(&self, layer: &BatchNorm) -> Option<usize> {
        let [gamma] = layer.gamma.dims();
        let [beta] = layer.beta.dims();
        let [mean] = layer.running_mean.value().dims();
        let [variance] = layer.running_var.value().dims();
        [gamma, beta, mean, variance].into_iter().find(|size| *size > 0)
    }

    fn fill(&self, layer: BatchNorm, size: usize, _: u64) -> Result<BatchNorm, Error> {
        let param = |param: Param<Tensor<1>>, initial: f64| {
            if param.dims() == [size] {
                return param;
            }
            with_values(param, vec![initial; size], [size], Layout::Torch)
        };
        Ok(BatchNorm {
            gamma: param(layer.gamma, 1.0),
            beta: param(layer.beta, 0.0),
            running_mean: statistic(layer.running_mean, size, 0.0),
            running_var: statistic(layer.running_var, size, 1.0),
            ..layer
        })
    }

    /// Burn's running statistics write through to clones.
    fn isolated(layer: BatchNorm) -> BatchNorm {
        let own =
            |state: RunningState<Tensor<1>>| RunningState::with_id(id_of(&state), state.value());
        BatchNorm {
            running_mean: own(layer.running_mean),
            running_var: own(layer.running_var),
            ..layer
        }
    }
}

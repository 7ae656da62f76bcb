//! Initial values by Burn's initializers, from the host's seeded generator.

use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Error;
use crate::init::{Init, Rng};
use crate::nn::layer::WidthError;
use crate::tree::{Layout, contiguous};

/// How the parameters of one layer are drawn.
pub(super) struct Draw<'a> {
    pub(super) layer: &'static str,
    pub(super) initializer: &'a Initializer,
    pub(super) seed: u64,
    pub(super) fan_in: usize,
    pub(super) fan_out: usize,
}

impl Draw<'_> {
    /// `param` as it is if it has that shape (PyTorch's layout), else with values of `stream`.
    pub(super) fn param<const D: usize>(
        &self,
        stream: u64,
        param: Param<Tensor<D>>,
        shape: [usize; D],
        layout: Layout,
    ) -> Result<Param<Tensor<D>>, Error> {
        if param.dims().as_slice() == layout.torch_shape(&shape) {
            return Ok(param);
        }
        let mut rng = Rng::stream(self.seed, stream);
        let values = resolve(self.initializer, self.fan_in as f64, self.fan_out as f64)
            .values(&shape, &mut rng)
            .map_err(|reason| Error::Init { path: self.layer.to_owned(), reason })?;
        Ok(with_values(param, values, shape, layout))
    }
}

/// `param` with these values (PyTorch's layout), in its dtype, trained as it was.
pub(super) fn with_values<const D: usize>(
    param: Param<Tensor<D>>,
    values: Vec<f64>,
    shape: [usize; D],
    layout: Layout,
) -> Param<Tensor<D>> {
    let grad = param.is_require_grad();
    param.map(|old| {
        let data = TensorData::new(values, shape).convert_dtype(old.dtype());
        let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
        let new = contiguous(layout.turn(new));
        if grad { new.require_grad() } else { new }
    })
}

/// An empty parameter, trained later.
pub(super) fn empty<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

/// A bias that was given values before the weight was, or the empty one if they cannot fit.
pub(super) fn tidied_bias(
    mapped: Option<Param<Tensor<1>>>,
    blank: &Option<Param<Tensor<1>>>,
    outputs: usize,
) -> Option<Param<Tensor<1>>> {
    match mapped {
        Some(bias) if bias.dims() != [0] && bias.dims() != [outputs] => blank.clone(),
        other => other,
    }
}

/// A Burn initializer as one of ours, its fans put in.
fn resolve(initializer: &Initializer, fan_in: f64, fan_out: f64) -> Init {
    let kaiming = |out_only: bool| 1.0 / if out_only { fan_out } else { fan_in }.sqrt();
    let xavier = (2.0 / (fan_in + fan_out)).sqrt();
    let uniform = |std: f64| {
        let bound = (3f64.sqrt() * std).abs();
        Init::Uniform(-bound, bound)
    };
    match *initializer {
        Initializer::Constant { value } => Init::Constant(value),
        Initializer::Ones => Init::Constant(1.0),
        Initializer::Zeros => Init::Constant(0.0),
        Initializer::Uniform { min, max } => Init::Uniform(min, max),
        Initializer::Normal { mean, std } => Init::Normal(mean, std),
        Initializer::KaimingUniform { gain, fan_out_only } => uniform(gain * kaiming(fan_out_only)),
        Initializer::KaimingNormal { gain, fan_out_only } => {
            Init::Normal(0.0, (gain * kaiming(fan_out_only)).abs())
        }
        Initializer::XavierUniform { gain } => uniform(gain * xavier),
        Initializer::XavierNormal { gain } => Init::Normal(0.0, (gain * xavier).abs()),
        Initializer::Orthogonal { gain } => Init::Orthogonal(gain),
    }
}

/// Burn's default for linear layers and convolutions: uniform in `±1 / sqrt(fan_in)`.
pub(super) fn default_initializer() -> Initializer {
    Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }
}

/// What of a configuration no input fits, as the error of that input.
pub(super) fn check_options(
    input: &[usize],
    options: &[(&str, usize)],
    initializer: &Initializer,
    bias: bool,
) -> Result<(), WidthError> {
    let wrong = |expected: String, found: String| {
        Err(WidthError { expected, found, input: input.to_vec(), inside: None })
    };
    for (name, value) in options {
        if *value == 0 {
            return wrong(format!("a configuration with {name} of at least 1"), "0".to_owned());
        }
    }
    let probe = resolve(initializer, 1.0, 1.0);
    if bias && let Init::Orthogonal(_) = probe {
        return wrong(
            "an initializer that fills biases too, or `with_bias(false)`".to_owned(),
            "Orthogonal".to_owned(),
        );
    }
    match probe {
        Init::Orthogonal(_) => Ok(()),
        probe => match probe.values(&[1], &mut Rng::seeded(0)) {
            Ok(_) => Ok(()),
            Err(reason) => {
                wrong("an initializer that can draw".to_owned(), format!("one that says: {reason}"))
            }
        },
    }
}

/// Checks that dimension `dim` of `input` is there and not 0.
pub(super) fn check_some(input: &[usize], dim: usize, what: &str) -> Result<(), WidthError> {
    match input.get(dim) {
        Some(0) | None => Err(WidthError {
            expected: format!("at least 1 {what}"),
            found: input.get(dim).map_or_else(|| "none".to_owned(), ToString::to_string),
            input: input.to_vec(),
            inside: None,
        }),
        Some(_) => Ok(()),
    }
}

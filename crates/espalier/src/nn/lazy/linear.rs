//! A linear layer that takes its input features from its first input.

use burn::config::Config;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor};

use super::deferred::{Recipe, lazy_layer};
use super::draw::{Draw, check_options, check_some, default_initializer, empty, tidied_bias};
use crate::error::Error;
use crate::nn::layer::{Layer, WidthError};
use crate::tree::Layout;

/// Configuration of a [`LazyLinear`]: Burn's `LinearConfig` without the input features.
#[derive(Config, Debug)]
pub struct LazyLinearConfig {
    /// The number of output features.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// How weight and bias are filled.
    #[config(default = "default_initializer()")]
    pub initializer: Initializer,
    /// The seed of the initial values; drawn from the device's generator if not given.
    pub seed: Option<u64>,
}

lazy_layer! {
    /// `y = x W + b` for inputs `[..., features]`, whose features are those of the first input:
    /// `torch.nn.LazyLinear`.
    ///
    /// See the [module](super) for what holds before and after.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::lazy::LazyLinearConfig;
    ///
    /// let device = Device::default();
    /// let layer = LazyLinearConfig::new(3).with_seed(Some(7)).init(&device);
    /// assert_eq!(
    ///     layer.get().unwrap_err().to_string(),
    ///     "LazyLinear: not initialized yet, since the layer has not seen an input; run one \
    ///      forward pass first, or load a state dict"
    /// );
    /// let y = layer.forward(Tensor::<2>::ones([2, 5], &device))?;
    /// assert_eq!(y.dims(), [2, 3]);
    /// assert_eq!(layer.get()?.weight.dims(), [5, 3]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    LazyLinear, LazyLinearConfig, Linear, |config| config.seed
}

impl LazyLinear {
    /// The output `[..., d_output]` for `input` (`[..., features]`).
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] if the features are not those of the first input.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Result<Tensor<D>, Error> {
        self.forward_any(input.into())?.into_rank()
    }

    /// The weight, `[features, d_output]`.
    ///
    /// # Errors
    ///
    /// [`Error::Uninitialized`] before the first forward pass.
    pub fn weight(&self) -> Result<Tensor<2>, Error> {
        let weight = |error: Error| error.inside("weight");
        Ok(self.get().map_err(weight)?.weight.val())
    }

    /// The bias, `[d_output]`, if the layer has one.
    ///
    /// # Errors
    ///
    /// [`Error::Uninitialized`] before the first forward pass.
    pub fn bias(&self) -> Result<Option<Tensor<1>>, Error> {
        let bias = |error: Error| error.inside("bias");
        Ok(self.get().map_err(bias)?.bias.as_ref().map(|bias| bias.val()))
    }

    fn uninitialized_text(&self) -> String {
        let LazyLinearConfig { d_output, bias, .. } = self.config();
        format!("LazyLinear {{d_output: {d_output}, bias: {bias}}}")
    }
}

impl Recipe for LazyLinearConfig {
    type Layer = Linear;
    const NAME: &'static str = "LazyLinear";
    const CONTAINER: &'static str = "Struct:LazyLinear";

    fn blank(&self, device: &Device) -> Linear {
        Linear {
            weight: empty([0, self.d_output], device),
            bias: self.bias.then(|| empty([0], device)),
        }
    }

    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let options = [("output features", self.d_output)];
        check_options(input, &options, &self.initializer, self.bias)?;
        let last = input.len().wrapping_sub(1);
        check_some(input, last, "input features")?;
        let mut output = input.to_vec();
        output[last] = self.d_output;
        Ok(output)
    }

    fn size(input: &[usize]) -> usize {
        input.last().copied().unwrap_or_default()
    }

    fn found(&self, layer: &Linear) -> Option<usize> {
        let [inputs, outputs] = layer.weight.dims();
        (inputs > 0 && outputs > 0).then_some(inputs)
    }

    fn fill(&self, layer: Linear, size: usize, seed: u64) -> Result<Linear, Error> {
        let outputs = match layer.weight.dims() {
            [inputs, outputs] if inputs > 0 => outputs,
            _ => self.d_output,
        };
        let draw = Draw {
            layer: Self::NAME,
            initializer: &self.initializer,
            seed,
            fan_in: size,
            fan_out: outputs,
        };
        Ok(Linear {
            weight: draw.param(0, layer.weight, [outputs, size], Layout::Transposed)?,
            bias: match layer.bias {
                Some(bias) => Some(draw.param(1, bias, [outputs], Layout::Torch)?),
                None => None,
            },
        })
    }

    fn tidied(&self, mapped: Linear, blank: &Linear) -> Linear {
        let bias = tidied_bias(mapped.bias, &blank.bias, self.d_output);
        Linear { bias, weight: mapped.weight }
    }
}

//! A convolution over sequences that takes its input channels from its first input.

use burn::config::Config;
use burn::nn::conv::Conv1d;
use burn::nn::{Initializer, PaddingConfig1d};
use burn::tensor::{Device, Tensor};

use super::conv::Options;
use super::deferred::{Recipe, lazy_layer};
use super::draw::{Draw, default_initializer, empty, tidied_bias};
use crate::error::Error;
use crate::nn::layer::{Layer, WidthError};
use crate::nn::window::{Window, pads_1d};
use crate::tree::Layout;

/// Configuration of a [`LazyConv1d`]: Burn's `Conv1dConfig` without the input channels.
#[derive(Config, Debug)]
pub struct LazyConv1dConfig {
    /// The number of output channels.
    pub channels_out: usize,
    /// The size of the kernel.
    pub kernel_size: usize,
    /// The stride of the convolution.
    #[config(default = "1")]
    pub stride: usize,
    /// Spacing between kernel elements.
    #[config(default = "1")]
    pub dilation: usize,
    /// Groups of channels that are convolved apart.
    #[config(default = 1)]
    pub groups: usize,
    /// The padding.
    #[config(default = "PaddingConfig1d::Valid")]
    pub padding: PaddingConfig1d,
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
    /// A convolution of inputs `[batch, channels, length]`, whose channels are those of the first input:
    /// `torch.nn.LazyConv1d`.
    ///
    /// See the [module](super) for what holds before and after.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::lazy::LazyConv1dConfig;
    ///
    /// let device = Device::default();
    /// let layer = LazyConv1dConfig::new(4, 3).init(&device);
    /// let y = layer.forward(Tensor::ones([2, 3, 8], &device))?;
    /// assert_eq!(y.dims(), [2, 4, 6]);
    /// assert_eq!(layer.weight()?.dims(), [4, 3, 3]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    LazyConv1d, LazyConv1dConfig, Conv1d, |config| config.seed
}

impl LazyConv1d {
    /// The output for `input` (`[batch, channels, length]`).
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] if the channels are not those of the first input, not a multiple of the
    /// groups, or if the kernel does not fit into the input.
    pub fn forward(&self, input: Tensor<3>) -> Result<Tensor<3>, Error> {
        self.forward_any(input.into())?.into_rank()
    }

    /// The weight, `[channels_out, channels_in / groups, kernel]`.
    ///
    /// # Errors
    ///
    /// [`Error::Uninitialized`] before the first forward pass.
    pub fn weight(&self) -> Result<Tensor<3>, Error> {
        let weight = |error: Error| error.inside("weight");
        Ok(self.get().map_err(weight)?.weight.val())
    }

    /// The bias, `[channels_out]`, if the layer has one.
    ///
    /// # Errors
    ///
    /// [`Error::Uninitialized`] before the first forward pass.
    pub fn bias(&self) -> Result<Option<Tensor<1>>, Error> {
        let bias = |error: Error| error.inside("bias");
        Ok(self.get().map_err(bias)?.bias.as_ref().map(|bias| bias.val()))
    }

    fn uninitialized_text(&self) -> String {
        let LazyConv1dConfig { channels_out, kernel_size, stride, .. } = self.config();
        format!(
            "LazyConv1d {{ch_out: {channels_out}, kernel_size: {kernel_size:?}, stride: {stride:?}}}"
        )
    }
}

impl Recipe for LazyConv1dConfig {
    type Layer = Conv1d;
    const NAME: &'static str = "LazyConv1d";
    const CONTAINER: &'static str = "Struct:LazyConv1d";

    fn blank(&self, device: &Device) -> Conv1d {
        Conv1d {
            weight: empty([self.channels_out, 0, self.kernel_size], device),
            bias: self.bias.then(|| empty([0], device)),
            stride: self.stride,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding.clone(),
        }
    }

    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Options {
            channels_out: self.channels_out,
            groups: self.groups,
            window: Window {
                kernel: [self.kernel_size],
                stride: [self.stride],
                dilation: [self.dilation],
                pads: pads_1d(&self.padding),
                ceil: false,
            },
            initializer: &self.initializer,
            bias: self.bias,
        }
        .output_dims(input)
    }

    fn size(input: &[usize]) -> usize {
        input.get(1).copied().unwrap_or_default()
    }

    fn found(&self, layer: &Conv1d) -> Option<usize> {
        let shape = layer.weight.dims();
        Some(shape[1] * self.groups).filter(|size| *size > 0 && !shape.contains(&0))
    }

    fn fill(&self, layer: Conv1d, size: usize, seed: u64) -> Result<Conv1d, Error> {
        let mut shape = layer.weight.dims();
        shape[1] = size / self.groups.max(1);
        let field: usize = shape[2..].iter().product();
        let draw = Draw {
            layer: Self::NAME,
            initializer: &self.initializer,
            seed,
            fan_in: shape[1] * field,
            fan_out: shape[0] / self.groups.max(1) * field,
        };
        Ok(Conv1d {
            weight: draw.param(0, layer.weight, shape, Layout::Torch)?,
            bias: match layer.bias {
                Some(bias) => Some(draw.param(1, bias, [shape[0]], Layout::Torch)?),
                None => None,
            },
            ..layer
        })
    }

    fn tidied(&self, mapped: Conv1d, blank: &Conv1d) -> Conv1d {
        let bias = tidied_bias(mapped.bias, &blank.bias, self.channels_out);
        Conv1d { bias, ..mapped }
    }
}

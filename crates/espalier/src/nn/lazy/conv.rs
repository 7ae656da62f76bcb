//! Convolutions over sequences, images and volumes that take their input channels from their first
//! input.

use burn::config::Config;
use burn::nn::conv::{Conv1d, Conv2d, Conv3d};
use burn::nn::{Initializer, PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::{Device, Tensor};

use super::deferred::{Recipe, lazy_layer};
use super::draw::{Draw, check_options, check_some, default_initializer, empty, tidied_bias};
use crate::error::Error;
use crate::nn::layer::{Layer, WidthError};
use crate::nn::window::{Window, pads_1d, pads_2d, pads_3d};
use crate::tree::Layout;

/// A size for each spatial dimension; Burn has a plain number where there is one.
trait Extents<const N: usize> {
    fn extents(&self) -> [usize; N];
}

impl Extents<1> for usize {
    fn extents(&self) -> [usize; 1] {
        [*self]
    }
}

impl<const N: usize> Extents<N> for [usize; N] {
    fn extents(&self) -> Self {
        *self
    }
}

/// A convolution's configuration without its input channels.
struct Options<'a, const N: usize> {
    channels_out: usize,
    groups: usize,
    window: Window<N>,
    initializer: &'a Initializer,
    bias: bool,
}

impl<const N: usize> Options<'_, N> {
    /// The output for `input` (`[batch, channels, ...]`), after a check of options and input.
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let smallest = |sizes: [usize; N]| sizes.into_iter().min().unwrap_or(1);
        let options = [
            ("output channels", self.channels_out),
            ("a kernel", smallest(self.window.kernel)),
            ("a stride", smallest(self.window.stride)),
            ("a dilation", smallest(self.window.dilation)),
            ("groups", self.groups),
        ];
        check_options(input, &options, self.initializer, self.bias)?;
        self.multiple(input, "output channels", self.channels_out)?;
        Window::<N>::check_rank(input)?;
        check_some(input, 1, "input channels")?;
        self.multiple(input, "input channels", input[1])?;
        self.window.output(self.channels_out, input)
    }

    fn multiple(&self, input: &[usize], what: &str, found: usize) -> Result<(), WidthError> {
        if found.is_multiple_of(self.groups) {
            return Ok(());
        }
        Err(WidthError {
            expected: format!("a multiple of {} {what} (its groups)", self.groups),
            found: found.to_string(),
            input: input.to_vec(),
            inside: None,
        })
    }
}

/// The lazy form of one of Burn's convolutions.
macro_rules! lazy_conv {
    (
        $(#[$doc:meta])*
        $layer:ident, $config:ident, $conv:ident, rank $rank:literal, axes $axes:literal,
        sizes $sizes:ty, ones $ones:tt, padding $padding:ident, valid $valid:tt, pads $pads:ident
    ) => {
        #[doc = concat!("Configuration of a [`", stringify!($layer), "`]: Burn's `", stringify!($conv), "Config` without the input channels.")]
        #[derive(Config, Debug)]
        pub struct $config {
            /// The number of output channels.
            pub channels_out: usize,
            #[doc = concat!("The size of the kernel, ", $axes, ".")]
            pub kernel_size: $sizes,
            /// The stride of the convolution.
            #[config(default = $ones)]
            pub stride: $sizes,
            /// Spacing between kernel elements.
            #[config(default = $ones)]
            pub dilation: $sizes,
            /// Groups of channels that are convolved apart.
            #[config(default = 1)]
            pub groups: usize,
            /// The padding.
            #[config(default = $valid)]
            pub padding: $padding,
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
            $(#[$doc])*
            $layer, $config, $conv, |config| config.seed
        }

        impl $layer {
            #[doc = concat!("The output for `input` (`[batch, channels, ", $axes, "]`).")]
            ///
            /// # Errors
            ///
            /// [`Error::Layer`] if the channels are not those of the first input, not a multiple of the
            /// groups, or if the kernel does not fit into the input.
            pub fn forward(&self, input: Tensor<$rank>) -> Result<Tensor<$rank>, Error> {
                self.forward_any(input.into())?.into_rank()
            }

            #[doc = concat!("The weight, `[channels_out, channels_in / groups, ", $axes, "]`.")]
            ///
            /// # Errors
            ///
            /// [`Error::Uninitialized`] before the first forward pass.
            pub fn weight(&self) -> Result<Tensor<$rank>, Error> {
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
                let $config { channels_out, kernel_size, stride, .. } = self.config();
                let name = stringify!($layer);
                format!(
                    "{name} {{ch_out: {channels_out}, kernel_size: {kernel_size:?}, stride: {stride:?}}}"
                )
            }
        }

        impl Recipe for $config {
            type Layer = $conv;
            const NAME: &'static str = stringify!($layer);
            const CONTAINER: &'static str = concat!("Struct:", stringify!($layer));

            fn blank(&self, device: &Device) -> $conv {
                let mut shape = [0; $rank];
                shape[0] = self.channels_out;
                shape[2..].copy_from_slice(&self.kernel_size.extents());
                $conv {
                    weight: empty(shape, device),
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
                        kernel: self.kernel_size.extents(),
                        stride: self.stride.extents(),
                        dilation: self.dilation.extents(),
                        pads: $pads(&self.padding),
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

            fn found(&self, layer: &$conv) -> Option<usize> {
                let shape = layer.weight.dims();
                Some(shape[1] * self.groups).filter(|size| *size > 0 && !shape.contains(&0))
            }

            fn fill(&self, layer: $conv, size: usize, seed: u64) -> Result<$conv, Error> {
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
                Ok($conv {
                    weight: draw.param(0, layer.weight, shape, Layout::Torch)?,
                    bias: match layer.bias {
                        Some(bias) => Some(draw.param(1, bias, [shape[0]], Layout::Torch)?),
                        None => None,
                    },
                    ..layer
                })
            }

            fn tidied(&self, mapped: $conv, blank: &$conv) -> $conv {
                let bias = tidied_bias(mapped.bias, &blank.bias, self.channels_out);
                $conv { bias, ..mapped }
            }
        }
    };
}

lazy_conv! {
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
    LazyConv1d, LazyConv1dConfig, Conv1d, rank 3, axes "length",
    sizes usize, ones "1", padding PaddingConfig1d, valid "PaddingConfig1d::Valid", pads pads_1d
}

lazy_conv! {
    /// A convolution of inputs `[batch, channels, height, width]`, whose channels are those of the first input:
    /// `torch.nn.LazyConv2d`.
    ///
    /// See the [module](super) for what holds before and after.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::lazy::LazyConv2dConfig;
    ///
    /// let device = Device::default();
    /// let layer = LazyConv2dConfig::new(4, [3, 3]).init(&device);
    /// let y = layer.forward(Tensor::ones([2, 3, 8, 8], &device))?;
    /// assert_eq!(y.dims(), [2, 4, 6, 6]);
    /// assert_eq!(layer.weight()?.dims(), [4, 3, 3, 3]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    LazyConv2d, LazyConv2dConfig, Conv2d, rank 4, axes "height, width",
    sizes [usize; 2], ones "[1, 1]", padding PaddingConfig2d, valid "PaddingConfig2d::Valid", pads pads_2d
}

lazy_conv! {
    /// A convolution of inputs `[batch, channels, depth, height, width]`, whose channels are those of the first input:
    /// `torch.nn.LazyConv3d`.
    ///
    /// See the [module](super) for what holds before and after.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::lazy::LazyConv3dConfig;
    ///
    /// let device = Device::default();
    /// let layer = LazyConv3dConfig::new(4, [3, 3, 3]).init(&device);
    /// let y = layer.forward(Tensor::ones([2, 3, 8, 8, 8], &device))?;
    /// assert_eq!(y.dims(), [2, 4, 6, 6, 6]);
    /// assert_eq!(layer.weight()?.dims(), [4, 3, 3, 3, 3]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    LazyConv3d, LazyConv3dConfig, Conv3d, rank 5, axes "depth, height, width",
    sizes [usize; 3], ones "[1, 1, 1]", padding PaddingConfig3d, valid "PaddingConfig3d::Valid", pads pads_3d
}

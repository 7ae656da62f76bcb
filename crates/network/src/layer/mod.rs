//! `[[layer]]`: the network, in order.

mod activation;
mod conv;
mod effect;
mod join;
mod kinds;
mod linear;
mod nest;
mod norm;
mod pool;
mod read;
mod sequence;
mod shape;
mod window;
mod write;

pub(crate) use effect::{Effect, Misfit, Shape};
pub use kinds::{Interpolation, Layer, Per, Recurrence, SequenceOutput, UpsampleTo};
#[doc(hidden)]
pub use read::layers;
pub(crate) use write::to_table;

use crate::input::Kind;
use crate::reference::Reference;
use crate::text::Spanned;
use effect::{Fit, image, signal};

/// One `[[layer]]`. Its place in the list, from 0, is its name in parameter paths: `3.weight`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// What messages call the layer, and what others may take it by.
    pub name: Option<String>,
    /// What it takes; empty for the layer before. `shortcut` and `mul` put the layer before in front
    /// of one alone.
    pub from: Vec<Spanned<Reference>>,
    /// The layer itself.
    pub layer: Layer,
}

impl LayerSpec {
    /// A layer without a name that takes the layer before.
    ///
    /// ```
    /// use espalier_network::{Layer, LayerSpec};
    ///
    /// assert_eq!(LayerSpec::new(Layer::Relu).from, []);
    /// ```
    pub fn new(layer: Layer) -> Self {
        Self { name: None, from: Vec::new(), layer }
    }

    /// What messages call it; see [`Layer::called`].
    ///
    /// ```
    /// use espalier_network::{Layer, LayerSpec};
    ///
    /// let stem = LayerSpec { name: Some("stem".into()), ..LayerSpec::new(Layer::Relu) };
    /// assert_eq!(stem.called(), "relu \"stem\"");
    /// ```
    pub fn called(&self) -> String {
        self.layer.called(self.name.as_deref())
    }
}

impl Layer {
    /// What messages call the layer: its type, and its name if it has one.
    ///
    /// ```
    /// use espalier_network::Layer;
    ///
    /// assert_eq!(Layer::Relu.called(None), "relu");
    /// assert_eq!(Layer::Relu.called(Some("stem")), "relu \"stem\"");
    /// ```
    pub fn called(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("{} {name:?}", self.type_name()),
            None => self.type_name().to_owned(),
        }
    }

    /// The layer's type as recipes write it.
    ///
    /// ```
    /// use espalier_network::Layer;
    ///
    /// assert_eq!(Layer::Linear { features: 10, bias: true }.type_name(), "linear");
    /// ```
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Conv1d { .. } => "conv1d",
            Self::Conv2d { .. } => "conv2d",
            Self::ConvTranspose1d { .. } => "conv_transpose1d",
            Self::ConvTranspose2d { .. } => "conv_transpose2d",
            Self::MaxPool1d { .. } => "max_pool1d",
            Self::MaxPool2d { .. } => "max_pool2d",
            Self::AvgPool1d { .. } => "avg_pool1d",
            Self::AvgPool2d { .. } => "avg_pool2d",
            Self::AdaptiveAvgPool1d { .. } => "adaptive_avg_pool1d",
            Self::AdaptiveAvgPool2d { .. } => "adaptive_avg_pool2d",
            Self::GlobalAvgPool => "global_avg_pool",
            Self::GlobalMaxPool => "global_max_pool",
            Self::BatchNorm { .. } => "batch_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::GroupNorm { .. } => "group_norm",
            Self::InstanceNorm { .. } => "instance_norm",
            Self::RmsNorm { .. } => "rms_norm",
            Self::Dropout { .. } => "dropout",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Gelu => "gelu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Softplus { .. } => "softplus",
            Self::HardSwish => "hard_swish",
            Self::Prelu { .. } => "prelu",
            Self::Softmax { .. } => "softmax",
            Self::LogSoftmax { .. } => "log_softmax",
            Self::Embedding { .. } => "embedding",
            Self::Rnn { .. } => "rnn",
            Self::Lstm { .. } => "lstm",
            Self::Gru { .. } => "gru",
            Self::Attention { .. } => "attention",
            Self::Positions => "positions",
            Self::Scale { .. } => "scale",
            Self::Flatten => "flatten",
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Upsample { .. } => "upsample",
            Self::Pad { .. } => "pad",
            Self::Identity => "identity",
            Self::Shortcut { .. } => "shortcut",
            Self::Mul => "mul",
            Self::Route { .. } => "route",
            Self::Block { .. } => "block",
            Self::Repeat { .. } => "repeat",
            Self::Reuse { .. } => "reuse",
        }
    }

    /// Whether one `from` alone stands beside the layer before.
    pub(crate) fn adds_to_the_one_before(&self) -> bool {
        matches!(self, Self::Shortcut { .. } | Self::Mul)
    }

    /// How many inputs it takes, at least and at most.
    pub(crate) fn inputs(&self) -> (usize, usize) {
        match self {
            Self::Shortcut { .. } | Self::Mul => (2, usize::MAX),
            Self::Route { .. } => (1, usize::MAX),
            Self::Attention { .. } => (1, 3),
            _ => (1, 1),
        }
    }

    /// Whether it only moves what it is given, so that tokens stay tokens.
    fn moves(&self) -> bool {
        matches!(
            self,
            Self::Flatten
                | Self::Reshape { .. }
                | Self::Transpose { .. }
                | Self::Identity
                | Self::Route { .. }
        )
    }

    /// The kind of what it gives.
    pub(crate) fn kind(&self, inputs: &[&Shape]) -> Kind {
        match inputs {
            [first, ..] if self.moves() => first.kind,
            _ => Kind::Values,
        }
    }

    /// What a layer that computes gives for inputs that [`Layer::inputs`] allows.
    pub(crate) fn effect(&self, inputs: &[&Shape]) -> Fit {
        let Some(input) = inputs.first() else { return Err(Misfit::new("an input")) };
        let dims: Vec<&[usize]> = inputs.iter().map(|shape| shape.dims.as_slice()).collect();
        let dims = dims.as_slice();
        self.check_kinds(inputs)?;
        let own = input.dims.as_slice();
        match self {
            Self::Linear { features, bias } => linear::linear_effect(*features, *bias, own),
            Self::Embedding { vocabulary, features } => {
                linear::embedding_effect(*vocabulary, *features, input)
            }
            Self::Positions => linear::positions_effect(own),
            Self::Scale { per } => linear::scale_effect(*per, own),
            Self::Conv1d { .. }
            | Self::Conv2d { .. }
            | Self::ConvTranspose1d { .. }
            | Self::ConvTranspose2d { .. } => self.conv_effect(own),
            Self::MaxPool1d { .. }
            | Self::MaxPool2d { .. }
            | Self::AvgPool1d { .. }
            | Self::AvgPool2d { .. }
            | Self::AdaptiveAvgPool1d { .. }
            | Self::AdaptiveAvgPool2d { .. }
            | Self::GlobalAvgPool
            | Self::GlobalMaxPool => self.pool_effect(own),
            Self::BatchNorm { .. } => norm::batch_effect(own),
            Self::LayerNorm { .. } => norm::layer_effect(own),
            Self::GroupNorm { groups, .. } => norm::group_effect(*groups, own),
            Self::InstanceNorm { affine, .. } => norm::instance_effect(*affine, own),
            Self::RmsNorm { .. } => norm::rms_effect(own),
            Self::Prelu { per, .. } => activation::prelu_effect(*per, own),
            Self::Softmax { dim } | Self::LogSoftmax { dim } => {
                activation::softmax_effect(*dim, own)
            }
            Self::Rnn { features, bidirectional, bias, output, .. } => {
                let flags = [*bidirectional, *bias];
                sequence::recurrent_effect(1, *features, flags, *output, own)
            }
            Self::Lstm { features, bidirectional, bias, output } => {
                let flags = [*bidirectional, *bias];
                sequence::recurrent_effect(4, *features, flags, *output, own)
            }
            Self::Gru { features, bidirectional, bias, output } => {
                let flags = [*bidirectional, *bias];
                sequence::recurrent_effect(3, *features, flags, *output, own)
            }
            Self::Attention { heads, causal, bias, .. } => {
                sequence::attention_effect(*heads, [*causal, *bias], dims)
            }
            Self::Flatten => shape::flatten_effect(own),
            Self::Reshape { shape } => shape::reshape_effect(shape, own),
            Self::Transpose { dims } => shape::transpose_effect(*dims, own),
            Self::Upsample { to, .. } => shape::upsample_effect(*to, own),
            Self::Pad { sides, .. } => shape::pad_effect(sides, own),
            Self::Shortcut { activation } => join::shortcut_effect(activation.as_deref(), dims),
            Self::Mul => join::mul_effect(dims),
            Self::Route { dim, groups, group } => join::route_effect(*dim, [*groups, *group], dims),
            Self::Dropout { .. }
            | Self::Relu
            | Self::LeakyRelu { .. }
            | Self::Gelu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Silu
            | Self::Mish
            | Self::Elu { .. }
            | Self::Selu
            | Self::Softplus { .. }
            | Self::HardSwish
            | Self::Identity => Ok(Effect::of(own)),
            Self::Block { .. } | Self::Repeat { .. } | Self::Reuse { .. } => {
                Err(Misfit::new("a layer that computes"))
            }
        }
    }

    fn check_kinds(&self, inputs: &[&Shape]) -> Result<(), Misfit> {
        let tokens = |shape: &&&Shape| matches!(shape.kind, Kind::Tokens { .. });
        if self.moves() {
            return match inputs.iter().all(|shape| shape.kind == inputs[0].kind) {
                true => Ok(()),
                false => Err(Misfit::new("inputs of one kind").found("tokens beside others")),
            };
        }
        if matches!(self, Self::Embedding { .. }) || inputs.iter().find(tokens).is_none() {
            return Ok(());
        }
        Err(Misfit::new("numbers, which an `embedding` makes of tokens").found("tokens"))
    }

    fn conv_effect(&self, dims: &[usize]) -> Fit {
        match self {
            Self::Conv1d { channels, kernel, stride, padding, dilation, groups, bias } => {
                let (inputs, sides) = signal(dims)?;
                let [kernel, stride] = [kernel, stride].map(std::slice::from_ref);
                let [padding, dilation] = [padding, dilation].map(std::slice::from_ref);
                let (channels, groups, bias) = (*channels, *groups, *bias);
                conv::Conv { channels, kernel, stride, padding, dilation, groups, bias }
                    .effect(inputs, &sides)
            }
            Self::Conv2d { channels, kernel, stride, padding, dilation, groups, bias } => {
                let (inputs, sides) = image(dims)?;
                let (channels, groups, bias) = (*channels, *groups, *bias);
                conv::Conv { channels, kernel, stride, padding, dilation, groups, bias }
                    .effect(inputs, &sides)
            }
            Self::ConvTranspose1d {
                channels,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                groups,
                bias,
            } => {
                let (inputs, sides) = signal(dims)?;
                let [kernel, stride] = [kernel, stride].map(std::slice::from_ref);
                let [padding, dilation] = [padding, dilation].map(std::slice::from_ref);
                let (channels, groups, bias) = (*channels, *groups, *bias);
                conv::Conv { channels, kernel, stride, padding, dilation, groups, bias }.transposed(
                    &[*output_padding],
                    inputs,
                    &sides,
                )
            }
            Self::ConvTranspose2d {
                channels,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                groups,
                bias,
            } => {
                let (inputs, sides) = image(dims)?;
                let (channels, groups, bias) = (*channels, *groups, *bias);
                conv::Conv { channels, kernel, stride, padding, dilation, groups, bias }.transposed(
                    output_padding,
                    inputs,
                    &sides,
                )
            }
            _ => Err(Misfit::new("a convolution")),
        }
    }

    fn pool_effect(&self, dims: &[usize]) -> Fit {
        match self {
            Self::MaxPool1d { kernel, stride, padding }
            | Self::AvgPool1d { kernel, stride, padding } => {
                let (channels, sides) = signal(dims)?;
                let [kernel, stride, padding] = [kernel, stride, padding].map(std::slice::from_ref);
                pool::effect([kernel, stride, padding, &[0]], channels, &sides)
            }
            Self::MaxPool2d { kernel, stride, padding, overhang } => {
                let (channels, sides) = image(dims)?;
                pool::effect([kernel, stride, padding, overhang], channels, &sides)
            }
            Self::AvgPool2d { kernel, stride, padding } => {
                let (channels, sides) = image(dims)?;
                pool::effect([kernel, stride, padding, &[0, 0]], channels, &sides)
            }
            Self::AdaptiveAvgPool1d { output } => {
                pool::adaptive_effect(&[*output], signal(dims)?.0)
            }
            Self::AdaptiveAvgPool2d { output } => pool::adaptive_effect(output, image(dims)?.0),
            _ => pool::global_effect(dims),
        }
    }
}

//! The types of layers and their options.

use super::LayerSpec;
use crate::reference::Reference;
use crate::text::Spanned;

/// A layer with its options; PyTorch's names and defaults.
///
/// What it takes in follows from the layers before it. Shapes are those of one example, without the
/// batch. Pairs are `[height, width]`; a `dim` counts from 0, or from the end where it is negative.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// `linear`: a dense layer over the last dimension.
    Linear {
        /// Output features, at least 1.
        features: usize,
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `conv1d`: a convolution over `[channels, length]`.
    Conv1d {
        /// Output channels, at least 1.
        channels: usize,
        /// Kernel size, at least 1.
        kernel: usize,
        /// Step between windows, at least 1; default 1.
        stride: usize,
        /// Zeros added on each side; default 0.
        padding: usize,
        /// Step between the places of a window, at least 1; default 1.
        dilation: usize,
        /// Groups of channels that see only each other; divides both channels; default 1.
        groups: usize,
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `conv2d`: a convolution over `[channels, height, width]`.
    Conv2d {
        /// Output channels, at least 1.
        channels: usize,
        /// Kernel size, at least 1.
        kernel: [usize; 2],
        /// Step between windows, at least 1; default 1.
        stride: [usize; 2],
        /// Zeros added on each side; default 0.
        padding: [usize; 2],
        /// Step between the places of a window, at least 1; default 1.
        dilation: [usize; 2],
        /// Groups of channels that see only each other; divides both channels; default 1.
        groups: usize,
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `conv_transpose1d`: the transposed convolution over `[channels, length]`.
    ConvTranspose1d {
        /// Output channels, at least 1.
        channels: usize,
        /// Kernel size, at least 1.
        kernel: usize,
        /// Step between what two neighbouring inputs reach, at least 1; default 1.
        stride: usize,
        /// Cut off on each side; default 0.
        padding: usize,
        /// Added at the end, less than `stride` or `dilation`; default 0.
        output_padding: usize,
        /// Step between the places of a window, at least 1; default 1.
        dilation: usize,
        /// Groups of channels that see only each other; divides both channels; default 1.
        groups: usize,
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `conv_transpose2d`: the transposed convolution over `[channels, height, width]`.
    ConvTranspose2d {
        /// Output channels, at least 1.
        channels: usize,
        /// Kernel size, at least 1.
        kernel: [usize; 2],
        /// Step between what two neighbouring inputs reach, at least 1; default 1.
        stride: [usize; 2],
        /// Cut off on each side; default 0.
        padding: [usize; 2],
        /// Added below and to the right, less than `stride` or `dilation`; default 0.
        output_padding: [usize; 2],
        /// Step between the places of a window, at least 1; default 1.
        dilation: [usize; 2],
        /// Groups of channels that see only each other; divides both channels; default 1.
        groups: usize,
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `max_pool1d`, over `[channels, length]`.
    MaxPool1d {
        /// Window size, at least 1.
        kernel: usize,
        /// Step between windows, at least 1; default `kernel`.
        stride: usize,
        /// Added on each side, at most half the window; default 0.
        padding: usize,
    },
    /// `max_pool2d`, over `[channels, height, width]`. Padding is below every number.
    MaxPool2d {
        /// Window size, at least 1.
        kernel: [usize; 2],
        /// Step between windows, at least 1; default `kernel`.
        stride: [usize; 2],
        /// Added on each side, at most half the window; default 0.
        padding: [usize; 2],
        /// Added below and to the right besides, with `padding` less than the window; default 0.
        /// Darknet's pools need it. It changes nothing where the last window ends before it.
        overhang: [usize; 2],
    },
    /// `avg_pool1d`, over `[channels, length]`: padding counts as zeros.
    AvgPool1d {
        /// Window size, at least 1.
        kernel: usize,
        /// Step between windows, at least 1; default `kernel`.
        stride: usize,
        /// Zeros added on each side, at most half the window; default 0.
        padding: usize,
    },
    /// `avg_pool2d`, over `[channels, height, width]`: padding counts as zeros.
    AvgPool2d {
        /// Window size, at least 1.
        kernel: [usize; 2],
        /// Step between windows, at least 1; default `kernel`.
        stride: [usize; 2],
        /// Zeros added on each side, at most half the window; default 0.
        padding: [usize; 2],
    },
    /// `adaptive_avg_pool1d`: averages over windows that give the wanted length.
    AdaptiveAvgPool1d {
        /// Output length, at least 1.
        output: usize,
    },
    /// `adaptive_avg_pool2d`: averages over windows that give the wanted size.
    AdaptiveAvgPool2d {
        /// Output size, at least 1.
        output: [usize; 2],
    },
    /// `global_avg_pool`: each channel's average, `[channels, ...]` to `[channels]`.
    GlobalAvgPool,
    /// `global_max_pool`: each channel's largest value, `[channels, ...]` to `[channels]`.
    GlobalMaxPool,
    /// `batch_norm`: over the batch, a mean and a variance per channel, the first dimension.
    BatchNorm {
        /// Added to the variance, above 0; default 1e-5.
        epsilon: f64,
        /// Weight of the newest batch in the running statistics, 0 to 1; default 0.1.
        momentum: f64,
    },
    /// `layer_norm`: over the last dimension.
    LayerNorm {
        /// Added to the variance, above 0; default 1e-5.
        epsilon: f64,
    },
    /// `group_norm`: over groups of channels, the first dimension.
    GroupNorm {
        /// Number of groups, at least 1; divides the channels.
        groups: usize,
        /// Added to the variance, above 0; default 1e-5.
        epsilon: f64,
    },
    /// `instance_norm`: over all of a channel but the channel itself.
    InstanceNorm {
        /// Added to the variance, above 0; default 1e-5.
        epsilon: f64,
        /// Whether each channel has a weight and a bias; default false.
        affine: bool,
    },
    /// `rms_norm`: over the last dimension, without a mean.
    RmsNorm {
        /// Added to the mean square, above 0; default 2^-23, PyTorch's for single precision.
        epsilon: f64,
    },
    /// `dropout`
    Dropout {
        /// Chance of each value to be zeroed in training, at least 0 and below 1.
        probability: f64,
    },
    /// `relu`
    Relu,
    /// `leaky_relu`
    LeakyRelu {
        /// Factor of negative inputs, at least 0; default 0.01.
        slope: f64,
    },
    /// `gelu`: the exact one, by the error function.
    Gelu,
    /// `sigmoid`
    Sigmoid,
    /// `tanh`
    Tanh,
    /// `silu`: `x * sigmoid(x)`, also called swish.
    Silu,
    /// `mish`: `x * tanh(softplus(x))`.
    Mish,
    /// `elu`: `x` above 0, else `alpha * (exp(x) - 1)`.
    Elu {
        /// Above 0; default 1.
        alpha: f64,
    },
    /// `selu`: the self-normalizing one of its fixed factors.
    Selu,
    /// `softplus`: `ln(1 + exp(beta * x)) / beta`.
    Softplus {
        /// Above 0; default 1.
        beta: f64,
    },
    /// `hard_swish`: `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `prelu`: `leaky_relu` whose slope is a parameter.
    Prelu {
        /// [`Per::Layer`], one slope (the default), or [`Per::Channel`].
        per: Per,
        /// The slope to start from; default 0.25.
        initial: f64,
    },
    /// `softmax`
    Softmax {
        /// The dimension whose values add up to 1; default -1.
        dim: isize,
    },
    /// `log_softmax`
    LogSoftmax {
        /// The dimension whose exponentials add up to 1; default -1.
        dim: isize,
    },
    /// `embedding`: a row of a table for each token, `[...]` to `[..., features]`.
    Embedding {
        /// Rows, at least the vocabulary of the input, which is the default.
        vocabulary: Option<usize>,
        /// Width of a row, at least 1.
        features: usize,
    },
    /// `rnn`: Elman's recurrence over `[time, features]`.
    Rnn {
        /// Width of the state, at least 1.
        features: usize,
        /// What follows each step; default [`Recurrence::Tanh`].
        nonlinearity: Recurrence,
        /// Whether a second one runs from the end; default false.
        bidirectional: bool,
        /// Whether it adds biases; default true.
        bias: bool,
        /// What it gives; default [`SequenceOutput::Sequence`].
        output: SequenceOutput,
    },
    /// `lstm`: long short-term memory over `[time, features]`.
    Lstm {
        /// Width of the state, at least 1.
        features: usize,
        /// Whether a second one runs from the end; default false.
        bidirectional: bool,
        /// Whether it adds biases; default true.
        bias: bool,
        /// What it gives; default [`SequenceOutput::Sequence`].
        output: SequenceOutput,
    },
    /// `gru`: gated recurrent units over `[time, features]`.
    Gru {
        /// Width of the state, at least 1.
        features: usize,
        /// Whether a second one runs from the end; default false.
        bidirectional: bool,
        /// Whether it adds biases; default true.
        bias: bool,
        /// What it gives; default [`SequenceOutput::Sequence`].
        output: SequenceOutput,
    },
    /// `attention`: with several heads, over `[time, features]`. One input attends to itself; of two,
    /// the second is keys and values; three are queries, keys and values.
    Attention {
        /// Number of heads, at least 1; divides the features of the queries.
        heads: usize,
        /// Whether each time sees only itself and what was before; default false.
        causal: bool,
        /// Chance of each attention weight to be zeroed in training; default 0.
        dropout: f64,
        /// Whether the projections add biases; default true.
        bias: bool,
    },
    /// `positions`: adds a parameter of the input's shape `[time, features]`.
    Positions,
    /// `scale`: multiplies by a parameter; no bias.
    Scale {
        /// How many numbers it has; default [`Per::Element`].
        per: Per,
    },
    /// `flatten`: all into one dimension.
    Flatten,
    /// `reshape`
    Reshape {
        /// The sizes wanted, at most 7; one of them may be -1, which is what is left.
        shape: Vec<isize>,
    },
    /// `transpose`: swaps two dimensions.
    Transpose {
        /// Which; default `[0, 1]`.
        dims: [isize; 2],
    },
    /// `upsample`: enlarges `[channels, height, width]`.
    Upsample {
        /// How far.
        to: UpsampleTo,
        /// What comes between; default [`Interpolation::Nearest`].
        mode: Interpolation,
    },
    /// `pad`: puts a border around the input.
    Pad {
        /// One number for every side of every dimension but the first, or as PyTorch's `pad`:
        /// `[left, right]` of the last dimension, `[left, right, top, bottom]` of the last two.
        sides: Vec<usize>,
        /// What the border holds; default 0.
        value: f64,
    },
    /// `identity`: its input as it is.
    Identity,
    /// `shortcut`: the sum of its inputs, of one shape. A single `from` is added to the layer before.
    Shortcut {
        /// An activation layer that follows.
        activation: Option<Box<Layer>>,
    },
    /// `mul`: the product of its inputs, element by element. A single `from` multiplies the layer
    /// before. All but the first may have sizes of 1, or be one number a channel: they are repeated.
    Mul,
    /// `route`: its inputs one after another; one alone is taken as it is.
    Route {
        /// The dimension that grows; default 0, the channels.
        dim: isize,
        /// Into so many equal parts each input is cut along `dim`; default 1.
        groups: usize,
        /// Which of these parts is taken, from 0; default 0.
        group: usize,
    },
    /// `block`: layers in order as one. Their parameters are `3.0.weight`: layer 3, inner layer 0.
    Block {
        /// The layers, at least one.
        layers: Vec<Spanned<LayerSpec>>,
    },
    /// `repeat`: layers in order, several times, each time with parameters of their own,
    /// `3.1.0.weight`: layer 3, iteration 1, inner layer 0.
    Repeat {
        /// How often, at least 1.
        times: usize,
        /// The layers, at least one.
        layers: Vec<Spanned<LayerSpec>>,
    },
    /// `reuse`: an earlier layer again, with the same weights.
    Reuse {
        /// That layer; not the input.
        of: Spanned<Reference>,
    },
}

/// How many numbers a parameter has that multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// One.
    Layer,
    /// One a channel, the first dimension.
    Channel,
    /// One for each value of an example.
    Element,
}

/// What follows each step of an `rnn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrence {
    /// The hyperbolic tangent.
    Tanh,
    /// The positive part.
    Relu,
}

/// What a recurrent layer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceOutput {
    /// The state at each time, `[time, features]`; of both directions twice the features.
    Sequence,
    /// The state after the last step, `[features]`; of both directions the forward one after the
    /// last time, then the backward one after the first.
    Last,
}

/// How large an `upsample` makes its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsampleTo {
    /// So many times, at least 1.
    Scale([usize; 2]),
    /// This large, at least 1.
    Size([usize; 2]),
}

/// What comes between the values that an `upsample` spreads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest value again.
    Nearest,
    /// Weighted by distance, corners not aligned (PyTorch's `align_corners=False`).
    Bilinear,
}

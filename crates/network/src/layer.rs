//! `[[layer]]`: the network, in order.

use crate::text::{Bound, Cursor};

/// One `[[layer]]`. Its place in the list, from 0, is its name in parameter paths: `3.weight`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// What messages call the layer.
    pub name: Option<String>,
    /// The layer itself.
    pub layer: Layer,
}

/// A layer with its options; PyTorch's defaults. What it takes in follows from the layer before it.
/// Pairs are `[height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
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
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `linear`: a dense layer.
    Linear {
        /// Output features, at least 1.
        features: usize,
        /// Whether it adds a bias; default true.
        bias: bool,
    },
    /// `batch_norm`: over the batch, a mean and a variance per channel.
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
    /// `max_pool2d`
    MaxPool2d {
        /// Window size, at least 1.
        kernel: [usize; 2],
        /// Step between windows, at least 1; default `kernel`.
        stride: [usize; 2],
        /// Added on each side, at most half the window; default 0.
        padding: [usize; 2],
    },
    /// `avg_pool2d`: padding counts as zeros.
    AvgPool2d {
        /// Window size, at least 1.
        kernel: [usize; 2],
        /// Step between windows, at least 1; default `kernel`.
        stride: [usize; 2],
        /// Zeros added on each side, at most half the window; default 0.
        padding: [usize; 2],
    },
    /// `adaptive_avg_pool2d`: averages over windows that give the wanted size.
    AdaptiveAvgPool2d {
        /// Output size, at least 1.
        output: [usize; 2],
    },
    /// `flatten`: all but the batch into one dimension.
    Flatten,
    /// `dropout`
    Dropout {
        /// Chance of each value to be zeroed in training, at least 0 and below 1.
        probability: f64,
    },
}

type Reader = fn(&mut Cursor<'_>) -> Option<Layer>;

const TYPES: &[(&str, Reader)] = &[
    ("conv2d", conv2d),
    ("linear", linear),
    ("batch_norm", batch_norm),
    ("layer_norm", |table| {
        Some(Layer::LayerNorm { epsilon: table.real_or("epsilon", Bound::Positive, 1e-5) })
    }),
    ("relu", |_| Some(Layer::Relu)),
    ("leaky_relu", |table| {
        Some(Layer::LeakyRelu { slope: table.real_or("slope", Bound::NonNegative, 0.01) })
    }),
    ("gelu", |_| Some(Layer::Gelu)),
    ("sigmoid", |_| Some(Layer::Sigmoid)),
    ("tanh", |_| Some(Layer::Tanh)),
    ("max_pool2d", |table| {
        pool(table).map(|[kernel, stride, padding]| Layer::MaxPool2d { kernel, stride, padding })
    }),
    ("avg_pool2d", |table| {
        pool(table).map(|[kernel, stride, padding]| Layer::AvgPool2d { kernel, stride, padding })
    }),
    ("adaptive_avg_pool2d", |table| {
        Some(Layer::AdaptiveAvgPool2d { output: table.pair("output", 1)? })
    }),
    ("flatten", |_| Some(Layer::Flatten)),
    ("dropout", |table| {
        Some(Layer::Dropout { probability: table.real("probability", Bound::BelowOne)? })
    }),
];

impl Layer {
    /// The layer's type as recipes write it.
    ///
    /// ```
    /// use espalier_network::Layer;
    ///
    /// assert_eq!(Layer::Linear { features: 10, bias: true }.type_name(), "linear");
    /// ```
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Conv2d { .. } => "conv2d",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batch_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Gelu => "gelu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::MaxPool2d { .. } => "max_pool2d",
            Self::AvgPool2d { .. } => "avg_pool2d",
            Self::AdaptiveAvgPool2d { .. } => "adaptive_avg_pool2d",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
        }
    }
}

/// Reads one `[[layer]]`.
#[doc(hidden)]
pub fn layer(table: &mut Cursor<'_>) -> Option<LayerSpec> {
    // Which other keys are right only the type can say.
    let read = table.choice("type", TYPES)?;
    let name =
        table.get("name").and_then(|node| node.string("a name for messages")).map(str::to_owned);
    let layer = read(table);
    table.finish();
    Some(LayerSpec { name, layer: layer? })
}

fn conv2d(table: &mut Cursor<'_>) -> Option<Layer> {
    let channels = table.count("channels", 1);
    let kernel = table.pair("kernel", 1);
    let stride = table.pair_or("stride", 1, [1, 1]);
    let padding = table.pair_or("padding", 0, [0, 0]);
    let bias = table.flag_or("bias", true);
    Some(Layer::Conv2d { channels: channels?, kernel: kernel?, stride, padding, bias })
}

fn linear(table: &mut Cursor<'_>) -> Option<Layer> {
    let features = table.count("features", 1);
    let bias = table.flag_or("bias", true);
    Some(Layer::Linear { features: features?, bias })
}

fn batch_norm(table: &mut Cursor<'_>) -> Option<Layer> {
    let epsilon = table.real_or("epsilon", Bound::Positive, 1e-5);
    let momentum = table.real_or("momentum", Bound::Fraction, 0.1);
    Some(Layer::BatchNorm { epsilon, momentum })
}

/// Kernel, stride and padding of a pooling layer.
fn pool(table: &mut Cursor<'_>) -> Option<[[usize; 2]; 3]> {
    let kernel = table.pair("kernel", 1);
    let stride = table.pair_or("stride", 1, kernel.unwrap_or([1, 1]));
    let node = table.get("padding");
    let padding = node.as_ref().and_then(|node| node.pair(0)).unwrap_or([0, 0]);
    let kernel = kernel?;
    // A wider border would give windows that hold nothing but padding.
    if let Some(node) = node
        && (padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2)
    {
        node.refuse(
            format!("found {padding:?} around a kernel of {kernel:?}"),
            format!("at most half the kernel, {:?}", kernel.map(|side| side / 2)),
            None,
        );
    }
    Some([kernel, stride, padding])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_name_reads_as_its_own_layer() {
        for (name, _) in TYPES {
            let text = format!(
                "type = \"{name}\"\nchannels = 2\nkernel = 2\nfeatures = 2\noutput = 2\nprobability = 0.5"
            );
            let document = toml_edit::Document::parse(text.as_str()).unwrap();
            let log = crate::text::Log::new(&text);
            let mut table = Cursor::new(&log, document.as_table(), String::new(), 0..0);
            // Keys of the other types are unknown, but the layer itself is complete.
            assert_eq!(layer(&mut table).unwrap().layer.type_name(), *name);
        }
    }
}

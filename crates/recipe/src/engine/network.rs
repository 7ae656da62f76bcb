//! Layers into a network: every size follows from what comes before.

use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::{AdaptiveAvgPool2dConfig, AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{
    BatchNormConfig, DropoutConfig, Gelu, LayerNormConfig, LeakyReluConfig, LinearConfig,
    PaddingConfig2d, Relu, Sigmoid, Tanh,
};
use burn::tensor::Device;
use espalier::nn::{AnyLayer, Flatten, Sequential};

use super::faults::Faults;
use crate::spec::Recipe;
use espalier_network::{Layer, LayerSpec, RecipeError, Spanned};

/// Deeper networks are refused, and larger ones, before anything is allocated.
const MOST_LAYERS: usize = 1000;
/// Parameters of the whole network, 1 GiB of single-precision numbers.
const MOST_PARAMETERS: u128 = 1 << 28;
/// Values between two layers for a batch; as much.
const MOST_VALUES: u128 = 1 << 28;

/// The network of `recipe` for images of shape `input`, with one output for each of `classes`.
///
/// Its parameters have the framework's initial values. `batch` is the largest batch that it is
/// meant for.
///
/// # Errors
///
/// The first layer that does not fit what comes before it, at its place in the recipe.
pub(crate) fn build(
    recipe: &Recipe,
    input: &[usize],
    classes: usize,
    batch: usize,
    device: &Device,
) -> Result<Sequential, RecipeError> {
    let mut faults = Faults::new(recipe);
    let network = layers(recipe, input, classes, batch, device, &mut faults);
    faults.into_result()?;
    // Without a fault there is a network.
    Ok(network.unwrap_or_default())
}

/// What a layer cannot be, and what it could.
type Misfit = (String, String);

fn layers(
    recipe: &Recipe,
    input: &[usize],
    classes: usize,
    batch: usize,
    device: &Device,
    faults: &mut Faults<'_>,
) -> Option<Sequential> {
    let mut network = Sequential::new();
    let mut dims = input.to_vec();
    let mut parameters = 0;
    for (index, spec) in recipe.layers.iter().enumerate() {
        let mut fault = |(message, expected): Misfit| {
            let message = format!("{} {message}", called(spec));
            faults.add(&spec.span, format!("layer[{index}]"), message, expected, "");
        };
        if index == MOST_LAYERS {
            let expected = format!("at most {MOST_LAYERS} layers");
            fault(("is one layer too many".to_owned(), expected));
            return None;
        }
        let after = match index {
            0 => "the images".to_owned(),
            _ => format!("layer[{}]", index - 1),
        };
        parameters += match count(&spec.value.layer, &dims) {
            Ok(count) => count,
            Err(expected) => {
                let message = format!("is given {dims:?} by {after}");
                fault((message, expected));
                return None;
            }
        };
        if parameters > MOST_PARAMETERS {
            let message = format!("brings the network to {parameters} parameters");
            let expected = format!("at most {MOST_PARAMETERS}");
            fault((message, expected));
            return None;
        }
        let layer = layer(&spec.value.layer, &dims, device);
        // The library checks with the batch in front.
        let whole = [&[1], dims.as_slice()].concat();
        let output = match layer.output_dims(&whole) {
            Ok(output) => output,
            Err(error) => {
                let message = format!("is given {dims:?} by {after}, found {}", error.found);
                fault((message, error.expected));
                return None;
            }
        };
        dims = output[1..].to_vec();
        let values =
            dims.iter().fold(batch as u128, |product, size| product.saturating_mul(*size as u128));
        if values > MOST_VALUES {
            let message = format!("gives {dims:?}, {values} values a batch");
            let expected = format!("at most {MOST_VALUES}");
            fault((message, expected));
            return None;
        }
        network.push(layer);
    }
    if dims != [classes]
        && let Some(last) = recipe.layers.last()
    {
        let index = recipe.layers.len() - 1;
        let flatten = match dims.len() {
            1 => "",
            _ => "a `flatten` and ",
        };
        faults.add(
            &last.span,
            format!("layer[{index}]"),
            format!("{}, the last layer, gives {dims:?}", called(last)),
            format!("[{classes}], one number for each class"),
            format!("end with {flatten}a `linear` layer of {classes} features"),
        );
    }
    Some(network)
}

/// `linear "head"`, or `linear`.
fn called(spec: &Spanned<LayerSpec>) -> String {
    let kind = spec.value.layer.type_name();
    match &spec.value.name {
        Some(name) => format!("{kind} {name:?}"),
        None => kind.to_owned(),
    }
}

fn first(dims: &[usize]) -> usize {
    dims.first().copied().unwrap_or_default()
}

fn last(dims: &[usize]) -> usize {
    dims.last().copied().unwrap_or_default()
}

/// The number of parameters of a layer on inputs of shape `dims`, without the batch.
///
/// # Errors
///
/// The shapes that the layer takes, in words, if `dims` is none of them.
fn count(layer: &Layer, dims: &[usize]) -> Result<u128, String> {
    let image = |count: &dyn Fn(usize) -> u128| match dims {
        [channels, _, _] => Ok(count(*channels)),
        _ => Err("an image, [channels, height, width]".to_owned()),
    };
    let product = |factors: &[usize]| {
        let factors = factors.iter().map(|factor| *factor as u128);
        factors.fold(1u128, u128::saturating_mul)
    };
    match layer {
        Layer::Conv2d { channels, kernel: [height, width], bias, .. } => image(&|input| {
            let weights = product(&[*channels, input, *height, *width]);
            weights.saturating_add(if *bias { *channels as u128 } else { 0 })
        }),
        // As in PyTorch, over the last dimension of whatever comes.
        Layer::Linear { features, bias } => {
            let weights = product(&[*features, last(dims)]);
            Ok(weights.saturating_add(if *bias { *features as u128 } else { 0 }))
        }
        Layer::BatchNorm { .. } => Ok(2 * first(dims) as u128),
        Layer::LayerNorm { .. } => Ok(2 * last(dims) as u128),
        Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::AdaptiveAvgPool2d { .. } => {
            image(&|_| 0)
        }
        _ => Ok(0),
    }
}

/// The layer for inputs of shape `dims`, which [`count`] has accepted.
fn layer(layer: &Layer, dims: &[usize], device: &Device) -> AnyLayer {
    match *layer {
        Layer::Conv2d { channels, kernel, stride, padding, bias } => AnyLayer::new(
            Conv2dConfig::new([first(dims), channels], kernel)
                .with_stride(stride)
                .with_padding(sides(padding))
                .with_bias(bias)
                .init(device),
        ),
        Layer::Linear { features, bias } => {
            AnyLayer::new(LinearConfig::new(last(dims), features).with_bias(bias).init(device))
        }
        Layer::BatchNorm { epsilon, momentum } => AnyLayer::new(
            BatchNormConfig::new(first(dims))
                .with_epsilon(epsilon)
                .with_momentum(momentum)
                .init(device),
        ),
        Layer::LayerNorm { epsilon } => {
            AnyLayer::new(LayerNormConfig::new(last(dims)).with_epsilon(epsilon).init(device))
        }
        Layer::Relu => AnyLayer::new(Relu::new()),
        Layer::LeakyRelu { slope } => {
            AnyLayer::new(LeakyReluConfig::new().with_negative_slope(slope).init())
        }
        Layer::Gelu => AnyLayer::new(Gelu::new()),
        Layer::Sigmoid => AnyLayer::new(Sigmoid::new()),
        Layer::Tanh => AnyLayer::new(Tanh::new()),
        Layer::MaxPool2d { kernel, stride, padding } => AnyLayer::new(
            MaxPool2dConfig::new(kernel).with_strides(stride).with_padding(sides(padding)).init(),
        ),
        Layer::AvgPool2d { kernel, stride, padding } => AnyLayer::new(
            AvgPool2dConfig::new(kernel).with_strides(stride).with_padding(sides(padding)).init(),
        ),
        Layer::AdaptiveAvgPool2d { output } => {
            AnyLayer::new(AdaptiveAvgPool2dConfig::new(output).init())
        }
        Layer::Flatten => AnyLayer::new(Flatten::new()),
        Layer::Dropout { probability } => AnyLayer::new(DropoutConfig::new(probability).init()),
    }
}

/// As much on both sides: top, left, bottom, right.
fn sides([height, width]: [usize; 2]) -> PaddingConfig2d {
    PaddingConfig2d::Explicit(height, width, height, width)
}

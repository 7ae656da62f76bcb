//! A plan into a network.

use burn::nn::activation::{ActivationConfig, HardSwish, Mish, SiLU};
use burn::nn::attention::MultiHeadAttentionConfig;
use burn::nn::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate2dConfig, InterpolateMode};
use burn::nn::pool::{
    AdaptiveAvgPool1dConfig, AdaptiveAvgPool2dConfig, AvgPool1dConfig, AvgPool2dConfig,
    MaxPool1dConfig, MaxPool2dConfig,
};
use burn::nn::{
    BatchNormConfig, BiGruConfig, BiLstmConfig, BiRnnConfig, DropoutConfig, EluConfig,
    EmbeddingConfig, Gelu, GroupNormConfig, GruConfig, Identity, InstanceNormConfig,
    LayerNormConfig, LeakyReluConfig, LinearConfig, LstmConfig, PReluConfig, PaddingConfig1d,
    PaddingConfig2d, Relu, RmsNormConfig, RnnConfig, Selu, Sigmoid, SoftplusConfig, Tanh,
};
use burn::tensor::Device;
use espalier::nn::{
    Add, AnyLayer, Composed, Concat, Flatten, GlobalAvgPool, GlobalMaxPool, Graph, GraphError,
    LastStep, LogSoftmax, Multiply, Pad, Positions, Reshape, Scale, SelfAttention, Softmax,
    Transpose, Value,
};
use espalier_network::{
    Interpolation, Layer, Per, Plan, PlannedLayer, Recurrence, SequenceOutput, Source, UpsampleTo,
};

/// The network of a plan, with the framework's initial values.
///
/// # Errors
///
/// What the library refuses of a plan: nothing, as far as is known.
pub(crate) fn build(plan: &Plan, device: &Device) -> Result<Graph, GraphError> {
    let mut graph = Graph::new();
    let mut values: Vec<Value> = Vec::with_capacity(plan.layers.len());
    for (index, planned) in plan.layers.iter().enumerate() {
        let inputs: Vec<Value> = planned
            .inputs
            .iter()
            .map(|source| match source {
                Source::Input => graph.input(),
                Source::Layer(index) => values[*index],
            })
            .collect();
        let value = if planned.weights == index {
            graph.add(&planned.path, layer(planned, device), &inputs)?
        } else {
            graph.reuse(values[planned.weights], &inputs)?
        };
        values.push(value);
    }
    let outputs: Vec<Value> = plan.outputs.iter().map(|index| values[*index]).collect();
    graph.set_outputs(&outputs)?;
    Ok(graph)
}

/// A dimension of an example, counted with the batch in front.
fn with_batch(dim: isize, dims: &[usize]) -> usize {
    let dim = if dim < 0 { dim + dims.len() as isize } else { dim };
    dim.unsigned_abs() + 1
}

/// As much on both sides: top, left, bottom, right.
fn sides([height, width]: [usize; 2]) -> PaddingConfig2d {
    PaddingConfig2d::Explicit(height, width, height, width)
}

fn layer(planned: &PlannedLayer, device: &Device) -> AnyLayer {
    let none = Vec::new();
    let dims = planned.input_dims.first().unwrap_or(&none);
    let first = dims.first().copied().unwrap_or_default();
    let last = dims.last().copied().unwrap_or_default();
    match &planned.layer {
        Layer::Linear { features, bias } => {
            AnyLayer::new(LinearConfig::new(last, *features).with_bias(*bias).init(device))
        }
        Layer::Conv1d { channels, kernel, stride, padding, dilation, groups, bias } => {
            AnyLayer::new(
                Conv1dConfig::new(first, *channels, *kernel)
                    .with_stride(*stride)
                    .with_padding(PaddingConfig1d::Explicit(*padding, *padding))
                    .with_dilation(*dilation)
                    .with_groups(*groups)
                    .with_bias(*bias)
                    .init(device),
            )
        }
        Layer::Conv2d { channels, kernel, stride, padding, dilation, groups, bias } => {
            AnyLayer::new(
                Conv2dConfig::new([first, *channels], *kernel)
                    .with_stride(*stride)
                    .with_padding(sides(*padding))
                    .with_dilation(*dilation)
                    .with_groups(*groups)
                    .with_bias(*bias)
                    .init(device),
            )
        }
        Layer::ConvTranspose1d {
            channels,
            kernel,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
        } => AnyLayer::new(
            ConvTranspose1dConfig::new([first, *channels], *kernel)
                .with_stride(*stride)
                .with_padding(*padding)
                .with_padding_out(*output_padding)
                .with_dilation(*dilation)
                .with_groups(*groups)
                .with_bias(*bias)
                .init(device),
        ),
        Layer::ConvTranspose2d {
            channels,
            kernel,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
        } => AnyLayer::new(
            ConvTranspose2dConfig::new([first, *channels], *kernel)
                .with_stride(*stride)
                .with_padding(*padding)
                .with_padding_out(*output_padding)
                .with_dilation(*dilation)
                .with_groups(*groups)
                .with_bias(*bias)
                .init(device),
        ),
        Layer::BatchNorm { .. }
        | Layer::LayerNorm { .. }
        | Layer::GroupNorm { .. }
        | Layer::InstanceNorm { .. }
        | Layer::RmsNorm { .. } => norm(&planned.layer, dims, device),
        Layer::Embedding { features, .. } => {
            // The rows that the plan counted.
            let rows = planned.parameters.first().and_then(|weight| weight.shape.first());
            AnyLayer::new(EmbeddingConfig::new(rows.copied().unwrap_or(1), *features).init(device))
        }
        Layer::Rnn { .. } | Layer::Lstm { .. } | Layer::Gru { .. } => {
            recurrent(&planned.layer, last, device)
        }
        Layer::Attention { heads, causal, dropout, bias } => {
            let attention = MultiHeadAttentionConfig::new(last, *heads)
                .with_dropout(*dropout)
                .with_query_bias(*bias)
                .with_key_bias(*bias)
                .with_value_bias(*bias)
                .with_output_bias(*bias)
                .init(device);
            AnyLayer::new(match causal {
                true => SelfAttention::causal(attention),
                false => SelfAttention::new(attention),
            })
        }
        Layer::Positions => AnyLayer::new(Positions::new([first, last], device)),
        Layer::Scale { per } => AnyLayer::new(match per {
            Per::Layer => Scale::single(device),
            Per::Channel => Scale::per_channel(dims, device),
            Per::Element => Scale::per_element(dims, device),
        }),
        Layer::Prelu { per, initial } => {
            let slopes = if *per == Per::Layer { 1 } else { first };
            let config = PReluConfig::new().with_num_parameters(slopes).with_alpha(*initial);
            AnyLayer::new(config.init(device))
        }
        Layer::Shortcut { activation } => match activation {
            None => AnyLayer::new(Add::new()),
            Some(activation) => {
                AnyLayer::new(Composed::new(Add::new()).then(plain(activation, dims)))
            }
        },
        Layer::Mul => AnyLayer::new(Multiply::new()),
        Layer::Route { dim, groups, group } => {
            AnyLayer::new(Concat::new(with_batch(*dim, dims)).part_of(*group, *groups))
        }
        other if is_pool(other) => pool(other),
        other => reshaping(other, dims, &planned.output).unwrap_or_else(|| plain(other, dims)),
    }
}

fn norm(layer: &Layer, dims: &[usize], device: &Device) -> AnyLayer {
    let first = dims.first().copied().unwrap_or_default();
    let last = dims.last().copied().unwrap_or_default();
    match *layer {
        Layer::BatchNorm { epsilon, momentum } => AnyLayer::new(
            BatchNormConfig::new(first).with_epsilon(epsilon).with_momentum(momentum).init(device),
        ),
        Layer::LayerNorm { epsilon } => {
            AnyLayer::new(LayerNormConfig::new(last).with_epsilon(epsilon).init(device))
        }
        Layer::GroupNorm { groups, epsilon } => {
            AnyLayer::new(GroupNormConfig::new(groups, first).with_epsilon(epsilon).init(device))
        }
        Layer::InstanceNorm { epsilon, affine } => AnyLayer::new(
            InstanceNormConfig::new(first).with_epsilon(epsilon).with_affine(affine).init(device),
        ),
        Layer::RmsNorm { epsilon } => {
            AnyLayer::new(RmsNormConfig::new(last).with_epsilon(epsilon).init(device))
        }
        _ => AnyLayer::new(Identity::new()),
    }
}

fn is_pool(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::MaxPool1d { .. }
            | Layer::MaxPool2d { .. }
            | Layer::AvgPool1d { .. }
            | Layer::AvgPool2d { .. }
            | Layer::AdaptiveAvgPool1d { .. }
            | Layer::AdaptiveAvgPool2d { .. }
            | Layer::GlobalAvgPool
            | Layer::GlobalMaxPool
    )
}

fn pool(layer: &Layer) -> AnyLayer {
    match *layer {
        Layer::MaxPool1d { kernel, stride, padding } => AnyLayer::new(
            MaxPool1dConfig::new(kernel)
                .with_stride(stride)
                .with_padding(PaddingConfig1d::Explicit(padding, padding))
                .init(),
        ),
        Layer::MaxPool2d { kernel, stride, padding, overhang } => {
            let pool = MaxPool2dConfig::new(kernel).with_strides(stride);
            if overhang == [0, 0] {
                return AnyLayer::new(pool.with_padding(sides(padding)).init());
            }
            // Below every number, on all sides at once.
            let border = [0, 1].map(|side| [padding[side], padding[side] + overhang[side]]);
            AnyLayer::new(Composed::new(pool.init()).after(Pad::new(border, f64::from(f32::MIN))))
        }
        Layer::AvgPool1d { kernel, stride, padding } => AnyLayer::new(
            AvgPool1dConfig::new(kernel)
                .with_stride(stride)
                .with_padding(PaddingConfig1d::Explicit(padding, padding))
                .init(),
        ),
        Layer::AvgPool2d { kernel, stride, padding } => AnyLayer::new(
            AvgPool2dConfig::new(kernel).with_strides(stride).with_padding(sides(padding)).init(),
        ),
        Layer::AdaptiveAvgPool1d { output } => {
            AnyLayer::new(AdaptiveAvgPool1dConfig::new(output).init())
        }
        Layer::AdaptiveAvgPool2d { output } => {
            AnyLayer::new(AdaptiveAvgPool2dConfig::new(output).init())
        }
        Layer::GlobalAvgPool => AnyLayer::new(GlobalAvgPool::new()),
        Layer::GlobalMaxPool => AnyLayer::new(GlobalMaxPool::new()),
        _ => AnyLayer::new(Identity::new()),
    }
}

fn recurrent(layer: &Layer, inputs: usize, device: &Device) -> AnyLayer {
    let (cell, both, output) = match layer {
        Layer::Rnn { features, nonlinearity, bidirectional, bias, output } => {
            let activation = match nonlinearity {
                Recurrence::Tanh => ActivationConfig::Tanh,
                Recurrence::Relu => ActivationConfig::Relu,
            };
            let cell = if *bidirectional {
                let config = BiRnnConfig::new(inputs, *features, *bias);
                AnyLayer::new(config.with_hidden_activation(activation).init(device))
            } else {
                let config = RnnConfig::new(inputs, *features, *bias);
                AnyLayer::new(config.with_hidden_activation(activation).init(device))
            };
            (cell, *bidirectional, *output)
        }
        Layer::Lstm { features, bidirectional, bias, output } => {
            let cell = if *bidirectional {
                AnyLayer::new(BiLstmConfig::new(inputs, *features, *bias).init(device))
            } else {
                AnyLayer::new(LstmConfig::new(inputs, *features, *bias).init(device))
            };
            (cell, *bidirectional, *output)
        }
        Layer::Gru { features, bidirectional, bias, output } => {
            let cell = if *bidirectional {
                AnyLayer::new(BiGruConfig::new(inputs, *features, *bias).init(device))
            } else {
                AnyLayer::new(GruConfig::new(inputs, *features, *bias).init(device))
            };
            (cell, *bidirectional, *output)
        }
        _ => return AnyLayer::new(Identity::new()),
    };
    match (output, both) {
        (SequenceOutput::Sequence, _) => cell,
        (SequenceOutput::Last, false) => AnyLayer::new(Composed::new(cell).then(LastStep::new())),
        (SequenceOutput::Last, true) => {
            AnyLayer::new(Composed::new(cell).then(LastStep::of_both_ways()))
        }
    }
}

/// Layers without parameters that change shapes.
fn reshaping(layer: &Layer, dims: &[usize], output: &[usize]) -> Option<AnyLayer> {
    Some(match layer {
        Layer::Flatten => AnyLayer::new(Flatten::new()),
        Layer::Reshape { .. } => AnyLayer::new(Reshape::new(output)),
        Layer::Transpose { dims: [a, b] } => {
            AnyLayer::new(Transpose::new([with_batch(*a, dims), with_batch(*b, dims)]))
        }
        Layer::Upsample { to, mode } => {
            let mode = match mode {
                Interpolation::Nearest => InterpolateMode::Nearest,
                Interpolation::Bilinear => InterpolateMode::Linear,
            };
            let config = Interpolate2dConfig::new().with_mode(mode).with_align_corners(false);
            AnyLayer::new(match to {
                UpsampleTo::Size(size) => config.with_output_size(Some(*size)).init(),
                UpsampleTo::Scale(scale) => {
                    config.with_scale_factor(Some(scale.map(|side| side as f32))).init()
                }
            })
        }
        Layer::Pad { sides, value } => AnyLayer::new(Pad::new(borders(sides, dims.len()), *value)),
        _ => return None,
    })
}

/// The border before and after each of the last dimensions, the first of them first.
fn borders(sides: &[usize], rank: usize) -> Vec<[usize; 2]> {
    match *sides {
        [side] => vec![[side, side]; rank.saturating_sub(1).max(1)],
        _ => sides.chunks(2).rev().map(|pair| [pair[0], pair[pair.len() - 1]]).collect(),
    }
}

/// Layers without parameters that keep the shape.
fn plain(layer: &Layer, dims: &[usize]) -> AnyLayer {
    match *layer {
        Layer::Relu => AnyLayer::new(Relu::new()),
        Layer::LeakyRelu { slope } => {
            AnyLayer::new(LeakyReluConfig::new().with_negative_slope(slope).init())
        }
        Layer::Gelu => AnyLayer::new(Gelu::new()),
        Layer::Sigmoid => AnyLayer::new(Sigmoid::new()),
        Layer::Tanh => AnyLayer::new(Tanh::new()),
        Layer::Silu => AnyLayer::new(SiLU::new()),
        Layer::Mish => AnyLayer::new(Mish::new()),
        Layer::Elu { alpha } => AnyLayer::new(EluConfig::new().with_alpha(alpha).init()),
        Layer::Selu => AnyLayer::new(Selu::new()),
        Layer::Softplus { beta } => AnyLayer::new(SoftplusConfig::new().with_beta(beta).init()),
        Layer::HardSwish => AnyLayer::new(HardSwish::new()),
        Layer::Softmax { dim } => AnyLayer::new(Softmax::new(with_batch(dim, dims))),
        Layer::LogSoftmax { dim } => AnyLayer::new(LogSoftmax::new(with_batch(dim, dims))),
        Layer::Dropout { probability } => AnyLayer::new(DropoutConfig::new(probability).init()),
        // Nothing else is left: blocks, repeats and reuses are no leaves.
        _ => AnyLayer::new(Identity::new()),
    }
}

//! What is written as TOML reads as the same network.

use espalier_network::{
    Architecture, Input, Interpolation, Layer, LayerSpec, Per, Recurrence, Reference,
    SequenceOutput, Spanned, UpsampleTo,
};
use proptest::prelude::*;

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, 0..0)
}

fn size() -> impl Strategy<Value = usize> {
    1..9_usize
}

fn pair() -> impl Strategy<Value = [usize; 2]> {
    [1..9_usize, 1..9_usize]
}

fn any_pair() -> impl Strategy<Value = [usize; 2]> {
    prop_oneof![Just([0, 0]), [0..5_usize, 0..5_usize]]
}

fn dim() -> impl Strategy<Value = isize> {
    -4..4_isize
}

/// Numbers that need all their digits.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(1e-5), Just(0.1), 1e-30..1e30_f64]
}

fn output() -> impl Strategy<Value = SequenceOutput> {
    prop_oneof![Just(SequenceOutput::Sequence), Just(SequenceOutput::Last)]
}

fn windows() -> BoxedStrategy<Layer> {
    let flags = (any::<bool>(), size(), any_pair());
    let conv = (size(), pair(), pair(), any_pair(), pair(), flags);
    let conv = conv.prop_map(|(channels, kernel, stride, padding, dilation, rest)| {
        let (bias, groups, output_padding) = rest;
        [
            Layer::Conv2d { channels, kernel, stride, padding, dilation, groups, bias },
            Layer::Conv1d {
                channels,
                kernel: kernel[0],
                stride: stride[0],
                padding: padding[0],
                dilation: dilation[0],
                groups,
                bias,
            },
            Layer::ConvTranspose2d {
                channels,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                groups,
                bias,
            },
            Layer::ConvTranspose1d {
                channels,
                kernel: kernel[0],
                stride: stride[0],
                padding: padding[0],
                output_padding: output_padding[0],
                dilation: dilation[0],
                groups,
                bias,
            },
        ]
    });
    let pool = (pair(), pair(), any::<bool>()).prop_map(|(kernel, stride, half)| {
        let padding = if half { kernel.map(|side| side / 2) } else { [0, 0] };
        let room = [0, 1].map(|side: usize| (kernel[side] - 1).saturating_sub(padding[side]));
        [
            Layer::MaxPool2d { kernel, stride, padding, overhang: room },
            Layer::AvgPool2d { kernel, stride, padding },
            Layer::MaxPool1d { kernel: kernel[0], stride: stride[0], padding: padding[0] },
            Layer::AvgPool1d { kernel: kernel[0], stride: stride[0], padding: padding[0] },
        ]
    });
    (conv, pool, 0..8_usize)
        .prop_map(|(conv, pool, which)| conv.into_iter().chain(pool).nth(which).unwrap())
        .boxed()
}

fn elementwise() -> BoxedStrategy<Layer> {
    prop_oneof![
        Just(Layer::Relu),
        Just(Layer::Gelu),
        Just(Layer::Sigmoid),
        Just(Layer::Tanh),
        Just(Layer::Silu),
        Just(Layer::Mish),
        Just(Layer::Selu),
        Just(Layer::HardSwish),
        number().prop_map(|slope| Layer::LeakyRelu { slope }),
        number().prop_map(|alpha| Layer::Elu { alpha }),
        number().prop_map(|beta| Layer::Softplus { beta }),
    ]
    .boxed()
}

fn others() -> BoxedStrategy<Layer> {
    let per = prop_oneof![Just(Per::Layer), Just(Per::Channel)];
    let any_per = prop_oneof![Just(Per::Layer), Just(Per::Channel), Just(Per::Element)];
    let fraction = 0.0..1.0_f64;
    let recurrence = prop_oneof![Just(Recurrence::Tanh), Just(Recurrence::Relu)];
    let recurrent = (size(), recurrence, any::<bool>(), any::<bool>(), output(), 0..3_u8);
    let to = prop_oneof![pair().prop_map(UpsampleTo::Scale), pair().prop_map(UpsampleTo::Size)];
    let mode = prop_oneof![Just(Interpolation::Nearest), Just(Interpolation::Bilinear)];
    let sides = prop_oneof![
        prop::collection::vec(0..5_usize, 1),
        prop::collection::vec(0..5_usize, 2),
        prop::collection::vec(0..5_usize, 4),
    ];
    let shape =
        (prop::collection::vec(1..9_isize, 1..5), any::<prop::sample::Index>(), any::<bool>());
    let simple = prop_oneof![
        Just(Layer::GlobalAvgPool),
        Just(Layer::GlobalMaxPool),
        Just(Layer::Positions),
        Just(Layer::Flatten),
        Just(Layer::Identity),
        Just(Layer::Mul),
        size().prop_map(|output| Layer::AdaptiveAvgPool1d { output }),
        pair().prop_map(|output| Layer::AdaptiveAvgPool2d { output }),
        fraction.clone().prop_map(|probability| Layer::Dropout { probability }),
        dim().prop_map(|dim| Layer::Softmax { dim }),
        dim().prop_map(|dim| Layer::LogSoftmax { dim }),
        [dim(), dim()].prop_map(|dims| Layer::Transpose { dims }),
        (size(), any::<bool>()).prop_map(|(features, bias)| Layer::Linear { features, bias }),
        (per, number()).prop_map(|(per, initial)| Layer::Prelu { per, initial }),
        any_per.prop_map(|per| Layer::Scale { per }),
    ];
    let norms = prop_oneof![
        (number(), fraction.clone())
            .prop_map(|(epsilon, momentum)| Layer::BatchNorm { epsilon, momentum }),
        number().prop_map(|epsilon| Layer::LayerNorm { epsilon }),
        number().prop_map(|epsilon| Layer::RmsNorm { epsilon }),
        (size(), number()).prop_map(|(groups, epsilon)| Layer::GroupNorm { groups, epsilon }),
        (number(), any::<bool>())
            .prop_map(|(epsilon, affine)| Layer::InstanceNorm { epsilon, affine }),
    ];
    let sequences = prop_oneof![
        (prop::option::of(size()), size())
            .prop_map(|(vocabulary, features)| Layer::Embedding { vocabulary, features }),
        recurrent.prop_map(|(features, nonlinearity, bidirectional, bias, output, which)| {
            match which {
                0 => Layer::Rnn { features, nonlinearity, bidirectional, bias, output },
                1 => Layer::Lstm { features, bidirectional, bias, output },
                _ => Layer::Gru { features, bidirectional, bias, output },
            }
        }),
        (size(), any::<bool>(), fraction, any::<bool>()).prop_map(
            |(heads, causal, dropout, bias)| Layer::Attention { heads, causal, dropout, bias }
        ),
    ];
    let shapes = prop_oneof![
        (to, mode).prop_map(|(to, mode)| Layer::Upsample { to, mode }),
        (sides, -9.0..9.0_f64).prop_map(|(sides, value)| Layer::Pad { sides, value }),
        shape.prop_map(|(mut shape, open, is_open)| {
            if is_open {
                let open = open.index(shape.len());
                shape[open] = -1;
            }
            Layer::Reshape { shape }
        }),
    ];
    let joins = prop_oneof![
        prop::option::of(elementwise())
            .prop_map(|activation| Layer::Shortcut { activation: activation.map(Box::new) }),
        (dim(), size(), any::<prop::sample::Index>()).prop_map(|(dim, groups, group)| {
            Layer::Route { dim, groups, group: group.index(groups) }
        }),
    ];
    prop_oneof![4 => simple, 1 => norms, 1 => sequences, 1 => shapes, 1 => joins].boxed()
}

fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        Just(Reference::Input),
        (1..9_usize).prop_map(Reference::Back),
        (0..9_usize).prop_map(Reference::Index),
        name().prop_filter("the input", |name| name != "input").prop_map(Reference::Name),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "\\PC{1,6}", "[\\t\\n\"'\\\\#=\\[\\]]{1,4}"]
}

/// Layers in order, without names.
fn layers(layer: impl Strategy<Value = Layer>) -> impl Strategy<Value = Vec<Spanned<LayerSpec>>> {
    let one = (prop::collection::vec(reference().prop_map(spanned), 0..3), layer);
    let one = one.prop_map(|(from, layer)| spanned(LayerSpec { name: None, from, layer }));
    // Names are made afterwards, each another.
    (prop::collection::vec(one, 1..5), name(), any::<prop::sample::Index>()).prop_map(
        |(mut layers, name, at)| {
            let at = at.index(layers.len());
            if name != "input" {
                layers[at].value.name = Some(name);
            }
            layers
        },
    )
}

fn layer() -> impl Strategy<Value = Layer> {
    let leaf = prop_oneof![
        windows(),
        elementwise(),
        others(),
        reference().prop_map(|of| Layer::Reuse { of: spanned(of) }),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            layers(inner.clone()).prop_map(|layers| Layer::Block { layers }),
            (size(), layers(inner)).prop_map(|(times, layers)| Layer::Repeat { times, layers }),
        ]
    })
}

/// The same layers without places.
fn placeless(layers: &[Spanned<LayerSpec>]) -> Vec<Spanned<LayerSpec>> {
    let one = |spec: &Spanned<LayerSpec>| {
        let mut spec = spec.value.clone();
        spec.from.iter_mut().for_each(|from| from.span = 0..0);
        match &mut spec.layer {
            Layer::Block { layers } | Layer::Repeat { layers, .. } => *layers = placeless(layers),
            Layer::Reuse { of } => of.span = 0..0,
            _ => {}
        }
        spanned(spec)
    };
    layers.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_network_reads_as_it_was_written(
        layers in layers(layer()),
        outputs in prop::collection::vec(reference(), 0..3),
        input in prop_oneof![
            Just(None),
            prop::collection::vec(1..999_usize, 1..4).prop_map(|dims| Some(Input::values(dims))),
            (1..999_usize, 1..99_usize).prop_map(|(v, length)| Some(Input::tokens(v, length))),
        ],
    ) {
        let mut architecture = Architecture::new(layers.iter().map(|layer| layer.value.clone()));
        architecture.outputs = outputs.iter().cloned().map(spanned).collect();
        architecture.input = input.clone().map(spanned);
        let text = architecture.to_toml();
        let read = match Architecture::parse(&text, "net.toml") {
            Ok(read) => read,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        prop_assert_eq!(placeless(&read.layers), layers, "{}", text);
        let found: Vec<Reference> = read.outputs.iter().map(|of| of.value.clone()).collect();
        prop_assert_eq!(found, outputs);
        prop_assert_eq!(read.input.clone().map(|input| input.value), input);
        prop_assert_eq!(read.to_toml(), text);
    }
}

#[test]
fn nested_layers_are_written_as_tables() {
    let text = r#"input = [4]
outputs = ["last"]

[[layer]]
type = "repeat"
times = 2

[[layer.layer]]
type = "linear"
features = 4
bias = false

[[layer.layer]]
type = "shortcut"
from = [-1, -2]
activation = { type = "leaky_relu", slope = 0.1 }

[[layer]]
name = "last"
type = "conv2d"
channels = 3
kernel = [3, 1]
padding = 1
"#;
    assert_eq!(Architecture::parse(text, "net.toml").unwrap().to_toml(), text);
}

//! Blocks, repeats, references and reuse: what is unfolded, and whose weights are used.

use espalier_network::{
    Architecture, Input, Layer, LayerSpec, Limits, Plan, Reference, Source, Spanned,
};

fn plan(text: &str, input: Input) -> Plan {
    let architecture = Architecture::parse(text, "net.toml").unwrap();
    match architecture.plan(Some(&input), &Limits::default()) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    }
}

/// `path type <- inputs`, with `= path` for borrowed weights.
fn shown(plan: &Plan) -> Vec<String> {
    let path = |index: usize| plan.layers[index].path.clone();
    let one = |(index, layer): (usize, &espalier_network::PlannedLayer)| {
        let inputs: Vec<String> = layer
            .inputs
            .iter()
            .map(|source| match source {
                Source::Input => "input".to_owned(),
                Source::Layer(index) => path(*index),
            })
            .collect();
        let kind = layer.layer.type_name();
        let weights = if layer.weights == index {
            String::new()
        } else {
            format!(" = {}", path(layer.weights))
        };
        format!("{} {kind} <- {}{weights}", layer.path, inputs.join(" "))
    };
    plan.layers.iter().enumerate().map(one).collect()
}

#[test]
fn references_reach_earlier_layers() {
    let plan = plan(
        r#"
layer = [
    { type = "linear", features = 4, name = "stem" },
    { type = "relu" },
    { type = "shortcut", from = 0 },
    { type = "shortcut", from = "stem", activation = "relu" },
    { type = "route", from = [-2, "input", "stem", 1], dim = -1 },
    { type = "mul", from = -1 },
    { type = "attention", heads = 1, from = ["stem", -2] },
]"#
        .trim(),
        Input::values([5, 3]),
    );
    assert_eq!(
        shown(&plan),
        [
            "0 linear <- input",
            "1 relu <- 0",
            "2 shortcut <- 1 0",
            "3 shortcut <- 2 0",
            "4 route <- 2 input 0 1",
            "5 mul <- 4 4",
            "6 attention <- 0 4",
        ]
    );
}

#[test]
fn blocks_and_repeats_unfold() {
    let plan = plan(
        r#"
[[layer]]
name = "outside"
type = "linear"
features = 4

[[layer]]
type = "repeat"
times = 2
[[layer.layer]]
type = "linear"
features = 4
[[layer.layer]]
type = "block"
name = "inside"
layer = [{ type = "relu" }, { type = "shortcut", from = -2 }]
[[layer.layer]]
type = "shortcut"
from = -3
[[layer.layer]]
type = "shortcut"
from = ["outside", 0, "inside", "input"]

[[layer]]
type = "shortcut"
from = -2
"#,
        Input::values([4]),
    );
    assert_eq!(
        shown(&plan),
        [
            "0 linear <- input",
            "1.0.0 linear <- 0",
            // A block's first layer comes behind what the block is given.
            "1.0.1.0 relu <- 1.0.0",
            "1.0.1.1 shortcut <- 1.0.1.0 1.0.0",
            "1.0.2 shortcut <- 1.0.1.1 0",
            "1.0.3 shortcut <- 0 1.0.0 1.0.1.1 input",
            "1.1.0 linear <- 1.0.3",
            "1.1.1.0 relu <- 1.1.0",
            "1.1.1.1 shortcut <- 1.1.1.0 1.1.0",
            "1.1.2 shortcut <- 1.1.1.1 1.0.3",
            "1.1.3 shortcut <- 0 1.1.0 1.1.1.1 input",
            "2 shortcut <- 1.1.3 0",
        ]
    );
    assert_eq!(plan.parameters(), 3 * (4 * 4 + 4));
    assert_eq!(plan.layers[3].key, "layer[1].layer[1].layer[1]");
    assert_eq!(plan.unused(), [4, 9]);
}

#[test]
fn reuse_shares_weights() {
    let plan = plan(
        r#"
[[layer]]
name = "half"
type = "block"
layer = [
    { type = "linear", features = 4, name = "dense" },
    { type = "batch_norm" },
    { type = "reuse", of = "dense" },
]
[[layer]]
type = "relu"
[[layer]]
name = "again"
type = "reuse"
of = "half"
[[layer]]
type = "repeat"
times = 2
layer = [{ type = "reuse", of = "again", from = "input" }]
"#,
        Input::values([4]),
    );
    assert_eq!(
        shown(&plan),
        [
            "0.0 linear <- input",
            "0.1 batch_norm <- 0.0",
            "0.2 linear <- 0.1 = 0.0",
            "1 relu <- 0.2",
            "2.0 linear <- 1 = 0.0",
            "2.1 batch_norm <- 2.0 = 0.1",
            "2.2 linear <- 2.1 = 0.0",
            "3.0.0.0 linear <- input = 0.0",
            "3.0.0.1 batch_norm <- 3.0.0.0 = 0.1",
            "3.0.0.2 linear <- 3.0.0.1 = 0.0",
            "3.1.0.0 linear <- input = 0.0",
            "3.1.0.1 batch_norm <- 3.1.0.0 = 0.1",
            "3.1.0.2 linear <- 3.1.0.1 = 0.0",
        ]
    );
    assert_eq!((plan.parameters(), plan.buffers()), (4 * 4 + 4 + 8, 8));
    assert!(plan.layers[4].parameters.is_empty() && plan.layers[5].buffers.is_empty());
    assert_eq!(plan.layers[4].layer, Layer::Linear { features: 4, bias: true });
    assert_eq!(plan.layers[4].key, "layer[2]");
    // Each use multiplies anew.
    assert_eq!(plan.macs(), 8 * 16);
}

#[test]
fn outputs_are_chosen() {
    let text = r#"
outputs = ["left", -1]
layer = [{ type = "linear", features = 3, name = "left" }, { type = "linear", features = 2 }]
"#;
    let plan = plan(text, Input::values([4]));
    assert_eq!(plan.outputs, [0, 1]);
}

#[test]
fn layers_made_by_hand_are_checked() {
    let spec = |layer| Spanned::new(LayerSpec::new(layer), 0..0);
    let plan = |layers: &[Spanned<LayerSpec>]| {
        Plan::new(layers, &[], &Input::values([2, 6]), &Limits::default())
            .map(|plan| plan.layers.len())
            .map_err(|error| error.to_string())
    };
    assert_eq!(plan(&[]), Err("layer: found no layer; expected at least one".to_owned()));
    let pool = Layer::MaxPool1d { kernel: 2, stride: 0, padding: 0 };
    assert_eq!(
        plan(&[spec(pool)]).unwrap_err(),
        "layer[0]: max_pool1d is given [2, 6] by the input, found 0; expected a kernel, stride and \
         dilation of at least 1"
    );
    let nothing = Layer::Linear { features: 0, bias: true };
    assert_eq!(
        plan(&[spec(nothing)]).unwrap_err(),
        "layer[0]: linear gives [2, 0]; expected sizes of at least 1"
    );
    let empty = Layer::Repeat { times: 0, layers: vec![spec(Layer::Relu)] };
    assert_eq!(
        plan(&[spec(empty)]).unwrap_err(),
        "layer[0]: repeat holds no layer; expected at least one"
    );
    let shortcut = LayerSpec {
        from: vec![Spanned::new(Reference::Input, 0..0)],
        ..LayerSpec::new(Layer::Shortcut { activation: Some(Box::new(Layer::Flatten)) })
    };
    assert_eq!(
        plan(&[Spanned::new(shortcut, 0..0)]).unwrap_err(),
        "layer[0]: shortcut is given [2, 6] by the input and [2, 6] by the input, found flatten as \
         its activation; expected one that works on each value alone"
    );
    let huge = Layer::Conv1d {
        channels: usize::MAX,
        kernel: usize::MAX,
        stride: usize::MAX,
        padding: usize::MAX,
        dilation: usize::MAX,
        groups: usize::MAX,
        bias: true,
    };
    assert!(plan(&[spec(huge)]).is_err());
    let mut deep = Layer::Relu;
    for _ in 0..100 {
        deep = Layer::Block { layers: vec![spec(deep)] };
    }
    assert!(plan(&[spec(deep)]).unwrap_err().contains("block is nested too deep"));
    let twice =
        Spanned::new(LayerSpec { name: Some("a".to_owned()), ..LayerSpec::new(Layer::Relu) }, 0..0);
    let back = LayerSpec {
        from: vec![Spanned::new(Reference::Back(0), 0..0)],
        ..LayerSpec::new(Layer::Relu)
    };
    assert_eq!(
        plan(&[twice.clone(), twice, Spanned::new(back, 0..0)]).unwrap_err(),
        "layer[1].name: \"a\" is an earlier layer's name; expected a name of its own\n\
         layer[2].from: -0 is the layer itself; expected an earlier layer, 0 to 1 or -1 to -2"
    );
}

#[test]
fn limits_hold_before_anything_is_unfolded() {
    let plan = |text: &str, limits: &Limits| {
        let architecture = Architecture::parse(text, "net.toml").unwrap();
        let plan = architecture.plan(Some(&Input::values([4])), limits);
        plan.map(|plan| plan.parameters()).map_err(|error| error.to_string())
    };
    let limits = Limits::default();
    let bomb = "layer = [{ type = 'repeat', times = 16777216, layer = [{ type = 'repeat', times = 16777216, layer = [{ type = 'relu' }] }] }]";
    assert_eq!(
        plan(bomb, &limits).unwrap_err(),
        "net.toml:1:102: layer[0].layer[0].layer[0]: relu as 0.0.0.10000.0 is one layer too many; expected at most \
         10000 layers after repeats"
    );
    // Layers that do not fit count as well.
    assert!(
        plan(&bomb.replace("relu", "conv1d', channels = 1, kernel = 1, name = 'x"), &limits)
            .is_err()
    );
    // Each block uses the one before twice.
    let mut doubling = "[[layer]]\nname = 'b0'\ntype = 'relu'\n".to_owned();
    for level in 0..60 {
        doubling += &format!(
            "[[layer]]\nname = 'b{}'\ntype = 'block'\nlayer = [{}, {}]\n",
            level + 1,
            format_args!("{{ type = 'reuse', of = 'b{level}' }}"),
            format_args!("{{ type = 'reuse', of = 'b{level}' }}"),
        );
    }
    assert!(plan(&doubling, &limits).unwrap_err().contains("one layer too many"));
    let many = "[[layer]]\ntype = 'relu'\n".repeat(1001);
    assert_eq!(
        plan(&many, &limits).unwrap_err(),
        "net.toml:2001:1: layer[1000]: relu is one layer too many; expected at most 1000 layers"
    );
    let large =
        "layer = [{ type = 'linear', features = 8388608 }, { type = 'linear', features = 64 }]";
    assert_eq!(
        plan(large, &limits).unwrap_err(),
        "net.toml:1:51: layer[1]: linear brings the network to 578814016 parameters; expected at \
         most 268435456"
    );
    assert_eq!(plan(large, &limits.parameters(1 << 30)), Ok(578_814_016));
    assert_eq!(
        plan(large, &limits.parameters(1 << 30).batch(64)).unwrap_err(),
        "net.toml:1:10: layer[0]: linear gives [8388608], 536870912 values a batch; expected at \
         most 268435456"
    );
}

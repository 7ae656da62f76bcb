//! What is wrong with wrong networks, in the exact words.

use espalier_network::{Architecture, Input, Limits};

fn read_error(text: &str) -> String {
    Architecture::parse(text, "n.toml").unwrap_err().to_string()
}

/// The faults of layers, one a line of the text, each in braces.
fn plan_error(layers: &str, input: Input) -> String {
    let layers: Vec<&str> = layers.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = format!("layer = [\n{{ {} }}]", layers.join(" },\n{ "));
    let architecture = Architecture::parse(&text, "n.toml").unwrap_or_else(|e| panic!("{e}"));
    let error = architecture.plan(Some(&input), &Limits::default());
    error.map(|plan| panic!("{plan:?}")).unwrap_err().to_string()
}

#[test]
fn texts_that_do_not_read() {
    let cases = [
        (
            "layer = [{ type = 'relu', name = 'a' }, { type = 'relu', name = 'a' }, { type = 'tanh', name = 'input' }]",
            "n.toml:1:65: layer[1].name: \"a\" is an earlier layer's name; expected a name of its own\n\
             n.toml:1:96: layer[2].name: found \"input\"; expected another name: `input` is what the \
             network is given",
        ),
        (
            "layer = [{ type = 'relu', from = [] }, { type = 'relu', from = 1.5 }, { type = 'relu', from = [true, ''] }]",
            "n.toml:1:34: layer[0].from: found an empty array; expected FROM\n\
             n.toml:1:64: layer[1].from: found a float; expected FROM\n\
             n.toml:1:96: layer[2].from[0]: found a boolean; expected FROM\n\
             n.toml:1:102: layer[2].from[1]: found an empty string; expected FROM",
        ),
        (
            "layer = [{ type = 'block', layer = [] }, { type = 'repeat', layer = [{ type = 'rela' }] }]",
            "n.toml:1:36: layer[0].layer: found no layer; expected tables `[[layer]]`, one for each layer\n\
             n.toml:1:42: layer[1].times: missing key; expected an integer from 1 to 16777216\n\
             n.toml:1:79: layer[1].layer[0].type: unknown name \"rela\"; expected TYPES; did you mean `relu`?",
        ),
        (
            "layer = [{ type = 'upsample' }, { type = 'upsample', scale = 2, size = 3 }, { type = 'pad', sides = [1, 2, 3] }]",
            "n.toml:1:10: layer[0]: found neither `scale` nor `size`; expected one of them\n\
             n.toml:1:33: layer[1]: found both `scale` and `size`; expected one of them\n\
             n.toml:1:101: layer[2].sides: found an array of 3; expected a count, `[left, right]` or \
             `[left, right, top, bottom]`",
        ),
        (
            "layer = [{ type = 'reshape', shape = [-1, 0, -1] }, { type = 'reshape', shape = [-1, -1] }]",
            "n.toml:1:43: layer[0].shape[1]: found 0; expected -1 or a size from 1\n\
             n.toml:1:81: layer[1].shape: found -1 2 times; expected an array of up to 7 sizes from 1, one of \
             which may be -1, what is left",
        ),
        (
            "layer = [{ type = 'shortcut', activation = 'softmax' }, { type = 'route', groups = 2, group = 2 }]",
            "n.toml:1:44: layer[0].activation: unknown name \"softmax\"; expected one of `relu`, \
             `leaky_relu`, `gelu`, `sigmoid`, `tanh`, `silu`, `mish`, `elu`, `selu`, `softplus`, \
             `hard_swish`\n\
             n.toml:1:95: layer[1].group: found 2; expected a group below 2, `groups`",
        ),
        (
            "layer = [{ type = 'lstm', features = 2, output = 'all' }, { type = 'rnn', features = 2, nonlinearity = 'gelu' }]",
            "n.toml:1:50: layer[0].output: unknown name \"all\"; expected one of `sequence`, `last`\n\
             n.toml:1:104: layer[1].nonlinearity: unknown name \"gelu\"; expected one of `tanh`, `relu`; \
             did you mean `relu`?",
        ),
        (
            "input = [3, 0]\nlayer = [{ type = 'max_pool2d', kernel = 3, padding = 1, overhang = 2 }]",
            "n.toml:1:13: input[1]: found 0; expected an integer from 1 to 16777216\n\
             n.toml:2:69: layer[0].overhang: found [2, 2] behind a padding of [1, 1] for a kernel of \
             [3, 3]; expected both together less than the kernel",
        ),
        (
            "input = { tokens = 4 }\noutputs = []\nlayers = 3",
            "n.toml:1:1: layer: missing key; expected tables `[[layer]]`, one for each layer\n\
             n.toml:1:9: input.length: missing key; expected an integer from 1 to 16777216\n\
             n.toml:2:11: outputs: found an empty array; expected FROM\n\
             n.toml:3:1: layers: unknown key; expected one of `input`, `outputs`, `layer`; did you mean `layer`?",
        ),
    ];
    let all = read_error("layer = [{ type = 'x' }]");
    let (_, types) = all.split_once("expected ").unwrap();
    let from = "an earlier layer: -1 and so on, its number from 0, its name, or \"input\"";
    for (text, expected) in cases {
        let found = read_error(text);
        // The list of types may end in names that are near.
        let expected = expected.replace("FROM", from).replace("TYPES", types);
        assert_eq!(found, expected);
    }
}

#[test]
fn references_to_nothing() {
    let found = plan_error(
        r#"
        type = "linear", features = 4, name = "stem"
        type = "relu", from = 1
        type = "relu", from = -4
        type = "relu", from = "stam"
        type = "relu", from = "late"
        type = "route", from = ["stem", 19, 6]
        type = "relu", name = "late"
        type = "reuse", of = "input"
        type = "reuse", of = -9
        type = "block", layer = [{ type = "relu", from = "late" }, { type = "tanh", from = "lat" }]
        "#,
        Input::values([4]),
    );
    assert_eq!(
        found,
        "n.toml:3:25: layer[1].from: 1 is the layer itself; expected an earlier layer, 0 or -1\n\
         n.toml:4:25: layer[2].from: -4 is before the first layer; expected an earlier layer, 0 to 1 \
         or -1 to -2\n\
         n.toml:5:25: layer[3].from: \"stam\" is no earlier layer's name; expected an earlier layer; \
         did you mean `stem`?\n\
         n.toml:6:25: layer[4].from: \"late\" is not the name of an earlier layer, but of a later one; \
         expected an earlier layer; earlier names: \"stem\"\n\
         n.toml:7:35: layer[5].from[1]: 19 is no layer; expected an earlier layer, 0 to 4 or -1 to -5\n\
         n.toml:7:39: layer[5].from[2]: 6 is a later layer; expected an earlier layer, 0 to 4 or -1 to -5\n\
         n.toml:9:24: layer[7].of: the input is no layer; expected an earlier layer, 0 to 6 or -1 to -7\n\
         n.toml:10:24: layer[8].of: -9 is before the first layer; expected an earlier layer, 0 to 7 or -1 to -8\n\
         n.toml:11:86: layer[9].layer[1].from: \"lat\" is no earlier layer's name; expected an earlier \
         layer; did you mean `late`?"
    );
}

#[test]
fn all_that_does_not_fit_is_found_in_one_pass() {
    let found = plan_error(
        r#"
        type = "linear", features = 4, name = "head"
        type = "conv2d", channels = 3, kernel = 3
        type = "relu"
        type = "linear", features = 5, from = 0
        type = "shortcut", from = "head"
        type = "group_norm", groups = 2
        type = "shortcut"
        type = "relu", from = ["head", -1]
        type = "attention", heads = 3, from = "head"
        type = "reuse", of = "head", name = "again"
        type = "repeat", times = 3, from = "head", layer = [{ type = "linear", features = 9 }, { type = "softmax", dim = 1 }]
        "#,
        Input::values([6]),
    );
    assert_eq!(
        found,
        "n.toml:3:1: layer[1]: conv2d is given [4] by layer[0]; expected an image, [channels, height, \
         width]\n\
         n.toml:6:1: layer[4]: shortcut is given [5] by layer[3] and [4] by layer[0]; expected the \
         same shape of each\n\
         n.toml:7:1: layer[5]: group_norm is given [5] by layer[4], found 2 groups of 5 channels; \
         expected groups that divide the channels\n\
         n.toml:8:1: layer[6]: shortcut is given one input; expected `from`, what joins the layer \
         before\n\
         n.toml:9:34: layer[7].from: relu is given 2 inputs; expected one; `route` and `shortcut` join \
         several\n\
         n.toml:10:1: layer[8]: attention is given [4] by layer[0]; expected a sequence, [time, \
         features]\n\
         n.toml:12:90: layer[10].layer[1]: softmax is given [9] by layer[10].layer[0], found dim 1; \
         expected a dim from -1 to 0"
    );
}

#[test]
fn layers_that_do_not_fit() {
    let image = Input::values([6, 9, 8]);
    let cases = [
        (
            "type = 'conv1d', channels = 2, kernel = 3",
            "conv1d is given [6, 9, 8] by the input; expected a signal, [channels, length]",
        ),
        (
            "type = 'lstm', features = 2",
            "lstm is given [6, 9, 8] by the input; expected a sequence, [time, features]",
        ),
        (
            "type = 'conv2d', channels = 2, kernel = 9",
            "conv2d is given [6, 9, 8] by the input, found 8; expected at least 9 pixels, padding included",
        ),
        (
            "type = 'conv2d', channels = 8, kernel = 3, groups = 4",
            "conv2d is given [6, 9, 8] by the input, found 4 groups of 6 and 8 channels; expected groups that divide the input's channels and its own",
        ),
        (
            "type = 'conv_transpose2d', channels = 2, kernel = 1, padding = 5",
            "conv_transpose2d is given [6, 9, 8] by the input, found 9 pixels of which it cuts off 10; expected padding that leaves pixels",
        ),
        (
            "type = 'conv_transpose2d', channels = 2, kernel = 2, stride = 2, output_padding = 2",
            "conv_transpose2d is given [6, 9, 8] by the input, found an output padding of 2; expected at most 1, less than stride or dilation",
        ),
        (
            "type = 'reshape', shape = [5, -1]",
            "reshape is given [6, 9, 8] by the input, found 432 values; expected a multiple of 5 for [5, -1]",
        ),
        (
            "type = 'reshape', shape = [5, 3]",
            "reshape is given [6, 9, 8] by the input, found 432 values; expected 15 for [5, 3]",
        ),
        (
            "type = 'transpose', dims = [0, 3]",
            "transpose is given [6, 9, 8] by the input, found dim 3; expected a dim from -3 to 2",
        ),
        (
            "type = 'embedding', features = 2",
            "embedding is given [6, 9, 8] by the input, found numbers; expected tokens of a vocabulary",
        ),
    ];
    for (layer, expected) in cases {
        let found = plan_error(layer, image.clone());
        assert_eq!(found, format!("n.toml:2:1: layer[0]: {expected}"));
    }
    let tokens = Input::tokens(9, 6);
    let found = plan_error(
        "type = 'relu'\n type = 'embedding', features = 2, vocabulary = 8, from = 'input'\n type = 'route', from = [-1, 'input']",
        tokens,
    );
    assert_eq!(
        found,
        "n.toml:2:1: layer[0]: relu is given [6] by the input, found tokens; expected numbers, which an \
         `embedding` makes of tokens\n\
         n.toml:3:1: layer[1]: embedding is given [6] by the input, found 8; expected a vocabulary of at \
         least 9, that of the input\n\
         n.toml:4:1: layer[2]: route is given [6, 2] by layer[1] and [6] by the input, found tokens \
         beside others; expected inputs of one kind"
    );
    let found = plan_error(
        "type = 'linear', features = 4\n type = 'route', from = [0, 'input'], dim = 0\n type = 'mul', from = [0, 'input']\n type = 'global_avg_pool', from = 'input'",
        Input::values([5]),
    );
    assert_eq!(
        found,
        "n.toml:4:1: layer[2]: mul is given [4] by layer[0] and [5] by the input; expected the same shape \
         of each, sizes of 1, or one number a channel\n\
         n.toml:5:1: layer[3]: global_avg_pool is given [5] by the input; expected channels with \
         something to pool, [channels, ...]"
    );
}

#[test]
fn weights_must_fit_where_they_are_used_again() {
    let found = plan_error(
        r#"
        type = "linear", features = 4, name = "a"
        type = "block", name = "both", layer = [{ type = "relu" }, { type = "linear", features = 3, name = "inner" }]
        type = "reuse", of = "a", name = "again"
        type = "linear", features = 9
        type = "reuse", of = "both"
        type = "linear", features = 7
        "#,
        Input::values([6]),
    );
    assert_eq!(
        found,
        "n.toml:4:1: layer[2]: reuse \"again\" is given [3] by layer[1].layer[1], \
         which takes weight [4, 3], bias [4]; expected weight [4, 6], bias [4], as layer[0] has\n\
         n.toml:6:1: layer[4]: reuse, at the linear \"inner\" of layer[1].layer[1], is given [9] by \
         layer[4], which takes weight [3, 9], bias [3]; expected weight [3, 4], bias [3], as \
         layer[1].layer[1] has"
    );
}

#[test]
fn inputs_that_are_none() {
    let text = "input = [20, 20, 20000, 20000, 2000]\nlayer = [{ type = 'relu' }]";
    let architecture = Architecture::parse(text, "n.toml").unwrap();
    let plan = |input: Option<&Input>| {
        architecture.plan(input, &Limits::default().batch(4)).unwrap_err().to_string()
    };
    assert_eq!(
        plan(None),
        "n.toml:1:9: input: found [20, 20, 20000, 20000, 2000], 1280000000000000 values a batch; \
         expected at most 268435456"
    );
    assert_eq!(
        plan(Some(&Input::values([]))),
        "n.toml:1:1: input: found []; expected sizes of at least 1"
    );
    assert_eq!(
        plan(Some(&Input::values([1; 8]))),
        "n.toml:1:1: input: found 8 dimensions; expected at most 7"
    );
}

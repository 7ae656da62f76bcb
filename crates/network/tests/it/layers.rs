//! Every layer against PyTorch's: `tools/golden/files/layers.py` made the table.

use std::collections::BTreeSet;

use espalier_network::{Architecture, Input, Kind, Limits, Parameter};
use serde_json::Value;

fn sizes(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect()
}

fn parameters(value: &Value) -> Vec<(String, Vec<usize>)> {
    let one = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), sizes(&pair[1]));
    value.as_array().unwrap().iter().map(one).collect()
}

fn found(parameters: &[Parameter]) -> Vec<(String, Vec<usize>)> {
    parameters.iter().map(|of| (of.name.clone(), of.shape.clone())).collect()
}

/// A network whose last layer is given what the case says; before it, one or two layers make each
/// input if there are several.
fn network(case: &Value) -> (String, Input) {
    let inputs = case["inputs"].as_array().unwrap();
    let mut text = String::new();
    let (mut from, mut input) = (Vec::new(), Input::values([1]));
    match inputs.as_slice() {
        [Value::Object(tokens)] => {
            let size = |key: &str| tokens[key].as_u64().unwrap() as usize;
            input = Input::tokens(size("tokens"), size("length"));
        }
        [dims] => input = Input::values(sizes(dims)),
        several => {
            for (index, dims) in several.iter().enumerate() {
                let dims = sizes(dims);
                let values: usize = dims.iter().product();
                text += &format!(
                    "[[layer]]\ntype = 'linear'\nfrom = 'input'\nfeatures = {values}\n\
                     [[layer]]\ntype = 'reshape'\nname = 'made{index}'\nshape = {dims:?}\n"
                );
                from.push(format!("'made{index}'"));
            }
        }
    }
    let (kind, options) = (case["type"].as_str().unwrap(), case["options"].as_str().unwrap());
    text += &format!("[[layer]]\ntype = '{kind}'\n{options}\n");
    if !from.is_empty() {
        text += &format!("from = [{}]\n", from.join(", "));
    }
    (text, input)
}

fn table() -> Vec<Value> {
    serde_json::from_str(include_str!("../data/layers.json")).unwrap()
}

#[test]
fn shapes_parameters_and_products_are_pytorchs() {
    let mut counted = 0;
    for case in table() {
        let (text, input) = network(&case);
        let architecture = Architecture::parse(&text, "net.toml").unwrap_or_else(|error| {
            panic!("{error}\n{text}");
        });
        let plan = architecture.plan(Some(&input), &Limits::default()).unwrap_or_else(|error| {
            panic!("{error}\n{text}");
        });
        let layer = plan.layers.last().unwrap();
        assert_eq!(layer.output, sizes(&case["output"]), "{text}");
        assert_eq!(found(&layer.parameters), parameters(&case["parameters"]), "{text}");
        assert_eq!(found(&layer.buffers), parameters(&case["buffers"]), "{text}");
        if let Some(macs) = case["macs"].as_u64() {
            assert_eq!(layer.macs, macs, "{text}");
            counted += 1;
        }
    }
    assert!(counted > 20, "{counted}");
}

#[test]
fn the_table_has_every_layer() {
    let error = Architecture::parse("[[layer]]\ntype = 'nothing'", "net.toml").unwrap_err();
    let expected = error.problems[0].expected.clone().unwrap();
    let known: BTreeSet<String> =
        expected.trim_start_matches("one of ").split(", ").map(|n| n.replace('`', "")).collect();
    let mut tested: BTreeSet<String> =
        table().iter().map(|case| case["type"].as_str().unwrap().to_owned()).collect();
    // These stand for others.
    tested.extend(["block", "repeat", "reuse"].map(str::to_owned));
    assert_eq!(tested, known);
}

#[test]
fn an_lstm_multiplies_at_each_step() {
    let text = "[[layer]]\ntype = 'lstm'\nfeatures = 4\nbidirectional = true";
    let architecture = Architecture::parse(text, "net.toml").unwrap();
    let plan = architecture.plan(Some(&Input::values([7, 12])), &Limits::default()).unwrap();
    // PyTorch's counter does not know it.
    assert_eq!(plan.macs(), 7 * 2 * (4 * 4) * (12 + 4));
}

#[test]
fn tokens_stay_tokens_until_they_are_embedded() {
    let text = "input = { tokens = 9, length = 6 }
        layer = [
            { type = 'reshape', shape = [2, 3] },
            { type = 'transpose' },
            { type = 'embedding', features = 4 },
            { type = 'relu' },
        ]";
    let architecture = Architecture::parse(text, "net.toml").unwrap();
    let plan = architecture.plan(None, &Limits::default()).unwrap();
    assert_eq!(plan.input.kind, Kind::Tokens { vocabulary: 9 });
    assert_eq!(plan.layers[2].output, [3, 2, 4]);
    assert_eq!(plan.layers[2].parameters[0].shape, [9, 4]);
}

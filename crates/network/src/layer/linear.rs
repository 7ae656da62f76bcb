//! `linear`, `embedding`, `positions` and `scale`: parameters that multiply, select or add.

use super::effect::{Effect, Fit, Misfit, Shape, first, last, product, sequence};
use super::kinds::{Layer, Per};
use super::write::Writer;
use crate::input::Kind;
use crate::text::Cursor;

pub(super) fn linear(table: &mut Cursor<'_>) -> Option<Layer> {
    let features = table.count("features", 1);
    let bias = table.flag_or("bias", true);
    Some(Layer::Linear { features: features?, bias })
}

pub(super) fn embedding(table: &mut Cursor<'_>) -> Option<Layer> {
    let vocabulary = table.get("vocabulary").and_then(|node| node.count(1));
    let features = table.count("features", 1);
    Some(Layer::Embedding { vocabulary, features: features? })
}

pub(super) fn scale(table: &mut Cursor<'_>) -> Option<Layer> {
    let choices = [("element", Per::Element), ("channel", Per::Channel), ("layer", Per::Layer)];
    Some(Layer::Scale { per: table.choice_or("per", &choices, Per::Element) })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::Linear { features, bias } => {
            out.put("features", features);
            out.unless("bias", bias, true);
        }
        Layer::Embedding { vocabulary, features } => {
            if let Some(vocabulary) = vocabulary {
                out.put("vocabulary", vocabulary);
            }
            out.put("features", features);
        }
        Layer::Scale { per } => out.unless("per", per, Per::Element),
        _ => {}
    }
}

/// As in PyTorch, over the last dimension of whatever comes.
pub(super) fn linear_effect(features: usize, bias: bool, dims: &[usize]) -> Fit {
    let inputs = last(dims);
    let mut output = dims.to_vec();
    if let Some(last) = output.last_mut() {
        *last = features;
    }
    let macs = product(&output).saturating_mul(inputs as u128);
    Ok(Effect::of(output)
        .with("weight", [features, inputs])
        .with_bias(bias, features)
        .with_macs(macs))
}

pub(super) fn embedding_effect(vocabulary: Option<usize>, features: usize, input: &Shape) -> Fit {
    let output = [input.dims.as_slice(), &[features]].concat();
    let Kind::Tokens { vocabulary: tokens } = input.kind else {
        return Err(Misfit::new("tokens of a vocabulary").found("numbers").giving(output));
    };
    let rows = vocabulary.unwrap_or(tokens);
    if rows < tokens {
        let expected = format!("a vocabulary of at least {tokens}, that of the input");
        return Err(Misfit::new(expected).found(rows.to_string()).giving(output));
    }
    Ok(Effect::of(output).with("weight", [rows, features]))
}

pub(super) fn positions_effect(dims: &[usize]) -> Fit {
    Ok(Effect::of(dims).with("weight", sequence(dims)?))
}

pub(super) fn scale_effect(per: Per, dims: &[usize]) -> Fit {
    // A matrix of channels by positions, so that rules and pruning see it as one.
    let shape = match per {
        Per::Layer => [1, 1],
        Per::Channel => [first(dims), 1],
        Per::Element => [first(dims), dims.iter().skip(1).product()],
    };
    Ok(Effect::of(dims).with("weight", shape).with_macs(product(dims)))
}

//! Layers over `[time, features]`: recurrent ones and attention.

use super::effect::{Effect, Fit, Misfit, sequence};
use super::kinds::{Layer, Recurrence, SequenceOutput};
use super::write::Writer;
use crate::text::{Bound, Cursor};

const OUTPUTS: &[(&str, SequenceOutput)] =
    &[("sequence", SequenceOutput::Sequence), ("last", SequenceOutput::Last)];

/// What all recurrent layers say.
struct Recurrent {
    features: Option<usize>,
    bidirectional: bool,
    bias: bool,
    output: SequenceOutput,
}

fn recurrent(table: &mut Cursor<'_>) -> Recurrent {
    Recurrent {
        features: table.count("features", 1),
        bidirectional: table.flag_or("bidirectional", false),
        bias: table.flag_or("bias", true),
        output: table.choice_or("output", OUTPUTS, SequenceOutput::Sequence),
    }
}

pub(super) fn rnn(table: &mut Cursor<'_>) -> Option<Layer> {
    let choices = [("tanh", Recurrence::Tanh), ("relu", Recurrence::Relu)];
    let nonlinearity = table.choice_or("nonlinearity", &choices, Recurrence::Tanh);
    let Recurrent { features, bidirectional, bias, output } = recurrent(table);
    Some(Layer::Rnn { features: features?, nonlinearity, bidirectional, bias, output })
}

pub(super) fn lstm(table: &mut Cursor<'_>) -> Option<Layer> {
    let Recurrent { features, bidirectional, bias, output } = recurrent(table);
    Some(Layer::Lstm { features: features?, bidirectional, bias, output })
}

pub(super) fn gru(table: &mut Cursor<'_>) -> Option<Layer> {
    let Recurrent { features, bidirectional, bias, output } = recurrent(table);
    Some(Layer::Gru { features: features?, bidirectional, bias, output })
}

pub(super) fn attention(table: &mut Cursor<'_>) -> Option<Layer> {
    let heads = table.count("heads", 1);
    let causal = table.flag_or("causal", false);
    let dropout = table.real_or("dropout", Bound::BelowOne, 0.0);
    let bias = table.flag_or("bias", true);
    Some(Layer::Attention { heads: heads?, causal, dropout, bias })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::Rnn { features, bidirectional, bias, output, .. }
        | Layer::Lstm { features, bidirectional, bias, output }
        | Layer::Gru { features, bidirectional, bias, output } => {
            out.put("features", features);
            if let Layer::Rnn { nonlinearity, .. } = layer {
                out.unless("nonlinearity", nonlinearity, Recurrence::Tanh);
            }
            out.unless("bidirectional", bidirectional, false);
            out.unless("bias", bias, true);
            out.unless("output", output, SequenceOutput::Sequence);
        }
        Layer::Attention { heads, causal, dropout, bias } => {
            out.put("heads", heads);
            out.unless("causal", causal, false);
            out.unless("dropout", dropout, 0.0);
            out.unless("bias", bias, true);
        }
        _ => {}
    }
}

/// Of a recurrent layer with so many gates.
///
/// Parameters, for each direction (the second's names end in `_reverse`):
/// `weight_ih_l0 [gates * features, inputs]`, `weight_hh_l0 [gates * features, features]`,
/// `bias_ih_l0` and `bias_hh_l0 [gates * features]`.
pub(super) fn recurrent_effect(
    gates: usize,
    features: usize,
    [bidirectional, bias]: [bool; 2],
    output: SequenceOutput,
    dims: &[usize],
) -> Fit {
    let [time, inputs] = sequence(dims)?;
    let directions: &[&str] = if bidirectional { &["", "_reverse"] } else { &[""] };
    let width = features.saturating_mul(directions.len());
    let rows = features.saturating_mul(gates);
    let mut effect = match output {
        SequenceOutput::Sequence => Effect::of([time, width]),
        SequenceOutput::Last => Effect::of([width]),
    };
    for direction in directions {
        let named = |name: &str| format!("{name}_l0{direction}");
        effect = effect
            .with(named("weight_ih"), [rows, inputs])
            .with(named("weight_hh"), [rows, features]);
        if bias {
            effect = effect.with(named("bias_ih"), [rows]).with(named("bias_hh"), [rows]);
        }
    }
    let step = (inputs as u128 + features as u128).saturating_mul(rows as u128);
    Ok(effect.with_macs(step.saturating_mul(time as u128 * directions.len() as u128)))
}

/// Of attention over one to three inputs.
///
/// Parameters, with `e` for the features of the queries: `in_proj_weight [3 e, e]`, or, where keys or
/// values have other features, `q_proj_weight [e, e]`, `k_proj_weight [e, keys]` and `v_proj_weight
/// [e, values]`; `in_proj_bias [3 e]`; `out_proj.weight [e, e]`, `out_proj.bias [e]`.
pub(super) fn attention_effect(
    heads: usize,
    [causal, bias]: [bool; 2],
    inputs: &[&[usize]],
) -> Fit {
    let (query, key, value) = match *inputs {
        [own] => (own, own, own),
        [query, other] => (query, other, other),
        [query, key, value] => (query, key, value),
        _ => return Err(Misfit::new("one to three inputs")),
    };
    let [queries, e] = sequence(query)?;
    let [keys, key_features] = sequence(key)?;
    let [values, value_features] = sequence(value)?;
    if heads == 0 || !e.is_multiple_of(heads) {
        let found = format!("{heads} heads for {e} features");
        return Err(Misfit::new("heads that divide the features").found(found).giving(query));
    }
    if keys != values {
        let found = format!("{keys} keys and {values} values");
        return Err(Misfit::new("a value for each key").found(found).giving(query));
    }
    if causal && queries != keys {
        let found = format!("{queries} queries and {keys} keys");
        let expected = "as many of both, or `causal = false`";
        return Err(Misfit::new(expected).found(found).giving(query));
    }
    let triple = e.saturating_mul(3);
    let mut effect = Effect::of(query);
    effect = if key_features == e && value_features == e {
        effect.with("in_proj_weight", [triple, e])
    } else {
        effect
            .with("q_proj_weight", [e, e])
            .with("k_proj_weight", [e, key_features])
            .with("v_proj_weight", [e, value_features])
    };
    if bias {
        effect = effect.with("in_proj_bias", [triple]);
    }
    effect = effect.with("out_proj.weight", [e, e]);
    if bias {
        effect = effect.with("out_proj.bias", [e]);
    }
    let wide = |a: usize, b: usize| (a as u128).saturating_mul(b as u128);
    let own = wide(queries, e).saturating_mul(2 * e as u128);
    let others = wide(keys, e).saturating_mul(key_features as u128 + value_features as u128);
    let products = wide(queries, keys).saturating_mul(2 * e as u128);
    Ok(effect.with_macs(own.saturating_add(others).saturating_add(products)))
}

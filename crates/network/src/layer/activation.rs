//! Activations.

use super::effect::{Effect, Fit, axis, first};
use super::kinds::{Layer, Per};
use super::read::TYPES;
use super::write::{Writer, options};
use crate::text::{Bound, Cursor, Node, one_of};

/// The types of layers that can be a `shortcut`'s activation: those that work on each value alone and
/// have no parameters.
const ELEMENTWISE: &[&str] = &[
    "relu",
    "leaky_relu",
    "gelu",
    "sigmoid",
    "tanh",
    "silu",
    "mish",
    "elu",
    "selu",
    "softplus",
    "hard_swish",
];

pub(super) fn is_elementwise(layer: &Layer) -> bool {
    ELEMENTWISE.contains(&layer.type_name())
}

/// Reads `"relu"`, or `{ type = "leaky_relu", slope = 0.2 }`.
pub(super) fn activation(node: &Node<'_>) -> Option<Layer> {
    let types: Vec<_> =
        TYPES.iter().filter(|(name, _)| ELEMENTWISE.contains(name)).copied().collect();
    if node.is_string() {
        // Without a table every option is its default.
        return node.choice(&types).and_then(|read| node.defaults(read));
    }
    let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
    let mut table = node.table(&one_of(&names))?;
    let layer = table.choice("type", &types)?(&mut table);
    table.finish();
    layer
}

/// A name where all options are the default's, else a table.
pub(super) fn write_activation(layer: &Layer, out: &mut Writer) {
    let mut table = options(layer);
    if table.is_empty() {
        out.put("activation", &layer.type_name());
        return;
    }
    let mut whole = toml_edit::InlineTable::new();
    whole.insert("type", layer.type_name().into());
    whole.extend(std::mem::take(&mut table).into_inline_table());
    out.value("activation", whole.into());
}

pub(super) fn leaky_relu(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::LeakyRelu { slope: table.real_or("slope", Bound::NonNegative, 0.01) })
}

pub(super) fn elu(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::Elu { alpha: table.real_or("alpha", Bound::Positive, 1.0) })
}

pub(super) fn softplus(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::Softplus { beta: table.real_or("beta", Bound::Positive, 1.0) })
}

pub(super) fn prelu(table: &mut Cursor<'_>) -> Option<Layer> {
    let choices = [("layer", Per::Layer), ("channel", Per::Channel)];
    let per = table.choice_or("per", &choices, Per::Layer);
    Some(Layer::Prelu { per, initial: table.real_or("initial", Bound::Any, 0.25) })
}

pub(super) fn softmax(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::Softmax { dim: table.dim_or("dim", -1) })
}

pub(super) fn log_softmax(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::LogSoftmax { dim: table.dim_or("dim", -1) })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::LeakyRelu { slope } => out.unless("slope", slope, 0.01),
        Layer::Elu { alpha } => out.unless("alpha", alpha, 1.0),
        Layer::Softplus { beta } => out.unless("beta", beta, 1.0),
        Layer::Prelu { per, initial } => {
            out.unless("per", per, Per::Layer);
            out.unless("initial", initial, 0.25);
        }
        Layer::Softmax { dim } | Layer::LogSoftmax { dim } => out.unless("dim", dim, -1),
        _ => {}
    }
}

pub(super) fn prelu_effect(per: Per, dims: &[usize]) -> Fit {
    let slopes = match per {
        Per::Layer => vec![1],
        Per::Channel => vec![first(dims)],
        // Only by hand.
        Per::Element => dims.to_vec(),
    };
    Ok(Effect::of(dims).with("weight", slopes))
}

pub(super) fn softmax_effect(dim: isize, dims: &[usize]) -> Fit {
    axis(dim, dims).map(|_| Effect::of(dims)).map_err(|misfit| misfit.giving(dims))
}

//! Norms, and `dropout`.

use super::effect::{Effect, Fit, Misfit, first, last};
use super::kinds::Layer;
use super::write::Writer;
use crate::plan::Parameter;
use crate::text::{Bound, Cursor};

const EPSILON: f64 = 1e-5;
/// The step of single precision at 1, 2^-23.
const RMS_EPSILON: f64 = f32::EPSILON as f64;

fn epsilon(table: &mut Cursor<'_>, default: f64) -> f64 {
    table.real_or("epsilon", Bound::Positive, default)
}

pub(super) fn batch_norm(table: &mut Cursor<'_>) -> Option<Layer> {
    let epsilon = epsilon(table, EPSILON);
    let momentum = table.real_or("momentum", Bound::Fraction, 0.1);
    Some(Layer::BatchNorm { epsilon, momentum })
}

pub(super) fn layer_norm(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::LayerNorm { epsilon: epsilon(table, EPSILON) })
}

pub(super) fn group_norm(table: &mut Cursor<'_>) -> Option<Layer> {
    let groups = table.count("groups", 1);
    let epsilon = epsilon(table, EPSILON);
    Some(Layer::GroupNorm { groups: groups?, epsilon })
}

pub(super) fn instance_norm(table: &mut Cursor<'_>) -> Option<Layer> {
    let epsilon = epsilon(table, EPSILON);
    Some(Layer::InstanceNorm { epsilon, affine: table.flag_or("affine", false) })
}

pub(super) fn rms_norm(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::RmsNorm { epsilon: epsilon(table, RMS_EPSILON) })
}

pub(super) fn dropout(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::Dropout { probability: table.real("probability", Bound::BelowOne)? })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::BatchNorm { epsilon, momentum } => {
            out.unless("epsilon", epsilon, EPSILON);
            out.unless("momentum", momentum, 0.1);
        }
        Layer::LayerNorm { epsilon } => out.unless("epsilon", epsilon, EPSILON),
        Layer::GroupNorm { groups, epsilon } => {
            out.put("groups", groups);
            out.unless("epsilon", epsilon, EPSILON);
        }
        Layer::InstanceNorm { epsilon, affine } => {
            out.unless("epsilon", epsilon, EPSILON);
            out.unless("affine", affine, false);
        }
        Layer::RmsNorm { epsilon } => out.unless("epsilon", epsilon, RMS_EPSILON),
        Layer::Dropout { probability } => out.put("probability", probability),
        _ => {}
    }
}

/// A weight and a bias for each of `width`.
fn affine(dims: &[usize], width: usize) -> Effect {
    Effect::of(dims).with("weight", [width]).with("bias", [width])
}

/// Besides, a running mean and variance a channel, kept and not learned.
pub(super) fn batch_effect(dims: &[usize]) -> Fit {
    let channels = first(dims);
    let mut effect = affine(dims, channels);
    effect.buffers =
        vec![Parameter::new("running_mean", [channels]), Parameter::new("running_var", [channels])];
    Ok(effect)
}

pub(super) fn layer_effect(dims: &[usize]) -> Fit {
    Ok(affine(dims, last(dims)))
}

pub(super) fn rms_effect(dims: &[usize]) -> Fit {
    Ok(Effect::of(dims).with("weight", [last(dims)]))
}

pub(super) fn group_effect(groups: usize, dims: &[usize]) -> Fit {
    let channels = first(dims);
    if groups == 0 || !channels.is_multiple_of(groups) {
        let found = format!("{groups} groups of {channels} channels");
        return Err(Misfit::new("groups that divide the channels").found(found).giving(dims));
    }
    Ok(affine(dims, channels))
}

pub(super) fn instance_effect(with_affine: bool, dims: &[usize]) -> Fit {
    if dims.len() < 2 {
        let expected = "channels with something to norm, [channels, ...]";
        return Err(Misfit::new(expected).giving(dims));
    }
    Ok(if with_affine { affine(dims, first(dims)) } else { Effect::of(dims) })
}

//! Layers of several inputs: `shortcut`, `mul` and `route`.

use super::activation::{activation, is_elementwise, write_activation};
use super::effect::{Effect, Fit, Misfit, axis, first, product};
use super::kinds::Layer;
use super::write::Writer;
use crate::text::Cursor;

pub(super) fn shortcut(table: &mut Cursor<'_>) -> Option<Layer> {
    let activation = match table.get("activation") {
        Some(node) => Some(Box::new(activation(&node)?)),
        None => None,
    };
    Some(Layer::Shortcut { activation })
}

pub(super) fn route(table: &mut Cursor<'_>) -> Option<Layer> {
    let dim = table.dim_or("dim", 0);
    let groups = table.count_or("groups", 1, 1);
    let node = table.get("group");
    let group = node.as_ref().and_then(|node| node.count(0)).unwrap_or(0);
    if let Some(node) = node
        && group >= groups
    {
        node.refuse(format!("found {group}"), format!("a group below {groups}, `groups`"), None);
    }
    Some(Layer::Route { dim, groups, group })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::Shortcut { activation: Some(activation) } => write_activation(activation, out),
        Layer::Route { dim, groups, group } => {
            out.unless("dim", dim, 0);
            out.unless("groups", groups, 1);
            out.unless("group", group, 0);
        }
        _ => {}
    }
}

pub(super) fn shortcut_effect(activation: Option<&Layer>, inputs: &[&[usize]]) -> Fit {
    let own = inputs.first().copied().unwrap_or_default();
    if let Some(other) = activation.filter(|layer| !is_elementwise(layer)) {
        let found = format!("{} as its activation", other.type_name());
        return Err(Misfit::new("one that works on each value alone").found(found).giving(own));
    }
    if inputs.iter().any(|dims| *dims != own) {
        return Err(Misfit::new("the same shape of each").giving(own));
    }
    Ok(Effect::of(own))
}

pub(super) fn mul_effect(inputs: &[&[usize]]) -> Fit {
    let own = inputs.first().copied().unwrap_or_default();
    let repeats = |dims: &[usize]| match dims {
        [channels] if *channels == first(own) => true,
        dims => {
            let fits = |(size, own): (&usize, &usize)| size == own || *size == 1;
            dims.len() == own.len() && dims.iter().zip(own).all(fits)
        }
    };
    if !inputs.iter().all(|dims| repeats(dims)) {
        let expected = "the same shape of each, sizes of 1, or one number a channel";
        return Err(Misfit::new(expected).giving(own));
    }
    Ok(Effect::of(own).with_macs(product(own).saturating_mul(inputs.len() as u128 - 1)))
}

pub(super) fn route_effect(dim: isize, [groups, group]: [usize; 2], inputs: &[&[usize]]) -> Fit {
    let own = inputs.first().copied().unwrap_or_default();
    let axis = axis(dim, own)?;
    let mut output = own.to_vec();
    output[axis] = 0;
    for dims in inputs {
        let beside = |dims: &[usize]| [&dims[..axis], &dims[axis + 1..]].concat();
        if dims.len() != own.len() || beside(dims) != beside(own) {
            let expected = format!("the same shape of each but for dim {axis}");
            return Err(Misfit::new(expected));
        }
        if groups == 0 || group >= groups || !dims[axis].is_multiple_of(groups) {
            let found = format!("part {group} of {groups} equal ones of {}", dims[axis]);
            return Err(Misfit::new("a number of parts that divides them").found(found));
        }
        output[axis] += dims[axis] / groups;
    }
    Ok(Effect::of(output))
}

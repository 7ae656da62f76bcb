//! Layers that change the shape and no number: `flatten`, `reshape`, `transpose`, `upsample`, `pad`.

use super::effect::{Effect, Fit, Misfit, axis, image, product, size};
use super::kinds::{Interpolation, Layer, UpsampleTo};
use super::write::{Writer, list};
use crate::text::{Bound, Cursor, LARGEST};

pub(super) fn reshape(table: &mut Cursor<'_>) -> Option<Layer> {
    let expected = "an array of up to 7 sizes from 1, one of which may be -1, what is left";
    let node = table.require("shape", expected)?;
    let sizes = node.list(expected, |size| {
        let number = size.integer(-1, LARGEST)?;
        if number == 0 {
            size.refuse("found 0", "-1 or a size from 1", None);
            return None;
        }
        isize::try_from(number).ok()
    })?;
    let shape: Vec<isize> = sizes.into_iter().map(|size| size.value).collect();
    let open = shape.iter().filter(|size| **size == -1).count();
    if shape.len() > 7 {
        node.refuse(format!("found an array of {}", shape.len()), expected, None);
        return None;
    }
    if open > 1 {
        node.refuse(format!("found -1 {open} times"), expected, None);
        return None;
    }
    Some(Layer::Reshape { shape })
}

pub(super) fn transpose(table: &mut Cursor<'_>) -> Option<Layer> {
    let expected = "an array of two dims, `[0, 1]`";
    let Some(node) = table.get("dims") else {
        return Some(Layer::Transpose { dims: [0, 1] });
    };
    let dims = node.elements(expected)?;
    let [first, second] = dims.as_slice() else {
        node.refuse(format!("found an array of {}", dims.len()), expected, None);
        return None;
    };
    let (first, second) = (first.dim(), second.dim());
    Some(Layer::Transpose { dims: [first?, second?] })
}

pub(super) fn upsample(table: &mut Cursor<'_>) -> Option<Layer> {
    let choices = [("nearest", Interpolation::Nearest), ("bilinear", Interpolation::Bilinear)];
    let mode = table.choice_or("mode", &choices, Interpolation::Nearest);
    let scale = table.get("scale").map(|node| node.pair(1));
    let size = table.get("size").map(|node| node.pair(1));
    let to = match (scale, size) {
        (Some(scale), None) => UpsampleTo::Scale(scale?),
        (None, Some(size)) => UpsampleTo::Size(size?),
        (None, None) => {
            table.refuse("found neither `scale` nor `size`", "one of them");
            return None;
        }
        (Some(_), Some(_)) => {
            table.refuse("found both `scale` and `size`", "one of them");
            return None;
        }
    };
    Some(Layer::Upsample { to, mode })
}

pub(super) fn pad(table: &mut Cursor<'_>) -> Option<Layer> {
    let expected = "a count, `[left, right]` or `[left, right, top, bottom]`";
    let node = table.require("sides", expected);
    let value = table.real_or("value", Bound::Any, 0.0);
    let node = node?;
    if !node.is_array() {
        let side = usize::try_from(node.integer_or(0, LARGEST, expected)?).ok()?;
        return Some(Layer::Pad { sides: vec![side], value });
    }
    let sides = node.list(expected, |side| side.count(0))?;
    let sides: Vec<usize> = sides.into_iter().map(|side| side.value).collect();
    if !matches!(sides.len(), 2 | 4) {
        node.refuse(format!("found an array of {}", sides.len()), expected, None);
        return None;
    }
    Some(Layer::Pad { sides, value })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::Reshape { shape } => out.value("shape", list(shape)),
        Layer::Transpose { dims } if *dims != [0, 1] => out.value("dims", list(dims)),
        Layer::Upsample { to, mode } => {
            match to {
                UpsampleTo::Scale(scale) => out.put("scale", scale),
                UpsampleTo::Size(size) => out.put("size", size),
            }
            out.unless("mode", mode, Interpolation::Nearest);
        }
        Layer::Pad { sides, value } => {
            match sides.as_slice() {
                [side] => out.put("sides", side),
                sides => out.value("sides", list(sides)),
            }
            out.unless("value", value, 0.0);
        }
        _ => {}
    }
}

pub(super) fn flatten_effect(dims: &[usize]) -> Fit {
    Ok(Effect::of([size(product(dims))]))
}

pub(super) fn reshape_effect(shape: &[isize], dims: &[usize]) -> Fit {
    let values = product(dims);
    let known = shape.iter().filter(|size| **size >= 0).map(|size| size.unsigned_abs());
    let known = known.fold(1u128, |product, size| product.saturating_mul(size as u128));
    let open = shape.iter().filter(|size| **size < 0).count();
    let fits = match open {
        0 => known == values,
        1 => known > 0 && values.is_multiple_of(known),
        _ => false,
    };
    if !fits {
        let several = if open == 1 { "a multiple of " } else { "" };
        return Err(Misfit::new(format!("{several}{known} for {shape:?}"))
            .found(format!("{values} values")));
    }
    let left = size(values / known.max(1));
    let output = shape.iter().map(|size| if *size < 0 { left } else { size.unsigned_abs() });
    Ok(Effect::of(output.collect::<Vec<_>>()))
}

pub(super) fn transpose_effect([first, second]: [isize; 2], dims: &[usize]) -> Fit {
    let mut output = dims.to_vec();
    output.swap(axis(first, dims)?, axis(second, dims)?);
    Ok(Effect::of(output))
}

pub(super) fn upsample_effect(to: UpsampleTo, dims: &[usize]) -> Fit {
    let (channels, sides) = image(dims)?;
    let [height, width] = match to {
        UpsampleTo::Size(size) => size,
        UpsampleTo::Scale(scale) => {
            [sides[0].saturating_mul(scale[0]), sides[1].saturating_mul(scale[1])]
        }
    };
    Ok(Effect::of([channels, height, width]))
}

pub(super) fn pad_effect(sides: &[usize], dims: &[usize]) -> Fit {
    let mut output = dims.to_vec();
    match *sides {
        [side] => {
            let from = usize::from(dims.len() > 1);
            for size in &mut output[from..] {
                *size = size.saturating_add(side).saturating_add(side);
            }
        }
        _ => {
            // As PyTorch has it: pairs from the last dimension on.
            if !sides.len().is_multiple_of(2) || sides.len() / 2 > dims.len() {
                let expected = format!("at least {} dimensions", sides.len().div_ceil(2));
                return Err(Misfit::new(expected).found(dims.len().to_string()));
            }
            for (size, pair) in output.iter_mut().rev().zip(sides.chunks(2)) {
                *size = pair.iter().fold(*size, |size, side| size.saturating_add(*side));
            }
        }
    }
    Ok(Effect::of(output))
}

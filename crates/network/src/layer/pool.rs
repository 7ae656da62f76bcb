//! Pools: sliding, adaptive and global ones.

use super::effect::{Effect, Fit, Misfit, first};
use super::kinds::Layer;
use super::window::{Window, unit};
use super::write::Writer;
use crate::text::Cursor;

pub(super) fn max_pool1d(table: &mut Cursor<'_>) -> Option<Layer> {
    pool1d(table).map(|[kernel, stride, padding]| Layer::MaxPool1d { kernel, stride, padding })
}

pub(super) fn avg_pool1d(table: &mut Cursor<'_>) -> Option<Layer> {
    pool1d(table).map(|[kernel, stride, padding]| Layer::AvgPool1d { kernel, stride, padding })
}

pub(super) fn max_pool2d(table: &mut Cursor<'_>) -> Option<Layer> {
    let sizes = pool2d(table);
    let node = table.get("overhang");
    let overhang = node.as_ref().and_then(|node| node.pair(0)).unwrap_or([0, 0]);
    let [kernel, stride, padding] = sizes?;
    if let Some(node) = node
        && !shows_input(&kernel, &padding, &overhang)
    {
        node.refuse(
            format!(
                "found {overhang:?} behind a padding of {padding:?} for a kernel of {kernel:?}"
            ),
            "both together less than the kernel",
            None,
        );
    }
    Some(Layer::MaxPool2d { kernel, stride, padding, overhang })
}

pub(super) fn avg_pool2d(table: &mut Cursor<'_>) -> Option<Layer> {
    pool2d(table).map(|[kernel, stride, padding]| Layer::AvgPool2d { kernel, stride, padding })
}

pub(super) fn adaptive_avg_pool1d(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::AdaptiveAvgPool1d { output: table.count("output", 1)? })
}

pub(super) fn adaptive_avg_pool2d(table: &mut Cursor<'_>) -> Option<Layer> {
    Some(Layer::AdaptiveAvgPool2d { output: table.pair("output", 1)? })
}

/// A wider border would give windows that hold nothing but padding.
fn within_half(kernel: &[usize], padding: &[usize]) -> bool {
    kernel.iter().zip(padding).all(|(kernel, padding)| *padding <= kernel / 2)
}

/// Whether also the last window holds some of the input.
fn shows_input(kernel: &[usize], padding: &[usize], overhang: &[usize]) -> bool {
    let after = padding.iter().zip(overhang).map(|(padding, more)| padding.saturating_add(*more));
    kernel.iter().zip(after).all(|(kernel, after)| after < *kernel || after == 0)
}

/// Kernel, stride and padding of a pool over a signal.
fn pool1d(table: &mut Cursor<'_>) -> Option<[usize; 3]> {
    let kernel = table.count("kernel", 1);
    let stride = table.count_or("stride", 1, kernel.unwrap_or(1));
    let node = table.get("padding");
    let padding = node.as_ref().and_then(|node| node.count(0)).unwrap_or(0);
    let kernel = kernel?;
    if let Some(node) = node
        && !within_half(&[kernel], &[padding])
    {
        node.refuse(
            format!("found {padding} around a kernel of {kernel}"),
            format!("at most half the kernel, {}", kernel / 2),
            None,
        );
    }
    Some([kernel, stride, padding])
}

/// Kernel, stride and padding of a pool over an image.
fn pool2d(table: &mut Cursor<'_>) -> Option<[[usize; 2]; 3]> {
    let kernel = table.pair("kernel", 1);
    let stride = table.pair_or("stride", 1, kernel.unwrap_or([1, 1]));
    let node = table.get("padding");
    let padding = node.as_ref().and_then(|node| node.pair(0)).unwrap_or([0, 0]);
    let kernel = kernel?;
    if let Some(node) = node
        && !within_half(&kernel, &padding)
    {
        node.refuse(
            format!("found {padding:?} around a kernel of {kernel:?}"),
            format!("at most half the kernel, {:?}", kernel.map(|side| side / 2)),
            None,
        );
    }
    Some([kernel, stride, padding])
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::MaxPool1d { kernel, stride, padding }
        | Layer::AvgPool1d { kernel, stride, padding } => {
            out.put("kernel", kernel);
            out.unless("stride", stride, *kernel);
            out.unless("padding", padding, 0);
        }
        Layer::MaxPool2d { kernel, stride, padding, overhang } => {
            out.put("kernel", kernel);
            out.unless("stride", stride, *kernel);
            out.unless("padding", padding, [0, 0]);
            out.unless("overhang", overhang, [0, 0]);
        }
        Layer::AvgPool2d { kernel, stride, padding } => {
            out.put("kernel", kernel);
            out.unless("stride", stride, *kernel);
            out.unless("padding", padding, [0, 0]);
        }
        Layer::AdaptiveAvgPool1d { output } => out.put("output", output),
        Layer::AdaptiveAvgPool2d { output } => out.put("output", output),
        _ => {}
    }
}

/// A sliding pool; all slices are as long as `sides`.
pub(super) fn effect(
    [kernel, stride, padding, overhang]: [&[usize]; 4],
    channels: usize,
    sides: &[usize],
) -> Fit {
    if !within_half(kernel, padding) || !shows_input(kernel, padding, overhang) {
        let found = format!("a padding of {padding:?} and {overhang:?} more behind");
        return Err(Misfit::new(format!("less around a kernel of {kernel:?}")).found(found));
    }
    let mut output = vec![channels];
    for (side, length) in sides.iter().enumerate() {
        let mut window = Window::new(kernel[side], stride[side], padding[side], 1);
        window.pads[1] += overhang[side];
        output.push(window.positions(*length, unit(sides.len()))?);
    }
    Ok(Effect::of(output))
}

pub(super) fn adaptive_effect(output: &[usize], channels: usize) -> Fit {
    Ok(Effect::of([&[channels], output].concat()))
}

pub(super) fn global_effect(dims: &[usize]) -> Fit {
    if dims.len() < 2 {
        return Err(Misfit::new("channels with something to pool, [channels, ...]").giving(dims));
    }
    Ok(Effect::of([first(dims)]))
}

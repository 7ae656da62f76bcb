//! `conv1d`, `conv2d` and their transposes.

use super::effect::{Effect, Fit, Misfit, product};
use super::kinds::Layer;
use super::window::{Window, unit};
use super::write::Writer;
use crate::text::Cursor;

/// A convolution over as many dimensions as its slices are long.
pub(super) struct Conv<'a> {
    pub(super) channels: usize,
    pub(super) kernel: &'a [usize],
    pub(super) stride: &'a [usize],
    pub(super) padding: &'a [usize],
    pub(super) dilation: &'a [usize],
    pub(super) groups: usize,
    pub(super) bias: bool,
}

impl Conv<'_> {
    fn window(&self, side: usize) -> Window {
        Window::new(self.kernel[side], self.stride[side], self.padding[side], self.dilation[side])
    }

    /// `output`, if the groups divide both channels.
    fn check_groups(&self, inputs: usize, output: &[usize]) -> Result<(), Misfit> {
        if self.groups > 0
            && inputs.is_multiple_of(self.groups)
            && self.channels.is_multiple_of(self.groups)
        {
            return Ok(());
        }
        let found = format!("{} groups of {inputs} and {} channels", self.groups, self.channels);
        Err(Misfit::new("groups that divide the input's channels and its own")
            .found(found)
            .giving(output))
    }

    /// Parameters: `weight [channels, inputs / groups, kernel...]`, `bias [channels]`.
    pub(super) fn effect(&self, inputs: usize, sides: &[usize]) -> Fit {
        let mut output = vec![self.channels];
        for (side, length) in sides.iter().enumerate() {
            output.push(self.window(side).positions(*length, unit(sides.len()))?);
        }
        self.check_groups(inputs, &output)?;
        let weight = [&[self.channels, inputs / self.groups], self.kernel].concat();
        let macs = product(&output).saturating_mul(product(&weight[1..]));
        Ok(Effect::of(output)
            .with("weight", weight)
            .with_bias(self.bias, self.channels)
            .with_macs(macs))
    }

    /// Parameters: `weight [inputs, channels / groups, kernel...]`, `bias [channels]`.
    pub(super) fn transposed(
        &self,
        output_padding: &[usize],
        inputs: usize,
        sides: &[usize],
    ) -> Fit {
        let mut output = vec![self.channels];
        for (side, length) in sides.iter().enumerate() {
            let window = self.window(side);
            output.push(window.transposed(*length, output_padding[side], unit(sides.len()))?);
        }
        self.check_groups(inputs, &output)?;
        let weight = [&[inputs, self.channels / self.groups], self.kernel].concat();
        let macs = product(sides).saturating_mul(product(&weight));
        Ok(Effect::of(output)
            .with("weight", weight)
            .with_bias(self.bias, self.channels)
            .with_macs(macs))
    }
}

pub(super) fn conv1d(table: &mut Cursor<'_>) -> Option<Layer> {
    let channels = table.count("channels", 1);
    let kernel = table.count("kernel", 1);
    let stride = table.count_or("stride", 1, 1);
    let padding = table.count_or("padding", 0, 0);
    let dilation = table.count_or("dilation", 1, 1);
    let groups = table.count_or("groups", 1, 1);
    let bias = table.flag_or("bias", true);
    let (channels, kernel) = (channels?, kernel?);
    Some(Layer::Conv1d { channels, kernel, stride, padding, dilation, groups, bias })
}

pub(super) fn conv2d(table: &mut Cursor<'_>) -> Option<Layer> {
    let channels = table.count("channels", 1);
    let kernel = table.pair("kernel", 1);
    let stride = table.pair_or("stride", 1, [1, 1]);
    let padding = table.pair_or("padding", 0, [0, 0]);
    let dilation = table.pair_or("dilation", 1, [1, 1]);
    let groups = table.count_or("groups", 1, 1);
    let bias = table.flag_or("bias", true);
    let (channels, kernel) = (channels?, kernel?);
    Some(Layer::Conv2d { channels, kernel, stride, padding, dilation, groups, bias })
}

pub(super) fn conv_transpose1d(table: &mut Cursor<'_>) -> Option<Layer> {
    let channels = table.count("channels", 1);
    let kernel = table.count("kernel", 1);
    let stride = table.count_or("stride", 1, 1);
    let padding = table.count_or("padding", 0, 0);
    let output_padding = table.count_or("output_padding", 0, 0);
    let dilation = table.count_or("dilation", 1, 1);
    let groups = table.count_or("groups", 1, 1);
    let bias = table.flag_or("bias", true);
    Some(Layer::ConvTranspose1d {
        channels: channels?,
        kernel: kernel?,
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        bias,
    })
}

pub(super) fn conv_transpose2d(table: &mut Cursor<'_>) -> Option<Layer> {
    let channels = table.count("channels", 1);
    let kernel = table.pair("kernel", 1);
    let stride = table.pair_or("stride", 1, [1, 1]);
    let padding = table.pair_or("padding", 0, [0, 0]);
    let output_padding = table.pair_or("output_padding", 0, [0, 0]);
    let dilation = table.pair_or("dilation", 1, [1, 1]);
    let groups = table.count_or("groups", 1, 1);
    let bias = table.flag_or("bias", true);
    Some(Layer::ConvTranspose2d {
        channels: channels?,
        kernel: kernel?,
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        bias,
    })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    match layer {
        Layer::Conv1d { channels, kernel, stride, padding, dilation, groups, bias } => {
            out.put("channels", channels);
            out.put("kernel", kernel);
            out.unless("stride", stride, 1);
            out.unless("padding", padding, 0);
            out.unless("dilation", dilation, 1);
            out.unless("groups", groups, 1);
            out.unless("bias", bias, true);
        }
        Layer::Conv2d { channels, kernel, stride, padding, dilation, groups, bias } => {
            out.put("channels", channels);
            out.put("kernel", kernel);
            out.unless("stride", stride, [1, 1]);
            out.unless("padding", padding, [0, 0]);
            out.unless("dilation", dilation, [1, 1]);
            out.unless("groups", groups, 1);
            out.unless("bias", bias, true);
        }
        Layer::ConvTranspose1d {
            channels,
            kernel,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
        } => {
            out.put("channels", channels);
            out.put("kernel", kernel);
            out.unless("stride", stride, 1);
            out.unless("padding", padding, 0);
            out.unless("output_padding", output_padding, 0);
            out.unless("dilation", dilation, 1);
            out.unless("groups", groups, 1);
            out.unless("bias", bias, true);
        }
        Layer::ConvTranspose2d {
            channels,
            kernel,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
        } => {
            out.put("channels", channels);
            out.put("kernel", kernel);
            out.unless("stride", stride, [1, 1]);
            out.unless("padding", padding, [0, 0]);
            out.unless("output_padding", output_padding, [0, 0]);
            out.unless("dilation", dilation, [1, 1]);
            out.unless("groups", groups, 1);
            out.unless("bias", bias, true);
        }
        _ => {}
    }
}

//! Windows that slide over spatial dimensions, as Burn's convolutions and pools do.

use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};

use super::layer::WidthError;

/// The spatial dimensions' padding before and after each, or `None` for `Same`.
pub(super) type Pads<const N: usize> = Option<[[usize; 2]; N]>;

pub(super) fn pads_1d(padding: &PaddingConfig1d) -> Pads<1> {
    match *padding {
        PaddingConfig1d::Valid => Some([[0, 0]]),
        PaddingConfig1d::Explicit(left, right) => Some([[left, right]]),
        PaddingConfig1d::Same => None,
    }
}

pub(super) fn pads_2d(padding: &PaddingConfig2d) -> Pads<2> {
    match *padding {
        PaddingConfig2d::Valid => Some([[0, 0]; 2]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => Some([[top, bottom], [left, right]]),
        PaddingConfig2d::Same => None,
    }
}

pub(super) fn pads_3d(padding: &PaddingConfig3d) -> Pads<3> {
    match *padding {
        PaddingConfig3d::Valid => Some([[0, 0]; 3]),
        PaddingConfig3d::Explicit(depth, height, width) => {
            Some([depth, height, width].map(|size| [size, size]))
        }
        PaddingConfig3d::Same => None,
    }
}

/// A window over `N` spatial dimensions.
pub(super) struct Window<const N: usize> {
    pub(super) kernel: [usize; N],
    pub(super) stride: [usize; N],
    pub(super) dilation: [usize; N],
    pub(super) pads: Pads<N>,
    pub(super) ceil: bool,
}

impl<const N: usize> Window<N> {
    /// Checks the rank of `input` (`[batch, channels, ...]`).
    pub(super) fn check_rank(input: &[usize]) -> Result<(), WidthError> {
        let layout = match N {
            1 => "[batch, channels, length]",
            2 => "[batch, channels, height, width]",
            _ => "[batch, channels, depth, height, width]",
        };
        WidthError::check_rank(input, N + 2, layout)
    }

    /// The output for `channels` output channels and an `input` of checked rank.
    pub(super) fn output(
        &self,
        channels: usize,
        input: &[usize],
    ) -> Result<Vec<usize>, WidthError> {
        let mut output = vec![input[0], channels];
        for i in 0..N {
            output.push(self.positions(i, input[2 + i]).map_err(|(expected, found)| {
                WidthError { expected, found, input: input.to_vec(), inside: None }
            })?);
        }
        Ok(output)
    }

    /// Padding before and after, of spatial dimension `i`.
    fn pads(&self, i: usize, size: usize) -> [usize; 2] {
        if let Some(pads) = self.pads {
            return pads[i];
        }
        // `Same` is made for the kernel without its dilation.
        let positions = size.div_ceil(self.stride[i].max(1));
        let needed = (positions.max(1) - 1) * self.stride[i] + self.kernel[i];
        let total = needed.saturating_sub(size);
        [total / 2, total - total / 2]
    }

    /// How often the window fits into `size`, or what was expected and found.
    fn positions(&self, i: usize, size: usize) -> Result<usize, (String, String)> {
        let (stride, [before, after]) = (self.stride[i].max(1), self.pads(i, size));
        // Burn pads three dimensions symmetrically only.
        if N == 3 && before != after {
            let expected = "a size with as much `Same` padding before as after".to_owned();
            return Err((expected, format!("{size}, padded by {before} and {after}")));
        }
        let reach = self.dilation[i] * (self.kernel[i].max(1) - 1) + 1;
        let padded = size + before + after;
        // Rounding up lets the last window hang over by less than a stride.
        let slack = if self.ceil { stride - 1 } else { 0 };
        let Some(room) = (padded + slack).checked_sub(reach) else {
            let what = if N == 2 { "pixels" } else { "positions" };
            return Err((format!("at least {reach} {what}, padding included"), padded.to_string()));
        };
        let positions = room / stride + 1;
        // A window that starts in the padding behind the input is dropped.
        let dropped = self.ceil && (positions - 1) * stride >= size + before;
        Ok(if dropped { positions - 1 } else { positions })
    }
}

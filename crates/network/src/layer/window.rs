//! Windows that slide over an image or a signal.

use super::effect::{Misfit, size};

/// A window over one dimension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// Zeros before and after.
    pub(super) pads: [usize; 2],
}

impl Window {
    /// Of the same padding on both sides.
    pub(super) fn new(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Self {
        Self { kernel, stride, dilation, pads: [padding, padding] }
    }

    /// Positions between the first and the last place of the window, both included.
    fn reach(&self) -> u128 {
        (self.dilation as u128) * (self.kernel as u128).saturating_sub(1) + 1
    }

    /// How often it fits: `floor((length + pads - reach) / stride) + 1`. `unit` is what lengths
    /// are counted in.
    pub(super) fn positions(&self, length: usize, unit: &str) -> Result<usize, Misfit> {
        self.check()?;
        let reach = self.reach();
        let padded = length as u128 + self.pads[0] as u128 + self.pads[1] as u128;
        match padded.checked_sub(reach) {
            Some(room) => Ok(size(room / self.stride as u128 + 1)),
            None => Err(Misfit::new(format!("at least {reach} {unit}, padding included"))
                .found(padded.to_string())),
        }
    }

    /// How far its transpose reaches: `(length - 1) * stride + reach - pads + output_padding`.
    pub(super) fn transposed(
        &self,
        length: usize,
        output_padding: usize,
        unit: &str,
    ) -> Result<usize, Misfit> {
        self.check()?;
        if output_padding >= self.stride.max(self.dilation) {
            let most = self.stride.max(self.dilation) - 1;
            return Err(Misfit::new(format!("at most {most}, less than stride or dilation"))
                .found(format!("an output padding of {output_padding}")));
        }
        let whole = (length as u128).saturating_sub(1).saturating_mul(self.stride as u128)
            + self.reach()
            + output_padding as u128;
        let cut = self.pads[0] as u128 + self.pads[1] as u128;
        match whole.checked_sub(cut) {
            Some(left) if left > 0 => Ok(size(left)),
            _ => Err(Misfit::new(format!("padding that leaves {unit}"))
                .found(format!("{whole} {unit} of which it cuts off {cut}"))),
        }
    }

    /// Only a window made without a text can be wrong here.
    fn check(&self) -> Result<(), Misfit> {
        if self.kernel == 0 || self.stride == 0 || self.dilation == 0 {
            return Err(Misfit::new("a kernel, stride and dilation of at least 1").found("0"));
        }
        Ok(())
    }
}

/// What lengths are counted in.
pub(super) fn unit(spatial: usize) -> &'static str {
    if spatial == 2 { "pixels" } else { "positions" }
}

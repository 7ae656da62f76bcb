//! Burn's layers as [`Layer`]s.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};
use burn::nn::{
    BatchNorm, Dropout, Gelu, LayerNorm, LeakyRelu, Linear, PaddingConfig2d, Relu, Sigmoid, Tanh,
};

use super::layer::{Layer, WidthError};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

/// Runs a rank-generic `forward` on a tensor of any rank.
macro_rules! forward_any_rank {
    ($layer:expr, $input:expr) => {{
        let input = $input;
        with_rank!(input.rank(), D => Ok($layer.forward(input.into_rank::<D>()?).into()), else {
            Err(Error::Rank { expected: 8, found: input.dims() })
        })
    }};
}

macro_rules! shape_preserving {
    ($($layer:ty),*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                Ok(input.to_vec())
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                forward_any_rank!(self, input)
            }
        })*
    };
}
shape_preserving!(Relu, LeakyRelu, Gelu, Sigmoid, Tanh, Dropout);

impl Layer for Linear {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let shape = self.weight.lazy_shape();
        let last = input.len().wrapping_sub(1);
        WidthError::check(input, last, shape[0], "input features")?;
        let mut output = input.to_vec();
        output[last] = shape[1];
        Ok(output)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

impl Layer for BatchNorm {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check(input, 1, self.gamma.lazy_shape()[0], "channels")?;
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

impl Layer for LayerNorm {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let features = self.gamma.lazy_shape()[0];
        WidthError::check(input, input.len().wrapping_sub(1), features, "features")?;
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

const IMAGES: &str = "[batch, channels, height, width]";

/// A window that slides over two spatial dimensions, as Burn's convolutions and pools do.
struct Window<'a> {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: &'a PaddingConfig2d,
    ceil: bool,
}

impl Window<'_> {
    /// The output height and width for `input` (`[batch, channels, height, width]`).
    fn slide(&self, input: &[usize]) -> Result<[usize; 2], WidthError> {
        WidthError::check_rank(input, 4, IMAGES)?;
        let mut output = [0; 2];
        for (i, size) in output.iter_mut().enumerate() {
            *size = self.positions(i, input[2 + i]).map_err(|(reach, padded)| WidthError {
                expected: format!("at least {reach} pixels, padding included"),
                found: padded.to_string(),
                input: input.to_vec(),
                inside: None,
            })?;
        }
        Ok(output)
    }

    /// Padding before and after, of spatial dimension `i`.
    fn pads(&self, i: usize, size: usize) -> [usize; 2] {
        match *self.padding {
            PaddingConfig2d::Valid => [0, 0],
            PaddingConfig2d::Explicit(top, left, bottom, right) => {
                [[top, bottom], [left, right]][i]
            }
            // Made for the kernel without its dilation.
            PaddingConfig2d::Same => {
                let positions = size.div_ceil(self.stride[i]);
                let needed = (positions.max(1) - 1) * self.stride[i] + self.kernel[i];
                let total = needed.saturating_sub(size);
                [total / 2, total - total / 2]
            }
        }
    }

    /// How often the window fits into `size`, or how far it reaches and what it is given.
    fn positions(&self, i: usize, size: usize) -> Result<usize, (usize, usize)> {
        let (stride, [before, after]) = (self.stride[i].max(1), self.pads(i, size));
        let reach = self.dilation[i] * (self.kernel[i].max(1) - 1) + 1;
        let padded = size + before + after;
        // Rounding up lets the last window hang over by less than a stride.
        let slack = if self.ceil { stride - 1 } else { 0 };
        let Some(room) = (padded + slack).checked_sub(reach) else {
            return Err((reach, padded));
        };
        let positions = room / stride + 1;
        // A window that starts in the padding behind the input is dropped.
        let dropped = self.ceil && (positions - 1) * stride >= size + before;
        Ok(if dropped { positions - 1 } else { positions })
    }
}

impl Layer for Conv2d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let weight = self.weight.lazy_shape();
        WidthError::check_rank(input, 4, IMAGES)?;
        WidthError::check(input, 1, weight[1] * self.groups, "input channels")?;
        let window = Window {
            kernel: self.kernel_size,
            stride: self.stride,
            dilation: self.dilation,
            padding: &self.padding,
            ceil: false,
        };
        let [height, width] = window.slide(input)?;
        Ok(vec![input[0], weight[0], height, width])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

macro_rules! pool {
    ($($layer:ty, $dilation:expr;)*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                let dilation: fn(&Self) -> [usize; 2] = $dilation;
                let window = Window {
                    kernel: self.kernel_size,
                    stride: self.stride,
                    dilation: dilation(self),
                    padding: &self.padding,
                    ceil: self.ceil_mode,
                };
                let [height, width] = window.slide(input)?;
                Ok(vec![input[0], input[1], height, width])
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                Ok(self.forward(input.into_rank()?).into())
            }
        })*
    };
}
pool! {
    MaxPool2d, |pool| pool.dilation;
    AvgPool2d, |_| [1, 1];
}

impl Layer for AdaptiveAvgPool2d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check_rank(input, 4, IMAGES)?;
        Ok(vec![input[0], input[1], self.output_size[0], self.output_size[1]])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

/// Joins all dimensions after the batch into one: `torch.nn.Flatten`.
///
/// ```
/// use espalier::nn::{Flatten, Layer};
/// assert_eq!(Flatten::new().output_dims(&[8, 4, 3, 3])?, [8, 36]);
/// # Ok::<(), espalier::nn::WidthError>(())
/// ```
#[derive(Module, Debug, Default)]
pub struct Flatten {}

impl Flatten {
    /// The layer. It has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for Flatten {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        if input.is_empty() {
            WidthError::check_rank(input, 1, "[batch, ...]")?;
        }
        Ok(vec![input[0], input[1..].iter().product()])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let dims = input.dims();
        let flat = [dims[0], dims[1..].iter().product()];
        with_rank!(
            input.rank(),
            D => Ok(input.into_rank::<D>()?.reshape(flat).into()),
            else Err(Error::Rank { expected: 8, found: dims })
        )
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::pool::MaxPool2dConfig;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[test]
    fn inferred_window_positions_are_burns() {
        let device = Device::default();
        let paddings = [
            PaddingConfig2d::Valid,
            PaddingConfig2d::Same,
            PaddingConfig2d::Explicit(1, 1, 1, 1),
            PaddingConfig2d::Explicit(0, 1, 1, 0),
        ];
        for size in 1..8 {
            let x = Tensor::<4>::ones([1, 2, size, size + 1], &device);
            let input = [1, 2, size, size + 1];
            for (kernel, stride, dilation) in
                [(1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 2)]
            {
                for padding in &paddings {
                    let conv = Conv2dConfig::new([2, 3], [kernel; 2])
                        .with_stride([stride; 2])
                        .with_dilation([dilation; 2])
                        .with_padding(padding.clone())
                        .init(&device);
                    if let Ok(dims) = conv.output_dims(&input) {
                        assert_eq!(
                            conv.forward(x.clone()).dims().as_slice(),
                            dims,
                            "{conv}, {size}"
                        );
                    }
                    let padding_fits =
                        *padding != PaddingConfig2d::Explicit(1, 1, 1, 1) || kernel > 1;
                    for ceil in [false, true] {
                        let pool = MaxPool2dConfig::new([kernel; 2])
                            .with_strides([stride; 2])
                            .with_dilation([dilation; 2])
                            .with_padding(padding.clone())
                            .with_ceil_mode(ceil)
                            .init();
                        let asymmetric = matches!(padding, PaddingConfig2d::Explicit(0, ..))
                            || *padding == PaddingConfig2d::Same;
                        if asymmetric || !padding_fits {
                            continue; // Burn pads such input itself, then pools without padding.
                        }
                        if let Ok(dims) = pool.output_dims(&input) {
                            let found = pool.forward(x.clone()).dims();
                            assert_eq!(found.as_slice(), dims, "{pool}, {size}");
                        }
                    }
                }
            }
        }
    }
}

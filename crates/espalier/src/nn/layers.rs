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

/// A window that slides over two spatial dimensions.
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
        let pads = match self.padding {
            PaddingConfig2d::Valid => [0, 0],
            PaddingConfig2d::Explicit(top, left, bottom, right) => [top + bottom, left + right],
            PaddingConfig2d::Same => {
                return Ok([0, 1].map(|i| input[2 + i].div_ceil(self.stride[i])));
            }
        };
        let mut output = [0; 2];
        for (i, size) in output.iter_mut().enumerate() {
            let reach = self.dilation[i] * (self.kernel[i].max(1) - 1) + 1;
            let padded = input[2 + i] + pads[i];
            let Some(room) = padded.checked_sub(reach) else {
                return Err(WidthError {
                    expected: format!("at least {reach} pixels, padding included"),
                    found: padded.to_string(),
                    input: input.to_vec(),
                    inside: None,
                });
            };
            let steps =
                if self.ceil { room.div_ceil(self.stride[i]) } else { room / self.stride[i] };
            *size = steps + 1;
        }
        Ok(output)
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

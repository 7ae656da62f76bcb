//! Transposed convolutions.

use burn::nn::conv::{ConvTranspose1d, ConvTranspose2d};

use super::super::layer::{Layer, WidthError};
use super::super::window::Window;
use crate::erase::AnyTensor;
use crate::error::Error;

/// One dimension of a transposed convolution.
struct Spread {
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
    padding_out: usize,
}

impl Spread {
    /// `(size - 1) stride - 2 padding + dilation (kernel - 1) + padding_out + 1`, as in
    /// `torch.nn.ConvTranspose2d`; an error where nothing would be left.
    fn output(&self, size: usize, input: &[usize]) -> Result<usize, WidthError> {
        let full = size.saturating_sub(1) * self.stride
            + self.dilation * self.kernel.saturating_sub(1)
            + self.padding_out
            + 1;
        match full.checked_sub(2 * self.padding) {
            Some(output) if output > 0 && size > 0 => Ok(output),
            _ => Err(WidthError {
                expected: format!("more than {} positions to cut off", 2 * self.padding),
                found: full.to_string(),
                input: input.to_vec(),
                inside: None,
            }),
        }
    }
}

impl Layer for ConvTranspose1d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Window::<1>::check_rank(input)?;
        let weight = self.weight.lazy_shape();
        WidthError::check(input, 1, weight[0], "input channels")?;
        let spread = Spread {
            kernel: self.kernel_size,
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding,
            padding_out: self.padding_out,
        };
        Ok(vec![input[0], weight[1] * self.groups, spread.output(input[2], input)?])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

impl Layer for ConvTranspose2d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Window::<2>::check_rank(input)?;
        let weight = self.weight.lazy_shape();
        WidthError::check(input, 1, weight[0], "input channels")?;
        let mut output = vec![input[0], weight[1] * self.groups];
        for side in 0..2 {
            let spread = Spread {
                kernel: self.kernel_size[side],
                stride: self.stride[side],
                dilation: self.dilation[side],
                padding: self.padding[side],
                padding_out: self.padding_out[side],
            };
            output.push(spread.output(input[2 + side], input)?);
        }
        Ok(output)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

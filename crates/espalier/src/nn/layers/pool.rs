//! Pooling.

use burn::module::Module;
use burn::nn::pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d,
};

use burn::tensor::Tensor;

use super::super::layer::{Layer, WidthError};
use super::super::window::{Window, pads_1d, pads_2d};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

macro_rules! pool {
    ($($layer:ty, $dilation:expr;)*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                let dilation: fn(&Self) -> [usize; 2] = $dilation;
                let window = Window {
                    kernel: self.kernel_size,
                    stride: self.stride,
                    dilation: dilation(self),
                    pads: pads_2d(&self.padding),
                    ceil: self.ceil_mode,
                };
                Window::<2>::check_rank(input)?;
                window.output(input[1], input)
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
        Window::<2>::check_rank(input)?;
        Ok(vec![input[0], input[1], self.output_size[0], self.output_size[1]])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

macro_rules! pool_1d {
    ($($layer:ty, $dilation:expr;)*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                let dilation: fn(&Self) -> usize = $dilation;
                let window = Window {
                    kernel: [self.kernel_size],
                    stride: [self.stride],
                    dilation: [dilation(self)],
                    pads: pads_1d(&self.padding),
                    ceil: self.ceil_mode,
                };
                Window::<1>::check_rank(input)?;
                window.output(input[1], input)
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                Ok(self.forward(input.into_rank()?).into())
            }
        })*
    };
}
pool_1d! {
    MaxPool1d, |pool| pool.dilation;
    AvgPool1d, |_| 1;
}

impl Layer for AdaptiveAvgPool1d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Window::<1>::check_rank(input)?;
        Ok(vec![input[0], input[1], self.output_size])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

/// The batch and the channels of what has spatial dimensions behind them.
fn channels(input: &[usize]) -> Result<Vec<usize>, WidthError> {
    if input.len() < 3 {
        WidthError::check_rank(input, 3, "[batch, channels, ...] or more")?;
    }
    Ok(input[..2].to_vec())
}

/// Flattens the spatial dimensions of `[batch, channels, ...]` into one.
fn spread(input: AnyTensor) -> Result<Tensor<3>, Error> {
    let dims = input.dims();
    let flat = [dims[0], dims[1], dims[2..].iter().product()];
    with_rank!(
        input.rank(),
        D => Ok(input.into_rank::<D>()?.reshape(flat)),
        else Err(Error::Rank { expected: 8, found: dims })
    )
}

/// The mean of each channel over all of its positions: `[batch, channels, ...] -> [batch, channels]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{GlobalAvgPool, Layer};
///
/// let x = Tensor::<3>::from_data([[[1.0, 3.0], [0.0, 5.0]]], &Device::default());
/// let y: Tensor<2> = GlobalAvgPool::new().forward_any(x.into())?.into_rank()?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [2.0, 2.5]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Module, Debug, Default)]
pub struct GlobalAvgPool {}

impl GlobalAvgPool {
    /// The layer. It has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for GlobalAvgPool {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        channels(input)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(spread(input)?.mean_dim(2).squeeze_dim::<2>(2).into())
    }
}

/// The largest value of each channel: `[batch, channels, ...] -> [batch, channels]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{GlobalMaxPool, Layer};
///
/// let x = Tensor::<3>::from_data([[[1.0, 3.0], [0.0, 5.0]]], &Device::default());
/// let y: Tensor<2> = GlobalMaxPool::new().forward_any(x.into())?.into_rank()?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [3.0, 5.0]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Module, Debug, Default)]
pub struct GlobalMaxPool {}

impl GlobalMaxPool {
    /// The layer. It has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for GlobalMaxPool {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        channels(input)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(spread(input)?.max_dim(2).squeeze_dim::<2>(2).into())
    }
}

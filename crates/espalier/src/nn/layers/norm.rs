//! Normalization over groups of channels, single channels and features.

use burn::nn::{GroupNorm, InstanceNorm, LayerNorm, RmsNorm};

use super::super::layer::{Layer, WidthError};
use super::forward_any_rank;
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

impl Layer for GroupNorm {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check(input, 1, self.num_channels, "channels")?;
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

impl Layer for InstanceNorm {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check(input, 1, self.num_channels, "channels")?;
        if input.len() < 3 {
            WidthError::check_rank(input, 3, "[batch, channels, ...] or more")?;
        }
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

macro_rules! over_features {
    ($($layer:ty),*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                let features = self.gamma.lazy_shape()[0];
                WidthError::check(input, input.len().wrapping_sub(1), features, "features")?;
                Ok(input.to_vec())
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                forward_any_rank!(self, input)
            }
        })*
    };
}
over_features!(LayerNorm, RmsNorm);

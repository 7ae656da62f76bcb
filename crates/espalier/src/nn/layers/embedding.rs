//! Tokens into vectors, and where they stand.

use burn::module::{Module, Param};
use burn::nn::{Embedding, Initializer};
use burn::tensor::{Device, Tensor};

use super::super::layer::{Layer, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// Takes whole numbers in a tensor of floats, `[batch]` or `[batch, time]`, exact up to 2^24.
impl Layer for Embedding {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        if input.is_empty() || input.len() > 2 {
            WidthError::check_rank(input, 2, "[batch, time]")?;
        }
        let mut output = input.to_vec();
        output.push(self.weight.lazy_shape()[1]);
        Ok(output)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        if input.rank() == 1 {
            let tokens = input.into_rank::<1>()?.int().unsqueeze_dim::<2>(1);
            return Ok(self.forward(tokens).squeeze_dim::<2>(1).into());
        }
        Ok(self.forward(input.into_rank::<2>()?.int()).into())
    }
}

/// A learned vector for each position, added: `[batch, time, features]`, `y = x + weight`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{Layer, Positions};
///
/// let device = Device::default();
/// let layer = Positions::new([4, 2], &device);
/// let y: Tensor<3> = layer.forward_any(Tensor::<3>::ones([1, 4, 2], &device).into())?.into_rank()?;
/// assert_eq!(y.dims(), [1, 4, 2]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Positions {
    /// `[time, features]`
    pub weight: Param<Tensor<2>>,
}

impl Positions {
    /// For sequences of `[time, features]`; standard normal values, as an embedding's.
    pub fn new(dims: [usize; 2], device: &Device) -> Self {
        Self { weight: Initializer::Normal { mean: 0.0, std: 1.0 }.init(dims, device) }
    }
}

impl Layer for Positions {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check_rank(input, 3, "[batch, time, features]")?;
        let weight = self.weight.lazy_shape();
        WidthError::check(input, 1, weight[0], "positions")?;
        WidthError::check(input, 2, weight[1], "features")?;
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok((input.into_rank::<3>()? + self.weight.val().unsqueeze_dim::<3>(0)).into())
    }
}

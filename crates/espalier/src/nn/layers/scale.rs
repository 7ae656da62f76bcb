//! One factor for each value.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use super::super::layer::{Layer, WidthError};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

/// Multiplies by a learned factor: one for each element of an example, for each channel, or for all.
///
/// The weight is a matrix `[channels, positions]`, so that rules and pruning see it as one; with one
/// position it holds for all positions of its channel, with one channel too for all. A mask on it says which inputs a network sees.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{Layer, Scale};
///
/// let device = Device::default();
/// let layer = Scale::per_element(&[1, 8, 8], &device);
/// assert_eq!(layer.weight.dims(), [1, 64]);
/// assert_eq!(Scale::per_channel(&[3, 8, 8], &device).weight.dims(), [3, 1]);
/// let x = Tensor::<4>::ones([2, 1, 8, 8], &device);
/// let y: Tensor<4> = layer.forward_any(x.into())?.into_rank()?;
/// assert_eq!(y.dims(), [2, 1, 8, 8]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Scale {
    /// `[channels, positions]`; ones at first.
    pub weight: Param<Tensor<2>>,
}

impl Scale {
    /// For examples of shape `dims`, channels first: a factor for each element.
    pub fn per_element(dims: &[usize], device: &Device) -> Self {
        let channels = dims.first().copied().unwrap_or(1);
        Self::of([channels, dims.iter().skip(1).product()], device)
    }

    /// For examples of shape `dims`, channels first: a factor for each channel.
    pub fn per_channel(dims: &[usize], device: &Device) -> Self {
        Self::of([dims.first().copied().unwrap_or(1), 1], device)
    }

    /// One factor for all.
    pub fn single(device: &Device) -> Self {
        Self::of([1, 1], device)
    }

    fn of(dims: [usize; 2], device: &Device) -> Self {
        Self { weight: Initializer::Ones.init(dims, device) }
    }
}

impl Layer for Scale {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let weight = self.weight.lazy_shape();
        if weight[0] != 1 || weight[1] != 1 {
            WidthError::check(input, 1, weight[0], "channels")?;
        }
        let positions: usize = input.iter().skip(2).product();
        if weight[1] != 1 && positions != weight[1] {
            return Err(WidthError {
                expected: format!("{} positions", weight[1]),
                found: positions.to_string(),
                input: input.to_vec(),
                inside: None,
            });
        }
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let dims = input.dims();
        let flat = [dims[0], dims[1], dims.iter().skip(2).product()];
        with_rank!(
            input.rank(),
            D => {
                let x = input.into_rank::<D>()?;
                let shape = x.shape();
                let y = x.reshape(flat) * self.weight.val().unsqueeze_dim::<3>(0);
                Ok(y.reshape::<D, _>(shape).into())
            },
            else Err(Error::Rank { expected: 8, found: dims })
        )
    }
}

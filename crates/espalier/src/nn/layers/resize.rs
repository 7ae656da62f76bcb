//! Interpolation between pixels.

use burn::nn::interpolate::{Interpolate1d, Interpolate2d};

use super::super::layer::{Layer, WidthError};
use super::super::window::Window;
use crate::erase::AnyTensor;
use crate::error::Error;

/// What `size` becomes: as wanted, or multiplied and rounded down.
fn resized(wanted: Option<usize>, factor: Option<f32>, size: usize) -> usize {
    match (wanted, factor) {
        (Some(wanted), _) => wanted,
        (None, Some(factor)) => (size as f64 * f64::from(factor)).floor() as usize,
        (None, None) => size,
    }
}

impl Layer for Interpolate1d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Window::<1>::check_rank(input)?;
        Ok(vec![input[0], input[1], resized(self.output_size, self.scale_factor, input[2])])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

impl Layer for Interpolate2d {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Window::<2>::check_rank(input)?;
        let side = |side: usize| {
            let wanted = self.output_size.map(|size| size[side]);
            resized(wanted, self.scale_factor.map(|factor| factor[side]), input[2 + side])
        };
        Ok(vec![input[0], input[1], side(0), side(1)])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(self.forward(input.into_rank()?).into())
    }
}

//! Layers without parameters that look at shapes: what only moves values, and softmax.

use burn::module::Module;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::ops::PadMode;

use super::super::layer::{Layer, WidthError};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

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

/// Checks that dimension `dim`, counted with the batch, is there.
fn has_dim(input: &[usize], dim: usize) -> Result<(), WidthError> {
    match input.get(dim) {
        Some(_) => Ok(()),
        None => WidthError::check_rank(input, dim + 1, "at least"),
    }
}

macro_rules! normalized {
    ($($(#[$doc:meta])* $layer:ident, $function:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Module, Debug)]
            pub struct $layer {
                /// The dimension, counted with the batch.
                pub dim: usize,
            }

            impl $layer {
                /// Over dimension `dim`, counted with the batch.
                pub fn new(dim: usize) -> Self {
                    Self { dim }
                }
            }

            impl Layer for $layer {
                fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                    has_dim(input, self.dim)?;
                    Ok(input.to_vec())
                }
                fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                    let dims = input.dims();
                    with_rank!(
                        input.rank(),
                        D => Ok($function(input.into_rank::<D>()?, self.dim).into()),
                        else Err(Error::Rank { expected: 8, found: dims })
                    )
                }
            }
        )*
    };
}

normalized! {
    /// `exp(x) / sum exp(x)` over a dimension: `torch.nn.Softmax`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::{Layer, Softmax};
    ///
    /// let x = Tensor::<2>::zeros([1, 4], &Device::default());
    /// let y: Tensor<2> = Softmax::new(1).forward_any(x.into())?.into_rank()?;
    /// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.25; 4]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    Softmax, softmax;
    /// The logarithm of [`Softmax`]: `torch.nn.LogSoftmax`.
    ///
    /// ```
    /// use espalier::nn::{Layer, LogSoftmax};
    /// assert_eq!(LogSoftmax::new(1).output_dims(&[2, 4])?, [2, 4]);
    /// # Ok::<(), espalier::nn::WidthError>(())
    /// ```
    LogSoftmax, log_softmax;
}

/// Another shape for each example: `torch.nn.Unflatten` and more.
///
/// ```
/// use espalier::nn::{Layer, Reshape};
/// assert_eq!(Reshape::new([4, 2, 2]).output_dims(&[8, 16])?, [8, 4, 2, 2]);
/// assert!(Reshape::new([4, 2]).output_dims(&[8, 16]).is_err());
/// # Ok::<(), espalier::nn::WidthError>(())
/// ```
#[derive(Module, Debug)]
pub struct Reshape {
    /// The shape of an example, without the batch.
    pub shape: Vec<usize>,
}

impl Reshape {
    /// Examples of this shape, without the batch.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Self { shape: shape.into() }
    }
}

impl Layer for Reshape {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        has_dim(input, 0)?;
        let wanted: usize = self.shape.iter().product();
        let found: usize = input[1..].iter().product();
        if wanted != found {
            return Err(WidthError {
                expected: format!("{wanted} values, for {:?}", self.shape),
                found: found.to_string(),
                input: input.to_vec(),
                inside: None,
            });
        }
        Ok([&input[..1], &self.shape].concat())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let dims = input.dims();
        let shape = [&dims[..1], &self.shape].concat();
        let too_many = |found| Err(Error::Rank { expected: 8, found });
        with_rank!(input.rank(), D => {
            let x = input.into_rank::<D>()?;
            with_rank!(shape.len(), O => {
                let mut to = [0; O];
                to.copy_from_slice(&shape);
                Ok(x.reshape(to).into())
            }, else too_many(shape))
        }, else too_many(dims))
    }
}

/// Two dimensions change places: `[batch, channels, time] -> [batch, time, channels]`.
///
/// ```
/// use espalier::nn::{Layer, Transpose};
/// assert_eq!(Transpose::new([1, 2]).output_dims(&[8, 3, 5])?, [8, 5, 3]);
/// # Ok::<(), espalier::nn::WidthError>(())
/// ```
#[derive(Module, Debug)]
pub struct Transpose {
    /// The dimensions, counted with the batch.
    pub dims: [usize; 2],
}

impl Transpose {
    /// Of these dimensions, counted with the batch.
    pub fn new(dims: [usize; 2]) -> Self {
        Self { dims }
    }
}

impl Layer for Transpose {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let [a, b] = self.dims;
        has_dim(input, a.max(b))?;
        let mut output = input.to_vec();
        output.swap(a, b);
        Ok(output)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let dims = input.dims();
        let [a, b] = self.dims;
        with_rank!(
            input.rank(),
            D => Ok(input.into_rank::<D>()?.swap_dims(a, b).into()),
            else Err(Error::Rank { expected: 8, found: dims })
        )
    }
}

/// A border around the last dimensions: `torch.nn.ConstantPad2d` and its kin.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{Layer, Pad};
///
/// let x = Tensor::<3>::ones([1, 1, 2], &Device::default());
/// let pad = Pad::new([[1, 0]], 7.0); // one before, none after, of the last dimension
/// let y: Tensor<3> = pad.forward_any(x.into())?.into_rank()?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [7.0, 1.0, 1.0]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Pad {
    /// Values before and after, of each of the last dimensions, first of them first.
    pub sides: Vec<[usize; 2]>,
    /// What stands in the border.
    pub value: f64,
}

impl Pad {
    /// Values before and after of each of the last dimensions.
    pub fn new(sides: impl Into<Vec<[usize; 2]>>, value: f64) -> Self {
        Self { sides: sides.into(), value }
    }
}

impl Layer for Pad {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        has_dim(input, self.sides.len())?;
        let mut output = input.to_vec();
        let first = input.len() - self.sides.len();
        for (size, [before, after]) in output[first..].iter_mut().zip(&self.sides) {
            *size += before + after;
        }
        Ok(output)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let dims = input.dims();
        let sides: Vec<(usize, usize)> = self.sides.iter().map(|s| (s[0], s[1])).collect();
        let mode = PadMode::Constant(self.value as f32);
        with_rank!(
            input.rank(),
            D => Ok(input.into_rank::<D>()?.pad(sides.as_slice(), mode).into()),
            else Err(Error::Rank { expected: 8, found: dims })
        )
    }
}

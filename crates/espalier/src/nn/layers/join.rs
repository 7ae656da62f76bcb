//! Several inputs into one.

use burn::module::Module;
use burn::tensor::Tensor;

use super::super::layer::{Layer, WidthError};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

/// Checks that all inputs have one shape, and gives it.
fn same(inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
    let first = inputs.first().copied().unwrap_or_default();
    match inputs.iter().find(|input| **input != first) {
        None => Ok(first.to_vec()),
        Some(other) => Err(WidthError {
            expected: format!("inputs of one shape, {first:?} as the first"),
            found: format!("{other:?}"),
            input: other.to_vec(),
            inside: None,
        }),
    }
}

/// Folds tensors of one rank.
macro_rules! fold {
    ($inputs:expr, $combine:expr) => {{
        let mut inputs = $inputs.into_iter();
        let Some(first) = inputs.next() else {
            return Err(Error::Rank { expected: 1, found: Vec::new() });
        };
        with_rank!(first.rank(), D => {
            let mut sum = first.into_rank::<D>()?;
            for other in inputs {
                let combine: fn(Tensor<D>, Tensor<D>) -> Tensor<D> = $combine;
                sum = combine(sum, other.into_rank::<D>()?);
            }
            Ok(sum.into())
        }, else Err(Error::Rank { expected: 8, found: Vec::new() }))
    }};
}

macro_rules! elementwise {
    ($($(#[$doc:meta])* $layer:ident, $combine:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Module, Debug, Default)]
            pub struct $layer {}

            impl $layer {
                /// The layer. It has no options.
                pub fn new() -> Self {
                    Self::default()
                }
            }

            impl Layer for $layer {
                fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                    Ok(input.to_vec())
                }
                fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                    Ok(input)
                }
                fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
                    same(inputs)
                }
                fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
                    fold!(inputs, $combine)
                }
            }
        )*
    };
}

elementwise! {
    /// The sum of its inputs, which have one shape: a residual connection's end.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::{Add, Layer};
    ///
    /// let one = Tensor::<2>::ones([1, 2], &Device::default());
    /// let y: Tensor<2> = Add::new().forward_many(vec![one.clone().into(), one.into()])?.into_rank()?;
    /// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [2.0, 2.0]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    Add, |a, b| a + b;
    /// The product of its inputs element by element: a gate.
    ///
    /// ```
    /// use espalier::nn::{Layer, Multiply};
    ///
    /// assert_eq!(Multiply::new().output_dims_many(&[&[2, 3], &[2, 3]])?, [2, 3]);
    /// # Ok::<(), espalier::nn::WidthError>(())
    /// ```
    Multiply, |a, b| a * b;
}

/// Its inputs one behind the other along a dimension: `torch.cat`.
///
/// ```
/// use espalier::nn::{Concat, Layer};
///
/// let layer = Concat::new(1);
/// assert_eq!(layer.output_dims_many(&[&[8, 3, 4, 4], &[8, 5, 4, 4]])?, [8, 8, 4, 4]);
/// assert!(layer.output_dims_many(&[&[8, 3, 4, 4], &[8, 5, 2, 2]]).is_err());
/// # Ok::<(), espalier::nn::WidthError>(())
/// ```
#[derive(Module, Debug)]
pub struct Concat {
    /// The dimension, counted with the batch: 1 for channels.
    pub dim: usize,
}

impl Concat {
    /// Along dimension `dim`, counted with the batch.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }
}

impl Layer for Concat {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(input)
    }
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        let mut output = inputs.first().copied().unwrap_or_default().to_vec();
        for input in inputs.iter().skip(1) {
            let others = |dims: &[usize]| {
                let mut dims = dims.to_vec();
                dims.get_mut(self.dim).map(|size| *size = 0);
                dims
            };
            if input.len() <= self.dim || others(input) != others(&output) {
                return Err(WidthError {
                    expected: format!("as {output:?} but for dimension {}", self.dim),
                    found: format!("{input:?}"),
                    input: input.to_vec(),
                    inside: None,
                });
            }
            output[self.dim] += input[self.dim];
        }
        Ok(output)
    }
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
        let rank = inputs.first().map_or(0, AnyTensor::rank);
        with_rank!(rank, D => {
            let tensors: Result<Vec<Tensor<D>>, Error> =
                inputs.into_iter().map(AnyTensor::into_rank).collect();
            Ok(Tensor::cat(tensors?, self.dim).into())
        }, else Err(Error::Rank { expected: 8, found: Vec::new() }))
    }
}

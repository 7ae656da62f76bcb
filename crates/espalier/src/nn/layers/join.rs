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
#[derive(Module, Debug, Default)]
pub struct Add {}

impl Add {
    /// The layer. It has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for Add {
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
        let rank = inputs.first().map_or(0, AnyTensor::rank);
        with_rank!(rank, D => {
            let mut sum: Option<Tensor<D>> = None;
            for input in inputs {
                let input = input.into_rank::<D>()?;
                sum = Some(match sum {
                    Some(sum) => sum + input,
                    None => input,
                });
            }
            sum.map(Into::into).ok_or(Error::Rank { expected: 1, found: Vec::new() })
        }, else Err(Error::Rank { expected: 8, found: Vec::new() }))
    }
}

/// The product of its inputs element by element: a gate. All but the first may have sizes of 1, or
/// be one number a channel, `[batch, channels]`: they are repeated.
///
/// ```
/// use espalier::nn::{Layer, Multiply};
///
/// assert_eq!(Multiply::new().output_dims_many(&[&[2, 3, 4, 4], &[2, 3]])?, [2, 3, 4, 4]);
/// assert!(Multiply::new().output_dims_many(&[&[2, 3, 4, 4], &[2, 4]]).is_err());
/// # Ok::<(), espalier::nn::WidthError>(())
/// ```
#[derive(Module, Debug, Default)]
pub struct Multiply {}

impl Multiply {
    /// The layer. It has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for Multiply {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        Ok(input)
    }
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        let first = inputs.first().copied().unwrap_or_default();
        for input in inputs {
            let fits = |(size, own): (&usize, &usize)| size == own || *size == 1;
            if input.len() > first.len() || !input.iter().zip(first).all(fits) {
                return Err(WidthError {
                    expected: format!("sizes as of {first:?}, or of 1"),
                    found: format!("{input:?}"),
                    input: input.to_vec(),
                    inside: None,
                });
            }
        }
        Ok(first.to_vec())
    }
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
        let rank = inputs.first().map_or(0, AnyTensor::rank);
        with_rank!(rank, D => {
            let mut product: Option<Tensor<D>> = None;
            for input in inputs {
                let factor = aligned::<D>(input)?;
                product = Some(match product {
                    Some(product) => product * factor,
                    None => factor,
                });
            }
            product.map(Into::into).ok_or(Error::Rank { expected: 1, found: Vec::new() })
        }, else Err(Error::Rank { expected: 8, found: Vec::new() }))
    }
}

/// The tensor with dimensions of 1 behind its own, up to `D`.
fn aligned<const D: usize>(tensor: AnyTensor) -> Result<Tensor<D>, Error> {
    let dims = tensor.dims();
    if dims.len() >= D {
        return tensor.into_rank();
    }
    let mut shape = [1; D];
    shape[..dims.len()].copy_from_slice(&dims);
    with_rank!(dims.len(), I => Ok(tensor.into_rank::<I>()?.reshape(shape)), else {
        Err(Error::Rank { expected: D, found: dims })
    })
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
    /// Into how many equal parts each input is cut along the dimension: 1.
    pub parts: usize,
    /// Which part is taken of each.
    pub part: usize,
}

impl Concat {
    /// Along dimension `dim`, counted with the batch.
    pub fn new(dim: usize) -> Self {
        Self { dim, parts: 1, part: 0 }
    }

    /// Part `part` of `parts` equal ones of each input.
    ///
    /// ```
    /// use espalier::nn::{Concat, Layer};
    /// let layer = Concat::new(1).part_of(1, 2);
    /// assert_eq!(layer.output_dims_many(&[&[8, 4], &[8, 6]])?, [8, 5]);
    /// # Ok::<(), espalier::nn::WidthError>(())
    /// ```
    pub fn part_of(self, part: usize, parts: usize) -> Self {
        Self { parts: parts.max(1), part, ..self }
    }

    /// The shape of the part that is taken.
    fn taken(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let size = input.get(self.dim).copied().unwrap_or_default();
        if size % self.parts != 0 || self.part >= self.parts || input.len() <= self.dim {
            return Err(WidthError {
                expected: format!("{} equal parts of dimension {}", self.parts, self.dim),
                found: size.to_string(),
                input: input.to_vec(),
                inside: None,
            });
        }
        let mut output = input.to_vec();
        output[self.dim] = size / self.parts;
        Ok(output)
    }
}

impl Layer for Concat {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        self.taken(input)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        self.forward_many(vec![input])
    }
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        let mut output = self.taken(inputs.first().copied().unwrap_or_default())?;
        for input in inputs.iter().skip(1) {
            let taken = self.taken(input)?;
            let mut others = taken.clone();
            others[self.dim] = output.get(self.dim).copied().unwrap_or_default();
            if others != output {
                return Err(WidthError {
                    expected: format!("as {output:?} but for dimension {}", self.dim),
                    found: format!("{taken:?}"),
                    input: input.to_vec(),
                    inside: None,
                });
            }
            output[self.dim] += taken[self.dim];
        }
        Ok(output)
    }
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
        let rank = inputs.first().map_or(0, AnyTensor::rank);
        with_rank!(rank, D => {
            let mut tensors = Vec::with_capacity(inputs.len());
            for input in inputs {
                let tensor: Tensor<D> = input.into_rank()?;
                let size = tensor.dims()[self.dim] / self.parts;
                tensors.push(match self.parts {
                    1 => tensor,
                    _ => tensor.narrow(self.dim, self.part * size, size),
                });
            }
            match tensors.len() {
                1 => Ok(tensors.swap_remove(0).into()),
                _ => Ok(Tensor::cat(tensors, self.dim).into()),
            }
        }, else Err(Error::Rank { expected: 8, found: Vec::new() }))
    }
}

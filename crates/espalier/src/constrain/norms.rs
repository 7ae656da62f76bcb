//! What the constraints on norms share.

use burn::tensor::{DType, Tensor};
use espalier_kernels::{Slices, rescale};

use super::RuleError;
use crate::erase::{AnyTensor, with_rank};
use crate::host::is_plain;
use crate::optim::{Taken, with_real};
use crate::parametrize::Site;

/// Keras's `keras.config.epsilon()`: what a norm is enlarged by before it divides.
const EPSILON: f64 = 1e-7;

/// Whose norms: of one slice for each index of a dimension (in PyTorch's layout), or of the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    AllBut(usize),
    Whole,
}

impl Over {
    /// The dimension kept, in Burn's layout.
    pub(super) fn kept(self, site: &Site) -> Result<Option<usize>, RuleError> {
        match self {
            Self::AllBut(dim) => site.dim(dim).map(Some),
            Self::Whole => Ok(None),
        }
    }
}

/// The norms that slices may have.
///
/// A norm `n` outside becomes `desired = rate * clip(n, min, max) + (1 - rate) * n`, by the factor
/// `desired / (epsilon + n)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Norms {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) rate: f64,
}

impl Norms {
    pub(super) fn apply(
        self,
        over: Over,
        value: AnyTensor,
        site: &Site,
    ) -> Result<AnyTensor, RuleError> {
        let kept = over.kept(site)?;
        with_rank!(value.rank(), D => {
            let found = value.dims();
            let tensor =
                value.into_rank::<D>().map_err(|_| RuleError::OwnRank { expected: D, found })?;
            Ok(if is_plain(&tensor.device(), tensor.dtype()) {
                self.rescale_slices(kept, tensor).into()
            } else {
                self.rescale_tensor(kept, tensor).into()
            })
        }, else unreachable!("tensors have up to eight dimensions"))
    }

    fn rescale_slices<const D: usize>(self, kept: Option<usize>, tensor: Tensor<D>) -> Tensor<D> {
        let dims = tensor.dims();
        let slices = match kept {
            Some(kept) => Slices {
                outer: dims[..kept].iter().product(),
                kept: dims[kept],
                inner: dims[kept + 1..].iter().product(),
            },
            None => Slices { outer: 1, kept: 1, inner: dims.iter().product() },
        };
        let dtype = tensor.dtype();
        let mut taken = Taken::of(tensor);
        with_real!(dtype, T => rescale(&slices, taken.slice::<T>(), |norm| self.factor(norm)));
        taken.into_tensor()
    }

    fn factor(self, norm: f64) -> f64 {
        if norm >= self.min && norm <= self.max {
            return 1.0;
        }
        let clipped = if norm < self.min { self.min } else { self.max };
        (self.rate * clipped + (1.0 - self.rate) * norm) / (EPSILON + norm)
    }

    /// The twin of [`rescale`] for any device and float type.
    fn rescale_tensor<const D: usize>(self, kept: Option<usize>, tensor: Tensor<D>) -> Tensor<D> {
        let dtype = tensor.dtype();
        // Squares of half floats leave their range soon.
        let wide = if dtype == DType::F64 { tensor } else { tensor.cast(DType::F32) };
        let squares = (0..D)
            .filter(|dim| Some(*dim) != kept)
            .fold(wide.clone().square(), |sum, dim| sum.sum_dim(dim));
        let norms = squares.sqrt();
        let inside = norms
            .clone()
            .greater_equal_elem(self.min)
            .bool_and(norms.clone().lower_equal_elem(self.max));
        let clipped = norms.clone().clamp(self.min, self.max);
        let desired = clipped * self.rate + norms.clone() * (1.0 - self.rate);
        let factor = (desired / (norms + EPSILON)).mask_fill(inside, 1.0);
        (wide * factor).cast(dtype)
    }
}

/// Refuses an option that is not as it must be.
pub(super) fn expect(
    holds: bool,
    option: &'static str,
    expected: &'static str,
    found: f64,
) -> Result<(), RuleError> {
    let (expected, found) = (expected.to_owned(), found.to_string());
    if holds { Ok(()) } else { Err(RuleError::Option { option, expected, found }) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;
    use crate::init::Rng;

    #[test]
    fn slices_and_tensor_operations_give_the_same() {
        let dims = [4, 5, 6];
        let mut rng = Rng::seeded(3);
        let values: Vec<f64> = (0..120).map(|_| rng.normal()).collect();
        for dtype in [DType::F32, DType::F64] {
            let data = TensorData::new(values.clone(), dims).convert_dtype(dtype);
            let tensor = Tensor::<3>::from_data(data, (&Device::default(), dtype));
            for kept in [None, Some(0), Some(1), Some(2)] {
                for (min, max, rate) in [(0.0, 4.9, 1.0), (1.0, 1.0, 1.0), (4.5, 5.0, 0.3)] {
                    let norms = Norms { min, max, rate };
                    norms.rescale_slices(kept, tensor.clone()).into_data().assert_approx_eq::<f64>(
                        &norms.rescale_tensor(kept, tensor.clone()).into_data(),
                        Tolerance::relative(if dtype == DType::F64 { 1e-12 } else { 2e-6 }),
                    );
                }
            }
        }
    }
}

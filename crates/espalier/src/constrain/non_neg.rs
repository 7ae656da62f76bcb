//! Values that are not negative.

use burn::tensor::Tensor;
use espalier_kernels::Real;

use super::{Constraint, RuleError};
use crate::erase::{AnyTensor, with_rank};
use crate::host::is_plain;
use crate::optim::{Taken, with_real};
use crate::parametrize::Site;

/// No value below zero: `keras.constraints.NonNeg`.
///
/// - Formula: `0` for `w < 0`, else `w`. A NaN stays one, as in Keras.
/// - Shapes: any.
/// - Source: Keras 3.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::constrain::{Constraints, NonNeg};
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(2, 1).init(&device));
/// net.set("weight", Tensor::<2>::from_floats([[-3.0], [4.0]], &device))?;
/// net = Constraints::new().with("weight", NonNeg::new())?.apply(net)?;
/// let weight: Vec<f32> = net.get::<2>("weight")?.into_data().try_to_vec().unwrap();
/// assert_eq!(weight, [0.0, 4.0]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NonNeg {}

impl NonNeg {
    /// The constraint. It has no options.
    pub fn new() -> Self {
        Self {}
    }
}

fn clamp<T: Real>(values: &mut [T]) {
    for value in values {
        *value = if *value < T::ZERO { T::ZERO } else { *value };
    }
}

fn non_negative<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dtype = tensor.dtype();
    if is_plain(&tensor.device(), dtype) {
        let mut taken = Taken::of(tensor);
        with_real!(dtype, T => clamp(taken.slice::<T>()));
        return taken.into_tensor();
    }
    let negative = tensor.clone().lower_elem(0.0);
    tensor.mask_fill(negative, 0.0)
}

impl Constraint for NonNeg {
    fn name(&self) -> &str {
        "non_neg"
    }

    fn apply(&self, value: AnyTensor, _: &Site) -> Result<AnyTensor, RuleError> {
        with_rank!(value.rank(), D => {
            let found = value.dims();
            let tensor =
                value.into_rank::<D>().map_err(|_| RuleError::OwnRank { expected: D, found })?;
            Ok(non_negative(tensor).into())
        }, else unreachable!("tensors have up to eight dimensions"))
    }
}

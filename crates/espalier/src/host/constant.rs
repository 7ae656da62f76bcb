//! Numbers read where they lie.

use burn::backend::flex::FlexTensor;
use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::{DType, Tensor};
use espalier_kernels::Real;

/// A tensor that an operation takes as it is: nothing flows back to it. It is not copied.
#[derive(Clone, Debug)]
pub(crate) struct Constant(FlexTensor);

impl Constant {
    /// None where the tensor is not plain numbers in the host's memory.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        match tensor.clone().without_autodiff().into_dispatch().kind {
            DispatchTensorKind::Flex(BackendTensor::Float(tensor))
                if matches!(tensor.dtype(), DType::F32 | DType::F64) =>
            {
                Some(Self(tensor.to_contiguous()))
            }
            _ => None,
        }
    }

    /// Its values, in the float type of the tensor.
    pub(crate) fn values<T: Real>(&self) -> &[T] {
        let singles = self.0.as_slice::<f32>().map(bytemuck::try_cast_slice);
        match singles.or_else(|| self.0.as_slice::<f64>().map(bytemuck::try_cast_slice)) {
            Some(Ok(values)) => values,
            _ => unreachable!("a constant has the float type of the inputs"),
        }
    }
}

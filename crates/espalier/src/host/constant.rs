//! Numbers read where they lie.

use burn::backend::flex::FlexTensor;
use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::{DType, Tensor};
use espalier_kernels::Real;

use crate::erase::{AnyTensor, with_rank};

/// A tensor that an operation takes as it is: nothing flows back to it. It is not copied.
#[derive(Clone, Debug)]
pub(crate) struct Constant(FlexTensor);

impl Constant {
    /// None where the tensor is not plain numbers in the host's memory.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let tensor = on_host(tensor.clone())?;
        matches!(tensor.dtype(), DType::F32 | DType::F64).then_some(Self(tensor))
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

/// The tensor, row-major, if it is in the host's memory; not a copy where it is row-major already.
fn on_host<const D: usize>(tensor: Tensor<D>) -> Option<FlexTensor> {
    match tensor.without_autodiff().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(tensor.to_contiguous()),
        _ => None,
    }
}

/// The same of a tensor whose rank is known at run time only, in one of the float types of numbers.
pub(super) fn shared(tensor: &AnyTensor) -> Option<FlexTensor> {
    let shared = with_rank!(tensor.rank(), D => {
        tensor.clone().into_rank::<D>().ok().and_then(on_host)
    }, else None)?;
    let known = matches!(shared.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::BF16);
    known.then_some(shared)
}

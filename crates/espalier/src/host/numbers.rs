//! The numbers of a tensor of any float type and device, to be read.

use burn::tensor::{DType, TensorData, bf16, f16};
use espalier_kernels::Values;

use crate::erase::AnyTensor;

/// Numbers in the host's memory, row-major: where the tensor has them, or a copy from its device.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    #[cfg(feature = "flex")]
    Shared(burn::backend::flex::FlexTensor),
    Copied(TensorData),
}

impl Numbers {
    pub(crate) fn of(tensor: &AnyTensor) -> Self {
        #[cfg(feature = "flex")]
        if let Some(shared) = super::constant::shared(tensor) {
            return Self::Shared(shared);
        }
        Self::of_data(tensor.to_data())
    }

    /// Of data of any float type.
    pub(crate) fn of_data(data: TensorData) -> Self {
        let known = matches!(data.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::BF16);
        Self::Copied(if known { data } else { data.convert_dtype(DType::F32) })
    }

    pub(crate) fn values(&self) -> Values<'_> {
        match self {
            #[cfg(feature = "flex")]
            Self::Shared(tensor) => match tensor.dtype() {
                DType::F64 => Values::F64(tensor.as_slice().unwrap_or_default()),
                DType::F16 => Values::F16(tensor.as_slice().unwrap_or_default()),
                DType::BF16 => Values::BF16(tensor.as_slice().unwrap_or_default()),
                _ => Values::F32(tensor.as_slice().unwrap_or_default()),
            },
            Self::Copied(data) => match data.dtype() {
                DType::F64 => Values::F64(data.as_slice::<f64>().unwrap_or_default()),
                DType::F16 => Values::F16(data.as_slice::<f16>().unwrap_or_default()),
                DType::BF16 => Values::BF16(data.as_slice::<bf16>().unwrap_or_default()),
                _ => Values::F32(data.as_slice::<f32>().unwrap_or_default()),
            },
        }
    }

    /// All of them as they are, in double precision.
    pub(crate) fn to_f64(&self) -> Vec<f64> {
        match self.values() {
            Values::F32(values) => values.iter().map(|x| f64::from(*x)).collect(),
            Values::F64(values) => values.to_vec(),
            Values::F16(values) => values.iter().map(|x| x.to_f64()).collect(),
            Values::BF16(values) => values.iter().map(|x| x.to_f64()).collect(),
        }
    }
}

//! Tensors as slices, where that costs nothing.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::host::is_plain;

/// Whether all arithmetic on these tensors can be done on slices: they are in the host's memory and
/// of one float type that the kernels know.
pub(super) fn as_slices<const D: usize>(tensors: &[&Tensor<D>]) -> Option<DType> {
    let dtype = tensors.first()?.dtype();
    let plain = |tensor: &&Tensor<D>| tensor.dtype() == dtype && is_plain(&tensor.device(), dtype);
    tensors.iter().all(plain).then_some(dtype)
}

/// A tensor of a record, in the dtype that it has there and not the device's own; `None` if it is of
/// another rank.
pub(super) fn restored<const D: usize>(data: TensorData, device: &Device) -> Option<Tensor<D>> {
    let dtype = data.dtype();
    (data.rank() == D).then(|| Tensor::from_data(data, (device, dtype)))
}

/// A tensor taken apart. Not a copy if nothing else holds its storage.
pub(crate) struct Taken<const D: usize> {
    data: TensorData,
    device: Device,
    dtype: DType,
}

impl<const D: usize> Taken<D> {
    pub(crate) fn of(tensor: Tensor<D>) -> Self {
        let (device, dtype) = (tensor.device(), tensor.dtype());
        Self { data: tensor.into_data(), device, dtype }
    }

    /// Zeros of the same shape.
    pub(super) fn zeros(&self) -> Self {
        let data = TensorData::zeros::<f32, _>(self.data.shape().clone());
        Self {
            data: data.convert_dtype(self.dtype),
            device: self.device.clone(),
            dtype: self.dtype,
        }
    }

    /// The number of elements.
    pub(super) fn numel(&self) -> usize {
        self.data.num_elements()
    }

    pub(crate) fn slice<T: burn::tensor::Element>(&mut self) -> &mut [T] {
        match self.data.as_mut_slice() {
            Ok(slice) => slice,
            Err(error) => unreachable!("the type was asked for: {error}"),
        }
    }

    pub(crate) fn into_tensor(self) -> Tensor<D> {
        Tensor::from_data(self.data, (&self.device, self.dtype))
    }
}

/// Runs `$body` with `$T` the Rust type of a dtype that `as_slices` gave.
macro_rules! with_real {
    ($dtype:expr, $T:ident => $body:expr) => {
        if $dtype == burn::tensor::DType::F64 {
            type $T = f64;
            $body
        } else {
            type $T = f32;
            $body
        }
    };
}
pub(crate) use with_real;

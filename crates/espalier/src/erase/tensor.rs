//! A float tensor whose rank is known at run time only.

use std::any::Any;
use std::fmt::Debug;

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::error::Error;

trait ErasedTensor: Any + Debug + Send + Sync {
    fn boxed(&self) -> Box<dyn ErasedTensor>;
    fn dims(&self) -> Vec<usize>;
    fn dtype(&self) -> DType;
    fn device(&self) -> Device;
    fn data(&self) -> TensorData;
    fn detached(&self) -> Box<dyn ErasedTensor>;
    fn transposed(&self) -> Box<dyn ErasedTensor>;
    fn is_autodiff(&self) -> bool;
    fn conformed(&self, dtype: DType, device: &Device, autodiff: bool) -> Box<dyn ErasedTensor>;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<const D: usize> ErasedTensor for Tensor<D> {
    fn boxed(&self) -> Box<dyn ErasedTensor> {
        Box::new(self.clone())
    }
    fn dims(&self) -> Vec<usize> {
        Tensor::dims(self).to_vec()
    }
    fn dtype(&self) -> DType {
        Tensor::dtype(self)
    }
    fn device(&self) -> Device {
        Tensor::device(self)
    }
    fn data(&self) -> TensorData {
        self.to_data()
    }
    fn detached(&self) -> Box<dyn ErasedTensor> {
        Box::new(self.clone().detach())
    }
    fn transposed(&self) -> Box<dyn ErasedTensor> {
        let tensor = self.clone();
        Box::new(if D < 2 { tensor } else { tensor.swap_dims(D - 2, D - 1) })
    }
    fn is_autodiff(&self) -> bool {
        Tensor::is_autodiff(self)
    }
    fn conformed(&self, dtype: DType, device: &Device, autodiff: bool) -> Box<dyn ErasedTensor> {
        let plain = self.clone().without_autodiff();
        let plain = if plain.dtype() == dtype { plain } else { plain.cast(dtype) };
        // Devices compare without regard to autodiff.
        let plain = if plain.device() == *device {
            plain
        } else {
            plain.to_device(device).without_autodiff()
        };
        let plain = crate::tree::contiguous(plain);
        Box::new(if autodiff { Tensor::from_inner(plain) } else { plain })
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A float tensor of any rank.
///
/// What flows between the layers of a [`Sequential`](crate::nn::Sequential) and between the links
/// of a parametrization, whose ranks are known at run time only. Cloning is cheap.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::AnyTensor;
///
/// let any = AnyTensor::from(Tensor::<2>::ones([2, 3], &Device::default()));
/// assert_eq!(any.dims(), [2, 3]);
/// let back: Tensor<2> = any.clone().into_rank()?;
/// assert_eq!(back.dims(), [2, 3]);
/// assert!(any.into_rank::<3>().is_err());
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug)]
pub struct AnyTensor(Box<dyn ErasedTensor>);

impl Clone for AnyTensor {
    fn clone(&self) -> Self {
        Self(self.0.boxed())
    }
}

impl<const D: usize> From<Tensor<D>> for AnyTensor {
    fn from(tensor: Tensor<D>) -> Self {
        Self(Box::new(tensor))
    }
}

impl AnyTensor {
    /// A tensor of these values and their shape.
    ///
    /// ```
    /// use burn::tensor::{Device, TensorData};
    /// use espalier::AnyTensor;
    ///
    /// let values = TensorData::new(vec![1.0f32, 2.0], [2, 1]);
    /// assert_eq!(AnyTensor::from_data(values, &Device::default())?.dims(), [2, 1]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Rank`] for more than eight dimensions.
    pub fn from_data(data: TensorData, device: &Device) -> Result<Self, Error> {
        let dims = data.shape().to_vec();
        super::with_rank!(
            dims.len(),
            D => Ok(Tensor::<D>::from_data(data, device).into()),
            else Err(Error::Rank { expected: 8, found: dims })
        )
    }

    /// The same values in another shape.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::AnyTensor;
    ///
    /// let any = AnyTensor::from(Tensor::<3>::ones([2, 3, 4], &Device::default()));
    /// assert_eq!(any.reshape([6, 4])?.dims(), [6, 4]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Operands`] if it holds another number of values.
    pub fn reshape<const D: usize>(self, shape: [usize; D]) -> Result<Tensor<D>, Error> {
        let dims = self.dims();
        if dims.iter().product::<usize>() != shape.iter().product::<usize>() {
            return Err(Error::Operands { left: dims, right: shape.to_vec() });
        }
        super::with_rank!(
            dims.len(),
            I => Ok(self.into_rank::<I>()?.reshape(shape)),
            else Err(Error::Rank { expected: 8, found: dims })
        )
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.dims().len()
    }

    /// The size of each dimension.
    pub fn dims(&self) -> Vec<usize> {
        self.0.dims()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    /// Where the values live.
    pub fn device(&self) -> Device {
        self.0.device()
    }

    /// Whether operations on it can be differentiated.
    pub(crate) fn is_autodiff(&self) -> bool {
        self.0.is_autodiff()
    }

    /// The values, copied to the host.
    pub fn to_data(&self) -> TensorData {
        self.0.data()
    }

    /// The same values, cut off from the autodiff graph.
    pub fn detach(&self) -> Self {
        Self(self.0.detached())
    }

    /// The last two dimensions swapped; a tensor of rank 0 or 1 is returned as it is.
    pub fn transpose(&self) -> Self {
        Self(self.0.transposed())
    }

    /// The same values with the dtype, the device and the autodiff setting of `other`, in row-major
    /// order, cut off from any graph.
    pub(crate) fn conform(&self, other: &Self) -> Self {
        Self(self.0.conformed(other.dtype(), &other.device(), other.0.is_autodiff()))
    }

    /// The tensor with its rank known to the compiler.
    ///
    /// # Errors
    ///
    /// [`Error::Rank`] if the tensor has another rank.
    pub fn into_rank<const D: usize>(self) -> Result<Tensor<D>, Error> {
        let dims = self.dims();
        match self.0.into_any().downcast::<Tensor<D>>() {
            Ok(tensor) => Ok(*tensor),
            Err(_) => Err(Error::Rank { expected: D, found: dims }),
        }
    }
}

//! Arithmetic on tensors of any rank.

use super::{AnyTensor, with_rank};
use crate::error::Error;

impl AnyTensor {
    /// Every value multiplied by `factor`, cut off from any graph.
    pub fn scale(&self, factor: f64) -> Self {
        with_rank!(self.rank(), D => {
            match self.detach().into_rank::<D>() {
                Ok(tensor) => (tensor * factor).into(),
                Err(_) => unreachable!("the rank was asked for"),
            }
        }, else unreachable!("tensors have up to eight dimensions"))
    }

    /// `self + factor * other`, cut off from any graph, with the dtype, the device and the autodiff
    /// setting of `self`: a step of gradient descent is `p.add_scaled(&grad, -rate)`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::AnyTensor;
    ///
    /// let ones = AnyTensor::from(Tensor::<1>::ones([2], &Device::default()));
    /// let sum = ones.add_scaled(&ones.scale(4.0), -0.5)?;
    /// assert_eq!(sum.to_data().try_to_vec::<f32>().unwrap(), [-1.0, -1.0]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Operands`] if the shapes differ.
    pub fn add_scaled(&self, other: &Self, factor: f64) -> Result<Self, Error> {
        if self.dims() != other.dims() {
            return Err(Error::Operands { left: self.dims(), right: other.dims() });
        }
        let (left, right) = (self.detach(), other.conform(self));
        with_rank!(self.rank(), D => {
            Ok((left.into_rank::<D>()? + right.into_rank::<D>()? * factor).into())
        }, else unreachable!("tensors have up to eight dimensions"))
    }
}

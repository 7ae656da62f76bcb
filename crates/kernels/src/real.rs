//! The two float types that kernels compute in.

use crate::instances::Instances;

/// A float type that kernels compute in: `f32` or `f64`.
///
/// ```
/// use espalier_kernels::Real;
/// assert!(1.0f32.magnitude_key() < (-2.0f32).magnitude_key());
/// assert!(f64::INFINITY.magnitude_key() < f64::NAN.magnitude_key());
/// ```
pub trait Real:
    Instances
    + faer::traits::RealField
    + bytemuck::Pod
    + crate::prune::apply::Maskable
    + std::ops::Neg<Output = Self>
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
{
    /// Zero.
    const ZERO: Self;

    /// An integer that orders values by magnitude: the bits of `|x|`.
    ///
    /// For IEEE floats the bits of non-negative numbers are ordered as the numbers are. A NaN
    /// compares greater than every number, so that it is never taken for a small value.
    fn magnitude_key(self) -> u64;

    /// Neither infinite nor NaN.
    fn finite(self) -> bool;

    /// The nearest value of this type.
    fn of(value: f64) -> Self;

    /// The same number in double precision.
    fn wide(self) -> f64;

    /// The square root.
    fn root(self) -> Self;

    /// The greater of two numbers; the other one if one is NaN.
    fn greater(self, other: Self) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;

    fn magnitude_key(self) -> u64 {
        u64::from(self.to_bits() & 0x7fff_ffff)
    }

    fn finite(self) -> bool {
        self.is_finite()
    }

    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn root(self) -> Self {
        self.sqrt()
    }

    fn greater(self, other: Self) -> Self {
        self.max(other)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;

    fn magnitude_key(self) -> u64 {
        self.to_bits() & 0x7fff_ffff_ffff_ffff
    }

    fn finite(self) -> bool {
        self.is_finite()
    }

    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }

    fn root(self) -> Self {
        self.sqrt()
    }

    fn greater(self, other: Self) -> Self {
        self.max(other)
    }
}

//! Operations computed on the host's slices, with backward passes of their own in Burn's graph.
//!
//! A rule that is bound by matrix products or memory costs several passes more as tensor
//! operations. What is here replaces such a sequence where the tensors are in the host's memory;
//! everywhere else the sequence runs, and tests hold the two equal.

// Without the CPU backend tensor operations do it all.
#![cfg_attr(not(feature = "flex"), allow(dead_code))]

#[cfg(feature = "flex")]
mod constant;
#[cfg(feature = "flex")]
mod graph;
mod numbers;

use std::fmt::Debug;

use burn::tensor::{DType, Device, Tensor};
use espalier_kernels::Real;

#[cfg(feature = "flex")]
pub(crate) use constant::Constant;
pub(crate) use numbers::Numbers;

/// Whether tensors of this device and float type are plain numbers of the kernels in the host's
/// memory, which `into_data` and `from_data` only pass on.
pub(crate) fn is_plain(device: &Device, dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64) && is_host(device)
}

#[cfg(feature = "flex")]
fn is_host(device: &Device) -> bool {
    use std::sync::LazyLock;
    static FLEX: LazyLock<Device> = LazyLock::new(Device::flex);
    *device == *FLEX
}

#[cfg(not(feature = "flex"))]
fn is_host(_: &Device) -> bool {
    false
}

/// What an operation gives.
pub(crate) struct Computed<T, S> {
    /// The values, row-major.
    pub(crate) values: Vec<T>,
    /// Their shape.
    pub(crate) shape: Vec<usize>,
    /// What the backward pass needs beside the inputs.
    pub(crate) saved: Option<S>,
}

/// A differentiable function of `N` tensors in either float type.
pub(crate) trait Operation<const N: usize>: Debug + Send + Sync + 'static {
    /// What is kept for the backward pass.
    type Saved<T: Real>: Send + Sync + 'static;

    /// What is kept where the values are those of the first input, which is then passed on instead of
    /// calling [`forward`](Self::forward).
    fn unchanged<T: Real>(&self) -> Option<Self::Saved<T>> {
        None
    }

    /// The values for row-major inputs; `keep` says whether a backward pass will follow.
    fn forward<T: Real>(
        &self,
        inputs: [Slice<'_, T>; N],
        keep: bool,
    ) -> Computed<T, Self::Saved<T>>;

    /// The gradients of the inputs, from that of the values, which may be written over.
    fn backward<T: Real>(
        &self,
        inputs: [Slice<'_, T>; N],
        saved: &Self::Saved<T>,
        gradient: &mut [T],
    ) -> [Gradient<T>; N];
}

/// The gradient of an input.
#[derive(Debug)]
pub(crate) enum Gradient<T> {
    /// These numbers.
    New(Vec<T>),
    /// What stands now in the place of the gradient of the values; for one input at most.
    InPlace,
}

/// A row-major tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) shape: &'a [usize],
}

/// `operation` of one tensor, or `None` where the tensor is not in the host's memory.
#[cfg(feature = "flex")]
pub(crate) fn unary<const D: usize, const E: usize>(
    input: &Tensor<D>,
    operation: impl Operation<1>,
) -> Option<Tensor<E>> {
    is_plain(&input.device(), input.dtype()).then(|| graph::unary(input.clone(), operation))
}

/// `operation` of two tensors, or `None` where they are not both in the host's memory.
#[cfg(feature = "flex")]
pub(crate) fn binary<const D: usize, const E: usize>(
    left: &Tensor<D>,
    right: &Tensor<D>,
    operation: impl Operation<2>,
) -> Option<Tensor<E>> {
    let plain = left.dtype() == right.dtype()
        && is_plain(&left.device(), left.dtype())
        && is_plain(&right.device(), right.dtype());
    plain.then(|| graph::binary(left.clone(), right.clone(), operation))
}

#[cfg(not(feature = "flex"))]
pub(crate) fn unary<const D: usize, const E: usize>(
    _: &Tensor<D>,
    _: impl Operation<1>,
) -> Option<Tensor<E>> {
    None
}

#[cfg(not(feature = "flex"))]
pub(crate) fn binary<const D: usize, const E: usize>(
    _: &Tensor<D>,
    _: &Tensor<D>,
    _: impl Operation<2>,
) -> Option<Tensor<E>> {
    None
}

/// Nothing: there is no host's memory to be in.
#[cfg(not(feature = "flex"))]
#[derive(Debug, Clone)]
pub(crate) enum Constant {}

#[cfg(not(feature = "flex"))]
impl Constant {
    pub(crate) fn of<const D: usize>(_: &Tensor<D>) -> Option<Self> {
        None
    }

    pub(crate) fn values<T: Real>(&self) -> &[T] {
        match *self {}
    }
}

#[cfg(test)]
mod tests;

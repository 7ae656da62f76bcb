//! The mask that holds what is pruned.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use espalier_kernels::{Bits, Real, mask, masked};

use crate::host::{Computed, Gradient, Operation, Slice, unary};

/// Which values of a tensor of rank `D` are kept: one bit a value. A buffer, saved as the values
/// kept.
#[derive(Clone, Debug)]
pub struct Mask<const D: usize> {
    id: ParamId,
    /// In the tensor's own order.
    kept: Arc<Bits>,
    dims: [usize; D],
    /// One value that stands for the device, and for whether it computes gradients.
    anchor: Tensor<1, Bool>,
    /// What other devices than the host compute with, made when it is needed.
    pruned: Arc<Mutex<Option<Tensor<D, Bool>>>>,
}

impl<const D: usize> Mask<D> {
    /// The mask that keeps the positions where `kept` is true.
    pub fn keeping(kept: Tensor<D, Bool>) -> Self {
        let (dims, device) = (kept.dims(), kept.device());
        let bits = kept.into_data().iter::<bool>().collect();
        Self::of_bits(bits, dims, &device)
    }

    pub(crate) fn of_bits(kept: Bits, dims: [usize; D], device: &Device) -> Self {
        let anchor = Tensor::from_data(TensorData::from([true]), device);
        Self { id: ParamId::new(), kept: Arc::new(kept), dims, anchor, pruned: Arc::default() }
    }

    /// True where a value is kept: PyTorch's `weight_mask`.
    pub fn kept(&self) -> Tensor<D, Bool> {
        let kept: Vec<bool> = self.kept.iter().collect();
        Tensor::from_data(TensorData::new(kept, self.dims), &self.anchor.device())
    }

    /// The shape of the tensor.
    pub fn dims(&self) -> [usize; D] {
        self.dims
    }

    /// The fraction of values that is pruned.
    pub fn sparsity(&self) -> f64 {
        let all = self.kept.len();
        (all - self.kept.count()) as f64 / all.max(1) as f64
    }

    /// One bit for each value, set where it is kept, in the tensor's own order.
    pub(crate) fn bits(&self) -> &Arc<Bits> {
        &self.kept
    }

    /// The value with exact zeros where pruned. No gradient flows to those places.
    pub fn apply(&self, value: Tensor<D>) -> Tensor<D> {
        self.operate(value, false)
    }

    /// As [`apply`](Self::apply); a value that has the zeros already is passed on.
    pub(crate) fn operate(&self, value: Tensor<D>, has_zeros: bool) -> Tensor<D> {
        unary(&value, Masked { kept: Arc::clone(&self.kept), has_zeros })
            .unwrap_or_else(|| value.clone().mask_fill(self.pruned_on(&value.device()), 0.0))
    }

    /// The value with those of `under` where pruned.
    pub(crate) fn with_pruned(&self, value: Tensor<D>, under: Tensor<D>) -> Tensor<D> {
        let pruned = self.pruned_on(&value.device());
        value.mask_where(pruned, under)
    }

    /// True where a value is pruned.
    fn pruned_on(&self, device: &Device) -> Tensor<D, Bool> {
        let mut made = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        match made.as_ref().filter(|made| made.device() == *device) {
            Some(made) => made.clone(),
            None => {
                let pruned: Vec<bool> = self.kept.iter().map(|kept| !kept).collect();
                let pruned = Tensor::from_data(TensorData::new(pruned, self.dims), device);
                made.insert(pruned).clone()
            }
        }
    }

    /// The mask as a parameter whose tensor is made when it is asked for.
    fn param(&self) -> Param<Tensor<D, Bool>> {
        let (bits, dims) = (Arc::clone(&self.kept), self.dims);
        let make = move |device: &Device, _: bool| {
            let kept: Vec<bool> = bits.iter().collect();
            Tensor::from_data(TensorData::new(kept, dims), device)
        };
        Param::uninitialized(self.id, make, self.anchor.device(), false, dims.into())
    }

    fn at(&self, anchor: Tensor<1, Bool>) -> Self {
        // Another device needs a tensor of its own.
        Self { anchor, pruned: Arc::default(), ..self.clone() }
    }
}

/// Zeros where a bit is not set, in the value and in the gradient.
#[derive(Debug)]
struct Masked {
    kept: Arc<Bits>,
    /// Whether the value has them already: it is passed on then.
    has_zeros: bool,
}

impl Operation<1> for Masked {
    type Saved<T: Real> = ();

    fn unchanged<T: Real>(&self) -> Option<()> {
        self.has_zeros.then_some(())
    }

    fn forward<T: Real>(&self, [x]: [Slice<'_, T>; 1], keep: bool) -> Computed<T, ()> {
        let values = masked(x.values, &self.kept);
        Computed { values, shape: x.shape.to_vec(), saved: keep.then_some(()) }
    }

    fn backward<T: Real>(
        &self,
        _: [Slice<'_, T>; 1],
        (): &(),
        gradient: &mut [T],
    ) -> [Gradient<T>; 1] {
        mask(gradient, &self.kept);
        [Gradient::InPlace]
    }
}

impl<const D: usize> Module for Mask<D> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.anchor.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        Module::to_device(self, device)
    }
    fn to_device(self, device: &Device) -> Self {
        self.at(self.anchor.clone().to_device(device))
    }
    fn train(self) -> Self {
        self.at(Tensor::from_inner(self.anchor.clone().without_autodiff()))
    }
    fn valid(&self) -> Self {
        self.at(self.anchor.clone().without_autodiff())
    }
    fn materialize(self) -> Self {
        self
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_bool(&self.param());
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        let param = mapper.map_bool(self.param());
        // What only passed through, as in every step of an optimizer, is not even made.
        if param.is_initialized() {
            let (id, kept, _) = param.consume();
            return Self { id, ..Self::keeping(kept) };
        }
        let device = param.lazy_device();
        if device == self.anchor.device() { self } else { self.fork(&device) }
    }
}

impl<const D: usize> ModuleDisplayDefault for Mask<D> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_single(&format!("Mask {:?}", self.dims)).optional()
    }
}

impl<const D: usize> ModuleDisplay for Mask<D> {}

//! A tensor that is state, not a parameter.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::tensor::{Device, Tensor};

use super::walk::contiguous;

/// A float tensor that a module owns, saves and moves, and that is never trained.
///
/// Unlike a frozen parameter it stays untrained through `unfreeze` and `set_require_grad`; unlike
/// Burn's `RunningState` a clone owns its own value. For the state of a parametrization.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use espalier::{Buffer, ParameterTree};
///
/// let buffer = Buffer::new(Tensor::<1>::ones([3], &Device::default().autodiff())).unfreeze();
/// assert!(!buffer.value().is_require_grad());
/// assert!(buffer.named_parameters().is_empty());
/// ```
#[derive(Debug)]
pub struct Buffer<const D: usize> {
    id: ParamId,
    /// Behind a lock, so that computing can move it: a forward pass has no exclusive access.
    value: Mutex<Tensor<D>>,
}

impl<const D: usize> Clone for Buffer<D> {
    fn clone(&self) -> Self {
        Self { id: self.id, value: Mutex::new(self.value()) }
    }
}

thread_local! {
    static VISITED: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, the tensor that is visited is a [`Buffer`]'s.
struct Visiting(bool);

impl Drop for Visiting {
    fn drop(&mut self) {
        VISITED.set(self.0);
    }
}

/// Whether the tensor that a visitor is shown now is a [`Buffer`]'s: Burn's running statistics are
/// visited in the same way, and their layer overwrites them.
pub(super) fn is_visited() -> bool {
    VISITED.get()
}

impl<const D: usize> Buffer<D> {
    /// A buffer with this value, cut off from any graph.
    pub fn new(value: Tensor<D>) -> Self {
        Self::with_id(ParamId::new(), value)
    }

    /// The value, untracked.
    pub fn value(&self) -> Tensor<D> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the value.
    pub fn set(&mut self, value: Tensor<D>) {
        self.update(value);
    }

    /// As [`set`](Self::set), for state that moves while it is computed with: see
    /// [`Parametrization::advance`](crate::parametrize::Parametrization::advance). A clone made
    /// before keeps its own value.
    pub fn update(&self, value: Tensor<D>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = contiguous(value);
    }

    /// A buffer in the identity of another.
    pub(crate) fn with_id(id: ParamId, value: Tensor<D>) -> Self {
        Self { id, value: Mutex::new(contiguous(value)) }
    }

    fn with(self, value: Tensor<D>) -> Self {
        Self { id: self.id, value: Mutex::new(value) }
    }
}

impl<const D: usize> Module for Buffer<D> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.value().collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }
    fn to_device(self, device: &Device) -> Self {
        let value = self.value().to_device(device).detach();
        self.with(value)
    }
    fn train(self) -> Self {
        let value = Tensor::from_inner(self.value().without_autodiff());
        self.with(value)
    }
    fn valid(&self) -> Self {
        Self { id: self.id, value: Mutex::new(self.value().without_autodiff()) }
    }
    fn materialize(self) -> Self {
        self
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let _visiting = Visiting(VISITED.replace(true));
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        let id = self.id;
        let value = self.value.into_inner().unwrap_or_else(PoisonError::into_inner);
        let value = mapper.map_float(Param::initialized(id, value)).into_value();
        // Never trained itself; but a value computed from parameters keeps its graph.
        if value.is_require_grad() {
            return Self { id, value: Mutex::new(value.detach().set_require_grad(false)) };
        }
        Self { id, value: Mutex::new(value) }
    }
}

impl<const D: usize> ModuleDisplayDefault for Buffer<D> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_single(&format!("Buffer {:?}", self.value().dims())).optional()
    }
}

impl<const D: usize> ModuleDisplay for Buffer<D> {}

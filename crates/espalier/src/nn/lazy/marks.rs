//! What tells a changed uninitialized layer from an unchanged one.

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor};

/// Everything that a map can change about empty parameters and flags.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Marks {
    params: Vec<Mark>,
    flags: Vec<(ParamId, bool, bool)>,
}

#[derive(Debug, PartialEq)]
struct Mark {
    id: ParamId,
    shape: Vec<usize>,
    dtype: DType,
    device: Device,
    autodiff: bool,
    grad: bool,
    /// Whether training restores a gradient, which is kept apart from the tensor's own setting.
    trains: bool,
}

impl Marks {
    pub(super) fn of<M: Module>(module: &M) -> Self {
        let mut marks = Self::default();
        module.visit(&mut marks);
        marks
    }
}

impl ModuleVisitor for Marks {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.params.push(Mark {
            id: param.id,
            shape: value.dims().to_vec(),
            dtype: value.dtype(),
            device: value.device(),
            autodiff: value.is_autodiff(),
            grad: value.is_require_grad(),
            trains: param.clone().train().val().is_require_grad(),
        });
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        let trains = flag.clone().train().val().is_enabled();
        self.flags.push((flag.id, flag.val().is_enabled(), trains));
    }
}

/// The identity of a module's first float tensor.
pub(super) fn id_of<M: Module>(module: &M) -> ParamId {
    Marks::of(module).params.first().map_or_else(ParamId::new, |mark| mark.id)
}

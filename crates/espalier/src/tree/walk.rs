//! Walks over a module that collect its tensors.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::kind::Basic;
use burn::tensor::{Bool, Int, Tensor};

use super::info::{Kind, ParamInfo};

/// Keeps track of the path and owners while a visitor walks a module.
#[derive(Default)]
pub(crate) struct Walk {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Walk {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }
    pub(crate) fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }
    pub(crate) fn path(&self) -> String {
        self.names.join(".")
    }
    pub(crate) fn path_with(&self, name: &str) -> String {
        if self.names.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.names.join("."))
    }
    /// Whether the tensor here describes slots and is no tensor of the network.
    pub(super) fn is_description(&self) -> bool {
        self.names.last().is_some_and(|name| name == crate::frame::EXTRA_STATE)
    }
    pub(crate) fn container(&self) -> &str {
        self.containers.last().map_or("", String::as_str)
    }
    /// The owner's type without Burn's `Struct:` or `Enum:` prefix.
    pub(crate) fn layer(&self) -> &str {
        let container = self.container();
        container.rsplit(':').next().unwrap_or(container)
    }
}

/// The enter and exit of a visitor or mapper with a `walk`.
macro_rules! follow_walk {
    () => {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.walk.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.walk.exit();
        }
    };
}
pub(crate) use follow_walk;

/// Gives every parameter a new id. Running statistics and [`Buffer`]s keep theirs, which is the
/// only way to tell them from frozen parameters.
struct Probe;
impl ModuleMapper for Probe {
    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.id = ParamId::new();
        param
    }
}

#[derive(Default)]
struct Collect {
    walk: Walk,
    found: Vec<ParamInfo>,
}

impl Collect {
    fn push<const D: usize, K: Basic>(
        &mut self,
        id: ParamId,
        value: &Tensor<D, K>,
        kind: Kind,
        trainable: bool,
    ) {
        self.found.push(ParamInfo {
            path: self.walk.path(),
            id,
            shape: value.dims().to_vec(),
            dtype: value.dtype(),
            device: value.device(),
            kind,
            trainable,
            layer: self.walk.layer().to_owned(),
        });
    }
}

impl ModuleVisitor for Collect {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(param.id, &param.val(), Kind::Parameter, param.is_require_grad());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        if !self.walk.is_description() {
            self.push(param.id, &param.val(), Kind::Buffer, false);
        }
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.push(param.id, &param.val(), Kind::Buffer, false);
    }
}

fn collect<M: Module>(module: &M) -> Vec<ParamInfo> {
    let mut visitor = Collect::default();
    module.visit(&mut visitor);
    visitor.found
}

/// Every named tensor of `module` in visit order, parameters and buffers.
///
/// Uninitialized parameters are initialized.
pub(crate) fn tensors<M: Module>(module: &M) -> Vec<ParamInfo> {
    let mut found = collect(module);
    let probed = collect(&module.clone().map(&mut Probe));
    for (info, probe) in found.iter_mut().zip(&probed) {
        if info.id == probe.id {
            info.kind = Kind::Buffer;
        }
    }
    found
}

/// The paths of the [`Buffer`](super::Buffer)s of `module` in visit order: no running statistics.
pub(crate) fn buffers<M: Module>(module: &M) -> Vec<String> {
    #[derive(Default)]
    struct Buffers {
        walk: Walk,
        found: Vec<String>,
    }
    impl ModuleVisitor for Buffers {
        follow_walk!();
        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            if super::buffer::is_visited() {
                self.found.push(self.walk.path());
            }
        }
    }
    let mut visitor = Buffers::default();
    module.visit(&mut visitor);
    visitor.found
}

/// The same values in row-major order, cut off from any graph.
///
/// What is kept for long is kept in the layout in which a file would restore it: products round
/// differently with other strides, and a resumed run is to equal one that went on.
pub(crate) fn contiguous<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let (device, dtype, autodiff) = (tensor.device(), tensor.dtype(), tensor.is_autodiff());
    let data = tensor.detach().into_data();
    let plain = Tensor::<D>::from_data(data, (&device, dtype)).without_autodiff();
    if autodiff { Tensor::from_inner(plain) } else { plain }
}

/// The parameter with its value changed outside of any graph; trained, or not, as before.
///
/// It is consumed, so that a tensor that nothing else holds is changed in place.
pub(crate) fn map_untracked<const D: usize>(
    param: Param<Tensor<D>>,
    change: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let require_grad = param.is_require_grad();
    param.map(|tensor| {
        let autodiff = tensor.is_autodiff();
        let value = change(tensor.without_autodiff());
        let value = if autodiff { Tensor::from_inner(value) } else { value };
        if require_grad { value.require_grad() } else { value }
    })
}

/// The shape of the first tensor of a module (an erased parameter has just one).
pub(crate) fn shape_of<M: Module>(module: &M) -> Vec<usize> {
    collect(module).into_iter().next().map(|info| info.shape).unwrap_or_default()
}

/// The tensors of one kind in visit order, each once.
pub(super) fn once<M: Module>(module: &M, kind: Kind) -> Vec<ParamInfo> {
    let mut found = tensors(module);
    found.retain(|info| info.kind == kind);
    unique(found)
}

/// Each parameter once, under its first name.
pub(super) fn unique(mut infos: Vec<ParamInfo>) -> Vec<ParamInfo> {
    let mut seen = BTreeSet::new();
    infos.retain(|info| seen.insert(info.id.val()));
    infos
}

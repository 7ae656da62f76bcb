//! What parameters a module has: their names, shapes and owners, in a fixed order.

use std::collections::BTreeSet;

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::tensor::{Bool, DType, Device, Int, Tensor};

/// Whether a tensor of a module is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A parameter, trained unless frozen.
    Parameter,
    /// A buffer: saved, moved between devices, never trained (running statistics, masks).
    Buffer,
}

/// One named tensor of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamInfo {
    /// Dotted path: `encoder.0.weight`.
    pub path: String,
    /// Burn's identity of the parameter.
    pub id: ParamId,
    /// Shape in Burn's layout (a `Linear` weight is `[in, out]`).
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Parameter or buffer.
    pub kind: Kind,
    /// Whether gradients are computed for it.
    pub trainable: bool,
    /// The type of the module that owns it: `Linear`.
    pub layer: String,
}

impl ParamInfo {
    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// The last component of the path: `weight`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// How the shape relates to PyTorch's.
    ///
    /// Originals and masks of a parameter are stored in its layout.
    pub fn layout(&self) -> Layout {
        Layout::of(&self.layer, self.path.split('.'), self.shape.len())
    }
}

/// How a parameter's dimensions lie in memory, against PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// As in PyTorch (output features first).
    Torch,
    /// The last two dimensions swapped: Burn's `Linear` weight is `[in, out]`.
    Transposed,
}

impl Layout {
    /// The layout of a tensor of `layer` by the components of its path.
    pub(crate) fn of<'a>(
        layer: &str,
        path: impl DoubleEndedIterator<Item = &'a str>,
        rank: usize,
    ) -> Self {
        let mut last = path.rev();
        let name = match last.next() {
            // `parametrizations.weight.original0`
            Some(leaf) if leaf.starts_with("original") => last.next().unwrap_or_default(),
            Some(leaf) => leaf.trim_end_matches("_orig").trim_end_matches("_mask"),
            None => "",
        };
        if layer == "Linear" && name == "weight" && rank == 2 {
            Self::Transposed
        } else {
            Self::Torch
        }
    }

    /// Between Burn's layout of a tensor and PyTorch's, both ways.
    pub(crate) fn turn<const D: usize, K: burn::tensor::kind::Basic>(
        self,
        tensor: Tensor<D, K>,
    ) -> Tensor<D, K> {
        if self == Self::Torch || D < 2 {
            return tensor;
        }
        tensor.swap_dims(D.saturating_sub(2), D.saturating_sub(1))
    }

    /// `shape` in PyTorch's order.
    pub fn torch_shape(self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        let n = shape.len();
        if self == Self::Transposed && n >= 2 {
            shape.swap(n - 2, n - 1);
        }
        shape
    }
}

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
    pub(crate) fn container(&self) -> &str {
        self.containers.last().map_or("", String::as_str)
    }
    /// The owner's type without Burn's `Struct:` or `Enum:` prefix.
    pub(crate) fn layer(&self) -> &str {
        let container = self.container();
        container.rsplit(':').next().unwrap_or(container)
    }
}

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
    fn push(&mut self, id: ParamId, shape: &[usize], dtype: DType, kind: Kind, trainable: bool) {
        self.found.push(ParamInfo {
            path: self.walk.path(),
            id,
            shape: shape.to_vec(),
            dtype,
            kind,
            trainable,
            layer: self.walk.layer().to_owned(),
        });
    }
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.walk.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.walk.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (shape, dtype) = (param.lazy_shape().to_vec(), param.val().dtype());
        self.push(param.id, &shape, dtype, Kind::Parameter, param.is_require_grad());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        // A description, no tensor of the network.
        if self.walk.path().ends_with(crate::frame::EXTRA_STATE) {
            return;
        }
        self.push(param.id, &param.dims(), param.val().dtype(), Kind::Buffer, false);
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.push(param.id, &param.dims(), param.val().dtype(), Kind::Buffer, false);
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

/// The shape of the first tensor of a module (an erased parameter has just one).
pub(crate) fn shape_of<M: Module>(module: &M) -> Vec<usize> {
    collect(module).into_iter().next().map(|info| info.shape).unwrap_or_default()
}

/// The parameters of a module by name, as in `torch.nn.Module`. Implemented for every module.
///
/// ```
/// use burn::nn::{BatchNormConfig, LinearConfig};
/// use burn::tensor::Device;
/// use espalier::nn::Sequential;
/// use espalier::ParameterTree;
///
/// let device = Device::default();
/// let net = Sequential::new()
///     .with(LinearConfig::new(4, 3).init(&device))
///     .with(BatchNormConfig::new(3).init(&device));
/// let names: Vec<_> = net.named_parameters().into_iter().map(|p| p.path).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "1.gamma", "1.beta"]);
/// let buffers: Vec<_> = net.named_buffers().into_iter().map(|p| p.path).collect();
/// assert_eq!(buffers, ["1.running_mean", "1.running_var"]);
/// ```
pub trait ParameterTree: Module {
    /// The parameters in visit order, each once.
    fn named_parameters(&self) -> Vec<ParamInfo> {
        once(self, Kind::Parameter)
    }

    /// The buffers in visit order, each once.
    fn named_buffers(&self) -> Vec<ParamInfo> {
        once(self, Kind::Buffer)
    }
}

impl<M: Module> ParameterTree for M {}

fn once<M: Module>(module: &M, kind: Kind) -> Vec<ParamInfo> {
    let mut seen = BTreeSet::new();
    let mut found = tensors(module);
    found.retain(|info| info.kind == kind && seen.insert(info.id.val()));
    found
}

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
#[derive(Clone, Debug)]
pub struct Buffer<const D: usize> {
    id: ParamId,
    value: Tensor<D>,
}

impl<const D: usize> Buffer<D> {
    /// A buffer with this value, cut off from any graph.
    pub fn new(value: Tensor<D>) -> Self {
        Self { id: ParamId::new(), value: contiguous(value) }
    }

    /// The value, untracked.
    pub fn value(&self) -> Tensor<D> {
        self.value.clone()
    }

    /// Replaces the value.
    pub fn set(&mut self, value: Tensor<D>) {
        self.value = contiguous(value);
    }

    fn with(self, value: Tensor<D>) -> Self {
        Self { value, ..self }
    }
}

impl<const D: usize> Module for Buffer<D> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.value.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }
    fn to_device(self, device: &Device) -> Self {
        let value = self.value.clone().to_device(device).detach();
        self.with(value)
    }
    fn train(self) -> Self {
        let value = Tensor::from_inner(self.value.clone().without_autodiff());
        self.with(value)
    }
    fn valid(&self) -> Self {
        self.clone().with(self.value.clone().without_autodiff())
    }
    fn materialize(self) -> Self {
        self
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value.clone()));
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        let id = self.id;
        let value = mapper.map_float(Param::initialized(id, self.value)).into_value();
        Self { id, value: value.detach().set_require_grad(false) }
    }
}

impl<const D: usize> ModuleDisplayDefault for Buffer<D> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_single(&format!("Buffer {:?}", self.value.dims())).optional()
    }
}

impl<const D: usize> ModuleDisplay for Buffer<D> {}

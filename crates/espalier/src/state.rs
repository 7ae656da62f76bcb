//! State dicts: a module's tensors under PyTorch's names, in PyTorch's layout.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use espalier_checkpoint::{self as checkpoint, Checkpoint, Dtype, NamedTensor};

use crate::error::Error;
use crate::tree::{Layout, Walk, contiguous};

/// Whether every name must match: PyTorch's `strict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strict {
    /// Missing and unexpected names are errors.
    #[default]
    Yes,
    /// Missing and unexpected names are passed over; a wrong shape is an error all the same.
    No,
}

/// A module's tensors by name.
///
/// Names and layouts are PyTorch's: `Linear` weights are `[out, in]`, `gamma` and `beta` of norms
/// are `weight` and `bias`, masks are floats. What a [`Parametrized`](crate::Parametrized) computes
/// is saved as its originals; how, as text in the file's metadata.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::state::{StateDict, Strict};
///
/// let device = Device::default();
/// let state = StateDict::of(&LinearConfig::new(4, 3).init(&device));
/// assert_eq!(state.shapes(), [("weight", &[3, 4][..]), ("bias", &[3][..])]);
/// let other = state.load_into(LinearConfig::new(4, 3).init(&device), Strict::Yes)?;
/// assert_eq!(StateDict::of(&other), state);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StateDict(Checkpoint);

/// The metadata key of the description of slots, before the path of the wrapper if it is nested.
const EXTRA: &str = "espalier.extra_state";

impl StateDict {
    /// The tensors of `module`, parameters and buffers, in visit order.
    ///
    /// A tensor that a container lists twice is kept once.
    pub fn of<M: Module>(module: &M) -> Self {
        let mut save =
            Save { walk: TorchWalk::default(), out: Checkpoint::new(), dtype: Dtype::F32 };
        save.out.metadata.insert("format".to_owned(), "pt".to_owned());
        // Burn's running statistics are up to date only after `valid`.
        module.valid().visit(&mut save);
        Self(save.out)
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be read or is not sound.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self(checkpoint::read_safetensors(path.as_ref())?))
    }

    /// Writes a safetensors file, atomically. Equal state dicts give equal bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be written; an older file is then still there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        Ok(checkpoint::write_safetensors(path.as_ref(), &self.0)?)
    }

    /// The named tensors.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.0
    }

    /// Names and shapes in order.
    pub fn shapes(&self) -> Vec<(&str, &[usize])> {
        self.0.iter().map(|tensor| (tensor.name(), tensor.shape())).collect()
    }

    /// How a saved [`Parametrized`](crate::Parametrized) computes its values; see
    /// [`apply_description`](crate::Parametrized::apply_description).
    pub fn description(&self) -> Option<&str> {
        self.0.metadata.get(EXTRA).map(String::as_str)
    }

    /// `module` with its tensors replaced by these, in its own dtypes and on its own device.
    ///
    /// `num_batches_tracked`, which Burn's batch norm has not, is passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] with everything that is missing, unexpected or of another shape. Nothing is
    /// loaded then.
    pub fn load_into<M: Module>(&self, module: M, strict: Strict) -> Result<M, Error> {
        self.fits(&module, strict)?;
        let mut wanted = Wanted::default();
        module.visit(&mut wanted);
        let mut values = BTreeMap::new();
        for name in wanted.found.into_keys() {
            if let Some(tensor) = self.0.get(&name) {
                // Everything is read before anything is changed.
                values.insert(name, (tensor.to_f64_vec()?, tensor.shape().to_vec()));
            }
        }
        Ok(module.map(&mut Load { walk: TorchWalk::default(), values }))
    }

    /// Whether [`load_into`](Self::load_into) would find everything in its shape.
    ///
    /// # Errors
    ///
    /// [`LoadReport`] with everything that does not fit.
    pub fn fits<M: Module>(&self, module: &M, strict: Strict) -> Result<(), LoadReport> {
        let mut wanted = Wanted::default();
        module.visit(&mut wanted);
        let mut report = LoadReport::default();
        let mut names = BTreeSet::new();
        for (name, expected) in wanted.found {
            match self.0.get(&name) {
                None if strict == Strict::Yes => report.missing.push(name.clone()),
                Some(tensor) if tensor.shape() != expected => report.mismatched.push(Mismatch {
                    name: name.clone(),
                    expected,
                    found: tensor.shape().to_vec(),
                }),
                _ => {}
            }
            names.insert(name);
        }
        if strict == Strict::Yes {
            report.unexpected = self
                .0
                .names()
                .filter(|name| !names.contains(*name) && !name.ends_with("num_batches_tracked"))
                .map(str::to_owned)
                .collect();
        }
        for (key, expected) in wanted.extra {
            match self.0.metadata.get(&key) {
                Some(found) if *found != expected => {
                    report.rules.push((expected, found.clone()));
                }
                _ => {}
            }
        }
        if report.is_empty() { Ok(()) } else { Err(report) }
    }
}

/// A tensor of another shape than the module's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The name.
    pub name: String,
    /// The module's shape, in PyTorch's layout.
    pub expected: Vec<usize>,
    /// The state dict's shape.
    pub found: Vec<usize>,
}

/// All that keeps a state dict from being loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Names that the module has and the state dict has not.
    pub missing: Vec<String>,
    /// Names that the state dict has and the module has not.
    pub unexpected: Vec<String>,
    /// Tensors of another shape.
    pub mismatched: Vec<Mismatch>,
    /// Descriptions of the parametrizations, the module's and the state dict's, that differ: the
    /// same originals would give other values.
    pub rules: Vec<(String, String)>,
}

impl LoadReport {
    fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.mismatched.is_empty()
            && self.rules.is_empty()
    }
}

impl std::error::Error for LoadReport {}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state dict does not fit the module; nothing was loaded")?;
        for name in &self.missing {
            write!(f, "\n  missing: `{name}`")?;
            let similar = crate::select::nearest(name, self.unexpected.iter().map(String::as_str));
            if let Some(similar) = similar.first() {
                write!(f, " (the state dict has `{similar}`)")?;
            }
        }
        for name in &self.unexpected {
            write!(f, "\n  unexpected: `{name}`")?;
        }
        for Mismatch { name, expected, found } in &self.mismatched {
            write!(
                f,
                "\n  shape of `{name}`: the module has {expected:?}, the state dict {found:?}"
            )?;
        }
        for (expected, found) in &self.rules {
            write!(f, "\n  parametrizations: the module has {expected}, the state dict {found}")?;
        }
        Ok(())
    }
}

/// Follows a visit and speaks PyTorch's names.
#[derive(Default)]
struct TorchWalk {
    walk: Walk,
    names: Vec<String>,
}

impl TorchWalk {
    fn enter(&mut self, name: &str, container: &str) {
        // `parametrizations.gamma` of a norm stands one level below it.
        let above = self.walk.layer().to_owned();
        self.walk.enter(name, container);
        let layer = self.walk.layer();
        let in_norm =
            NORMS.contains(&layer) || (layer == "ModuleDict" && NORMS.contains(&above.as_str()));
        self.names.push(if in_norm { torch_norm_name(name) } else { name.to_owned() });
    }

    fn exit(&mut self) {
        self.walk.exit();
        self.names.pop();
    }

    fn name(&self) -> String {
        self.names.join(".")
    }

    /// The layout of the tensor being visited: of a `Linear`'s weight, its original or its mask.
    fn layout(&self, rank: usize) -> Layout {
        Layout::of(self.walk.layer(), self.names.iter().map(String::as_str), rank)
    }

    /// The shape under which PyTorch saves what has `shape` here, in its layout already.
    fn saved_shape(&self, shape: &[usize]) -> Vec<usize> {
        let is_scalar = self.walk.layer() == crate::frame::SCALAR_LAYER;
        if is_scalar { Vec::new() } else { shape.to_vec() }
    }
}

/// Burn's layers that say gamma and beta where PyTorch says weight and bias.
const NORMS: [&str; 5] = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RmsNorm"];

fn torch_norm_name(name: &str) -> String {
    for (burn, torch) in [("gamma", "weight"), ("beta", "bias")] {
        if let Some(rest) = name.strip_prefix(burn)
            && (rest.is_empty() || rest.starts_with('_'))
        {
            return format!("{torch}{rest}");
        }
    }
    name.to_owned()
}

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

struct Save {
    walk: TorchWalk,
    out: Checkpoint,
    /// Of the float visited last, which is the one that a mask belongs to.
    dtype: Dtype,
}

impl Save {
    fn push(&mut self, data: TensorData) {
        let Some(dtype) = dtype_of(data.dtype()) else {
            return;
        };
        let shape = self.walk.saved_shape(&data.shape().to_vec());
        let tensor = NamedTensor::new(self.walk.name(), dtype, shape, data.as_bytes().to_vec());
        // Visits name a tensor once, and data has the size of its shape.
        if let Ok(tensor) = tensor {
            let _ = self.out.push(tensor);
        }
    }
}

impl ModuleVisitor for Save {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = self.walk.layout(D).turn(param.val()).into_data();
        self.dtype = dtype_of(data.dtype()).unwrap_or(Dtype::F32);
        self.push(data);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        match extra_state(&self.walk.name(), param) {
            Some((key, text)) => {
                self.out.metadata.insert(key, text);
            }
            None => self.push(param.val().into_data()),
        }
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let data = self.walk.layout(D).turn(param.val()).into_data();
        if self.walk.name().ends_with("_mask") {
            // PyTorch multiplies by its masks: they have the dtype of the weight.
            let float = match self.dtype {
                Dtype::F64 => DType::F64,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                _ => DType::F32,
            };
            let values: Vec<f32> =
                data.iter::<bool>().map(|kept| if kept { 1.0 } else { 0.0 }).collect();
            let shape = data.shape().clone();
            return self.push(TensorData::new(values, shape).convert_dtype(float));
        }
        let values: Vec<u8> = data.iter::<bool>().map(u8::from).collect();
        let tensor = NamedTensor::new(self.walk.name(), Dtype::Bool, data.shape().to_vec(), values);
        if let Ok(tensor) = tensor {
            let _ = self.out.push(tensor);
        }
    }
}

/// The metadata key and the text of a description of slots, if the tensor of that name is one.
fn extra_state<const D: usize>(
    name: &str,
    param: &Param<Tensor<D, Int>>,
) -> Option<(String, String)> {
    let prefix = name.strip_suffix(crate::frame::EXTRA_STATE)?;
    let data = param.val().into_data();
    let bytes: Vec<u8> = data.iter::<i64>().filter_map(|byte| u8::try_from(byte).ok()).collect();
    let key = match prefix.trim_end_matches('.') {
        "" => EXTRA.to_owned(),
        path => format!("{EXTRA}.{path}"),
    };
    Some((key, String::from_utf8_lossy(&bytes).into_owned()))
}

fn dtype_of(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        _ => return None,
    })
}

#[derive(Default)]
struct Wanted {
    walk: TorchWalk,
    found: BTreeMap<String, Vec<usize>>,
    /// Descriptions of slots by metadata key.
    extra: BTreeMap<String, String>,
}

impl Wanted {
    fn push(&mut self, shape: &[usize]) {
        let shape = self.walk.layout(shape.len()).torch_shape(shape);
        self.found.insert(self.walk.name(), self.walk.saved_shape(&shape));
    }
}

impl ModuleVisitor for Wanted {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(&param.lazy_shape().to_vec());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        match extra_state(&self.walk.name(), param) {
            Some((key, text)) => {
                self.extra.insert(key, text);
            }
            None => self.push(&param.lazy_shape().to_vec()),
        }
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.push(&param.lazy_shape().to_vec());
    }
}

struct Load {
    walk: TorchWalk,
    /// Elements and shapes by name.
    values: BTreeMap<String, (Vec<f64>, Vec<usize>)>,
}

impl Load {
    /// The values for the tensor of `rank` being mapped, in PyTorch's layout.
    fn data(&mut self, rank: usize) -> Option<TensorData> {
        let (values, shape) = self.values.remove(&self.walk.name())?;
        // What is saved as a scalar is kept with all dimensions 1.
        Some(TensorData::new(values, if shape.is_empty() { vec![1; rank] } else { shape }))
    }
}

impl ModuleMapper for Load {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.data(D) else {
            return param;
        };
        let layout = self.walk.layout(D);
        let require_grad = param.is_require_grad();
        param.map(|old| {
            let data = data.convert_dtype(old.dtype());
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            let new = contiguous(layout.turn(new));
            if require_grad { new.require_grad() } else { new }
        })
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(data) = self.data(D) else {
            return param;
        };
        param.map(|old| {
            Tensor::from_data(data.convert_dtype(old.dtype()), (&old.device(), old.dtype()))
        })
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let Some(data) = self.data(D) else {
            return param;
        };
        let layout = self.walk.layout(D);
        param.map(|old| {
            let kept: Vec<bool> = data.iter::<f64>().map(|value| value != 0.0).collect();
            let data = TensorData::new(kept, data.shape().clone());
            layout.turn(Tensor::from_data(data, &old.device()))
        })
    }
}

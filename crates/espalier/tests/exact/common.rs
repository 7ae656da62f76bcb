//! What every topic shares: golden files, modules that hold one weight, comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::{Module, ModuleDisplay, ModuleMapper, ModuleVisitor, Param};
use burn::nn::Linear;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use espalier::state::StateDict;
use espalier::{AnyTensor, ParamInfo, ParameterTree, Parametrized};
use espalier_checkpoint::{Checkpoint, NamedTensor};
use serde_json::Value;

pub(crate) const ORIGINAL: &str = "parametrizations.weight.original";
pub(crate) const BASE: &str = "parametrizations.weight.0.base";

pub(crate) fn device() -> Device {
    Device::default().autodiff()
}

/// How far a number may be off: `atol + rtol * |expected|`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) rtol: f64,
    pub(crate) atol: f64,
}

impl Tolerance {
    pub(crate) const EXACT: Self = Self::new(0.0, 0.0);

    pub(crate) const fn new(rtol: f64, atol: f64) -> Self {
        Self { rtol, atol }
    }

    /// `self` for f32, `double` for f64.
    pub(crate) fn or(self, dtype: DType, double: Self) -> Self {
        if dtype == DType::F64 { double } else { self }
    }

    /// For rules that compute each number from few others.
    pub(crate) fn elementwise(dtype: DType) -> Self {
        Self::new(1.3e-6, 1e-5).or(dtype, Self::new(1e-12, 1e-13))
    }
}

/// Every number within the tolerance; NaN exactly where NaN is expected.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: Tolerance) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = tolerance.atol + tolerance.rtol * expected.abs();
        let off = (found - expected).abs();
        assert!(
            off <= allowed || (found.is_nan() && expected.is_nan()),
            "{what}[{index}]: expected {expected:e}, found {found:e}, off by {off:e} where \
             {allowed:e} is allowed"
        );
    }
}

/// The same numbers, told apart to the bit.
#[track_caller]
pub(crate) fn assert_same(what: &str, found: &[f64], expected: &[f64]) {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(found), bits(expected), "{what}: {found:?} {expected:?}");
}

/// One golden file.
pub(crate) struct Golden {
    checkpoint: Checkpoint,
    notes: BTreeMap<String, Value>,
}

impl Golden {
    pub(crate) fn open(topic: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(format!("{topic}.safetensors"));
        let checkpoint = espalier_checkpoint::read_safetensors(&path).unwrap();
        let notes = serde_json::from_str(&checkpoint.metadata["cases"]).unwrap();
        Self { checkpoint, notes }
    }

    /// A case in both element types.
    pub(crate) fn case(&self, name: &str) -> [Case<'_>; 2] {
        [("f32", DType::F32), ("f64", DType::F64)].map(|(tag, dtype)| Case {
            golden: self,
            name: name.to_owned(),
            prefix: format!("{name}.{tag}."),
            dtype,
            note: &self.notes[name],
        })
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.notes.keys().map(String::as_str).collect()
    }

    /// Fails unless `tested` are all cases there are, so that none is passed over.
    #[track_caller]
    pub(crate) fn assert_all_tested(&self, tested: impl IntoIterator<Item = &'static str>) {
        assert_eq!(self.names(), tested.into_iter().collect::<BTreeSet<_>>());
    }
}

/// One case of a golden file, in one element type.
pub(crate) struct Case<'a> {
    golden: &'a Golden,
    pub(crate) name: String,
    prefix: String,
    pub(crate) dtype: DType,
    pub(crate) note: &'a Value,
}

impl Case<'_> {
    /// `case.dtype.what`, for messages.
    pub(crate) fn label(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }

    fn named(&self, what: &str) -> &NamedTensor {
        let key = self.label(what);
        match self.golden.checkpoint.get(&key) {
            Some(tensor) => tensor,
            None => panic!("the golden file has no `{key}`"),
        }
    }

    pub(crate) fn values(&self, what: &str) -> Vec<f64> {
        self.named(what).to_f64_vec().unwrap()
    }

    pub(crate) fn shape(&self, what: &str) -> Vec<usize> {
        self.named(what).shape().to_vec()
    }

    /// The tensor as it is in the file; one without dimensions with as many as asked for.
    pub(crate) fn tensor<const D: usize>(&self, what: &str) -> Tensor<D> {
        let shape = match self.shape(what) {
            shape if shape.is_empty() => vec![1; D],
            shape => shape,
        };
        tensor(&self.values(what), &shape, self.dtype)
    }

    pub(crate) fn kept(&self, what: &str) -> Vec<bool> {
        self.values(what).iter().map(|kept| *kept == 1.0).collect()
    }

    /// A list of texts in the notes.
    pub(crate) fn texts(&self, note: &str) -> Vec<&str> {
        let list = self.note[note].as_array().unwrap();
        list.iter().map(|text| text.as_str().unwrap()).collect()
    }

    /// The names in PyTorch's state dict. geotorch numbers the parts of a product of manifolds;
    /// here their bases are the rule's own.
    pub(crate) fn state_names(&self) -> Vec<String> {
        let names = self.texts("state_dict");
        let product = names.iter().any(|name| name.ends_with(".0.2.base"));
        let ours = |name: &str| match name.strip_suffix(".0.base") {
            Some(rule) if product => format!("{rule}.u_base"),
            Some(rule) if rule.ends_with(".0") => format!("{rule}.base"),
            _ => name.replace(".0.2.base", ".0.v_base"),
        };
        names.into_iter().map(ours).collect()
    }

    /// The entries under `prefix`, without it, as a state dict read from a file.
    pub(crate) fn state_dict(&self, prefix: &str) -> StateDict {
        let start = self.label(prefix);
        let tensors = self.golden.checkpoint.iter();
        read_back(tensors.filter_map(|tensor| {
            let name = tensor.name().strip_prefix(&start)?.to_owned();
            Some(tensor.clone().with_name(name))
        }))
    }

    /// These originals, each from an entry, as a state dict read from a file.
    pub(crate) fn state_dict_of(&self, originals: &[(&str, &str)]) -> StateDict {
        read_back(originals.iter().map(|(original, what)| {
            let name = original.replace("original", ORIGINAL);
            self.named(what).clone().with_name(name)
        }))
    }
}

/// The tensors as a state dict that has been written to a file and read.
pub(crate) fn read_back(tensors: impl Iterator<Item = NamedTensor>) -> StateDict {
    let mut checkpoint = Checkpoint::new();
    tensors.for_each(|tensor| checkpoint.push(tensor).unwrap());
    assert!(!checkpoint.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.safetensors");
    espalier_checkpoint::write_safetensors(&path, &checkpoint).unwrap();
    StateDict::open(&path).unwrap()
}

/// A leaf on the autodiff device.
pub(crate) fn tensor<const D: usize>(values: &[f64], shape: &[usize], dtype: DType) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape.to_vec()).convert_dtype(dtype);
    Tensor::from_data(data, (&device(), dtype))
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A module with one weight of rank `D` and nothing else.
pub(crate) trait Host<const D: usize>: Module + ModuleDisplay + Sync + 'static {
    /// The module with this weight, given in PyTorch's layout.
    fn holding(weight: Tensor<D>) -> Self;

    /// The weight as the module has it.
    fn weight(&self) -> Tensor<D>;

    /// Between the module's layout and PyTorch's, both ways.
    fn turn(tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }
}

impl Host<2> for Linear {
    fn holding(weight: Tensor<2>) -> Self {
        let weight = Param::from_tensor(Self::turn(weight).detach());
        Self { weight, bias: None }
    }
    fn weight(&self) -> Tensor<2> {
        self.weight.val()
    }
    fn turn(tensor: Tensor<2>) -> Tensor<2> {
        tensor.transpose()
    }
}

impl Host<4> for Conv2d {
    fn holding(weight: Tensor<4>) -> Self {
        let [outputs, inputs, height, width] = weight.dims();
        let conv =
            Conv2dConfig::new([inputs, outputs], [height, width]).with_bias(false).init(&device());
        let weight = Param::from_tensor(weight.detach());
        Self { weight, ..conv }
    }
    fn weight(&self) -> Tensor<4> {
        self.weight.val()
    }
}

impl Host<4> for ConvTranspose2d {
    fn holding(weight: Tensor<4>) -> Self {
        let [inputs, outputs, height, width] = weight.dims();
        let config = ConvTranspose2dConfig::new([inputs, outputs], [height, width]);
        let weight = Param::from_tensor(weight.detach());
        Self { weight, ..config.with_bias(false).init(&device()) }
    }
    fn weight(&self) -> Tensor<4> {
        self.weight.val()
    }
}

/// One free weight of any rank: a stack of matrices, or a vector.
#[derive(Module, Debug)]
pub(crate) struct Holder<const D: usize> {
    weight: Param<Tensor<D>>,
}

impl<const D: usize> Host<D> for Holder<D> {
    fn holding(weight: Tensor<D>) -> Self {
        let weight = Param::from_tensor(weight.detach());
        Self { weight }
    }
    fn weight(&self) -> Tensor<D> {
        self.weight.val()
    }
}

/// Follows the names of a walk through a module.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn path(&self) -> String {
        self.0.join(".")
    }
}

struct Read<'a> {
    names: Names,
    path: &'a str,
    found: Option<AnyTensor>,
}

impl ModuleVisitor for Read<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.names.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.0.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.names.path() == self.path {
            self.found = Some(param.val().into());
        }
    }
}

/// The stored tensor (an original, a base) at `path`.
#[track_caller]
pub(crate) fn stored<const D: usize, M: Module>(module: &M, path: &str) -> Tensor<D> {
    let mut read = Read { names: Names::default(), path, found: None };
    module.visit(&mut read);
    match read.found {
        Some(tensor) => tensor.into_rank().unwrap(),
        None => panic!("nothing is stored at `{path}`"),
    }
}

struct Put<'a> {
    names: Names,
    path: &'a str,
    value: AnyTensor,
    done: bool,
}

impl ModuleMapper for Put<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.names.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.0.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.names.path() != self.path {
            return param;
        }
        self.done = true;
        let trained = param.is_require_grad();
        param.map(|old| {
            let new = self.value.clone().into_rank::<D>().unwrap().detach();
            assert_eq!(new.dims(), old.dims());
            new.set_require_grad(trained)
        })
    }
}

/// The module with `value` stored at `path`.
#[track_caller]
pub(crate) fn put<const D: usize, M: Module>(module: M, path: &str, value: Tensor<D>) -> M {
    let mut put = Put { names: Names::default(), path, value: value.into(), done: false };
    let module = module.map(&mut put);
    assert!(put.done, "nothing is stored at `{path}`");
    module
}

/// The numbers stored at `path`, of any rank.
#[track_caller]
pub(crate) fn stored_values<M: Module>(module: &M, path: &str) -> Vec<f64> {
    let mut read = Read { names: Names::default(), path, found: None };
    module.visit(&mut read);
    match read.found {
        Some(tensor) => tensor.to_data().iter::<f64>().collect(),
        None => panic!("nothing is stored at `{path}`"),
    }
}

struct PutValues<'a> {
    names: Names,
    path: &'a str,
    values: &'a [f64],
}

impl ModuleMapper for PutValues<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.names.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.0.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.names.path() != self.path {
            return param;
        }
        let trained = param.is_require_grad();
        param
            .map(|old| tensor::<D>(self.values, &old.dims(), old.dtype()).set_require_grad(trained))
    }
}

/// The module with these numbers stored at `path`, whatever its rank.
pub(crate) fn put_values<M: Module>(module: M, path: &str, values: &[f64]) -> M {
    module.map(&mut PutValues { names: Names::default(), path, values })
}

/// The numbers of the gradient of a parameter of any rank.
#[track_caller]
pub(crate) fn gradient_values(grads: &GradientsParams, info: &ParamInfo) -> Vec<f64> {
    let found = match info.shape.len() {
        1 => grads.get::<1>(info.id).map(values),
        2 => grads.get::<2>(info.id).map(values),
        3 => grads.get::<3>(info.id).map(values),
        _ => grads.get::<4>(info.id).map(values),
    };
    found.unwrap_or_else(|| panic!("no gradient for {}", info.path))
}

/// The gradient of the parameter at `path`.
#[track_caller]
pub(crate) fn gradient<const D: usize, M: Module>(
    module: &M,
    grads: &GradientsParams,
    path: &str,
) -> Tensor<D> {
    let parameters = module.named_parameters();
    let info = parameters.iter().find(|info| info.path == path);
    let id = info.expect("a parameter of that name").id;
    grads.get::<D>(id).expect("a gradient of that rank")
}

/// What a call that must change nothing may not change.
pub(crate) fn everything<M: Module>(net: &Parametrized<M>) -> (StateDict, String) {
    (StateDict::of(net), net.description())
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| old.detach().cast(self.0).detach().require_grad())
    }
}

/// The module with all its parameters in this element type.
pub(crate) fn cast<M: Module>(module: M, dtype: DType) -> M {
    module.map(&mut Cast(dtype))
}

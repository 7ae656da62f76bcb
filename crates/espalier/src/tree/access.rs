//! Reading and writing the tensors of a module by path.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};

use super::info::{Kind, ParamInfo};
use super::nested::Tree;
use super::report::{DtypeMismatch, ShapeMismatch, TreeReport};
use super::walk::{self, Walk, follow_walk};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;
use crate::select::Selector;

/// Burn's running statistics take in their last update only when `valid` is called; a value read
/// or set before that would be a step old, or be overwritten by it.
fn synchronize<M: Module>(module: &M, infos: &[ParamInfo]) {
    if infos.iter().any(|info| info.kind == Kind::Buffer && info.dtype.is_float()) {
        let _ = module.valid();
    }
}

/// The tensor of that kind at `path`.
pub(super) fn find<M: Module>(module: &M, path: &str, kind: Kind) -> Result<ParamInfo, Error> {
    let mut infos = walk::tensors(module);
    match infos.iter().position(|info| info.path == path) {
        Some(index) if infos[index].kind == kind => {
            infos[index].require_initialized()?;
            Ok(infos.swap_remove(index))
        }
        Some(_) => Err(Error::Kind { path: path.to_owned(), expected: kind }),
        None => {
            infos.retain(|info| info.kind == kind);
            let Err(error) = Selector::path(path).select_from(&infos) else {
                unreachable!("the path is not among them")
            };
            Err(error)
        }
    }
}

fn of_rank<const D: usize>(info: &ParamInfo) -> Result<(), Error> {
    if info.shape.len() == D {
        return Ok(());
    }
    Err(Error::PathRank { path: info.path.clone(), expected: D, found: info.shape.clone() })
}

/// Collects float tensors with their paths.
struct Floats<'a> {
    only: Option<&'a str>,
    walk: Walk,
    found: Vec<(String, AnyTensor)>,
}

impl ModuleVisitor for Floats<'_> {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.walk.path();
        if self.only.is_none_or(|only| only == path) {
            self.found.push((path, param.val().into()));
        }
    }
}

/// The float tensors of `module` by path, tracked, in visit order.
pub(crate) fn floats<M: Module>(module: &M) -> Vec<(String, AnyTensor)> {
    let mut floats = Floats { only: None, walk: Walk::default(), found: Vec::new() };
    module.visit(&mut floats);
    floats.found
}

/// The tensor of `kind` at `path`.
pub(super) fn get<M: Module, const D: usize>(
    module: &M,
    path: &str,
    kind: Kind,
) -> Result<Tensor<D>, Error> {
    let info = find(module, path, kind)?;
    of_rank::<D>(&info)?;
    if kind == Kind::Buffer {
        synchronize(module, std::slice::from_ref(&info));
    }
    let mut floats = Floats { only: Some(path), walk: Walk::default(), found: Vec::new() };
    module.visit(&mut floats);
    match floats.found.into_iter().next() {
        Some((_, value)) => value.into_rank(),
        None => Err(Error::NotFloat { path: path.to_owned(), found: info.dtype }),
    }
}

/// What is put in the place of a tensor.
enum Value {
    Tensor(AnyTensor),
    Data(TensorData),
}

/// Replaces values by id, so that every name of a shared parameter is given its new value. Ids,
/// dtypes, devices, trainability, load and save mappers stay.
struct Write(BTreeMap<u64, Value>);

impl ModuleMapper for Write {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.0.get(&param.id.val()) else {
            return param;
        };
        let require_grad = param.is_require_grad();
        param.map(|old| {
            let value = match value {
                Value::Tensor(value) => value.clone(),
                Value::Data(data) => {
                    let data = data.clone().convert_dtype(old.dtype());
                    let plain = (&old.device(), old.dtype());
                    Tensor::<D>::from_data(data, plain).without_autodiff().into()
                }
            };
            match value.conform(&old.into()).into_rank::<D>() {
                Ok(new) if require_grad => new.require_grad(),
                Ok(new) => new,
                Err(_) => unreachable!("shapes are compared before anything is written"),
            }
        })
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        match self.0.get(&param.id.val()) {
            Some(Value::Data(data)) => param.map(|old| {
                let data = data.clone().convert_dtype(old.dtype());
                Tensor::from_data(data, (&old.device(), old.dtype()))
            }),
            _ => param,
        }
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        match self.0.get(&param.id.val()) {
            Some(Value::Data(data)) => {
                param.map(|old| Tensor::from_data(data.clone(), &old.device()))
            }
            _ => param,
        }
    }
}

fn write<M: Module>(module: &mut M, values: BTreeMap<u64, Value>) {
    *module = module.clone().map(&mut Write(values));
}

/// Sets the tensor of `kind` at `path`.
pub(super) fn set<M: Module>(
    module: &mut M,
    path: &str,
    value: AnyTensor,
    kind: Kind,
) -> Result<(), Error> {
    let info = find(module, path, kind)?;
    if !info.dtype.is_float() {
        return Err(Error::NotFloat { path: info.path, found: info.dtype });
    }
    let found = value.dims();
    if found != info.shape {
        return Err(Error::Shape { path: info.path, expected: info.shape, found });
    }
    if kind == Kind::Buffer {
        synchronize(module, std::slice::from_ref(&info));
    }
    write(module, BTreeMap::from([(info.id.val(), Value::Tensor(value))]));
    Ok(())
}

/// The gradient of the parameter at `path`, and what is known of it.
pub(super) fn gradient<M: Module, const D: usize>(
    module: &M,
    path: &str,
    grads: &GradientsParams,
) -> Result<(ParamInfo, Option<Tensor<D>>), Error> {
    let info = find(module, path, Kind::Parameter)?;
    // Burn panics if a gradient is asked for with another rank.
    of_rank::<D>(&info)?;
    let grad = grads.get::<D>(info.id);
    Ok((info, grad))
}

/// The parameters with `f`'s view of their values, each once, nested.
pub(super) fn tree_map<M: Module, T>(
    module: &M,
    mut f: impl FnMut(&ParamInfo, &AnyTensor) -> T,
) -> Tree<T> {
    let values: BTreeMap<String, AnyTensor> = floats(module).into_iter().collect();
    let infos = walk::once(module, Kind::Parameter);
    let with_value = |info: ParamInfo| {
        let value = f(&info, &values.get(&info.path)?.detach());
        Some((info.path, value))
    };
    infos.into_iter().filter_map(with_value).collect()
}

/// The gradients that there are, nested as the parameters.
pub(super) fn gradients<M: Module>(module: &M, grads: &GradientsParams) -> Tree<AnyTensor> {
    let grad = |info: ParamInfo| {
        let grad: Option<AnyTensor> = with_rank!(info.shape.len(), D => {
            grads.get::<D>(info.id).map(AnyTensor::from)
        }, else None);
        Some((info.path, grad?))
    };
    walk::once(module, Kind::Parameter).into_iter().filter_map(grad).collect()
}

/// Puts a tree of values in the place of the parameters.
pub(super) fn set_tree<M: Module>(module: &mut M, tree: &Tree<AnyTensor>) -> Result<(), Error> {
    let infos = walk::once(module, Kind::Parameter);
    let mut report = TreeReport::default();
    let mut values = BTreeMap::new();
    for info in &infos {
        match tree.get(&info.path) {
            None => report.missing.push(info.path.clone()),
            Some(value) if value.dims() != info.shape => report.shapes.push(ShapeMismatch {
                path: info.path.clone(),
                expected: info.shape.clone(),
                found: value.dims(),
            }),
            Some(value) => {
                values.insert(info.id.val(), Value::Tensor(value.clone()));
            }
        }
    }
    let mut paths = tree.paths();
    paths.retain(|path| !infos.iter().any(|info| info.path == *path));
    report.unexpected = paths;
    report.finish()?;
    write(module, values);
    Ok(())
}

/// Collects every tensor's values.
#[derive(Default)]
struct Data {
    walk: Walk,
    found: Vec<TensorData>,
}

impl ModuleVisitor for Data {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(param.val().into_data());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        if !self.walk.is_description() {
            self.found.push(param.val().into_data());
        }
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.found.push(param.val().into_data());
    }
}

/// The tensors in visit order, each once, and their values.
fn weights<M: Module>(module: &M) -> (Vec<ParamInfo>, Vec<TensorData>) {
    let infos = walk::tensors(module);
    synchronize(module, &infos);
    let mut data = Data::default();
    module.visit(&mut data);
    let mut first: Vec<ParamInfo> = Vec::new();
    let mut values = Vec::new();
    for (info, value) in infos.into_iter().zip(data.found) {
        if first.iter().all(|seen| seen.id != info.id) {
            first.push(info);
            values.push(value);
        }
    }
    (first, values)
}

pub(super) fn get_weights<M: Module>(module: &M) -> Vec<TensorData> {
    weights(module).1
}

fn same_kind(a: DType, b: DType) -> bool {
    let is_int = |dtype: DType| dtype.is_int() || dtype.is_uint();
    (a.is_float() && b.is_float()) || (is_int(a) && is_int(b)) || (a.is_bool() && b.is_bool())
}

pub(super) fn set_weights<M: Module>(module: &mut M, arrays: Vec<TensorData>) -> Result<(), Error> {
    let infos = walk::unique(walk::tensors(module));
    let mut report = TreeReport {
        missing: infos.iter().skip(arrays.len()).map(|info| info.path.clone()).collect(),
        unexpected: (infos.len()..arrays.len()).map(|index| format!("array {index}")).collect(),
        ..TreeReport::default()
    };
    for (info, array) in infos.iter().zip(&arrays) {
        let path = || info.path.clone();
        let (dtype, shape) = (array.dtype(), array.shape().to_vec());
        if shape != info.shape {
            let expected = info.shape.clone();
            report.shapes.push(ShapeMismatch { path: path(), expected, found: shape });
        }
        if !same_kind(info.dtype, dtype) {
            report.dtypes.push(DtypeMismatch { path: path(), expected: info.dtype, found: dtype });
        }
    }
    report.finish()?;
    synchronize(module, &infos);
    let ids = infos.iter().map(|info| info.id.val());
    write(module, ids.zip(arrays.into_iter().map(Value::Data)).collect());
    Ok(())
}

//! Reaching single parameters of a module by path.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::erase::{AnyModule, AnyTensor, with_rank};
use crate::tree::{Buffer, Walk, follow_walk};

/// Takes clones of parameters out of a module, `Param` and all (id, load and save mappers).
struct Extract<'a> {
    paths: &'a [&'a str],
    walk: Walk,
    found: BTreeMap<String, AnyModule>,
}

impl ModuleVisitor for Extract<'_> {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.walk.path();
        if self.paths.contains(&path.as_str()) {
            self.found.insert(path, AnyModule::new(param.clone()));
        }
    }
}

/// The float parameters at `paths`, as erased `Param<Tensor<D>>`s.
pub(super) fn extract<M: Module>(module: &M, paths: &[&str]) -> BTreeMap<String, AnyModule> {
    let mut extract = Extract { paths, walk: Walk::default(), found: BTreeMap::new() };
    if !paths.is_empty() {
        module.visit(&mut extract);
    }
    extract.found
}

/// Replaces the values of float parameters; ids and load and save mappers stay.
struct Replace {
    values: BTreeMap<String, AnyTensor>,
    walk: Walk,
}

impl ModuleMapper for Replace {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // A running statistic is mapped too, and must come back as it was.
        match self.values.remove(&self.walk.path()).map(AnyTensor::into_rank::<D>) {
            Some(Ok(value)) => {
                let (id, _, mapper) = param.consume();
                Param::from_mapped_value(id, value, mapper)
            }
            _ => param,
        }
    }
}

/// `module` with the float parameters at these paths holding these tensors.
pub(super) fn replace<M: Module>(module: M, values: BTreeMap<String, AnyTensor>) -> M {
    if values.is_empty() {
        return module;
    }
    module.map(&mut Replace { values, walk: Walk::default() })
}

/// Puts erased parameters in the places of those at their paths, ids and mappers included.
struct Restore {
    params: BTreeMap<String, AnyModule>,
    walk: Walk,
}

impl ModuleMapper for Restore {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.params.remove(&self.walk.path()) {
            Some(restored) => match restored.get::<Buffer<D>>() {
                Some(buffer) => Param::initialized(param.id, buffer.value()),
                None => restored.get::<Param<Tensor<D>>>().cloned().unwrap_or(param),
            },
            None => param,
        }
    }
}

/// `module` with these erased `Param<Tensor<D>>`s at their paths.
pub(super) fn restore<M: Module>(module: M, params: BTreeMap<String, AnyModule>) -> M {
    if params.is_empty() {
        return module;
    }
    module.map(&mut Restore { params, walk: Walk::default() })
}

/// The value, id and trainability of an erased float parameter.
pub(super) struct Leaf {
    pub(super) value: AnyTensor,
    pub(super) id: ParamId,
    pub(super) require_grad: bool,
}

#[derive(Default)]
struct Read(Option<Leaf>);

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 = Some(Leaf {
            value: param.val().into(),
            id: param.id,
            require_grad: param.is_require_grad(),
        });
    }
}

/// What an erased `Param<Tensor<D>>` holds.
pub(super) fn read(param: &AnyModule) -> Leaf {
    let mut read = Read::default();
    param.visit(&mut read);
    match read.0 {
        Some(leaf) => leaf,
        None => unreachable!("only float parameters are extracted"),
    }
}

/// A new leaf parameter (or buffer) with `value`, trained, loaded and saved like `like`.
///
/// It keeps the id of `like` if `keep_id` and the shape and dtype agree, since optimizer state is
/// kept under ids and has the parameter's shape.
pub(super) fn leaf_like(like: &AnyModule, value: &AnyTensor, keep_id: bool) -> AnyModule {
    let old = read(like);
    let same = old.value.dims() == value.dims();
    let id = if keep_id && same { old.id } else { ParamId::new() };
    with_rank!(value.rank(), D => {
        let tensor = match value.conform(&old.value).into_rank::<D>() {
            Ok(tensor) => tensor,
            Err(_) => unreachable!("the rank was asked for"),
        };
        if like.type_name() == "Buffer" {
            return AnyModule::new(Buffer::with_id(id, tensor));
        }
        let tensor = if old.require_grad { tensor.require_grad() } else { tensor };
        let mapper = like.get::<Param<Tensor<D>>>().map(|param| param.clone().consume().2);
        AnyModule::new(match mapper {
            Some(mapper) => Param::from_mapped_value(id, tensor, mapper),
            None => Param::initialized(id, tensor),
        })
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// The parameter without its values: zeros of shape `dims` that occupy one element.
///
/// Trainability, load and save mappers stay.
pub(super) fn shell(param: &AnyModule, dims: &[usize], id: ParamId) -> AnyModule {
    let old = read(param).value;
    with_rank!(dims.len(), D => {
        let Ok(dims) = <[usize; D]>::try_from(dims) else { unreachable!("the rank was asked for") };
        let one = Tensor::<D>::zeros([1; D], (&old.device(), old.dtype()));
        let zeros = if dims.contains(&0) {
            Tensor::zeros(dims, (&old.device(), old.dtype()))
        } else {
            one.expand(dims)
        };
        let mapper = param.get::<Param<Tensor<D>>>().map(|param| param.clone().consume().2);
        AnyModule::new(match mapper {
            Some(mapper) => Param::from_mapped_value(id, zeros, mapper),
            None => Param::initialized(id, zeros),
        })
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// An erased float parameter as an erased [`Buffer`].
pub(super) fn as_buffer(param: &AnyModule) -> AnyModule {
    let Leaf { value, id, .. } = read(param);
    with_rank!(value.rank(), D => match value.into_rank::<D>() {
        Ok(tensor) => AnyModule::new(Buffer::with_id(id, tensor)),
        Err(_) => unreachable!("the rank was asked for"),
    }, else unreachable!("tensors have up to eight dimensions"))
}

struct Train(bool);

impl ModuleMapper for Train {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(self.0)
    }
}

/// An erased parameter that is trained, or not.
pub(super) fn trained(param: AnyModule, trained: bool) -> AnyModule {
    param.map(&mut Train(trained))
}

//! How the value of one path is computed.

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::Tensor;

use super::access::read;
use crate::erase::{AnyModule, AnyTensor, with_rank};
use crate::parametrize::{Link, WeightNormLink};
use crate::prune::Mask;
use crate::tree::{Layout, Walk};

/// What stands at a path of the template in place of a plain parameter.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// Computed from originals of its own.
    Computed(Computed),
    /// Another path's value.
    Tied(Tied),
}

/// A chain of links from one or several originals, then a mask.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    /// Erased `Param<Tensor<D>>`s.
    pub(super) originals: Vec<AnyModule>,
    /// Applied in order. Empty for a parameter that is only pruned.
    pub(super) links: Vec<Link>,
    /// An erased `Mask<D>`, applied last.
    pub(super) mask: Option<AnyModule>,
    /// Whether links may change shape and dtype.
    pub(super) is_unsafe: bool,
    /// The layout of the parameter.
    pub(super) layout: Layout,
    /// Burn's name for the type of the owner, passed on to visitors.
    pub(super) container: String,
}

#[derive(Debug, Clone)]
pub(super) struct Tied {
    /// The parameter that was there, without its values.
    pub(super) shell: AnyModule,
    /// The path whose value this is: never itself a tie.
    pub(super) to: String,
    /// Whether the last two dimensions are swapped.
    pub(super) transposed: bool,
}

impl Computed {
    /// The value of the chain, before the mask.
    pub(super) fn dense(&self) -> AnyTensor {
        let mut values: Vec<AnyTensor> =
            self.originals.iter().map(|original| read(original).value).collect();
        for link in &self.links {
            values = match link.forward(&values) {
                Ok(value) => vec![value],
                // Registration has run this very chain.
                Err(error) => unreachable!("a registered chain computes: {error}"),
            };
        }
        match values.into_iter().next() {
            Some(value) => value,
            None => unreachable!("a slot has at least one original"),
        }
    }

    /// The value of the path.
    pub(super) fn value(&self) -> AnyTensor {
        let dense = self.dense();
        match &self.mask {
            Some(mask) => apply_mask(mask, dense),
            None => dense,
        }
    }

    /// The name of original `index` under `parametrizations.NAME`, as in PyTorch.
    fn original_name(&self, index: usize) -> String {
        if self.originals.len() == 1 { "original".to_owned() } else { format!("original{index}") }
    }

    /// Enters the names under which the originals, the state of the links and the mask are saved,
    /// calling `at` for each with its owner entered.
    fn parts(&mut self, name: &str, mut at: impl FnMut(Part<'_>, &[(&str, &str)])) {
        let container = self.container.clone();
        let owner = container.as_str();
        if self.links.is_empty() {
            let original = format!("{name}_orig");
            for param in &mut self.originals {
                at(Part::Original(param), &[(&original, owner)]);
            }
        } else {
            let whole = self.links[0].get::<WeightNormLink>().is_some_and(WeightNormLink::is_whole);
            for index in 0..self.originals.len() {
                let leaf = self.original_name(index);
                let holder = if whole && index == 0 { SCALAR } else { owner };
                let names = [(PARAMETRIZATIONS, owner), (name, MODULE_DICT), (&*leaf, holder)];
                at(Part::Original(&mut self.originals[index]), &names);
            }
            for (index, link) in self.links.iter_mut().enumerate() {
                let leaf = index.to_string();
                let names = [(PARAMETRIZATIONS, owner), (name, MODULE_DICT), (&*leaf, LIST)];
                at(Part::Link(link), &names);
            }
        }
        if let Some(mask) = &mut self.mask {
            let leaf = format!("{name}_mask");
            at(Part::Mask(mask), &[(&leaf, owner)]);
        }
    }

    /// Visits originals, link state and mask under their saved names.
    pub(super) fn visit<V: ModuleVisitor>(&self, name: &str, visitor: &mut V) {
        // Clones share their tensors; this saves a second copy of the naming scheme.
        self.clone().parts(name, |part, names| {
            for (name, container) in names {
                visitor.enter_module(name, container);
            }
            match part {
                Part::Original(module) | Part::Mask(module) => module.visit(visitor),
                Part::Link(link) => link.visit(visitor),
            }
            for (name, container) in names.iter().rev() {
                visitor.exit_module(name, container);
            }
        });
    }

    /// Maps originals, link state and mask under their saved names.
    pub(super) fn map<V: ModuleMapper>(&mut self, name: &str, mapper: &mut V) {
        self.parts(name, |part, names| {
            for (name, container) in names {
                mapper.enter_module(name, container);
            }
            part.change(|module| module.map(mapper));
            for (name, container) in names.iter().rev() {
                mapper.exit_module(name, container);
            }
        });
    }

    /// Applies `change` to every part.
    pub(super) fn change(mut self, mut change: impl FnMut(AnyModule) -> AnyModule) -> Self {
        self.parts("", |part, _| part.change(&mut change));
        self
    }

    pub(super) fn collect_devices(&self, mut devices: Devices) -> Devices {
        for original in self.originals.iter().chain(&self.mask) {
            devices = original.collect_devices(devices);
        }
        self.links.iter().fold(devices, |devices, link| link.collect_devices(devices))
    }
}

const PARAMETRIZATIONS: &str = "parametrizations";
const MODULE_DICT: &str = "Struct:ModuleDict";
const LIST: &str = "Struct:ParametrizationList";
/// Tells state dicts of an original that is one number, which has no dimensions in PyTorch.
const SCALAR: &str = "Struct:Scalar";
pub(crate) const SCALAR_LAYER: &str = "Scalar";

enum Part<'a> {
    Original(&'a mut AnyModule),
    Link(&'a mut Link),
    Mask(&'a mut AnyModule),
}

impl Part<'_> {
    fn change(self, change: impl FnOnce(AnyModule) -> AnyModule) {
        match self {
            Part::Original(module) | Part::Mask(module) => take(module, change),
            Part::Link(link) => take(link.module_mut(), change),
        }
    }
}

/// Changes a module in place. It is moved, not cloned: a clone would keep its tensors shared while
/// an optimizer wants to update them in place.
fn take(module: &mut AnyModule, change: impl FnOnce(AnyModule) -> AnyModule) {
    let owned = std::mem::replace(module, AnyModule::new(crate::nn::Flatten::new()));
    *module = change(owned);
}

/// `dense` with exact zeros where `mask` (an erased `Mask<D>`) prunes.
pub(super) fn apply_mask(mask: &AnyModule, dense: AnyTensor) -> AnyTensor {
    with_rank!(dense.rank(), D => match (mask.get::<Mask<D>>(), dense.into_rank::<D>()) {
        (Some(mask), Ok(dense)) => mask.apply(dense).into(),
        _ => unreachable!("a mask has the rank of its tensor"),
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// A tensor of any rank as a mask of the same rank, kept where true; the layout is PyTorch's.
pub(super) fn make_mask(kept: &[bool], like: &AnyTensor, layout: Layout) -> AnyModule {
    let torch = layout.torch_shape(&like.dims());
    with_rank!(like.rank(), D => {
        let data = burn::tensor::TensorData::new(kept.to_vec(), torch);
        let kept = Tensor::<D, burn::tensor::Bool>::from_data(data, &like.device());
        AnyModule::new(Mask::keeping(layout.turn(kept)))
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// The kept positions of an erased mask in PyTorch's layout.
pub(super) fn kept(mask: &AnyModule, rank: usize, layout: Layout) -> Vec<bool> {
    with_rank!(rank, D => match mask.get::<Mask<D>>() {
        Some(mask) => layout.turn(mask.kept()).into_data().iter::<bool>().collect(),
        None => unreachable!("a mask has the rank of its tensor"),
    }, else unreachable!("tensors have up to eight dimensions"))
}

impl Slot {
    pub(super) fn change(self, change: impl FnMut(AnyModule) -> AnyModule) -> Self {
        match self {
            Self::Computed(computed) => Self::Computed(computed.change(change)),
            Self::Tied(mut tied) => {
                take(&mut tied.shell, change);
                Self::Tied(tied)
            }
        }
    }
}

/// Finds the Burn container name of the owner of `path`.
pub(super) struct OwnerOf<'a> {
    pub(super) path: &'a str,
    pub(super) walk: Walk,
    pub(super) owner: Option<String>,
}

impl ModuleVisitor for OwnerOf<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.walk.enter(name, container);
        if self.walk.path() == self.path {
            self.owner = Some(container.to_owned());
        }
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.walk.exit();
    }
}

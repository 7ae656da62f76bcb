//! How the value of one path is computed.

use std::sync::Arc;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use espalier_kernels::Bits;

use super::access::read;
use super::purpose::Purpose;
use super::stored::{Away, MaskMode};
use crate::erase::{AnyModule, AnyTensor, with_rank};
use crate::parametrize::{Link, RuleError, WeightNormLink};
use crate::prune::{Mask, in_force};
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
    /// At least one.
    pub(super) originals: Vec<Original>,
    /// Applied in order. Empty for a parameter that is only pruned.
    pub(super) links: Vec<Link>,
    /// An erased `Mask<D>`, applied last.
    pub(super) mask: Option<AnyModule>,
    /// How the mask should be held.
    pub(super) mode: MaskMode,
    /// What the mask took out of the original, if the original holds its zeros.
    pub(super) away: Option<Away>,
    /// Whether links may change shape and dtype.
    pub(super) is_unsafe: bool,
    /// The layout of the parameter.
    pub(super) layout: Layout,
    /// Burn's name for the type of the owner, passed on to visitors.
    pub(super) container: String,
}

/// What a chain starts from.
#[derive(Debug, Clone)]
pub(super) enum Original {
    /// An erased `Param<Tensor<D>>`, or a `Buffer<D>` where the path is a buffer.
    Leaf(AnyModule),
    /// Computed itself: the parametrization is parametrized.
    Nested(Box<Computed>),
}

impl Original {
    /// The present value.
    pub(super) fn value(&self) -> AnyTensor {
        self.value_in(Pass::Reading)
    }

    fn value_in(&self, pass: Pass) -> AnyTensor {
        match self {
            Self::Leaf(leaf) => read(leaf).value,
            Self::Nested(computed) => computed.value_in(pass),
        }
    }

    /// The leaves that it comes from, in order.
    pub(super) fn leaves(&self) -> Vec<&AnyModule> {
        match self {
            Self::Leaf(leaf) => vec![leaf],
            Self::Nested(computed) => computed.leaves(),
        }
    }
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
    /// The value of the chain, before the mask; of an original that holds the zeros, with them.
    pub(super) fn dense(&self) -> AnyTensor {
        self.dense_of(self.originals.iter().map(Original::value).collect(), Pass::Reading)
    }

    /// As [`dense`](Self::dense), from these values of the originals.
    fn dense_of(&self, originals: Vec<AnyTensor>, pass: Pass) -> AnyTensor {
        match chain(&self.links, originals, pass) {
            Ok(value) => value,
            // Registration has run this very chain.
            Err(error) => unreachable!("a registered chain computes: {error}"),
        }
    }

    /// The value of the path from these values of the originals.
    pub(super) fn value_of(&self, originals: Vec<AnyTensor>, pass: Pass) -> AnyTensor {
        let dense = self.dense_of(originals, pass);
        match &self.mask {
            Some(mask) if self.away.is_some() => guard(mask, dense),
            Some(mask) => apply_mask(mask, dense),
            None => dense,
        }
    }

    /// The shape of the value.
    pub(super) fn dims(&self) -> Vec<usize> {
        match self.originals.as_slice() {
            [Original::Leaf(leaf)] if self.links.is_empty() => read(leaf).value.dims(),
            [Original::Nested(inner)] if self.links.is_empty() => inner.dims(),
            _ => self.dense().dims(),
        }
    }

    /// The leaf parameters that it is computed from, in order.
    pub(super) fn leaves(&self) -> Vec<&AnyModule> {
        self.originals.iter().flat_map(Original::leaves).collect()
    }

    /// The value of the path.
    pub(super) fn value(&self) -> AnyTensor {
        self.value_in(Pass::Reading)
    }

    pub(super) fn value_in(&self, pass: Pass) -> AnyTensor {
        self.value_of(self.originals.iter().map(|o| o.value_in(pass)).collect(), pass)
    }

    /// The type of the layer that the parameter belongs to.
    pub(super) fn layer(&self) -> &str {
        layer_of(&self.container)
    }

    /// The name of original `index` under `parametrizations.NAME`, as in PyTorch.
    pub(super) fn original_name(&self, index: usize) -> String {
        if self.originals.len() == 1 { "original".to_owned() } else { format!("original{index}") }
    }

    /// The type that visitors are told for the owner of original `index`.
    pub(super) fn holder(&self, index: usize) -> &str {
        let whole = self.links.first().and_then(Link::get).is_some_and(WeightNormLink::is_whole);
        if whole && index == 0 { SCALAR } else { &self.container }
    }

    /// Calls `at` with the originals, the state of the links and the mask, and with the names under
    /// which each is saved and their owners: `names` and those below.
    fn parts(&mut self, names: &[(&str, &str)], name: &str, at: &mut At<'_>) {
        let container = self.container.clone();
        let owner = container.as_str();
        if self.links.is_empty() {
            let original = format!("{name}_orig");
            for param in &mut self.originals {
                match param {
                    Original::Leaf(leaf) => {
                        let part = match &mut self.away {
                            Some(away) => Part::Masked(leaf, away),
                            None => Part::Leaf(leaf),
                        };
                        at(part, &[names, &[(&original, owner)]].concat());
                    }
                    Original::Nested(_) => unreachable!("only a chain has nested originals"),
                }
            }
        } else {
            let list = [names, &[(PARAMETRIZATIONS, owner), (name, MODULE_DICT)]].concat();
            let named: Vec<(String, String)> = (0..self.originals.len())
                .map(|index| (self.original_name(index), self.holder(index).to_owned()))
                .collect();
            // As in PyTorch: a module's own tensors stand before those of its parts.
            for (original, (leaf, holder)) in self.originals.iter_mut().zip(&named) {
                match original {
                    Original::Leaf(param) => {
                        at(Part::Leaf(param), &[&list[..], &[(leaf, holder)]].concat());
                    }
                    Original::Nested(computed) if computed.links.is_empty() => {
                        computed.parts(&list, leaf, at);
                    }
                    Original::Nested(_) => {}
                }
            }
            for (index, link) in self.links.iter_mut().enumerate() {
                let leaf = index.to_string();
                at(Part::Link(link), &[&list[..], &[(&leaf, LIST)]].concat());
            }
            for (original, (leaf, _)) in self.originals.iter_mut().zip(&named) {
                if let Original::Nested(computed) = original
                    && !computed.links.is_empty()
                {
                    computed.parts(&list, leaf, at);
                }
            }
        }
        if let Some(mask) = &mut self.mask {
            let leaf = format!("{name}_mask");
            at(Part::Leaf(mask), &[names, &[(&leaf, owner)]].concat());
        }
        if let Some(away) = &mut self.away {
            let leaf = format!("{name}_pruned");
            at(Part::Leaf(&mut away.values), &[names, &[(&leaf, owner)]].concat());
        }
    }

    /// Visits originals, link state and mask under their saved names.
    pub(super) fn visit<V: ModuleVisitor>(&self, name: &str, visitor: &mut V) {
        // Clones share their tensors; this saves a second copy of the naming scheme.
        let mut slot = self.clone();
        if Purpose::now() == Purpose::File {
            slot.open_all();
        }
        slot.parts(&[], name, &mut |part, names| {
            for (name, container) in names {
                visitor.enter_module(name, container);
            }
            match part {
                Part::Leaf(module) | Part::Masked(module, _) => module.visit(visitor),
                Part::Link(link) => link.visit(visitor),
            }
            for (name, container) in names.iter().rev() {
                visitor.exit_module(name, container);
            }
        });
    }

    /// Maps originals, link state and mask under their saved names.
    pub(super) fn map<V: ModuleMapper>(&mut self, name: &str, mapper: &mut V) {
        if Purpose::now() == Purpose::File {
            self.open_all();
        }
        self.parts(&[], name, &mut |part, names| {
            for (name, container) in names {
                mapper.enter_module(name, container);
            }
            match part {
                Part::Masked(leaf, away) => {
                    let map = || take(leaf, |leaf| leaf.map(mapper));
                    ((), away.is_clean) = in_force::under(&away.kept, map);
                }
                part => part.change(|module| module.map(mapper)),
            }
            for (name, container) in names.iter().rev() {
                mapper.exit_module(name, container);
            }
        });
        if Purpose::now() == Purpose::File {
            self.close_all();
        }
        self.tidy();
    }

    /// Applies `change` to every part.
    pub(super) fn change(mut self, mut change: impl FnMut(AnyModule) -> AnyModule) -> Self {
        self.parts(&[], "", &mut |part, _| part.change(&mut change));
        self
    }

    pub(super) fn collect_devices(&self, mut devices: Devices) -> Devices {
        for original in &self.originals {
            devices = match original {
                Original::Leaf(leaf) => leaf.collect_devices(devices),
                Original::Nested(computed) => computed.collect_devices(devices),
            };
        }
        if let Some(mask) = &self.mask {
            devices = mask.collect_devices(devices);
        }
        self.links.iter().fold(devices, |devices, link| link.collect_devices(devices))
    }
}

/// What a value is computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// To be looked at: nothing moves.
    Reading,
    /// To compute the network with: state moves where the originals are trained.
    Effective,
}

/// The type in Burn's name for a container: `Struct:Linear`.
pub(super) fn layer_of(container: &str) -> &str {
    match container.rsplit(':').next() {
        Some("") | None => "?",
        Some(layer) => layer,
    }
}

/// The value of a chain of links from these originals.
pub(super) fn chain(
    links: &[Link],
    originals: Vec<AnyTensor>,
    pass: Pass,
) -> Result<AnyTensor, RuleError> {
    let mut values = originals;
    for link in links {
        if pass == Pass::Effective && values.iter().any(AnyTensor::is_autodiff) {
            link.advance(&values)?;
        }
        values = vec![link.forward(&values)?];
    }
    match values.into_iter().next() {
        Some(value) => Ok(value),
        None => unreachable!("a slot has at least one original"),
    }
}

/// What [`Computed::parts`] calls.
type At<'a> = dyn FnMut(Part<'_>, &[(&str, &str)]) + 'a;

const PARAMETRIZATIONS: &str = "parametrizations";
const MODULE_DICT: &str = "Struct:ModuleDict";
const LIST: &str = "Struct:ParametrizationList";
/// Tells state dicts of an original that is one number, which has no dimensions in PyTorch.
const SCALAR: &str = "Struct:Scalar";
pub(crate) const SCALAR_LAYER: &str = "Scalar";

enum Part<'a> {
    /// An original or a mask.
    Leaf(&'a mut AnyModule),
    /// An original that holds the zeros of its mask.
    Masked(&'a mut AnyModule, &'a mut Away),
    Link(&'a mut Link),
}

impl Part<'_> {
    fn change(self, change: impl FnOnce(AnyModule) -> AnyModule) {
        match self {
            Part::Leaf(module) | Part::Masked(module, _) => take(module, change),
            Part::Link(link) => take(link.module_mut(), change),
        }
    }
}

/// Changes a module in place. It is moved, not cloned: a clone would keep its tensors shared while
/// an optimizer wants to update them in place.
pub(super) fn take(module: &mut AnyModule, change: impl FnOnce(AnyModule) -> AnyModule) {
    let owned = std::mem::replace(module, AnyModule::new(crate::nn::Flatten::new()));
    *module = change(owned);
}

/// `dense` with exact zeros where `mask` (an erased `Mask<D>`) prunes.
pub(super) fn apply_mask(mask: &AnyModule, dense: AnyTensor) -> AnyTensor {
    masked(mask, dense, false)
}

/// `dense`, which has the zeros of `mask` (an erased `Mask<D>`), for a forward pass through which no
/// gradient reaches them.
fn guard(mask: &AnyModule, dense: AnyTensor) -> AnyTensor {
    if dense.is_autodiff() { masked(mask, dense, true) } else { dense }
}

fn masked(mask: &AnyModule, dense: AnyTensor, has_zeros: bool) -> AnyTensor {
    with_rank!(dense.rank(), D => match (mask.get::<Mask<D>>(), dense.into_rank::<D>()) {
        (Some(mask), Ok(dense)) => mask.operate(dense, has_zeros).into(),
        _ => unreachable!("a mask has the rank of its tensor"),
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// `value` with what `under` has where `mask` (an erased `Mask<D>`) prunes.
pub(super) fn with_pruned(mask: &AnyModule, value: AnyTensor, under: AnyTensor) -> AnyTensor {
    with_rank!(value.rank(), D => {
        match (mask.get::<Mask<D>>(), value.into_rank::<D>(), under.into_rank::<D>()) {
            (Some(mask), Ok(value), Ok(under)) => mask.with_pruned(value, under).into(),
            _ => unreachable!("a mask has the rank of its tensor"),
        }
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// A mask for a tensor like this, kept where true; the layout is PyTorch's.
pub(super) fn make_mask(kept: &[bool], like: &AnyTensor, layout: Layout) -> AnyModule {
    let kept: Bits = kept.iter().copied().collect();
    let torch = layout.torch_shape(&like.dims());
    mask_of(turned(kept, &torch, layout), like)
}

/// A mask for a tensor like this, of its own layout.
pub(super) fn mask_of(kept: Bits, like: &AnyTensor) -> AnyModule {
    let found = like.dims();
    with_rank!(like.rank(), D => {
        let mut dims = [0; D];
        dims.copy_from_slice(&found);
        AnyModule::new(Mask::of_bits(kept, dims, &like.device()))
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// The bits of an erased mask, in the tensor's layout.
pub(super) fn bits(mask: &AnyModule, rank: usize) -> &Arc<Bits> {
    with_rank!(rank, D => match mask.get::<Mask<D>>() {
        Some(mask) => mask.bits(),
        None => unreachable!("a mask has the rank of its tensor"),
    }, else unreachable!("tensors have up to eight dimensions"))
}

/// The kept positions of an erased mask of a tensor of `dims`, in PyTorch's layout.
pub(super) fn kept(mask: &AnyModule, dims: &[usize], layout: Layout) -> Vec<bool> {
    turned(Bits::clone(bits(mask, dims.len())), dims, layout).iter().collect()
}

/// Bits of a tensor of `dims` in the other layout.
fn turned(bits: Bits, dims: &[usize], layout: Layout) -> Bits {
    match (layout, dims) {
        (Layout::Transposed, [stack @ .., rows, columns]) => {
            bits.transposed(stack.iter().product(), *rows, *columns)
        }
        _ => bits,
    }
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

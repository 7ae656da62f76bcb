//! Following a visit in PyTorch's names, and what a visit tells of wrappers.

use std::collections::BTreeSet;

use burn::module::Param;
use burn::tensor::{Int, Tensor};

use crate::tree::{Layout, TYPE_MARK, Walk, is_norm};

/// A name that a visit entered: a module, a parameter, or a tied path, which holds no tensor.
#[derive(Debug, Clone)]
pub(super) struct Entered {
    /// The path in Burn's names.
    pub(super) burn: String,
    /// The path in PyTorch's names.
    pub(super) torch: String,
    /// The type of the owner.
    pub(super) layer: String,
}

/// A wrapper that a visit met.
#[derive(Debug, Clone)]
pub(super) struct Wrapper {
    /// Where it stands, in Burn's names; empty for the module itself.
    pub(super) burn: String,
    /// The same in PyTorch's names.
    pub(super) torch: String,
    /// Its slots.
    pub(super) description: String,
}

/// Follows a visit and speaks PyTorch's names.
#[derive(Default)]
pub(crate) struct TorchWalk {
    pub(crate) walk: Walk,
    names: Vec<String>,
    pub(super) entered: Vec<Entered>,
    pub(super) wrappers: Vec<Wrapper>,
    /// The names that a container says the type of: modules, whatever is in them.
    pub(super) marked: BTreeSet<String>,
}

impl TorchWalk {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        // `parametrizations.gamma` of a norm stands one level below it.
        let above = self.walk.layer().to_owned();
        self.walk.enter(name, container);
        let layer = self.walk.layer();
        let in_norm = is_norm(layer) || (layer == "ModuleDict" && is_norm(&above));
        self.names.push(if in_norm { torch_norm_name(name) } else { name.to_owned() });
        // A container's note of an item's type is no name.
        if name == TYPE_MARK {
            let owner = &self.names[..self.names.len() - 1];
            self.marked.insert(owner.join("."));
        } else {
            self.entered.push(self.here());
        }
    }

    pub(crate) fn exit(&mut self) {
        self.walk.exit();
        self.names.pop();
    }

    pub(crate) fn name(&self) -> String {
        self.names.join(".")
    }

    /// What is being visited.
    pub(super) fn here(&self) -> Entered {
        Entered { burn: self.walk.path(), torch: self.name(), layer: self.walk.layer().to_owned() }
    }

    /// The layout of the tensor being visited: of a `Linear`'s weight, its original or its mask.
    pub(crate) fn layout(&self, rank: usize) -> Layout {
        Layout::of(self.walk.layer(), self.names.iter().map(String::as_str), rank)
    }

    /// The shape under which PyTorch saves what has `shape` here, in its layout already.
    pub(super) fn saved_shape(&self, shape: &[usize]) -> Vec<usize> {
        let is_scalar = self.walk.layer() == crate::frame::SCALAR_LAYER;
        if is_scalar { Vec::new() } else { shape.to_vec() }
    }

    /// Whether this tensor is the description of a wrapper's slots, which is then noted.
    pub(super) fn note_wrapper<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) -> bool {
        let Some(burn) = self.walk.path().strip_suffix(crate::frame::EXTRA_STATE).map(own_path)
        else {
            return false;
        };
        let torch =
            self.name().strip_suffix(crate::frame::EXTRA_STATE).map(own_path).unwrap_or_default();
        let description = crate::frame::decode(&param.val().into_data());
        self.wrappers.push(Wrapper { burn, torch, description });
        true
    }
}

fn own_path(prefix: &str) -> String {
    prefix.trim_end_matches('.').to_owned()
}

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

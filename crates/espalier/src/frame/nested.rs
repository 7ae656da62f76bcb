//! Originals by their own names: a parametrization may itself be parametrized.

use burn::module::Module;

use super::slot::{Computed, Original, Slot, layer_of};
use super::{Parametrized, access};
use crate::error::Error;
use crate::tree::{Kind, ParamInfo};

/// The name of the list that computes `path`: `fc.parametrizations.weight` for `fc.weight`.
pub(super) fn list_path(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((owner, name)) => format!("{owner}.parametrizations.{name}"),
        None => format!("parametrizations.{path}"),
    }
}

impl Computed {
    /// The chain that has the original called `target`, and its place there; `path` is what this
    /// one computes.
    fn find(&self, path: &str, target: &str) -> Option<(&Self, usize)> {
        if self.links.is_empty() {
            return None;
        }
        let list = list_path(path);
        let rest = target.strip_prefix(&list)?.strip_prefix('.')?;
        for (index, original) in self.originals.iter().enumerate() {
            let name = self.original_name(index);
            if rest == name {
                return Some((self, index));
            }
            if let Original::Nested(computed) = original
                && let Some(found) = computed.find(&format!("{list}.{name}"), target)
            {
                return Some(found);
            }
        }
        None
    }

    fn find_mut(&mut self, path: &str, target: &str) -> Option<&mut Original> {
        let list = list_path(path);
        let rest = target.strip_prefix(&list)?.strip_prefix('.')?;
        if self.links.is_empty() {
            return None;
        }
        let names: Vec<String> = (0..self.originals.len()).map(|i| self.original_name(i)).collect();
        if let Some(index) = names.iter().position(|name| name == rest) {
            return self.originals.get_mut(index);
        }
        self.originals.iter_mut().zip(names).find_map(|(original, name)| match original {
            Original::Nested(computed) => computed.find_mut(&format!("{list}.{name}"), target),
            Original::Leaf(_) => None,
        })
    }

    /// The originals of the chain, and of those that are parametrized, each with its name.
    pub(super) fn named_originals(&self, path: &str) -> Vec<(String, &Self, usize)> {
        if self.links.is_empty() {
            return Vec::new();
        }
        let list = list_path(path);
        let mut found = Vec::new();
        for (index, original) in self.originals.iter().enumerate() {
            let name = format!("{list}.{}", self.original_name(index));
            found.push((name.clone(), self, index));
            if let Original::Nested(computed) = original {
                found.extend(computed.named_originals(&name));
            }
        }
        found
    }
}

impl<M: Module> Parametrized<M> {
    /// The chain that has the original called `path`, and its place there.
    pub(super) fn original(&self, path: &str) -> Option<(&Computed, usize)> {
        self.slots.iter().find_map(|(slotted, slot)| match slot {
            Slot::Computed(computed) => computed.find(slotted, path),
            Slot::Tied(_) => None,
        })
    }

    pub(super) fn original_mut(&mut self, path: &str) -> Option<&mut Original> {
        self.slots.iter_mut().find_map(|(slotted, slot)| match slot {
            Slot::Computed(computed) => computed.find_mut(slotted, path),
            Slot::Tied(_) => None,
        })
    }

    /// What computes a parameter or an original, if something does.
    pub(super) fn computed(&self, path: &str) -> Option<&Computed> {
        match self.slots.get(path) {
            Some(Slot::Computed(computed)) => return Some(computed),
            Some(Slot::Tied(_)) => return None,
            None => {}
        }
        match self.original(path) {
            Some((chain, index)) => match &chain.originals[index] {
                Original::Nested(computed) => Some(computed),
                Original::Leaf(_) => None,
            },
            None => None,
        }
    }

    /// Every original of every chain, as what can be parametrized.
    pub(super) fn originals(&self) -> Vec<ParamInfo> {
        let mut found = Vec::new();
        for (path, slot) in &self.slots {
            let Slot::Computed(slot) = slot else { continue };
            for (path, chain, index) in slot.named_originals(path) {
                let original = &chain.originals[index];
                let value = original.value();
                let leaves = original.leaves();
                let is_buffer = leaves.iter().all(|leaf| leaf.type_name() == "Buffer");
                let Some(first) = leaves.first() else { continue };
                let holder = chain.holder(index);
                found.push(ParamInfo {
                    path,
                    id: access::read(first).id,
                    shape: value.dims(),
                    dtype: value.dtype(),
                    device: value.device(),
                    kind: if is_buffer { Kind::Buffer } else { Kind::Parameter },
                    trainable: leaves.iter().any(|leaf| access::read(leaf).require_grad),
                    layer: layer_of(holder).to_owned(),
                });
            }
        }
        found
    }

    /// [`Error::NoMatch`] unless `path` is a parameter or an original.
    pub(super) fn exists(&self, path: &str) -> Result<(), Error> {
        match self.original(path) {
            Some(_) => Ok(()),
            None => self.template_param(path).map(drop),
        }
    }
}

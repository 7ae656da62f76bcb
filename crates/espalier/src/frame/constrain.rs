//! Constraints on what a wrapper holds and computes.

use burn::module::Module;

use super::slot::{Computed, Original, Slot, apply_mask, take, with_pruned};
use super::{Parametrized, chain_error};
use crate::constrain::{Planned, Project, Rule};
use crate::erase::AnyTensor;
use crate::error::Error;
use crate::tree::Kind;

impl<M: Module> Parametrized<M> {
    /// See [`Constraints::apply`](crate::constrain::Constraints::apply).
    pub(crate) fn constrained(mut self, rules: &[Rule]) -> Result<Self, Error> {
        self.settle();
        let entries = self.present_entries();
        let plan = Planned::all(rules, |selector| {
            self.locate_among(&entries, selector, |info| info.kind == Kind::Parameter)
        })?;
        let is_plain = |net: &Self, planned: &Planned| {
            let path = &planned.info.path;
            !net.slots.contains_key(path) && net.original(path).is_none()
        };
        let plain: Vec<&Planned> = plan.iter().filter(|planned| is_plain(&self, planned)).collect();
        self.template = Project::each(self.template, plain)?;
        for planned in &plan {
            self.constrain_slot(planned)?;
        }
        Ok(if self.folded { self.refresh() } else { self })
    }

    /// Projects what a slot computes, or an original of one; a plain parameter is left as it is.
    fn constrain_slot(&mut self, planned: &Planned) -> Result<(), Error> {
        let path = &planned.info.path;
        if let Some(slot) = self.computed(path) {
            if let Some(changed) = projected(slot, planned)? {
                self.put_slot(path, changed);
            }
            return Ok(());
        }
        let Some(Original::Leaf(leaf)) = self.original_mut(path) else {
            return Ok(());
        };
        let mut result = Ok(());
        take(leaf, |leaf| {
            Project::each(leaf, [planned]).unwrap_or_else(|error| {
                result = Err(error);
                // The wrapper is dropped.
                crate::AnyModule::new(crate::nn::Flatten::new())
            })
        });
        result
    }

    /// Puts a slot in the place of one, or of a parameter; the template stays as it is.
    pub(super) fn put_slot(&mut self, path: &str, mut slot: Computed) {
        slot.close();
        match self.original_mut(path) {
            Some(original) => *original = Original::Nested(Box::new(slot)),
            None => {
                self.slots.insert(path.to_owned(), Slot::Computed(slot));
            }
        }
    }
}

/// The slot with its value projected; none where it is in the set already.
fn projected(slot: &Computed, planned: &Planned) -> Result<Option<Computed>, Error> {
    let mut slot = slot.clone().opened();
    let dense = slot.dense().detach();
    let value = match &slot.mask {
        Some(mask) => apply_mask(mask, dense.clone()),
        None => dense.clone(),
    };
    let before = value.to_data();
    let after = planned.project(value)?;
    // Assigning could move originals that need not move: a right inverse rounds, or starts anew.
    if after.to_data() == before {
        return Ok(None);
    }
    let after: AnyTensor = after.conform(&dense);
    let after = match &slot.mask {
        Some(mask) => with_pruned(mask, after, dense),
        None => after,
    };
    slot.assign(after).map_err(chain_error(&planned.info.path))?;
    Ok(Some(slot))
}

//! Registering, removing, reading and assigning parametrized values.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use super::slot::{Computed, OwnerOf, Slot};
use super::{Parametrized, access};
use crate::erase::{AnyModule, AnyTensor};
use crate::error::Error;
use crate::parametrize::{Link, Rule, RuleError, Site};
use crate::select::IntoSelector;
use crate::tree::{ParamInfo, Walk};

/// What stays when a parametrization is removed: PyTorch's `leave_parametrized`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The value computed last.
    Parametrized,
    /// The original, if there is one only.
    Original,
}

/// What computes a path: see [`Parametrized::parametrizations`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parametrizations {
    /// The rules' names, in the order they apply.
    pub rules: Vec<String>,
    /// The shapes of the originals, in Burn's layout.
    pub originals: Vec<Vec<usize>>,
    /// Whether the rules may change shape and dtype.
    pub is_unsafe: bool,
    /// Whether a pruning mask applies after them.
    pub is_pruned: bool,
    /// The path that this one is tied to.
    pub tied_to: Option<String>,
}

impl fmt::Display for Parametrizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        if self.is_pruned {
            steps.push("mask");
        }
        match &self.tied_to {
            Some(to) => write!(f, "tied to {to}"),
            None => write!(f, "{} of {:?}", steps.join(", then "), self.originals),
        }
    }
}

impl Computed {
    /// A plain parameter with this value, trained as the originals are, in the identity of the only
    /// one. As in PyTorch, what several originals made is a new parameter.
    pub(super) fn leaf(&self, value: &AnyTensor) -> AnyModule {
        access::leaf_like(self.last(), value, self.originals.len() == 1)
    }

    /// The same without values, to stand in the template.
    pub(super) fn shell(&self, dims: &[usize]) -> AnyModule {
        access::shell(self.last(), dims, ParamId::new())
    }

    /// The original that is shaped most like the value: of several, the direction comes last.
    fn last(&self) -> &AnyModule {
        match self.originals.last() {
            Some(original) => original,
            None => unreachable!("a slot has at least one original"),
        }
    }

    /// Sets the originals so that the chain has `value`.
    fn assign(&mut self, value: AnyTensor) -> Result<(), (String, RuleError)> {
        let mut links = self.links.clone();
        let mut values = vec![value];
        for link in links.iter_mut().rev() {
            values = invert(link, values).map_err(|error| (link.rule.clone(), error))?;
        }
        if values.len() != self.originals.len() {
            let error =
                RuleError::Originals { expected: self.originals.len(), found: values.len() };
            return Err((self.rules(), error));
        }
        self.links = links;
        for (original, value) in self.originals.iter_mut().zip(&values) {
            *original = access::leaf_like(original, value, true);
        }
        Ok(())
    }

    fn rules(&self) -> String {
        let names: Vec<&str> = self.links.iter().map(Link::rule).collect();
        names.join(", then ")
    }
}

/// One step back through a chain: later links give one tensor to the link before.
fn invert(link: &mut Link, mut values: Vec<AnyTensor>) -> Result<Vec<AnyTensor>, RuleError> {
    match (values.pop(), values.len()) {
        (Some(value), 0) => link.right_inverse(value.detach()),
        (_, others) => Err(RuleError::Originals { expected: 1, found: others + 1 }),
    }
}

impl<M: Module> Parametrized<M> {
    /// Registers `rule` on the selected parameters, after what is registered there already.
    ///
    /// The first rule on a parameter takes its value through the right inverse (without one, the
    /// value itself is the original); later ones only join the chain. A single original of the
    /// same shape and dtype keeps the parameter's identity, and with it the optimizer's state;
    /// several originals are new parameters in the group of the old one.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::Rule`] if the rule does not fit a
    /// parameter or would change its shape or dtype. Then nothing is registered anywhere.
    pub fn register(
        &mut self,
        selector: impl IntoSelector,
        rule: impl Rule,
    ) -> Result<Vec<String>, Error> {
        let is_unsafe = rule.is_unsafe();
        self.register_rule(selector, &rule, is_unsafe)
    }

    /// As [`register`](Self::register), for a rule that changes the shape: PyTorch's `unsafe=True`.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register), but for the change of shape.
    pub fn register_unsafe(
        &mut self,
        selector: impl IntoSelector,
        rule: impl Rule,
    ) -> Result<Vec<String>, Error> {
        self.register_rule(selector, &rule, true)
    }

    pub(super) fn register_rule(
        &mut self,
        selector: impl IntoSelector,
        rule: &dyn Rule,
        is_unsafe: bool,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let mut slots = Vec::new();
        for info in self.locate(selector)? {
            let slot = self.with_link(&info, rule, is_unsafe).map_err(|source| Error::Rule {
                path: info.path.clone(),
                rule: rule.name().to_owned(),
                source,
            })?;
            slots.push((info.path, slot));
        }
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        Ok(paths)
    }

    /// Puts slots in place and the matching placeholders (or values) into the template.
    pub(super) fn insert(&mut self, slots: Vec<(String, Computed)>) {
        self.slots.extend(slots.into_iter().map(|(path, slot)| (path, Slot::Computed(slot))));
        self.refresh_in_place();
    }

    pub(super) fn refresh_in_place(&mut self) {
        *self = self.clone().refresh();
    }

    /// The slot of a path as it is, or one that computes nothing yet: the parameter as its own
    /// original.
    pub(super) fn slot_or_identity(&self, info: &ParamInfo) -> Result<Computed, Error> {
        if let Some(Slot::Computed(slot)) = self.slots.get(&info.path) {
            return Ok(slot.clone());
        }
        let param = self.template_param(&info.path)?;
        let mut owner = OwnerOf { path: &info.path, walk: Walk::default(), owner: None };
        self.template.visit(&mut owner);
        Ok(Computed {
            originals: vec![param],
            links: Vec::new(),
            mask: None,
            is_unsafe: false,
            layout: info.layout(),
            container: owner.owner.unwrap_or_default(),
        })
    }

    fn with_link(
        &self,
        info: &ParamInfo,
        rule: &dyn Rule,
        is_unsafe: bool,
    ) -> Result<Computed, RuleError> {
        let Ok(mut slot) = self.slot_or_identity(info) else {
            unreachable!("`locate` found the parameter")
        };
        let before = slot.dense();
        let mut link = rule.link(&Site {
            shape: before.dims(),
            layout: slot.layout,
            dtype: before.dtype(),
            device: before.device(),
        })?;
        if slot.links.is_empty() {
            let originals = match link.right_inverse(before.detach()) {
                Ok(originals) => originals,
                Err(RuleError::NoRightInverse { .. }) => vec![before.detach()],
                Err(error) => return Err(error),
            };
            // A single-tensor result keeps its dtype even when unsafe.
            if let [only] = originals.as_slice() {
                same_dtype(&before, only)?;
            }
            let keep_id = originals.len() == 1;
            let like = slot.originals[0].clone();
            slot.originals = originals
                .iter()
                .map(|original| access::leaf_like(&like, original, keep_id))
                .collect();
        } else {
            takes_one(&link, &before)?;
        }
        slot.links.push(link);
        slot.is_unsafe |= is_unsafe;
        let mut values: Vec<AnyTensor> =
            slot.originals.iter().map(|original| access::read(original).value).collect();
        for link in &slot.links {
            values = vec![link.forward(&values)?];
        }
        if let [after] = values.as_slice() {
            // A mask has the shape of what it was made for.
            let may_reshape = slot.is_unsafe && slot.mask.is_none();
            if !may_reshape && before.dims() != after.dims() {
                return Err(RuleError::ChangesShape {
                    expected: before.dims(),
                    found: after.dims(),
                });
            }
            if !slot.is_unsafe {
                same_dtype(&before, after)?;
            }
        }
        Ok(slot)
    }

    /// Removes parametrizations and mask from the selected parameters.
    ///
    /// With [`Leave::Parametrized`] the parameter keeps its present value, and its identity where
    /// there was one original; with [`Leave::Original`] it gets back what the original holds,
    /// unmasked.
    ///
    /// # Errors
    ///
    /// [`Error::NotParametrized`] if a selected parameter has neither, [`Error::SeveralOriginals`]
    /// if there is no one original to leave. Then nothing is removed anywhere.
    pub fn remove(
        &mut self,
        selector: impl IntoSelector,
        leave: Leave,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let mut leaves = BTreeMap::new();
        for ParamInfo { path, .. } in self.locate(selector)? {
            let Some(Slot::Computed(slot)) = self.slots.get(&path) else {
                return Err(Error::NotParametrized { path });
            };
            let leaf = match (leave, slot.originals.as_slice()) {
                (Leave::Parametrized, _) => slot.leaf(&slot.value()),
                (Leave::Original, [only]) => only.clone(),
                (Leave::Original, several) => {
                    return Err(Error::SeveralOriginals { path, originals: several.len() });
                }
            };
            leaves.insert(path, leaf);
        }
        let paths: Vec<String> = leaves.keys().cloned().collect();
        self.slots.retain(|path, _| !leaves.contains_key(path));
        self.edit_template(|template| access::restore(template, leaves));
        self.refresh_in_place();
        Ok(paths)
    }

    /// Whether a rule is registered on `path`, or on the parameter it is tied to.
    pub fn is_parametrized(&self, path: &str) -> bool {
        match self.slots.get(self.canonical(path)) {
            Some(Slot::Computed(slot)) => !slot.links.is_empty(),
            _ => false,
        }
    }

    /// What computes `path`: rules, originals, mask, tie.
    ///
    /// # Errors
    ///
    /// [`Error::NotParametrized`] if nothing does, [`Error::NoMatch`] for an unknown path.
    pub fn parametrizations(&self, path: &str) -> Result<Parametrizations, Error> {
        self.settled().present_parametrizations(path)
    }

    fn present_parametrizations(&self, path: &str) -> Result<Parametrizations, Error> {
        let tied_to = match self.slots.get(path) {
            Some(Slot::Tied(tied)) => Some(tied.to.clone()),
            _ => None,
        };
        let (rules, originals, is_unsafe, is_pruned) = match self.slots.get(self.canonical(path)) {
            Some(Slot::Computed(slot)) => (
                slot.links.iter().map(|link| link.rule.clone()).collect(),
                slot.originals.iter().map(|o| access::read(o).value.dims()).collect(),
                slot.is_unsafe,
                slot.mask.is_some(),
            ),
            _ if tied_to.is_some() => (Vec::new(), Vec::new(), false, false),
            _ => {
                self.template_param(path)?;
                return Err(Error::NotParametrized { path: path.to_owned() });
            }
        };
        Ok(Parametrizations { rules, originals, is_unsafe, is_pruned, tied_to })
    }

    pub(super) fn describe(&self, path: &str) -> String {
        self.parametrizations(path).map(|p| p.to_string()).unwrap_or_default()
    }

    /// The present value of a parameter, parametrized or not, gradient-tracking.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::PathRank`] if it has another rank.
    pub fn get<const D: usize>(&self, path: &str) -> Result<Tensor<D>, Error> {
        let value = self.value(path)?;
        let found = value.dims();
        let wrong = |_| Error::PathRank { path: path.to_owned(), expected: D, found };
        value.into_rank().map_err(wrong)
    }

    /// As [`get`](Self::get), for any rank.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path.
    pub fn value(&self, path: &str) -> Result<AnyTensor, Error> {
        Ok(match self.slots.get(path) {
            Some(Slot::Computed(slot)) => slot.value(),
            Some(Slot::Tied(tied)) => {
                let value = self.value(&tied.to)?;
                if tied.transposed { value.transpose() } else { value }
            }
            None => access::read(&self.template_param(path)?).value,
        })
    }

    /// Assigns a value: through the right inverses from last to first where `path` is
    /// parametrized, to the one shared parameter where it is tied.
    ///
    /// Where it is pruned, the values under the mask are remembered but stay zero in the value.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::Shape`] for a value of another shape,
    /// [`Error::Rule`] if a rule cannot take it. Then nothing is changed.
    pub fn set<const D: usize>(&mut self, path: &str, value: Tensor<D>) -> Result<(), Error> {
        self.settle();
        let present = self.value(path)?;
        let (expected, found) = (present.dims(), value.dims().to_vec());
        if expected != found {
            return Err(Error::Shape { path: path.to_owned(), expected, found });
        }
        let mut value = AnyTensor::from(value).conform(&present);
        let mut path = path.to_owned();
        if let Some(Slot::Tied(tied)) = self.slots.get(&path) {
            value = if tied.transposed { value.transpose() } else { value };
            path = tied.to.clone();
        }
        match self.slots.get(&path) {
            Some(Slot::Computed(slot)) => {
                let mut slot = slot.clone();
                slot.assign(value).map_err(|(rule, source)| Error::Rule {
                    path: path.clone(),
                    rule,
                    source,
                })?;
                self.insert(vec![(path, slot)]);
            }
            _ => {
                let leaf = access::leaf_like(&self.template_param(&path)?, &value, true);
                let leaf = BTreeMap::from([(path, leaf)]);
                self.edit_template(|template| access::restore(template, leaf));
                self.refresh_in_place();
            }
        }
        Ok(())
    }
}

/// A later link is given one tensor, so that a rule of several originals cannot be one.
fn takes_one(link: &Link, value: &AnyTensor) -> Result<(), RuleError> {
    match link.clone().right_inverse(value.detach()) {
        Ok(originals) if originals.len() != 1 => {
            Err(RuleError::Originals { expected: originals.len(), found: 1 })
        }
        _ => Ok(()),
    }
}

fn same_dtype(before: &AnyTensor, after: &AnyTensor) -> Result<(), RuleError> {
    if before.dtype() == after.dtype() {
        return Ok(());
    }
    Err(RuleError::ChangesDtype {
        expected: format!("{:?}", before.dtype()),
        found: format!("{:?}", after.dtype()),
    })
}

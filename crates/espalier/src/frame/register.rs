//! Registering, removing, reading and assigning parametrized values.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;

use super::chain::Refusal;
use super::slot::{Computed, Original, OwnerOf, Slot};
use super::stored::MaskMode;
use super::view::Parametrizations;
use super::{Parametrized, access};
use crate::erase::AnyTensor;
use crate::error::Error;
use crate::parametrize::{IntoRules, Link, Rule};
use crate::select::IntoSelector;
use crate::tree::{Kind, ParamInfo, Walk};

/// What stays when a parametrization is removed: PyTorch's `leave_parametrized`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The value computed last.
    Parametrized,
    /// The original, if there is one only.
    Original,
}

impl<M: Module> Parametrized<M> {
    /// Registers a rule on the selected parameters, after what is registered there already; or
    /// several at once, as a [`ParametrizationList`](crate::parametrize::ParametrizationList).
    ///
    /// The first rule on a parameter takes its value through the right inverse (without one, the
    /// value itself is the original); later ones only join the chain. A single original of the
    /// same shape and dtype keeps the parameter's identity, and with it the optimizer's state;
    /// several originals are new parameters in the group of the old one.
    ///
    /// A [`Buffer`](crate::Buffer) can be parametrized too: its originals are buffers then.
    ///
    /// A parametrization can be parametrized: a selector that matches no parameter is compared with
    /// the names of originals (`fc.parametrizations.weight.original0`). A rule there may change
    /// neither shape nor dtype, since the chain above counts on them.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::parametrize::{Symmetric, WeightNorm};
    /// use espalier::{ParameterTree, Parametrized};
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
    /// net.register("weight", WeightNorm::dim(0))?;
    /// net.register("parametrizations.weight.original1", Symmetric::new())?;
    /// let direction: Tensor<2> = net.get("parametrizations.weight.original1")?;
    /// direction.clone().into_data().assert_eq(&direction.transpose().into_data(), true);
    /// let names: Vec<_> = net.named_parameters().into_iter().map(|p| p.path).collect();
    /// assert_eq!(names[1], "parametrizations.weight.parametrizations.original1.original");
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::Rule`] if the rule does not fit a
    /// parameter or would change its shape or dtype, [`Error::RunningStatistic`] if only running
    /// statistics are selected, [`Error::EmptyList`] for a list without rules. Then nothing is
    /// registered anywhere.
    pub fn register(
        &mut self,
        selector: impl IntoSelector,
        rules: impl IntoRules,
    ) -> Result<Vec<String>, Error> {
        let list = rules.into_rules();
        self.register_rules(selector, &list.rules(), list.is_unsafe())
    }

    /// As [`register`](Self::register), for rules that change the shape: PyTorch's `unsafe=True`.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register), but for the change of shape.
    pub fn register_unsafe(
        &mut self,
        selector: impl IntoSelector,
        rules: impl IntoRules,
    ) -> Result<Vec<String>, Error> {
        self.register_rules(selector, &rules.into_rules().rules(), true)
    }

    pub(super) fn register_rules(
        &mut self,
        selector: impl IntoSelector,
        rules: &[&dyn Rule],
        is_unsafe: bool,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let selector = selector.into_selector()?;
        if rules.is_empty() {
            return Err(Error::EmptyList { selector: selector.to_string() });
        }
        let mut slots = Vec::new();
        for info in self.locate_with_buffers(&selector)? {
            let may_change = self.original(&info.path).is_none();
            let slot = self
                .slot_or_identity(&info)?
                .with_links(rules, is_unsafe, may_change)
                .map_err(refused(&info.path))?;
            slots.push((info.path, slot));
        }
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        Ok(paths)
    }

    /// Puts slots in place and the matching placeholders (or values) into the template.
    pub(super) fn insert(&mut self, slots: Vec<(String, Computed)>) {
        for (path, slot) in slots {
            self.put_slot(&path, slot);
        }
        self.refresh_in_place();
    }

    pub(super) fn refresh_in_place(&mut self) {
        *self = self.clone().refresh();
    }

    /// The slot of a path to be edited, with all values in its originals.
    pub(super) fn slot_or_identity(&self, info: &ParamInfo) -> Result<Computed, Error> {
        self.slot_as_is(info).map(Computed::opened)
    }

    /// The slot of a path as it is, or one that computes nothing yet: the parameter as its own
    /// original.
    pub(super) fn slot_as_is(&self, info: &ParamInfo) -> Result<Computed, Error> {
        if let Some(slot) = self.computed(&info.path) {
            return Ok(slot.clone());
        }
        let (param, layout, container) = match self.original(&info.path) {
            Some((chain, index)) => {
                let Original::Leaf(leaf) = &chain.originals[index] else {
                    unreachable!("a nested original is computed")
                };
                (leaf.clone(), chain.layout, chain.holder(index).to_owned())
            }
            None => {
                let param = self.template_param(&info.path)?;
                let mut owner = OwnerOf { path: &info.path, walk: Walk::default(), owner: None };
                self.template.visit(&mut owner);
                let param =
                    if info.kind == Kind::Buffer { access::as_buffer(&param) } else { param };
                (param, info.layout(), owner.owner.unwrap_or_default())
            }
        };
        Ok(Computed {
            originals: vec![Original::Leaf(param)],
            links: Vec::new(),
            mask: None,
            mode: MaskMode::default(),
            away: None,
            is_unsafe: false,
            layout,
            container,
        })
    }

    /// Puts a link of `rule` into the chain of `path`, before the link that is at `index` now.
    ///
    /// At the end of the chain this is [`register`](Self::register): the originals stay, and the
    /// value becomes what the rule makes of it. Elsewhere the present value is assigned through the
    /// chain as it is then, from last to first: it stays where the new chain can hold it. PyTorch
    /// has nothing like it. Originals of a new number are new parameters, plain ones.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::{Symmetric, WeightNorm};
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
    /// net.register("weight", Symmetric::new())?;
    /// net.insert_link("weight", 0, WeightNorm::dim(0))?;
    /// assert_eq!(net.parametrizations("weight")?.rules, ["weight_norm", "symmetric"]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotParametrized`] without a chain, [`Error::Index`] past its end, [`Error::Rule`]
    /// if the rule does not fit there or one of the chain has no right inverse. Nothing is changed
    /// then.
    pub fn insert_link(&mut self, path: &str, index: usize, rule: impl Rule) -> Result<(), Error> {
        self.settle();
        let path = self.canonical(path).to_owned();
        let slot = self.chain_of(&path)?.clone();
        let len = slot.links.len();
        if index > len {
            return Err(Error::Index { index, len });
        }
        let may_change = self.original(&path).is_none();
        let slot = if index == len {
            slot.with_links(&[&rule], rule.is_unsafe(), may_change)
        } else {
            slot.with_link_at(index, &rule, may_change)
        };
        let slot = slot.map_err(refused(&path))?;
        self.insert(vec![(path, slot)]);
        Ok(())
    }

    /// Takes one link out of the chain of `path` and returns it. The value stays: the right
    /// inverses of the other links make new originals for it.
    ///
    /// PyTorch can only remove all. With the last link the parametrization is gone, as with
    /// [`Leave::Parametrized`]; a mask stays.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor, Tolerance};
    /// use espalier::parametrize::{Symmetric, WeightNorm};
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
    /// net.register("weight", WeightNorm::dim(0))?;
    /// net.register("weight", Symmetric::new())?;
    /// let before: Tensor<2> = net.get("weight")?;
    /// assert_eq!(net.remove_link("weight", 0)?.rule(), "weight_norm");
    /// let after: Tensor<2> = net.get("weight")?;
    /// after.into_data().assert_approx_eq::<f32>(&before.into_data(), Tolerance::default());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotParametrized`] without a chain, [`Error::Index`] past its end, [`Error::Rule`]
    /// with [`RuleError::NoRightInverse`](crate::parametrize::RuleError::NoRightInverse) if a link that is left has none, or with
    /// [`RuleError::ValueChanges`](crate::parametrize::RuleError::ValueChanges) if they cannot hold the value (by more than a thousand rounding
    /// errors). Nothing is changed then.
    pub fn remove_link(&mut self, path: &str, index: usize) -> Result<Link, Error> {
        self.settle();
        let path = self.canonical(path).to_owned();
        let slot = self.chain_of(&path)?.clone();
        let len = slot.links.len();
        if index >= len {
            return Err(Error::Index { index, len });
        }
        let (slot, link) = slot.without_link(index).map_err(refused(&path))?;
        match slot.originals.as_slice() {
            [only] if slot.links.is_empty() && slot.mask.is_none() => {
                let only = only.clone();
                self.put_back(BTreeMap::from([(path, only)]));
            }
            _ => self.insert(vec![(path, slot)]),
        }
        Ok(link)
    }

    /// The slot of a path that has links.
    pub(super) fn chain_of(&self, path: &str) -> Result<&Computed, Error> {
        match self.computed(path) {
            Some(slot) if !slot.links.is_empty() => Ok(slot),
            _ => {
                self.exists(path)?;
                Err(Error::NotParametrized { path: path.to_owned() })
            }
        }
    }

    /// Removes parametrizations and mask from the selected parameters.
    ///
    /// With [`Leave::Parametrized`] the parameter keeps its present value, and its identity where
    /// there was one original; with [`Leave::Original`] it gets back what the original holds,
    /// unmasked. An original that is parametrized itself stays so.
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
        let mut left = BTreeMap::new();
        for ParamInfo { path, .. } in self.locate_with_buffers(&selector.into_selector()?)? {
            let Some(slot) = self.computed(&path).cloned().map(Computed::opened) else {
                return Err(Error::NotParametrized { path });
            };
            let original = match (leave, slot.originals.as_slice()) {
                (Leave::Parametrized, _) => Original::Leaf(slot.leaf(&slot.value())),
                (Leave::Original, [only]) => only.clone(),
                (Leave::Original, several) => {
                    return Err(Error::SeveralOriginals { path, originals: several.len() });
                }
            };
            left.insert(path, original);
        }
        let paths: Vec<String> = left.keys().cloned().collect();
        self.put_back(left);
        Ok(paths)
    }

    /// Puts these in the places of what computes the paths now.
    pub(super) fn put_back(&mut self, left: BTreeMap<String, Original>) {
        let mut leaves = BTreeMap::new();
        for (path, left) in left {
            match (self.original_mut(&path), left) {
                (Some(original), left) => *original = left,
                (None, Original::Leaf(leaf)) => {
                    self.slots.remove(&path);
                    leaves.insert(path, leaf);
                }
                (None, Original::Nested(slot)) => {
                    self.slots.insert(path, Slot::Computed(*slot));
                }
            }
        }
        self.edit_template(|template| access::restore(template, leaves));
        self.refresh_in_place();
    }

    /// Whether a rule is registered on `path`, or on the parameter it is tied to.
    pub fn is_parametrized(&self, path: &str) -> bool {
        self.computed(self.canonical(path)).is_some_and(|slot| !slot.links.is_empty())
    }

    /// Whether a rule is registered anywhere: PyTorch's `is_parametrized` without a name.
    pub fn has_parametrizations(&self) -> bool {
        !self.parametrized_paths().is_empty()
    }

    /// The paths on which a rule is registered, in alphabetic order; tied ones not.
    pub fn parametrized_paths(&self) -> Vec<String> {
        let has_links =
            |slot: &Slot| matches!(slot, Slot::Computed(slot) if !slot.links.is_empty());
        self.slots
            .iter()
            .filter(|(_, slot)| has_links(slot))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// What computes `path`: rules, originals, mask, tie.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::parametrize::{WeightNorm, WeightNormLink};
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
    /// net.register("weight", WeightNorm::dim(0))?;
    /// let list = net.parametrizations("weight")?;
    /// assert_eq!(list.original_paths()[0], "parametrizations.weight.original0");
    /// assert_eq!(list.originals, [[1, 3], [5, 3]]);
    /// assert!(list.link::<WeightNormLink>(0).is_some_and(|link| !link.is_whole()));
    /// let parts = list.right_inverse(Tensor::<2>::ones([5, 3], &Device::default()))?;
    /// assert_eq!(parts.len(), 2); // g and v of a matrix of ones; the net is not changed
    /// assert_eq!(format!("{list:#}"), "ParametrizationList(\n  (0): weight_norm(dim 0)\n)");
    /// # Ok::<(), espalier::Error>(())
    /// ```
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
        let canonical = self.canonical(path);
        let slot = self.computed(canonical);
        if slot.is_none() && tied_to.is_none() {
            self.exists(path)?;
            return Err(Error::NotParametrized { path: path.to_owned() });
        }
        Ok(Parametrizations::of(canonical, slot, tied_to))
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
        if let Some(Slot::Tied(tied)) = self.slots.get(path) {
            let value = self.value(&tied.to)?;
            return Ok(if tied.transposed { value.transpose() } else { value });
        }
        if let Some(slot) = self.computed(path) {
            return Ok(slot.value());
        }
        Ok(match self.original(path) {
            Some((chain, index)) => chain.originals[index].value(),
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
        self.set_any(path, value.into())
    }

    /// As [`set`](Self::set), for a value of any rank.
    pub(super) fn set_any(&mut self, path: &str, value: AnyTensor) -> Result<(), Error> {
        self.settle();
        let present = self.value(path)?;
        let (expected, found) = (present.dims(), value.dims());
        if expected != found {
            return Err(Error::Shape { path: path.to_owned(), expected, found });
        }
        let mut value = value.conform(&present);
        let mut path = path.to_owned();
        if let Some(Slot::Tied(tied)) = self.slots.get(&path) {
            value = if tied.transposed { value.transpose() } else { value };
            path = tied.to.clone();
        }
        if let Some(slot) = self.computed(&path) {
            let mut slot = slot.clone().opened();
            slot.assign(value).map_err(refused(&path))?;
            self.insert(vec![(path, slot)]);
            return Ok(());
        }
        if let Some(Original::Leaf(leaf)) = self.original_mut(&path) {
            *leaf = access::leaf_like(leaf, &value, true);
        } else {
            let leaf = access::leaf_like(&self.template_param(&path)?, &value, true);
            let leaf = BTreeMap::from([(path, leaf)]);
            self.edit_template(|template| access::restore(template, leaf));
        }
        self.refresh_in_place();
        Ok(())
    }
}

/// The error of a rule that refuses `path`.
pub(super) fn refused(path: &str) -> impl Fn(Refusal) -> Error + use<> {
    let path = path.to_owned();
    move |(rule, source)| Error::Rule { path: path.clone(), rule, source }
}

//! The frame around a module: [`Parametrized`].

mod access;
mod cached;
mod chain;
mod constrain;
mod extra;
mod harden;
mod init;
mod module;
mod names;
mod nested;
mod prune;
mod purpose;
mod register;
mod sample;
mod slot;
mod stored;
mod tie;
mod transfer;
mod view;

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

pub use cached::Cached;
pub(crate) use extra::{
    DescribedLink, DescribedTie, NAME as EXTRA_STATE, decode, is_same as is_same_description,
    links_in, restrict, ties_in,
};
pub(crate) use module::visit_parameters;
pub(crate) use purpose::Purpose;
pub use register::Leave;
use register::refused as chain_error;
pub(crate) use slot::SCALAR_LAYER;
pub use stored::MaskMode;
pub use view::Parametrizations;

use crate::erase::{AnyModule, AnyTensor};
use crate::error::Error;
use crate::select::{IntoSelector, Selector};
use crate::tree::{self, Kind, ParamInfo};
use slot::{Pass, Slot};

/// A Burn module whose parameters can be parametrized, tied and pruned.
///
/// It owns the module as a template, and for each path that is parametrized, tied or pruned a
/// *slot* that says how its value is computed from leaf parameters (the originals).
/// [`effective`](Self::effective) gives the module to compute with, [`grads`](Self::grads) the
/// gradients of the originals, and any Burn optimizer steps the wrapper, which visits the
/// originals in place of what is computed from them, under PyTorch's names.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::SgdConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::Symmetric;
/// use espalier::Parametrized;
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&device));
/// net.register("weight", Symmetric::new())?;
/// let mut optim = SgdConfig::new().init();
/// for _ in 0..3 {
///     let grads = {
///         let step = net.effective(); // each effective weight computed once a step
///         net.grads(step.forward(Tensor::<2>::ones([2, 3], &device)).sum().backward())?
///     };
///     net = optim.step(0.1, net, grads);
/// }
/// let plain: Linear = net.fold();
/// let w = plain.weight.val();
/// w.clone().into_data().assert_eq(&w.transpose().into_data(), true);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Clones
///
/// A clone shares its tensors and Burn's running statistics, as clones of every Burn module do: it
/// is for the next line, not for keeping. [`deep_copy`](Self::deep_copy) gives a copy that can be
/// trained apart.
#[derive(Clone, Debug)]
pub struct Parametrized<M: Module> {
    template: M,
    slots: BTreeMap<String, Slot>,
    /// Whether the template holds the computed values (a validation snapshot).
    folded: bool,
    /// The identity of the buffer that describes the slots.
    extra_id: ParamId,
    /// Whether the template may have running statistics.
    has_statistics: bool,
    /// Whether the template may have lazy layers that have not seen an input.
    has_lazy: bool,
}

impl<M: Module> Parametrized<M> {
    /// A frame around `module` with nothing on it yet.
    ///
    /// Lazy parameters are initialized here, in visit order, so that a seed gives one network
    /// whatever is touched first later.
    ///
    /// Parameters that are clones of each other (a layer placed twice) are tied: Burn would train
    /// the first and mix up the gradients of the others.
    pub fn new(module: M) -> Self {
        // Collecting reads the dtype of every parameter, which initializes it.
        let tensors = tree::tensors(&module);
        let mut net = Self {
            template: module,
            slots: BTreeMap::new(),
            folded: false,
            extra_id: ParamId::new(),
            has_statistics: tensors.iter().any(|info| info.kind == Kind::Buffer),
            has_lazy: tensors.iter().any(ParamInfo::is_uninitialized),
        };
        net.tie_clones(&tensors);
        net
    }

    /// The module with every slotted parameter computed, gradient-tracking.
    ///
    /// Call it once a training step and drop it before the optimizer steps, so that originals are
    /// uniquely owned and updated in place. Where the originals are on an autodiff device it moves
    /// the state of rules that have some (power iterations), as PyTorch does in training mode. On a [`valid`](Module::valid) wrapper nothing is
    /// recomputed. Running statistics are those of the wrapper: training through the result
    /// updates them.
    pub fn effective(&self) -> M {
        if self.folded {
            return self.template.clone();
        }
        access::replace(self.template.clone(), self.values(Pass::Effective))
    }

    /// The plain module with every slotted parameter replaced by its value.
    ///
    /// A parameter with one original of the same shape keeps its identity. Tied paths become
    /// parameters of their own with equal values.
    pub fn fold(mut self) -> M {
        if self.folded {
            return self.template;
        }
        self.settle();
        let values = self.values(Pass::Reading);
        let leaves = self.slots.iter().map(|(path, slot)| {
            let leaf = match slot {
                Slot::Computed(computed) => computed.leaf(&values[path]),
                Slot::Tied(tied) => self.untied(tied, &values[path]),
            };
            (path.clone(), leaf)
        });
        let leaves = leaves.collect();
        access::restore(self.template, leaves)
    }

    /// A copy that shares nothing that training changes: tensors, running statistics, buffers.
    pub fn deep_copy(&self) -> Self {
        // `train` is what Burn offers to give running statistics a place of their own.
        let trained = self.devices().iter().any(burn::tensor::Device::is_autodiff)
            || tree::tensors(self).iter().any(|info| info.trainable);
        if trained { self.clone().train() } else { self.valid() }
    }

    /// The gradients of the originals and of the unslotted parameters, for any Burn optimizer.
    ///
    /// # Errors
    ///
    /// [`Error::MissingGradient`] if a trainable original of a slot has none. Unslotted parameters
    /// that the loss does not use are left out, as Burn does.
    pub fn grads(&self, grads: Gradients) -> Result<GradientsParams, Error> {
        let mut collect = CollectGrads { grads, collected: GradientsParams::new() };
        // Not `from_grads`, whose visit would bring running statistics up to date each step.
        self.visit_parameters(&mut collect);
        let grads = collect.collected;
        let mut missing = Missing { grads: &grads, paths: Vec::new(), path: String::new() };
        for (path, slot) in &self.slots {
            if let Slot::Computed(computed) = slot {
                missing.path.clone_from(path);
                computed.leaves().into_iter().for_each(|leaf| leaf.visit(&mut missing));
            }
        }
        missing.paths.dedup();
        if missing.paths.is_empty() {
            return Ok(grads);
        }
        Err(Error::MissingGradient { paths: missing.paths })
    }

    /// The parameter group of Burn's for the selected parameters, by their effective names.
    ///
    /// It holds the ids of their originals, and the names that originals registered later will
    /// have, so that those join the group of the parameter they replace.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected.
    pub fn group(&self, selector: impl IntoSelector) -> Result<ParamGroup, Error> {
        let selection = selector.into_selector()?.select_from(&self.entries())?;
        Ok(self.group_of(&selection.paths()))
    }

    pub(crate) fn group_of(&self, paths: &[String]) -> ParamGroup {
        // A group of no names would match every name.
        if paths.is_empty() {
            return ParamGroup::from_ids(Vec::new());
        }
        let ids = paths.iter().flat_map(|path| self.ids(path)).collect();
        let patterns: Vec<String> = paths.iter().map(|path| saved_names(path)).collect();
        match ParamGroup::from_any_regexes(patterns) {
            Ok(names) => ParamGroup::from_ids(ids).fuse(&names),
            Err(_) => unreachable!("the paths are escaped"),
        }
    }

    /// The effective tensors of the module: slotted paths under their own name.
    pub fn entries(&self) -> Vec<ParamInfo> {
        self.settled().present_entries()
    }

    /// The wrapper as the next map leaves it: clones of lazy layers that have seen an input by now
    /// are tied. Whatever edits a wrapper settles it first.
    fn settled(&self) -> Cow<'_, Self> {
        if !self.has_lazy {
            return Cow::Borrowed(self);
        }
        let mut net = self.clone();
        net.settle();
        Cow::Owned(net)
    }

    /// The entries by the slots that there are.
    fn present_entries(&self) -> Vec<ParamInfo> {
        let mut entries = tree::tensors(&self.template);
        for entry in &mut entries {
            if let Some(Slot::Computed(computed)) = self.slots.get(&entry.path) {
                let leaves: Vec<_> = computed.leaves().into_iter().map(access::read).collect();
                entry.trainable = leaves.iter().any(|leaf| leaf.require_grad);
                if let [only] = leaves.as_slice() {
                    entry.id = only.id;
                }
            }
        }
        let trainable: BTreeMap<String, bool> =
            entries.iter().map(|entry| (entry.path.clone(), entry.trainable)).collect();
        for entry in &mut entries {
            entry.trainable = trainable[self.canonical(&entry.path)];
        }
        entries
    }

    /// The template, for reading what is not a parameter (configuration, running statistics).
    ///
    /// Its parameters at slotted paths are placeholders of zeros, not the values.
    pub fn template(&self) -> &M {
        &self.template
    }

    /// The ids of the leaf parameters that `path` is computed from.
    fn ids(&self, path: &str) -> Vec<ParamId> {
        match self.slots.get(path) {
            Some(Slot::Computed(computed)) => {
                computed.leaves().into_iter().map(|leaf| access::read(leaf).id).collect()
            }
            Some(Slot::Tied(tied)) => self.ids(&tied.to.clone()),
            None => access::extract(&self.template, &[path])
                .values()
                .map(|param| access::read(param).id)
                .collect(),
        }
    }

    /// The ids of the leaf parameters behind an entry that is no tie.
    pub(crate) fn leaves(&self, entry: &ParamInfo) -> Vec<ParamId> {
        match self.slots.get(&entry.path) {
            Some(_) => self.ids(&entry.path),
            None => vec![entry.id],
        }
    }

    /// The value of every slot, tied ones last.
    fn values(&self, pass: Pass) -> BTreeMap<String, AnyTensor> {
        let mut values = BTreeMap::new();
        let mut ties = Vec::new();
        for (path, slot) in &self.slots {
            match slot {
                Slot::Computed(computed) => {
                    values.insert(path.clone(), computed.value_in(pass));
                }
                Slot::Tied(tied) => ties.push((path, tied)),
            }
        }
        let plain: Vec<&str> = ties
            .iter()
            .map(|(_, tied)| tied.to.as_str())
            .filter(|to| !values.contains_key(*to))
            .collect();
        let plain = access::extract(&self.template, &plain);
        for (path, tied) in ties {
            let value = match values.get(&tied.to) {
                Some(value) => value.clone(),
                None => access::read(&plain[&tied.to]).value,
            };
            let value = if tied.transposed { value.transpose() } else { value };
            values.insert(path.clone(), value);
        }
        values
    }

    /// Puts into the template what belongs at slotted paths: values if folded, else placeholders.
    fn refresh(self) -> Self {
        // A placeholder needs a shape only, and all values at once may be as much as the network.
        let values = if self.folded { self.values(Pass::Reading) } else { BTreeMap::new() };
        let params = self.slots.iter().map(|(path, slot)| {
            let param = match (slot, values.get(path)) {
                (Slot::Computed(computed), Some(value)) => computed.leaf(value),
                (Slot::Computed(computed), None) => computed.shell(&computed.dims()),
                (Slot::Tied(tied), Some(value)) => self.untied(tied, value),
                (Slot::Tied(tied), None) => tied.shell.clone(),
            };
            (path.clone(), param)
        });
        let params = params.collect();
        Self { template: access::restore(self.template, params), ..self }
    }

    /// A parameter of its own for a tied path, trained as the one that it was tied to.
    fn untied(&self, tied: &slot::Tied, value: &AnyTensor) -> AnyModule {
        let leaf = access::leaf_like(&tied.shell, value, true);
        let source = match self.slots.get(&tied.to) {
            Some(Slot::Computed(computed)) => Some(computed.last().clone()),
            _ => access::extract(&self.template, &[&tied.to]).into_values().next(),
        };
        // Without autodiff Burn does not tell what is frozen; the path's own setting stays then.
        match source.map(|source| access::read(&source)) {
            Some(source) if source.value.is_autodiff() => {
                access::trained(leaf, source.require_grad)
            }
            _ => leaf,
        }
    }

    /// Changes the template, which has no empty state to leave behind.
    fn edit_template(&mut self, edit: impl FnOnce(M) -> M) {
        self.template = edit(self.template.clone());
    }

    /// A parameter of the template, plain or placeholder.
    fn template_param(&self, path: &str) -> Result<AnyModule, Error> {
        match access::extract(&self.template, &[path]).into_values().next() {
            Some(param) => {
                if self.has_lazy
                    && let Some(info) =
                        self.present_entries().into_iter().find(|info| info.path == path)
                {
                    info.require_initialized()?;
                }
                Ok(param)
            }
            None => Err(self.no_match(path)),
        }
    }

    fn no_match(&self, path: &str) -> Error {
        match Selector::path(path).select_from(&self.present_entries()) {
            Err(error) => error,
            Ok(_) => Error::RunningStatistic { path: path.to_owned() },
        }
    }

    /// The path itself, or the one it is tied to.
    pub(crate) fn canonical<'a>(&'a self, path: &'a str) -> &'a str {
        match self.slots.get(path) {
            Some(Slot::Tied(tied)) => &tied.to,
            _ => path,
        }
    }

    /// The selected parameters (no buffers), ties resolved, each once, in visit order. Where no
    /// parameter is selected, the originals that are.
    fn locate(&self, selector: impl IntoSelector) -> Result<Vec<ParamInfo>, Error> {
        self.locate_where(&selector.into_selector()?, |info| info.kind == Kind::Parameter)
    }

    /// As [`locate`](Self::locate), with buffers that are no running statistics.
    fn locate_with_buffers(&self, selector: &Selector) -> Result<Vec<ParamInfo>, Error> {
        let buffers = if self.has_statistics { tree::buffers(&self.template) } else { Vec::new() };
        self.locate_where(selector, |info| {
            info.kind == Kind::Parameter || buffers.contains(&info.path)
        })
    }

    fn locate_where(
        &self,
        selector: &Selector,
        is_meant: impl Fn(&ParamInfo) -> bool,
    ) -> Result<Vec<ParamInfo>, Error> {
        self.locate_among(&self.present_entries(), selector, is_meant)
    }

    /// As [`locate`](Self::locate), with the present entries at hand.
    fn locate_among(
        &self,
        entries: &[ParamInfo],
        selector: &Selector,
        is_meant: impl Fn(&ParamInfo) -> bool,
    ) -> Result<Vec<ParamInfo>, Error> {
        let selection = match selector.select_from(entries) {
            Err(no_match @ Error::NoMatch { .. }) => {
                let nested = selector.select_from(&self.originals()).map_err(|_| no_match)?;
                return Ok(nested.iter().cloned().collect());
            }
            selection => selection?,
        };
        let mut paths: Vec<&str> = Vec::new();
        for info in selection.iter().filter(|info| is_meant(info)) {
            let path = self.canonical(&info.path);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            let path = selection.paths().swap_remove(0);
            return Err(if tree::buffers(&self.template).contains(&path) {
                Error::Kind { path, expected: Kind::Parameter }
            } else {
                Error::RunningStatistic { path }
            });
        }
        for info in selection.iter() {
            info.require_initialized()?;
        }
        Ok(entries.iter().filter(|info| paths.contains(&info.path.as_str())).cloned().collect())
    }
}

/// A regular expression for `path` and every name under which it may be saved when slotted.
fn saved_names(path: &str) -> String {
    let (parent, name) = match path.rsplit_once('.') {
        Some((parent, name)) => (format!("{}\\.", regex::escape(parent)), regex::escape(name)),
        None => (String::new(), regex::escape(path)),
    };
    format!("^{parent}({name}|{name}_orig|parametrizations\\.{name}\\..+)$")
}

/// Moves the gradients of visited parameters under their ids.
struct CollectGrads {
    grads: Gradients,
    collected: GradientsParams,
}

impl ModuleVisitor for CollectGrads {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad()
            && let Some(grad) = param.val().grad_remove(&mut self.grads)
        {
            self.collected.register(param.id, grad);
        }
    }
}

/// Collects paths whose trainable originals have no gradient.
struct Missing<'a> {
    grads: &'a GradientsParams,
    paths: Vec<String>,
    path: String,
}

impl ModuleVisitor for Missing<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() && self.grads.get::<D>(param.id).is_none() {
            self.paths.push(self.path.clone());
        }
    }
}

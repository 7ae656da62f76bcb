//! Several paths, one parameter.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ParamId};

use super::slot::{Slot, Tied};
use super::{Parametrized, access};
use crate::error::{Error, LayerFault, TieError};
use crate::state::StateDict;
use crate::tree::{self, Kind, ParamInfo};

impl<M: Module> Parametrized<M> {
    /// Makes `target` another name of the parameter at `to`.
    ///
    /// From then on there is one parameter: an edit through either name is seen through both,
    /// gradients add up, it is listed and trained once (under the name `to`), and what is
    /// registered or pruned under either name applies to both. The value that `target` had is
    /// dropped.
    ///
    /// Shapes are compared in PyTorch's layout, so that a `Linear` weight ties to an embedding
    /// without a transposition of one's own.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::Sequential;
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default();
    /// let layer = || LinearConfig::new(2, 2).init(&device);
    /// let mut net = Parametrized::new(Sequential::new().with(layer()).with(layer()));
    /// net.tie("1.weight", "0.weight")?;
    /// net.set("1.weight", Tensor::<2>::full([2, 2], 100.0, &device))?;
    /// let other: Tensor<2> = net.get("0.weight")?;
    /// assert_eq!(other.into_data().try_to_vec::<f32>().unwrap(), [100.0; 4]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::Tie`] if the shapes differ, if `target` is
    /// parametrized or pruned, or if the two are one already.
    pub fn tie(&mut self, target: &str, to: &str) -> Result<(), Error> {
        self.tie_as(target, to, false)
    }

    /// As [`tie`](Self::tie), to the transpose (of the last two dimensions) of `to`: an
    /// auto-encoder's decoder to its encoder.
    ///
    /// # Errors
    ///
    /// As [`tie`](Self::tie).
    pub fn tie_transposed(&mut self, target: &str, to: &str) -> Result<(), Error> {
        self.tie_as(target, to, true)
    }

    fn tie_as(&mut self, target: &str, to: &str, transpose: bool) -> Result<(), Error> {
        self.settle();
        let error = |reason| Error::Tie { target: target.to_owned(), to: to.to_owned(), reason };
        let entries = self.present_entries();
        let find = |path: &str| -> Result<ParamInfo, Error> {
            // For its error: unknown paths and running statistics.
            self.locate(path)?;
            match entries.iter().find(|info| info.path == path) {
                Some(info) => Ok(info.clone()),
                None => Err(self.no_match(path)),
            }
        };
        let (alias, source) = (find(target)?, find(to)?);
        let canonical = self.canonical(to).to_owned();
        if self.canonical(target) == canonical {
            return Err(error(TieError::Same));
        }
        if self.slots.contains_key(target) {
            return Err(error(TieError::Slotted));
        }
        let alias_shape = alias.layout().torch_shape(&alias.shape);
        let mut source_shape = source.layout().torch_shape(&source.shape);
        if transpose && source_shape.len() >= 2 {
            let last = source_shape.len() - 1;
            source_shape.swap(last - 1, last);
        }
        if alias_shape != source_shape {
            return Err(error(TieError::Shape { target: alias_shape, to: source_shape }));
        }
        // Swaps: asked for, the layouts, and on the way from `to` to what it is tied to itself.
        let mut transposed = transpose ^ (alias.layout() != source.layout());
        if let Some(Slot::Tied(tied)) = self.slots.get(to) {
            transposed ^= tied.transposed;
        }
        let param = self.template_param(target)?;
        // The clone of a parameter has its id, which an untied path must not keep.
        let id = if self.ids(&canonical).contains(&alias.id) { ParamId::new() } else { alias.id };
        let shell = access::shell(&param, &alias.shape, id);
        // Whatever is tied to `target` now follows it to its new parameter.
        let mut moved = Vec::new();
        for (path, slot) in &self.slots {
            if let Slot::Tied(tied) = slot
                && tied.to == target
            {
                let transposed = tied.transposed ^ transposed;
                moved.push((
                    path.clone(),
                    Tied { to: canonical.clone(), transposed, ..tied.clone() },
                ));
            }
        }
        moved.push((target.to_owned(), Tied { shell, to: canonical, transposed }));
        self.slots.extend(moved.into_iter().map(|(path, tied)| (path, Slot::Tied(tied))));
        self.refresh_in_place();
        Ok(())
    }

    /// Ties the clones among parameters of lazy layers that have seen an input by now.
    pub(super) fn settle(&mut self) {
        if self.has_lazy {
            let tensors = tree::tensors(&self.template);
            self.has_lazy = tensors.iter().any(ParamInfo::is_uninitialized);
            self.tie_clones(&tensors);
        }
    }

    /// Ties parameters with the id of an earlier one to it.
    pub(super) fn tie_clones(&mut self, tensors: &[ParamInfo]) {
        for (index, info) in tensors.iter().enumerate() {
            let first = tensors[..index].iter().find(|first| first.id == info.id);
            let (Some(first), Kind::Parameter) = (first, info.kind) else { continue };
            let Ok(param) = self.template_param(&info.path) else { continue };
            let shell = access::shell(&param, &info.shape, ParamId::new());
            let tied = Tied { shell, to: first.path.clone(), transposed: false };
            self.slots.insert(info.path.clone(), Slot::Tied(tied));
        }
        self.refresh_in_place();
    }

    /// The paths tied to another one, and that one, in order of the first.
    pub fn ties(&self) -> Vec<(String, String)> {
        self.settled()
            .slots
            .iter()
            .filter_map(|(path, slot)| match slot {
                Slot::Tied(tied) => Some((path.clone(), tied.to.clone())),
                Slot::Computed(_) => None,
            })
            .collect()
    }

    /// Makes every parameter of the layer at `target` another name of the one in the layer at `to`.
    ///
    /// Layers within them are tied too. Buffers (running statistics) are not: each place has its
    /// own. Names and shapes (in PyTorch's layout) must be the same. What is tied so already stays.
    /// Returns the pairs that were tied.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::Parametrized;
    ///
    /// let linear = || LinearConfig::new(3, 3).init(&Device::default());
    /// let mut net = Parametrized::new(Sequential::new().with(linear()).with(linear()));
    /// assert_eq!(net.tie_layers("1", "0")?.len(), 2);
    /// assert_eq!(net.num_params(), 12);
    /// net.untie_layer("1")?;
    /// assert_eq!(net.num_params(), 24);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`] for a path without parameters below it; [`Error::Tie`] if the layers are
    /// one already, or with everything that does not fit ([`TieError::Layers`]). Nothing is tied
    /// then.
    pub fn tie_layers(&mut self, target: &str, to: &str) -> Result<Vec<(String, String)>, Error> {
        self.settle();
        let error = |reason| Error::Tie { target: target.to_owned(), to: to.to_owned(), reason };
        let (own, source) = (self.layer_parameters(target)?, self.layer_parameters(to)?);
        let (mut pairs, mut faults) = (Vec::new(), Vec::new());
        for (name, source) in &source {
            let Some((_, alias)) = own.iter().find(|(own, _)| own == name) else {
                faults.push(LayerFault::Missing { name: name.clone() });
                continue;
            };
            let target = alias.layout().torch_shape(&alias.shape);
            let to = source.layout().torch_shape(&source.shape);
            if target != to {
                faults.push(LayerFault::Shape { name: name.clone(), target, to });
            } else if self.canonical(&alias.path) == self.canonical(&source.path) {
                // Already one.
            } else if self.slots.contains_key(&alias.path) {
                faults.push(LayerFault::Slotted { name: name.clone() });
            } else {
                pairs.push((alias.path.clone(), source.path.clone()));
            }
        }
        for (name, _) in &own {
            if !source.iter().any(|(source, _)| source == name) {
                faults.push(LayerFault::Extra { name: name.clone() });
            }
        }
        if !faults.is_empty() {
            return Err(error(TieError::Layers { faults }));
        }
        if pairs.is_empty() {
            return Err(error(TieError::Same));
        }
        self.tie_pairs(&pairs)?;
        Ok(pairs)
    }

    /// Ties all of these or none.
    fn tie_pairs(&mut self, pairs: &[(String, String)]) -> Result<(), Error> {
        let mut net = self.clone();
        for (target, to) in pairs {
            net.tie(target, to)?;
        }
        *self = net;
        Ok(())
    }

    /// The parameters (no buffers) below `layer` by their names there, in visit order.
    fn layer_parameters(&self, layer: &str) -> Result<Vec<(String, ParamInfo)>, Error> {
        let entries = self.present_entries();
        let own: Vec<(String, ParamInfo)> = entries
            .iter()
            .filter(|info| info.kind == Kind::Parameter)
            .filter_map(|info| Some((below(&info.path, layer)?.to_owned(), info.clone())))
            .collect();
        if !own.is_empty() {
            return Ok(own);
        }
        let layers: BTreeSet<&str> = entries
            .iter()
            .flat_map(|info| info.path.match_indices('.').map(|(dot, _)| &info.path[..dot]))
            .collect();
        let nearest = crate::select::nearest(layer, layers.into_iter());
        Err(Error::NoLayer { path: layer.to_owned(), nearest })
    }

    /// Ties what a checkpoint has under several names, as PyTorch saves tied parameters, and returns
    /// the pairs: a path, and the one it is tied to now, which is the first in visit order.
    ///
    /// Goes by [`StateDict::ties`] and its rules of evidence: layers that start as copies of one
    /// another look tied until they are trained. Paths that are one already, buffers and names that
    /// the module has not are passed over. Values are not loaded.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::state::{StateDict, Strict};
    /// use espalier::Parametrized;
    ///
    /// let linear = || LinearConfig::new(3, 3).init(&Device::default());
    /// let two = || Parametrized::new(Sequential::new().with(linear()).with(linear()));
    /// let mut saved = two();
    /// saved.tie("1.weight", "0.weight")?;
    /// let state = StateDict::for_torch(&saved);
    ///
    /// let mut net = two();
    /// assert_eq!(net.tie_as_in(&state)?, [("1.weight".to_owned(), "0.weight".to_owned())]);
    /// let net = state.load_into(net, Strict::Yes)?;
    /// # let _ = net;
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Tie`] if two such paths do not fit each other here, or the later one is parametrized
    /// or pruned. Nothing is tied then.
    pub fn tie_as_in(&mut self, state: &StateDict) -> Result<Vec<(String, String)>, Error> {
        self.settle();
        let names = crate::state::torch_names(&self.template);
        let parameters: BTreeSet<String> = self
            .entries()
            .into_iter()
            .filter(|info| info.kind == Kind::Parameter)
            .map(|info| info.path)
            .collect();
        let mut pairs = Vec::new();
        for group in state.ties() {
            let mut paths = names
                .iter()
                .filter(|(torch, path)| group.contains(torch) && parameters.contains(path))
                .map(|(_, path)| path);
            let Some(first) = paths.next() else { continue };
            for path in paths.filter(|path| self.canonical(path) != self.canonical(first)) {
                pairs.push((path.clone(), first.clone()));
            }
        }
        self.tie_pairs(&pairs)?;
        Ok(pairs)
    }

    /// Gives the path a parameter of its own again, with the present value.
    ///
    /// # Errors
    ///
    /// [`Error::NotTied`] if the path is not tied, [`Error::NoMatch`] if there is no such path.
    pub fn untie(&mut self, path: &str) -> Result<(), Error> {
        self.settle();
        if !matches!(self.slots.get(path), Some(Slot::Tied(_))) {
            self.template_param(path)?;
        }
        self.untie_all(path, vec![path.to_owned()]).map(|_| ())
    }

    /// Gives every tied parameter of the layer one of its own again, with the present values;
    /// returns their paths.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`] for a path without parameters below it, [`Error::NotTied`] if none of them
    /// is tied.
    pub fn untie_layer(&mut self, layer: &str) -> Result<Vec<String>, Error> {
        self.settle();
        let own = self.layer_parameters(layer)?;
        self.untie_all(layer, own.into_iter().map(|(_, info)| info.path).collect())
    }

    /// Unties those of `paths` that are tied; `what` is how they were named.
    fn untie_all(&mut self, what: &str, mut paths: Vec<String>) -> Result<Vec<String>, Error> {
        let tied_to_them = |(path, slot): (&String, &Slot)| match slot {
            Slot::Tied(tied) if paths.contains(&tied.to) => Some(path.clone()),
            _ => None,
        };
        let aliases = self.slots.iter().filter_map(tied_to_them).collect();
        let mut leaves = BTreeMap::new();
        paths.retain(|path| matches!(self.slots.get(path), Some(Slot::Tied(_))));
        for path in &paths {
            if let Some(Slot::Tied(tied)) = self.slots.get(path) {
                leaves.insert(path.clone(), self.untied(tied, &self.value(path)?));
            }
        }
        if leaves.is_empty() {
            return Err(Error::NotTied { path: what.to_owned(), aliases });
        }
        self.slots.retain(|path, _| !leaves.contains_key(path));
        self.edit_template(|template| access::restore(template, leaves));
        Ok(paths)
    }
}

/// The rest of `path` below `layer`.
fn below<'a>(path: &'a str, layer: &str) -> Option<&'a str> {
    path.strip_prefix(layer)?.strip_prefix('.')
}

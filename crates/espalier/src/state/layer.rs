//! The state dict of one layer: `net[2].state_dict()`.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use espalier_checkpoint::Checkpoint;

use super::alias::Aliases;
use super::load::Wanted;
use super::save::{Save, extra_key};
use super::walk::{TorchWalk, Wrapper};
use super::{StateDict, Strict};
use crate::error::{Error, TieError};

impl StateDict {
    /// The tensors of the layer at `layer`, under their names in the layer: `net[2].state_dict()`.
    ///
    /// As in PyTorch, a parameter that is tied to one elsewhere is there under its own name, so
    /// that the layer is whole. An empty `layer` is the module itself.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::state::{StateDict, Strict};
    ///
    /// let linear = || LinearConfig::new(4, 3).init(&Device::default());
    /// let net = Sequential::new().with(linear()).with(linear());
    /// let layer = StateDict::of_layer(&net, "1")?;
    /// assert_eq!(layer.shapes(), [("weight", &[3, 4][..]), ("bias", &[3][..])]);
    /// let net = layer.load_into_layer(net, "0", Strict::Yes)?;
    /// assert_eq!(StateDict::of_layer(&net, "0")?, layer);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`] if there is no such layer, [`Error::Tie`] if it holds the transpose of a
    /// parameter that is parametrized or pruned in another layer, for which PyTorch has no name.
    pub fn of_layer<M: Module>(module: &M, layer: &str) -> Result<Self, Error> {
        let save = Save::of(module);
        let aliases = save.aliases();
        find_layer(&save.walk, &save.out.names().collect(), &aliases, layer)?;
        if let Some((target, to)) =
            aliases.unsaved.iter().find(|(name, to)| in_layer(name, layer) && !in_layer(to, layer))
        {
            let (target, to) = (target.clone(), to.clone());
            return Err(Error::Tie { target, to, reason: TieError::TransposedAlone });
        }
        let descriptions = scoped_descriptions(&save.walk.wrappers, layer);
        let whole = save.with_aliases().out;
        let mut own = Checkpoint::new();
        own.metadata = whole.metadata.clone();
        own.metadata.extend(descriptions);
        for tensor in whole.iter().filter(|tensor| in_layer(tensor.name(), layer)) {
            let name = within(tensor.name(), layer).unwrap_or_default();
            own.push(tensor.clone().with_name(name))?;
        }
        Ok(Self(own))
    }

    /// `module` with the tensors of its layer at `layer` replaced by these, named as in
    /// [`of_layer`](Self::of_layer): `net[2].load_state_dict(state)`.
    ///
    /// What is tied to the layer's parameters changes with them.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`] if there is no such layer, otherwise as [`load_into`](Self::load_into);
    /// names in the report are those of the whole module. Nothing is loaded then.
    pub fn load_into_layer<M: Module>(
        &self,
        module: M,
        layer: &str,
        strict: Strict,
    ) -> Result<M, Error> {
        let wanted = Wanted::by(&module);
        let names = wanted.names();
        find_layer(&wanted.walk, &names, &wanted.aliases(), layer)?;
        let mut moved = Checkpoint::new();
        moved.metadata.clone_from(&self.0.metadata);
        for tensor in self.0.iter() {
            let name = match layer {
                "" => tensor.name().to_owned(),
                layer => format!("{layer}.{}", tensor.name()),
            };
            moved.push(tensor.clone().with_name(name))?;
        }
        let moved = Self(moved);
        let module = moved.sized(module);
        let wanted = Wanted::by(&module);
        moved.load_layer(module, &wanted, layer, strict)
    }
}

/// The rest of `name` after `layer` and a dot. An empty layer is the module itself.
fn within<'a>(name: &'a str, layer: &str) -> Option<&'a str> {
    if layer.is_empty() { Some(name) } else { name.strip_prefix(layer)?.strip_prefix('.') }
}

pub(super) fn in_layer(name: &str, layer: &str) -> bool {
    within(name, layer).is_some()
}

/// Checks that `layer` is one, by a finished walk.
fn find_layer(
    walk: &TorchWalk,
    tensors: &BTreeSet<&str>,
    aliases: &Aliases,
    layer: &str,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let owner = |name: &str| name.rsplit_once('.').map_or("", |(owner, _)| owner).to_owned();
    let owners: BTreeSet<String> =
        walk.entered.iter().map(|entered| owner(&entered.torch)).collect();
    let holders: BTreeSet<String> =
        tensors.iter().copied().chain(aliases.tied.iter().map(String::as_str)).map(owner).collect();
    // Nothing tells an absent parameter (a bias) from a layer without parameters but that its owner
    // holds parameters.
    let is_absent = |name: &str| {
        !owners.contains(name) && !walk.marked.contains(name) && holders.contains(&owner(name))
    };
    let layers: Vec<&str> = walk
        .entered
        .iter()
        .map(|entered| entered.torch.as_str())
        .filter(|name| !tensors.contains(name) && !aliases.tied.iter().any(|tied| tied == name))
        .filter(|name| !is_absent(name))
        .filter(|name| !name.ends_with(crate::frame::EXTRA_STATE) && seen.insert(*name))
        .collect();
    if layer.is_empty() || layers.contains(&layer) {
        return Ok(());
    }
    let nearest = crate::select::nearest(layer, layers.into_iter());
    Err(Error::NoLayer { path: layer.to_owned(), nearest })
}

/// The descriptions of the slots in `layer` by metadata key, with paths as in the layer.
pub(super) fn scoped_descriptions(wrappers: &[Wrapper], layer: &str) -> BTreeMap<String, String> {
    let mut scoped = BTreeMap::new();
    for wrapper in wrappers {
        if layer.is_empty() {
            scoped.insert(extra_key(&wrapper.torch), wrapper.description.clone());
        } else if wrapper.torch == layer {
            scoped.insert(extra_key(""), wrapper.description.clone());
        } else if let Some(rest) = within(&wrapper.torch, layer) {
            scoped.insert(extra_key(rest), wrapper.description.clone());
        } else if let Some(rest) = within(layer, &wrapper.torch)
            && let Some(own) = crate::frame::restrict(&wrapper.description, rest)
        {
            // Of wrappers around the layer the innermost comes first and knows it best.
            scoped.entry(extra_key("")).or_insert(own);
        }
    }
    scoped
}

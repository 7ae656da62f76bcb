//! Several paths, one parameter.

use std::collections::BTreeMap;

use burn::module::{Module, ParamId};

use super::slot::{Slot, Tied};
use super::{Parametrized, access};
use crate::error::{Error, TieError};
use crate::tree::{Kind, ParamInfo};

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
        let error = |reason| Error::Tie { target: target.to_owned(), to: to.to_owned(), reason };
        let entries = self.entries();
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
        self.slots
            .iter()
            .filter_map(|(path, slot)| match slot {
                Slot::Tied(tied) => Some((path.clone(), tied.to.clone())),
                Slot::Computed(_) => None,
            })
            .collect()
    }

    /// Gives the path a parameter of its own again, with the present value.
    ///
    /// # Errors
    ///
    /// [`Error::NotParametrized`] if the path is not tied.
    pub fn untie(&mut self, path: &str) -> Result<(), Error> {
        let Some(Slot::Tied(tied)) = self.slots.get(path) else {
            self.template_param(path)?;
            return Err(Error::NotParametrized { path: path.to_owned() });
        };
        let leaf = self.untied(tied, &self.value(path)?);
        let leaf = BTreeMap::from([(path.to_owned(), leaf)]);
        self.slots.remove(path);
        self.edit_template(|template| access::restore(template, leaf));
        Ok(())
    }
}

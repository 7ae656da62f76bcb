//! What computes a parameter, copied to another network.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use super::slot::Original;
use super::{Parametrized, access};
use crate::error::Error;
use crate::select::{IntoSelector, Selector};
use crate::tree::ParameterTree;

/// Gives parameters the identity `id`, or new ones.
struct Identify(Option<ParamId>);

impl ModuleMapper for Identify {
    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.id = self.0.unwrap_or_default();
        param
    }
}

impl<M: Module> Parametrized<M> {
    /// Copies what computes the selected parameters of `from` (rules with their state, originals,
    /// masks) to the same paths here: PyTorch's `transfer_parametrizations_and_params`.
    ///
    /// The values are equal then and nothing is shared. A parameter with one original keeps its
    /// identity here. Selected are those of `from` by their effective names; PyTorch's default, all
    /// that are parametrized, is
    /// [`transfer_parametrizations_and_params`](crate::parametrize::transfer_parametrizations_and_params)
    /// without a selector.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for a path that one of them has not, [`Error::NotParametrized`] where
    /// `from` computes nothing, [`Error::AlreadyParametrized`] where this one does,
    /// [`Error::Shape`] where the parameters differ. Nothing is copied then.
    pub fn transfer_from<N: Module>(
        &mut self,
        from: &Parametrized<N>,
        selector: impl IntoSelector,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let from = from.settled();
        let mut slots = Vec::new();
        for source in from.locate_with_buffers(&selector.into_selector()?)? {
            let path = source.path;
            let Some(slot) = from.computed(&path).filter(|_| from.slots.contains_key(&path)) else {
                return Err(Error::NotParametrized { path });
            };
            let target = self.locate_with_buffers(&Selector::path(&path))?.swap_remove(0);
            if self.slots.contains_key(&path) {
                return Err(Error::AlreadyParametrized { path });
            }
            let layout = target.layout();
            let (expected, found) = (target.shape, slot.value().dims());
            if expected != found || layout != slot.layout {
                return Err(Error::Shape { path, expected, found });
            }
            if target.kind != source.kind {
                return Err(Error::Kind { path, expected: source.kind });
            }
            let present = access::read(&self.template_param(&path)?);
            let mut slot = slot.clone().opened().change(|module| {
                let module = module.fork(&target.device).map(&mut Identify(None));
                if present.value.is_autodiff() { module.train() } else { module.valid() }
            });
            if let [Original::Leaf(leaf)] = slot.originals.as_mut_slice()
                && access::read(leaf).value.dims() == expected
            {
                *leaf = leaf.clone().map(&mut Identify(Some(present.id)));
            }
            slots.push((path, slot));
        }
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        Ok(paths)
    }

    /// The type of the layer at `path`, the network's own for an empty path: `Linear`.
    ///
    /// PyTorch's `type_before_parametrizations`; a parametrization changes no type here. Empty
    /// where Burn does not tell the type of a layer without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`] if there is none.
    pub fn layer_type(&self, path: &str) -> Result<String, Error> {
        let modules = self.template.named_modules();
        if let Some(found) = modules.iter().find(|module| module.path == path) {
            return Ok(found.layer.clone());
        }
        let nearest = crate::select::nearest(path, modules.iter().map(|m| m.path.as_str()));
        Err(Error::NoLayer { path: path.to_owned(), nearest })
    }
}

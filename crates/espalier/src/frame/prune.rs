//! Masks on the parameters of a wrapper.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Bool, Tensor};
use espalier_kernels::Bits;

use super::Parametrized;
use super::slot::{self, Computed, Original, Slot};
use crate::erase::{AnyModule, AnyTensor, with_rank};
use crate::error::Error;
use crate::host::Numbers;
use crate::prune::{BasePruningMethod, Importance, Mask, PruneError, Target};
use crate::select::IntoSelector;
use crate::tree::{Layout, ParamInfo};

/// A parameter on its way to being pruned.
struct Chosen {
    path: String,
    slot: Computed,
    like: AnyTensor,
}

impl<M: Module> Parametrized<M> {
    /// Prunes each selected parameter by itself, and returns their paths.
    ///
    /// The value becomes the original (or what the parametrizations make of it) with exact zeros
    /// under the mask; no gradient flows there. Pruning again counts what is left, and adds to the
    /// mask.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::L1Unstructured;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
    /// net.prune("weight", L1Unstructured::new(0.5))?;
    /// assert_eq!(net.zeros("weight")?, 10);
    /// net.prune("weight", L1Unstructured::new(0.5))?; // of the ten that are left
    /// assert_eq!(net.zeros("weight")?, 15);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::Prune`] if the method or its amount does
    /// not fit. Then nothing is pruned anywhere.
    pub fn prune(
        &mut self,
        selector: impl IntoSelector,
        method: impl BasePruningMethod,
    ) -> Result<Vec<String>, Error> {
        self.prune_by(selector, method, &Importance::new())
    }

    /// As [`prune`](Self::prune), by importance scores where there are some. See [`Importance`] for
    /// an example.
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune), and [`Error::Prune`] for scores of another shape.
    pub fn prune_by(
        &mut self,
        selector: impl IntoSelector,
        method: impl BasePruningMethod,
        importance: &Importance,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let (chosen, mut targets) = self.targets(selector, importance)?;
        for (chosen, target) in chosen.iter().zip(&mut targets) {
            method
                .compute_mask(target)
                .map_err(|source| Error::Prune { path: chosen.path.clone(), source })?;
        }
        Ok(self.insert_masked(chosen, targets))
    }

    /// Prunes the selected parameters together: so much of all their values that are not pruned
    /// yet, wherever those of the lowest score are. PyTorch's `global_unstructured`.
    ///
    /// ```
    /// use espalier::nn::Sequential;
    /// use espalier::prune::L1Unstructured;
    /// use espalier::Parametrized;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let device = Device::default();
    /// let net = Sequential::new()
    ///     .with(LinearConfig::new(4, 6).init(&device))
    ///     .with(LinearConfig::new(6, 1).init(&device));
    /// let mut net = Parametrized::new(net);
    /// net.prune_global("*.weight", L1Unstructured::new(0.8))?;
    /// assert_eq!(net.zeros("0.weight")? + net.zeros("1.weight")?, 24);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune), and [`Error::Prune`] with
    /// [`PruneError::NotUnstructured`] for a method that takes more than single values.
    pub fn prune_global(
        &mut self,
        selector: impl IntoSelector,
        method: impl BasePruningMethod,
    ) -> Result<Vec<String>, Error> {
        self.prune_global_by(selector, method, &Importance::new())
    }

    /// As [`prune_global`](Self::prune_global), by importance scores where there are some.
    ///
    /// # Errors
    ///
    /// As [`prune_global`](Self::prune_global), and [`Error::Prune`] for scores of another shape.
    pub fn prune_global_by(
        &mut self,
        selector: impl IntoSelector,
        method: impl BasePruningMethod,
        importance: &Importance,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let (chosen, mut targets) = self.targets(selector, importance)?;
        let pooled = method.assert_unstructured().and_then(|()| method.compute_masks(&mut targets));
        pooled.map_err(|source| {
            let paths: Vec<&str> = chosen.iter().map(|chosen| chosen.path.as_str()).collect();
            Error::Prune { path: paths.join(", "), source }
        })?;
        Ok(self.insert_masked(chosen, targets))
    }

    fn targets(
        &self,
        selector: impl IntoSelector,
        importance: &Importance,
    ) -> Result<(Vec<Chosen>, Vec<Target>), Error> {
        let scores: BTreeMap<&str, &AnyTensor> = importance
            .paths()
            .filter_map(|path| Some((self.canonical(path), importance.get(path)?)))
            .collect();
        let target = |info: ParamInfo| {
            // Zeros in place are as good as what is under the mask, which cannot be chosen.
            let slot = self.slot_as_is(&info)?;
            let dense = slot.dense();
            let dims = dense.dims();
            let given = scores.get(info.path.as_str());
            if let Some(scores) = given
                && scores.dims() != dims
            {
                let source = PruneError::Shape {
                    what: "importance scores",
                    expected: dims,
                    found: scores.dims(),
                };
                return Err(Error::Prune { path: info.path, source });
            }
            let kept = match &slot.mask {
                Some(mask) => Bits::clone(slot::bits(mask, dense.rank())),
                None => Bits::all(dims.iter().product()),
            };
            let numbers = Numbers::of(given.copied().unwrap_or(&dense));
            let target = Target::new(numbers, given.is_some(), kept, dims, slot.layout);
            let target = target.named(&info.path);
            Ok((Chosen { path: info.path, slot, like: dense }, target))
        };
        self.locate(selector)?.into_iter().map(target).collect()
    }

    fn insert_masked(&mut self, chosen: Vec<Chosen>, targets: Vec<Target>) -> Vec<String> {
        let slots: Vec<(String, Computed)> = chosen
            .into_iter()
            .zip(targets)
            .map(|(Chosen { path, slot, like }, target)| {
                let mut slot = slot.opened();
                slot.mask = Some(slot::mask_of(target.into_kept(), &like));
                (path, slot)
            })
            .collect();
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        paths
    }

    /// Takes the masks off the selected parameters: the values from before pruning show again, bit
    /// for bit where nothing has trained them since. Parametrizations stay.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::L1Unstructured;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
    /// let before: Tensor<2> = net.get("weight")?;
    /// net.prune("weight", L1Unstructured::new(0.5))?;
    /// net.restore("weight")?;
    /// assert_eq!(net.get::<2>("weight")?.into_data(), before.into_data());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::NotPruned`] for a parameter without a
    /// mask. Then nothing is changed anywhere.
    pub fn restore(&mut self, selector: impl IntoSelector) -> Result<Vec<String>, Error> {
        self.settle();
        let mut plain = BTreeMap::new();
        let mut chains = Vec::new();
        let mut paths = Vec::new();
        for ParamInfo { path, .. } in self.locate(selector)? {
            let slot = self.computed(&path).filter(|slot| slot.mask.is_some());
            let Some(mut slot) = slot.cloned().map(Computed::opened) else {
                return Err(Error::NotPruned { path });
            };
            paths.push(path.clone());
            slot.mask = None;
            match slot.originals.as_slice() {
                [only] if slot.links.is_empty() => {
                    plain.insert(path, Original::clone(only));
                }
                _ => chains.push((path, slot)),
            }
        }
        self.insert(chains);
        self.put_back(plain);
        Ok(paths)
    }

    /// Sets the selected parameters back to their values in an earlier copy of the network and keeps
    /// the masks of now: a lottery ticket starts again from where it began (Frankle and Carbin, "The
    /// Lottery Ticket Hypothesis", 2019). What the copy had pruned counts with its value from before.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::L1Unstructured;
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default();
    /// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&device));
    /// let start = net.clone();
    /// net.set("weight", Tensor::<2>::ones([5, 4], &device))?; // or training
    /// net.prune("weight", L1Unstructured::new(0.5))?;
    /// net.rewind("weight", &start)?;
    /// let pruned = net.mask::<2>("weight")?.bool_not();
    /// let expected = start.get::<2>("weight")?.mask_fill(pruned, 0.0);
    /// assert_eq!(net.get::<2>("weight")?.into_data(), expected.into_data());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected here or a path is not in the copy, and as
    /// [`set`](Self::set). Then nothing is changed anywhere.
    pub fn rewind(
        &mut self,
        selector: impl IntoSelector,
        earlier: &Self,
    ) -> Result<Vec<String>, Error> {
        let mut net = self.clone();
        let paths = net.parameters_of(selector)?;
        for path in &paths {
            let value = match earlier.computed(earlier.canonical(path)) {
                Some(slot) if earlier.canonical(path) == path => slot.clone().opened().dense(),
                _ => earlier.value(path)?,
            };
            net.set_any(path, value)?;
        }
        *self = net;
        Ok(paths)
    }

    /// Whether `path`, or the parameter it is tied to, has a mask.
    pub fn is_pruned(&self, path: &str) -> bool {
        self.mask_at(path).is_some()
    }

    /// The paths that have a mask, in alphabetic order; tied ones not.
    pub fn pruned_paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.slots.keys().cloned().collect();
        paths.extend(self.originals().into_iter().map(|info| info.path));
        paths.retain(|path| self.computed(path).is_some_and(|slot| slot.mask.is_some()));
        paths.sort();
        paths.dedup();
        paths
    }

    fn mask_at(&self, path: &str) -> Option<&AnyModule> {
        self.computed(self.canonical(path))?.mask.as_ref()
    }

    /// The mask of `path`, true where a value is kept, in the layout of Burn's tensor.
    ///
    /// # Errors
    ///
    /// [`Error::NotPruned`] if there is no mask, [`Error::NoMatch`] for an unknown path,
    /// [`Error::PathRank`] for another rank.
    pub fn mask<const D: usize>(&self, path: &str) -> Result<Tensor<D, Bool>, Error> {
        let value: Tensor<D> = self.get(path)?;
        let kept = self.kept(path)?;
        let layout = self.layout_of(path)?;
        let mut torch = [0; D];
        torch.copy_from_slice(&layout.torch_shape(&value.dims()));
        let data = burn::tensor::TensorData::new(kept, torch);
        Ok(layout.turn(Tensor::from_data(data, &value.device())))
    }

    /// Which values of `path` are kept, row-major in PyTorch's layout.
    ///
    /// # Errors
    ///
    /// [`Error::NotPruned`] if there is no mask, [`Error::NoMatch`] for an unknown path.
    pub fn kept(&self, path: &str) -> Result<Vec<bool>, Error> {
        let transposed = matches!(self.slots.get(path), Some(Slot::Tied(tied)) if tied.transposed);
        let canonical = self.canonical(path);
        let Some(Computed { mask: Some(mask), layout, .. }) = self.computed(canonical) else {
            self.exists(path)?;
            return Err(Error::NotPruned { path: path.to_owned() });
        };
        let dims = self.value(canonical)?.dims();
        let kept = slot::kept(mask, &dims, *layout);
        // Through a tie, PyTorch's layout of the alias is that of the source, or its transpose.
        let alias = self.entries().into_iter().find(|info| info.path == path);
        let swapped = alias.is_some_and(|alias| transposed ^ (alias.layout() != *layout));
        if !swapped || dims.len() < 2 {
            return Ok(kept);
        }
        let torch = layout.torch_shape(&dims);
        let (rows, columns) = (torch[dims.len() - 2], torch[dims.len() - 1]);
        let size = rows * columns;
        let at = |i: usize| {
            let (matrix, place) = (i / size, i % size);
            kept[matrix * size + (place % rows) * columns + place / rows]
        };
        Ok((0..kept.len()).map(at).collect())
    }

    /// How many values of `path` are exactly zero now.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path.
    pub fn zeros(&self, path: &str) -> Result<usize, Error> {
        Ok(self.value(path)?.to_data().iter::<f64>().filter(|value| *value == 0.0).count())
    }

    /// The fraction of the selected parameters' values that is exactly zero now.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected.
    pub fn sparsity(&self, selector: impl IntoSelector) -> Result<f64, Error> {
        let (mut zeros, mut all) = (0, 0);
        for path in self.parameters_of(selector)? {
            zeros += self.zeros(&path)?;
            all += self.value(&path)?.dims().iter().product::<usize>();
        }
        Ok(if all == 0 { 0.0 } else { zeros as f64 / all as f64 })
    }

    /// The paths of the selected parameters, ties resolved.
    pub(crate) fn parameters_of(&self, selector: impl IntoSelector) -> Result<Vec<String>, Error> {
        Ok(self.locate(selector)?.into_iter().map(|info| info.path).collect())
    }

    /// The value of a parameter of any rank.
    pub(crate) fn any_value(&self, path: &str) -> Result<AnyTensor, Error> {
        self.value(path)
    }

    /// How a parameter is stored.
    pub(crate) fn layout_of(&self, path: &str) -> Result<Layout, Error> {
        if let Some(slot) = self.computed(path) {
            return Ok(slot.layout);
        }
        // By the names of values, which ties have too.
        match self.entries().into_iter().find(|info| info.path == path) {
            Some(info) => Ok(info.layout()),
            None => Err(self.no_match(path)),
        }
    }

    /// The mask at a path, as a module.
    pub(crate) fn mask_module(&self, path: &str) -> Result<AnyModule, Error> {
        match self.mask_at(path) {
            Some(mask) => Ok(mask.clone()),
            None => Err(Error::NotPruned { path: path.to_owned() }),
        }
    }

    /// Puts a mask made for a tensor of this shape over a parameter.
    pub(crate) fn put_mask(&mut self, path: &str, mask: &AnyModule) -> Result<(), Error> {
        let info = self.locate(crate::Selector::path(path))?.swap_remove(0);
        let mut slot = self.slot_or_identity(&info)?;
        let dims = slot.dense().dims();
        let found = with_rank!(dims.len(), D => {
            mask.get::<Mask<D>>().map(|mask| mask.dims().to_vec())
        }, else None);
        if found.as_ref() != Some(&dims) {
            let found = found.unwrap_or_default();
            let source = PruneError::Shape { what: "mask", expected: dims, found };
            return Err(Error::Prune { path: path.to_owned(), source });
        }
        slot.mask = Some(mask.clone());
        self.insert(vec![(info.path, slot)]);
        Ok(())
    }
}

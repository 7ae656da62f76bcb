//! Masks on the parameters of a wrapper.

use burn::module::Module;

use super::Parametrized;
use super::slot::{self, Computed, Slot};
use crate::erase::AnyModule;
use crate::error::Error;
use crate::prune::{Amount, Unstructured};
use crate::select::IntoSelector;
use crate::tree::{Layout, ParamInfo};

/// A parameter on its way to being pruned: scores and kept positions in PyTorch's layout.
struct Candidate {
    path: String,
    slot: Computed,
    scores: Vec<f64>,
    keep: Vec<bool>,
}

impl Candidate {
    fn kept(&self) -> usize {
        self.keep.iter().filter(|kept| **kept).count()
    }

    /// The slot with the chosen positions masked.
    fn masked(self) -> (String, Computed) {
        let mut slot = self.slot;
        slot.mask = Some(slot::make_mask(&self.keep, &slot.dense(), slot.layout));
        (self.path, slot)
    }
}

impl<M: Module> Parametrized<M> {
    /// Prunes each selected parameter by itself, `amount` of what is not pruned yet.
    ///
    /// The value becomes the original (or what the parametrizations make of it) with exact zeros
    /// under the mask; no gradient flows there. Pruning again adds to the mask.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::{Amount, L1Unstructured};
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
    /// net.prune("weight", L1Unstructured, Amount::fraction(0.5))?;
    /// assert_eq!(net.zeros("weight")?, 10);
    /// net.prune("weight", L1Unstructured, Amount::fraction(0.5))?; // of the ten that are left
    /// assert_eq!(net.zeros("weight")?, 15);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::Amount`] for an amount out of range.
    /// Then nothing is pruned anywhere.
    pub fn prune(
        &mut self,
        selector: impl IntoSelector,
        method: impl Unstructured,
        amount: Amount,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let mut candidates = self.candidates(selector)?;
        for candidate in &mut candidates {
            let count = amount
                .of(candidate.kept())
                .map_err(|source| Error::Amount { path: candidate.path.clone(), source })?;
            method.choose(&candidate.scores, &mut candidate.keep, count);
        }
        Ok(self.insert_masked(candidates))
    }

    /// Prunes the selected parameters together: `amount` of all their values that are not pruned
    /// yet, wherever those of the lowest score are. PyTorch's `global_unstructured`.
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune).
    pub fn prune_global(
        &mut self,
        selector: impl IntoSelector,
        method: impl Unstructured,
        amount: Amount,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let mut candidates = self.candidates(selector)?;
        let mut scores = Vec::new();
        let mut keep = Vec::new();
        for candidate in &candidates {
            scores.extend_from_slice(&candidate.scores);
            keep.extend_from_slice(&candidate.keep);
        }
        let available = keep.iter().filter(|kept| **kept).count();
        let count = amount.of(available).map_err(|source| {
            let paths: Vec<&str> = candidates.iter().map(|c| c.path.as_str()).collect();
            Error::Amount { path: paths.join(", "), source }
        })?;
        method.choose(&scores, &mut keep, count);
        let mut rest = keep.as_slice();
        for candidate in &mut candidates {
            let (own, others) = rest.split_at(candidate.keep.len());
            candidate.keep.copy_from_slice(own);
            rest = others;
        }
        Ok(self.insert_masked(candidates))
    }

    fn candidates(&self, selector: impl IntoSelector) -> Result<Vec<Candidate>, Error> {
        let candidate = |info: ParamInfo| {
            let slot = self.slot_or_identity(&info)?;
            let dense = slot.dense();
            let layout = slot.layout;
            let torch = match layout {
                Layout::Transposed => dense.transpose(),
                Layout::Torch => dense.clone(),
            };
            let scores: Vec<f64> = torch.to_data().iter::<f64>().collect();
            let keep = match &slot.mask {
                Some(mask) => slot::kept(mask, dense.rank(), layout),
                None => vec![true; scores.len()],
            };
            Ok(Candidate { path: info.path, slot, scores, keep })
        };
        self.locate(selector)?.into_iter().map(candidate).collect()
    }

    fn insert_masked(&mut self, candidates: Vec<Candidate>) -> Vec<String> {
        let slots: Vec<_> = candidates.into_iter().map(Candidate::masked).collect();
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        paths
    }

    /// Whether `path`, or the parameter it is tied to, has a mask.
    pub fn is_pruned(&self, path: &str) -> bool {
        self.mask(path).is_some()
    }

    fn mask(&self, path: &str) -> Option<&AnyModule> {
        self.computed(self.canonical(path))?.mask.as_ref()
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
        let kept = slot::kept(mask, dims.len(), *layout);
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
}

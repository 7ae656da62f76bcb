//! Learned masks made exact.

use burn::module::Module;
use burn::tensor::Tensor;

use super::slot::{self, Computed, Original};
use super::{Parametrized, chain_error};
use crate::erase::with_rank;
use crate::error::Error;
use crate::parametrize::{RuleError, SigmoidMaskLink};
use crate::select::IntoSelector;

impl<M: Module> Parametrized<M> {
    /// Turns the learned [`SigmoidMask`](crate::parametrize::SigmoidMask) at the end of each
    /// selected chain into a pruning mask: exact zeros where a gate is closed, and the value before
    /// the gates where one is open.
    ///
    /// With a target sparsity exactly that fraction is zero, the lowest gates; without one, gates
    /// below one half. A mask that is there already stays. Fine-tuning afterwards trains what is
    /// left.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::SigmoidMask;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(4, 5).init(&Device::default()));
    /// net.register("weight", SigmoidMask::new().target_sparsity(0.4))?;
    /// assert_eq!(net.harden("weight")?, ["weight"]);
    /// assert_eq!(net.zeros("weight")?, 8);
    /// assert!(!net.is_parametrized("weight") && net.is_pruned("weight"));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::NotParametrized`] for a parameter
    /// without rules, [`Error::Rule`] with [`RuleError::NotLast`] if the last rule is another. Then
    /// nothing is changed anywhere.
    pub fn harden(&mut self, selector: impl IntoSelector) -> Result<Vec<String>, Error> {
        self.settle();
        let mut slots = Vec::new();
        for info in self.locate(selector)? {
            let mut slot = self.chain_of(&info.path)?.clone();
            slot.harden().map_err(|source| {
                let rule = slot.rules();
                chain_error(&info.path)((rule, source))
            })?;
            slots.push((info.path, slot));
        }
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        Ok(paths)
    }
}

impl<M: Module> Parametrized<M> {
    /// What is to be added to the loss for the learned [`SigmoidMask`](crate::parametrize::SigmoidMask)
    /// at the end of the chain of `path`; see [`SigmoidMaskLink::penalty`].
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::SigmoidMask;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(4, 5).init(&Device::default()));
    /// net.register("weight", SigmoidMask::new())?;
    /// let open: f64 = net.mask_penalty("weight")?.into_scalar(); // the mean of the gates
    /// assert!(open > 0.0 && open < 1.0);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotParametrized`] for a parameter without rules, [`Error::Rule`] with
    /// [`RuleError::NotLast`] if the last rule is another.
    pub fn mask_penalty(&self, path: &str) -> Result<Tensor<1>, Error> {
        let slot = self.chain_of(path)?;
        let link = slot.links.last();
        let penalty = with_rank!(slot.dense().rank(), D => {
            link.and_then(|link| link.get::<SigmoidMaskLink<D>>()).map(SigmoidMaskLink::penalty)
        }, else None);
        penalty.ok_or_else(|| {
            chain_error(path)((slot.rules(), RuleError::NotLast { expected: "sigmoid_mask" }))
        })
    }
}

impl Computed {
    fn harden(&mut self) -> Result<(), RuleError> {
        let rank = self.dense().rank();
        let link = self.links.last();
        let kept = with_rank!(rank, D => {
            link.and_then(|link| link.get::<SigmoidMaskLink<D>>()).map(SigmoidMaskLink::kept)
        }, else None);
        let Some(mut kept) = kept else {
            return Err(RuleError::NotLast { expected: "sigmoid_mask" });
        };
        let dims = self.dense().dims();
        let mut join = |slot: &Self| {
            if let Some(mask) = &slot.mask {
                let before = slot::kept(mask, &dims, slot.layout);
                kept.iter_mut().zip(before).for_each(|(kept, before)| *kept &= before);
            }
        };
        join(self);
        self.links.pop();
        // Without links, what computes a nested original computes the value.
        if self.links.is_empty()
            && let [Original::Nested(inner)] = self.originals.as_slice()
        {
            *self = (**inner).clone();
            join(self);
        }
        self.mask = Some(slot::make_mask(&kept, &self.dense(), self.layout));
        Ok(())
    }
}

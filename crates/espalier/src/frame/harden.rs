//! Pruning masks from trained gates.

use burn::module::Module;

use super::Parametrized;
use super::slot::{self, Computed, Original};
use crate::erase::with_rank;
use crate::error::Error;
use crate::parametrize::{Link, SigmoidMaskLink};
use crate::select::IntoSelector;

impl<M: Module> Parametrized<M> {
    /// Makes pruning masks of trained gates: on each selected parameter the
    /// [`SigmoidMask`](crate::parametrize::SigmoidMask), the last link of its chain, is taken out, and a
    /// mask is put in its place.
    ///
    /// With a target sparsity exactly `round((1 - target) * n)` of `n` values are kept (half to even),
    /// those with the greatest gates; of equal gates the later ones, in PyTorch's layout. Without one,
    /// those with gates of one half or more. What an earlier mask prunes stays pruned. Kept values are
    /// what the rest of the chain gives: the gate becomes 1.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::SigmoidMask;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
    /// net.register("weight", SigmoidMask::new().target_sparsity(0.9))?;
    /// assert_eq!(net.harden("weight")?, ["weight"]);
    /// assert!(net.is_pruned("weight") && !net.is_parametrized("weight"));
    /// assert_eq!(net.zeros("weight")?, 18);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::NotParametrized`] for a parameter without a
    /// chain, [`Error::LastLink`] for a chain that does not end with such gates. Then nothing is
    /// changed anywhere.
    pub fn harden(&mut self, selector: impl IntoSelector) -> Result<Vec<String>, Error> {
        self.settle();
        let mut slots = Vec::new();
        for info in self.locate(selector)? {
            let slot = self.chain_of(&info.path)?.clone();
            let slot = slot.hardened().map_err(|found| Error::LastLink {
                path: info.path.clone(),
                expected: "sigmoid_mask",
                found,
            })?;
            slots.push((info.path, slot));
        }
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        Ok(paths)
    }
}

impl Computed {
    /// The chain with a mask in the place of its last link; the link's rule if it is another.
    fn hardened(mut self) -> Result<Self, String> {
        let Some(link) = self.links.pop() else {
            return Err("no link".to_owned());
        };
        let shape = self.dense().dims();
        let mut keep = vec![true; shape.iter().product()];
        let prune = |slot: &Self, keep: &mut Vec<bool>| {
            if let Some(mask) = &slot.mask {
                let kept = slot::kept(mask, shape.len(), slot.layout);
                keep.iter_mut().zip(kept).for_each(|(keep, kept)| *keep &= kept);
            }
        };
        prune(&self, &mut keep);
        // Without links, what computes a nested original computes the value.
        if self.links.is_empty()
            && let [Original::Nested(inner)] = self.originals.as_slice()
        {
            self = (**inner).clone();
            prune(&self, &mut keep);
        }
        if !harden(&link, shape.len(), &mut keep) {
            return Err(link.rule().to_owned());
        }
        self.mask = Some(slot::make_mask(&keep, &self.dense(), self.layout));
        Ok(self)
    }
}

/// Whether the link is a mask of gates, which then chooses among the kept positions.
fn harden(link: &Link, rank: usize, keep: &mut [bool]) -> bool {
    with_rank!(rank, D => match link.get::<SigmoidMaskLink<D>>() {
        Some(mask) => {
            mask.harden(keep);
            true
        }
        None => false,
    }, else false)
}

//! Values by chance.

use super::l1_unstructured::lowest;
use super::{Amount, BasePruningMethod, PruneError, PruningType, Target};

/// Prunes values by chance, every set of them as likely: `torch.nn.utils.prune.RandomUnstructured`.
///
/// The choice follows from the seed and the parameter's path, on any machine.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::prune::{BasePruningMethod, RandomUnstructured};
///
/// let w = Tensor::<2>::ones([8, 8], &Device::default());
/// let pruned = RandomUnstructured::new(0.25, 7).prune(w.clone(), None, None)?;
/// assert_eq!(pruned.clone().sum().into_scalar::<f32>(), 48.0);
/// let again = RandomUnstructured::new(0.25, 7).prune(w, None, None)?;
/// assert_eq!(again.into_data(), pruned.into_data());
/// # Ok::<(), espalier::prune::PruneError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomUnstructured {
    amount: Amount,
    seed: u64,
    per_row: bool,
}

impl RandomUnstructured {
    /// So much of what is not pruned yet, by this seed.
    pub fn new(amount: impl Into<Amount>, seed: u64) -> Self {
        Self { amount: amount.into(), seed, per_row: false }
    }

    /// Takes the amount of every output row for itself.
    pub fn per_row(mut self) -> Self {
        self.per_row = true;
        self
    }
}

impl BasePruningMethod for RandomUnstructured {
    fn pruning_type(&self) -> PruningType {
        PruningType::Unstructured
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        self.compute_masks(std::slice::from_mut(target))
    }

    fn compute_masks(&self, targets: &mut [Target]) -> Result<(), PruneError> {
        lowest(targets, self.amount, self.per_row, Some(self.seed))
    }
}

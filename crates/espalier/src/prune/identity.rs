//! A mask that keeps everything.

use super::{BasePruningMethod, PruneError, PruningType, Target};

/// Prunes nothing, and makes a mask of ones: `torch.nn.utils.prune.Identity`.
///
/// For a parameter that is to have a mask from the start.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::prune::Identity;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
/// net.prune("weight", Identity)?;
/// assert!(net.is_pruned("weight") && net.kept("weight")?.iter().all(|kept| *kept));
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity;

impl BasePruningMethod for Identity {
    fn pruning_type(&self) -> PruningType {
        PruningType::Unstructured
    }

    fn compute_mask(&self, _: &mut Target) -> Result<(), PruneError> {
        Ok(())
    }

    fn compute_masks(&self, _: &mut [Target]) -> Result<(), PruneError> {
        Ok(())
    }
}

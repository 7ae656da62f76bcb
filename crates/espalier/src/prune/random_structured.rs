//! Channels by chance.

use espalier_kernels::{channels_kept, clear_channels};

use super::{Amount, BasePruningMethod, PruneError, PruningType, Target};
use crate::init::Rng;

/// Prunes channels along a dimension by chance: `torch.nn.utils.prune.RandomStructured`.
///
/// As [`LnStructured`](super::LnStructured), with the choice made by the seed and the parameter's
/// path.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::prune::{BasePruningMethod, RandomStructured};
///
/// let w = Tensor::<2>::ones([8, 3], &Device::default());
/// let pruned = RandomStructured::new(2, 0, 7).prune(w, None, None)?;
/// assert_eq!(pruned.sum().into_scalar::<f32>(), 18.0);
/// # Ok::<(), espalier::prune::PruneError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomStructured {
    amount: Amount,
    dim: isize,
    seed: u64,
}

impl RandomStructured {
    /// So many channels along this dimension of PyTorch's layout, by this seed.
    pub fn new(amount: impl Into<Amount>, dim: isize, seed: u64) -> Self {
        Self { amount: amount.into(), dim, seed }
    }
}

impl BasePruningMethod for RandomStructured {
    fn pruning_type(&self) -> PruningType {
        PruningType::Structured
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        let slices = target.channels(self.dim)?;
        let kept = channels_kept(target.kept(), &slices);
        let mut left: Vec<usize> = (0..kept.len()).filter(|channel| kept[*channel]).collect();
        let count = self.amount.of_rest(left.len(), slices.kept)?;
        Rng::stream(self.seed, target.stream()).shuffle(&mut left);
        clear_channels(target.kept_mut(), &slices, &left[..count]);
        Ok(())
    }
}

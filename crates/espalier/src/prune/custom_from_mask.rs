//! A mask that is given.

use burn::tensor::{Bool, Tensor};
use espalier_kernels::Bits;

use super::{BasePruningMethod, PruneError, PruningType, Target};

/// Prunes where a given mask is false: `torch.nn.utils.prune.CustomFromMask`.
///
/// The mask has the shape and layout of Burn's tensor, as [`get`](crate::Parametrized::get) gives
/// it.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Bool, Device, Tensor};
/// use espalier::prune::CustomFromMask;
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(2, 2).init(&device));
/// let mask = Tensor::<2, Bool>::from_data([[true, false], [true, true]], &device);
/// net.prune("weight", CustomFromMask::new(mask))?;
/// assert_eq!(net.zeros("weight")?, 1);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CustomFromMask {
    kept: Bits,
    dims: Vec<usize>,
}

impl CustomFromMask {
    /// Keeps what is true, as far as it is kept.
    pub fn new<const D: usize>(mask: Tensor<D, Bool>) -> Self {
        let dims = mask.dims().to_vec();
        Self { kept: mask.into_data().iter::<bool>().collect(), dims }
    }
}

impl BasePruningMethod for CustomFromMask {
    fn pruning_type(&self) -> PruningType {
        PruningType::Global
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        if target.dims() != self.dims {
            return Err(PruneError::Shape {
                what: "mask",
                expected: target.dims().to_vec(),
                found: self.dims.clone(),
            });
        }
        target.kept_mut().and(&self.kept);
        Ok(())
    }
}

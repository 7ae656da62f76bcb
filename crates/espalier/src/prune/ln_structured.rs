//! The channels of smallest norm.

use espalier_kernels::{Bits, Scores, channel_norms, channels_kept, clear_channels};

use super::{Amount, BasePruningMethod, PruneError, PruningType, Target};

/// Prunes the channels of smallest `n`-norm along a dimension: `torch.nn.utils.prune.LnStructured`.
///
/// The dimension is one of PyTorch's layout (0: output features), negative ones count from the end.
/// `n` is any number, `f64::INFINITY` (largest magnitude) and `f64::NEG_INFINITY` (smallest)
/// included. An amount is of the channels that are not wholly pruned yet.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::prune::LnStructured;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(6, 4).init(&Device::default()));
/// net.prune("weight", LnStructured::new(0.5, 2.0, 0))?;
/// let kept = net.kept("weight")?; // 4 x 6
/// let rows = kept.chunks(6).filter(|row| row.iter().all(|kept| !kept)).count();
/// assert_eq!(rows, 2);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LnStructured {
    amount: Amount,
    n: f64,
    dim: isize,
}

impl LnStructured {
    /// So many channels, by this norm, along this dimension.
    pub fn new(amount: impl Into<Amount>, n: f64, dim: isize) -> Self {
        Self { amount: amount.into(), n, dim }
    }
}

impl BasePruningMethod for LnStructured {
    fn pruning_type(&self) -> PruningType {
        PruningType::Structured
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        if self.n.is_nan() {
            return Err(PruneError::Norm);
        }
        let slices = target.channels(self.dim)?;
        let kept = channels_kept(target.kept(), &slices);
        let left: Vec<usize> = (0..kept.len()).filter(|channel| kept[*channel]).collect();
        let count = self.amount.of_rest(left.len(), slices.kept)?;
        let norms = match target.magnitudes() {
            // Importance scores count where they are, pruned or not.
            Scores::Magnitude(values) if target.is_given() => {
                channel_norms(&values, &Bits::all(target.len()), &slices, self.n)
            }
            Scores::Magnitude(values) => channel_norms(&values, target.kept(), &slices, self.n),
            _ => unreachable!("magnitudes"),
        };
        let mut order = left;
        // NaN last; equal norms by position, as the sort is stable.
        order.sort_by(|a, b| {
            let (a, b) = (norms[*a], norms[*b]);
            a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(&b))
        });
        clear_channels(target.kept_mut(), &slices, &order[..count]);
        Ok(())
    }
}

//! The values of smallest magnitude.

use espalier_kernels::{Candidate, prune_in_lines, prune_lowest};

use super::{Amount, BasePruningMethod, PruneError, PruningType, Target};

/// Prunes the values of smallest magnitude: `torch.nn.utils.prune.L1Unstructured`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::prune::{BasePruningMethod, L1Unstructured};
///
/// let w = Tensor::<2>::from_floats([[0.1, -3.0], [2.0, -0.2]], &Device::default());
/// let pruned = L1Unstructured::new(0.5).prune(w, None, None)?;
/// assert_eq!(pruned.into_data().try_into_vec::<f32>()?, [0.0, -3.0, 2.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct L1Unstructured {
    amount: Amount,
    per_row: bool,
}

impl L1Unstructured {
    /// So much of what is not pruned yet.
    pub fn new(amount: impl Into<Amount>) -> Self {
        Self { amount: amount.into(), per_row: false }
    }

    /// Takes the amount of every output row for itself, so that none loses more than another. A row
    /// with less left than a count asks for loses all of it.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::{BasePruningMethod, L1Unstructured};
    ///
    /// let w = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::default());
    /// let pruned = L1Unstructured::new(0.5).per_row().prune(w, None, None)?;
    /// assert_eq!(pruned.into_data().try_into_vec::<f32>()?, [0.0, 2.0, 0.0, 4.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn per_row(mut self) -> Self {
        self.per_row = true;
        self
    }
}

impl BasePruningMethod for L1Unstructured {
    fn pruning_type(&self) -> PruningType {
        PruningType::Unstructured
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        self.compute_masks(std::slice::from_mut(target))
    }

    fn compute_masks(&self, targets: &mut [Target]) -> Result<(), PruneError> {
        lowest(targets, self.amount, self.per_row, None)
    }
}

/// Prunes the lowest magnitudes, or by chance with a seed.
pub(super) fn lowest(
    targets: &mut [Target],
    amount: Amount,
    per_row: bool,
    random: Option<u64>,
) -> Result<(), PruneError> {
    if !per_row {
        let total = targets.iter().map(Target::len).sum();
        let count = amount.of_rest(targets.iter().map(Target::count_kept).sum(), total)?;
        let mut candidates: Vec<Candidate<'_>> =
            targets.iter_mut().map(|target| target.candidate(random)).collect();
        prune_lowest(&mut candidates, count);
        return Ok(());
    }
    for target in targets {
        let lines = target.rows()?;
        // A count must fit a whole row; rows with less left lose all of it.
        amount.of(lines.length)?;
        let Candidate { scores, kept, .. } = target.candidate(random);
        prune_in_lines(&scores, kept, &lines, |available| {
            amount.of_rest(available, lines.length).unwrap_or(available)
        });
    }
    Ok(())
}

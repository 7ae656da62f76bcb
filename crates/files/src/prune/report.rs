//! What pruning came to.

use serde::Serialize;

/// What was pruned: in JSON an object with these keys.
///
/// See [`Pruning::of`](crate::Pruning::of) for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PruneReport {
    /// A row for each tensor that was pruned, in the order of the file. A tied tensor is listed once.
    pub tensors: Vec<PruneRow>,
    /// Sums over these.
    pub total: PruneTotal,
    /// The greatest magnitude that went, of all tensors together; none where there is no such thing.
    pub threshold: Option<f64>,
}

/// What was pruned of one tensor.
///
/// See [`Pruning::of`](crate::Pruning::of) for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PruneRow {
    /// The name before pruning.
    pub name: String,
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The number of elements.
    pub numel: usize,
    /// Those that were zero before.
    pub zeros_before: usize,
    /// Those that are zero now.
    pub zeros_after: usize,
    /// The greatest magnitude, or norm of a channel, that went, if it was a tensor at a time.
    pub threshold: Option<f64>,
}

/// What was pruned in all.
///
/// See [`Pruning::of`](crate::Pruning::of) for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PruneTotal {
    /// The number of tensors that were pruned.
    pub tensors: usize,
    /// Their elements.
    pub numel: usize,
    /// Those that were zero before.
    pub zeros_before: usize,
    /// Those that are zero now.
    pub zeros_after: usize,
    /// The share of these.
    pub sparsity: f64,
}

impl PruneReport {
    pub(super) fn new(tensors: Vec<PruneRow>, threshold: Option<f64>) -> Self {
        let sum = |of: fn(&PruneRow) -> usize| tensors.iter().map(of).sum::<usize>();
        let (numel, zeros_after) = (sum(|row| row.numel), sum(|row| row.zeros_after));
        let total = PruneTotal {
            tensors: tensors.len(),
            numel,
            zeros_before: sum(|row| row.zeros_before),
            zeros_after,
            sparsity: if numel == 0 { 0.0 } else { zeros_after as f64 / numel as f64 },
        };
        Self { tensors, total, threshold }
    }
}

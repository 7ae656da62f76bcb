//! What pruning refuses.

/// Why a pruning method does not fit a tensor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// An amount outside its range.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Channels of a tensor that has none.
    #[error("pruning by channels or rows needs two dimensions or more, found {found}")]
    Rank {
        /// Dimensions of the tensor.
        found: usize,
    },
    /// A dimension that is not there.
    #[error("there is no dimension {dim} of {rank}")]
    Dim {
        /// The dimension asked for.
        dim: isize,
        /// Dimensions of the tensor.
        rank: usize,
    },
    /// A mask or scores of another shape.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// What was given.
        what: &'static str,
        /// The shape of the tensor.
        expected: Vec<usize>,
        /// The shape given.
        found: Vec<usize>,
    },
    /// Several tensors as one by a method that needs each by itself.
    #[error("only unstructured methods prune several tensors together, found {method}")]
    NotUnstructured {
        /// The method.
        method: String,
    },
    /// More values to keep than a group has.
    #[error(
        "groups keep {n} of {m}: expected at most as many as they have, and at least one value"
    )]
    Group {
        /// Values to keep.
        n: usize,
        /// Values in a group.
        m: usize,
    },
    /// A norm that is not a number.
    #[error("a norm is a number or infinity, found NaN")]
    Norm,
}

/// What is wrong with a pruning schedule.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleFault {
    /// A fraction outside `[0, 1]`.
    #[error("{what}: expected 0.0..=1.0, found {found}")]
    Range {
        /// Which.
        what: &'static str,
        /// The number given.
        found: f64,
    },
    /// Rounds that are no steps apart.
    #[error("frequency: expected at least 1, found 0")]
    Frequency,
    /// A target below the start.
    #[error(
        "a schedule prunes more and more: initial sparsity {initial}, target sparsity {target}"
    )]
    Backwards {
        /// The sparsity at the beginning.
        initial: f64,
        /// The sparsity at the end.
        target: f64,
    },
    /// An amount for each round of a schedule whose rounds differ.
    #[error("a cubic schedule has no amount for a round; give its target sparsity")]
    Cubic,
    /// An amount and a target that do not agree.
    #[error(
        "{rounds} rounds of amount {amount} end at a sparsity of {ends}, not at the target {target}; \
         leave one out"
    )]
    Contradiction {
        /// Number of rounds.
        rounds: usize,
        /// What each prunes of what is left.
        amount: f64,
        /// Where that ends.
        ends: f64,
        /// The target given.
        target: f64,
    },
}

/// What is wrong with an amount to prune.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// A fraction outside `[0, 1]`.
    #[error("a fraction to prune lies in 0.0..=1.0, found {found}")]
    Fraction {
        /// The fraction given.
        found: f64,
    },
    /// More units than there are.
    #[error("cannot prune {asked} of {available} values")]
    Count {
        /// Units asked for.
        asked: usize,
        /// Units there are.
        available: usize,
    },
}

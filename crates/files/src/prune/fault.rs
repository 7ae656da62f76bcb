//! What keeps a file from being pruned.

/// Why a file cannot be pruned as asked.
///
/// ```
/// let fault = espalier_files::Amount::fraction(1.5).unwrap_err();
/// assert!(fault.to_string().contains("from 0 to 1"));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PruneFault {
    /// A fraction that is none.
    #[error(
        "a fraction of {found} cannot be pruned: give one from 0 to 1, or a whole number of elements"
    )]
    Fraction {
        /// The number given.
        found: f64,
    },
    /// A pattern that keeps more than there are.
    #[error("of every {m} elements {n} cannot be kept: give --nm N:M with N at most M, as 2:4")]
    Groups {
        /// Elements that stay.
        n: usize,
        /// Elements of a group.
        m: usize,
    },
    /// Nothing is there to be pruned.
    #[error(
        "no tensor to prune: of {tensors} tensors {chosen} are chosen, and none of these is of floats (F16, BF16, F32 \
         or F64){}",
        if *by_name { "" } else { " and has two or more dimensions; choose others with --include" }
    )]
    Nothing {
        /// Tensors of the file.
        tensors: usize,
        /// Those that the globs choose.
        chosen: usize,
        /// Whether an include said which.
        by_name: bool,
    },
    /// A tensor that carries a mask.
    #[error(
        "tensor {orig:?} is pruned, by the mask {mask:?}: apply the mask first, or leave it with --exclude {orig:?} \
         --exclude {mask:?}"
    )]
    Masked {
        /// The values.
        orig: String,
        /// The mask.
        mask: String,
    },
    /// Values that have no rank.
    #[error(
        "tensor {tensor:?}: {found} of {numel} values are NaN, which have no rank: mend them, or leave the tensor \
             with --exclude {tensor:?}"
    )]
    NotANumber {
        /// The tensor.
        tensor: String,
        /// The number of NaNs.
        found: usize,
        /// The number of elements.
        numel: usize,
    },
    /// More is to go than there is.
    #[error("{asked} {what} cannot be pruned {}: there are {found}", match tensor {
        Some(tensor) => format!("in tensor {tensor:?}"),
        None => "in all tensors together".to_owned(),
    })]
    TooMany {
        /// The tensor; none if it is all of them.
        tensor: Option<String>,
        /// Elements or channels.
        what: &'static str,
        /// How many are to go.
        asked: usize,
        /// How many there are.
        found: usize,
    },
    /// A tensor without the dimension whose channels go.
    #[error(
        "tensor {tensor:?} of shape {shape:?} has no channels along dimension {dim}: whole channels need two or more \
         dimensions, counted from 0 or from the end as -1; leave the tensor with --exclude {tensor:?}"
    )]
    Dim {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The dimension asked for.
        dim: isize,
    },
}

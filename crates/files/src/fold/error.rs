//! Why nothing was folded.

use std::path::PathBuf;

use espalier_checkpoint::Dtype;

/// Why a file cannot be folded. Each says how to go on.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{FilesError, FoldError, FoldOptions, fold};
/// // PyTorch does not say what was done to this one.
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc.parametrizations.weight.original", vec![2], &[1.0, 2.0])?)?;
/// let error = fold(&checkpoint, &FoldOptions::default()).unwrap_err();
/// assert!(matches!(error, FilesError::Fold(FoldError::Untold { .. })));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Parametrizations whose rule the file does not tell.
    #[error(
        "the file does not tell by which rule these are computed: {}; where it is orthogonal, say \
         --orthogonal-map 'NAME=matrix_exp', cayley or householder; leave others with --exclude NAME, or fold \
         them with the program that made them",
        tensors.join(", ")
    )]
    Untold {
        /// Each with what is not told.
        tensors: Vec<String>,
    },
    /// Parts that do not fit together.
    #[error("`{name}`: expected {expected} for `{part}`, found {found}")]
    Shape {
        /// The tensor to fold.
        name: String,
        /// The part at fault.
        part: String,
        /// The shapes that fit.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A part that is no tensor of floating-point numbers.
    #[error(
        "`{part}` is {found}, and only F16, BF16, F32 and F64 are folded: convert it before, or --exclude `{name}`"
    )]
    Type {
        /// The tensor to fold.
        name: String,
        /// The part at fault.
        part: String,
        /// Its type.
        found: Dtype,
    },
    /// Parts that no rule asks for.
    #[error("`{name}`: no rule known here has {}; --exclude '{name}' leaves the tensor as it is", parts.join(", "))]
    Parts {
        /// The tensor to fold.
        name: String,
        /// The parts that are left.
        parts: Vec<String>,
    },
    /// A tensor that is stored both plain and in parts.
    #[error(
        "`{name}` is there, and so are the parts of another (`{part}`): rename or remove one of them"
    )]
    Both {
        /// The tensor to fold.
        name: String,
        /// One of the parts.
        part: String,
    },
    /// A part that is missing.
    #[error("`{name}`: `{missing}` is missing, without which it cannot be computed")]
    Missing {
        /// The tensor to fold.
        name: String,
        /// The part that is not there.
        missing: String,
    },
    /// A rule of the library that is folded by the library alone.
    #[error(
        "`{name}` is computed by {rule}, which is folded by the library alone; --exclude '{name}' leaves it as it is"
    )]
    Rule {
        /// The tensor to fold.
        name: String,
        /// The rule.
        rule: String,
    },
    /// Options of a rule that are none.
    #[error("the description of `{name}` in the file's metadata is not sound: {cause}")]
    Description {
        /// The tensor, or the key of the description.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// The factor of an adapter is not known.
    #[error(
        "nothing tells the alpha of the adapter of `{name}`: give --alpha, or the adapter_config.json that was \
         saved with it beside the file"
    )]
    Alpha {
        /// The tensor that it adapts.
        name: String,
    },
    /// Several adapters where one is meant.
    #[error(
        "`{name}` has several adapters, and the file does not tell which are active: {}; save the one that is \
         meant alone", adapters.join(", ")
    )]
    Adapters {
        /// The tensor that they adapt.
        name: String,
        /// Their names.
        adapters: Vec<String>,
    },
    /// An adapter without what it adapts.
    #[error(
        "the file holds an adapter of `{name}` and not what it adapts: fold the base with \
         --adapter and this file"
    )]
    NoBase {
        /// The tensor that is missing.
        name: String,
    },
    /// An adapter's tensor that has no place in the file.
    #[error(
        "{}: adapts `{name}`, which the file does not hold; the nearest names are {}",
        path.display(),
        nearest.join(", ")
    )]
    NoTarget {
        /// The adapter.
        path: PathBuf,
        /// The tensor that it adapts.
        name: String,
        /// Names that may have been meant.
        nearest: Vec<String>,
    },
    /// An adapter that is none of LoRA's.
    #[error("{}: {cause}", path.display())]
    Adapter {
        /// The adapter, or its configuration.
        path: PathBuf,
        /// What is wrong, and what to do.
        cause: String,
    },
    /// An orthogonal map for a tensor that needs none.
    #[error(
        "--orthogonal-map '{glob}' matches no tensor to fold; the nearest names are {}",
        nearest.join(", ")
    )]
    NoMap {
        /// The pattern.
        glob: String,
        /// Names that may have been meant.
        nearest: Vec<String>,
    },
    /// A record of the framework, whose matrices are turned.
    #[error(
        "the file is a record in Burn's own layout (`{name}`): save it under PyTorch's names, as safetensors, \
         and fold that"
    )]
    Record {
        /// The tensor that tells.
        name: String,
    },
}

//! The one error of this crate.

use std::io;
use std::path::PathBuf;

use crate::observe::Cancel;

/// Why an operation failed.
///
/// ```
/// use espalier_files::{FilesError, open};
/// assert!(matches!(open("no/such.safetensors", None), Err(FilesError::Checkpoint(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Checkpoint(espalier_checkpoint::Error),
    /// A pattern that is no glob.
    #[error("`{glob}` is not a glob: {cause}")]
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A pattern that matches no tensor.
    #[error("`{glob}` matches no tensor; the nearest names are {}", nearest.join(", "))]
    NoMatch {
        /// The pattern.
        glob: String,
        /// Names that may have been meant.
        nearest: Vec<String>,
    },
    /// A format that is read and not written, or none at all.
    #[error("{}: {}", path.display(), match format {
        Some(format) => format!("{format} is read, and not written: {}", FORMATS),
        None => format!("the name does not say the format: {}", FORMATS),
    })]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The format asked for.
        format: Option<String>,
    },
    /// A key was given for a file that has nothing to choose from.
    #[error("{}: --key chooses in PyTorch files, and this is {format}", path.display())]
    NoKeys {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: String,
    },
    /// A PyTorch file holds several state dicts, and none was chosen.
    #[error(
        "{} holds several state dicts: choose one by --key, or all by --key '': {}{}",
        path.display(), found.join(", "), if *more > 0 { format!(" and {more} more") } else { String::new() }
    )]
    SeveralKeys {
        /// The file.
        path: PathBuf,
        /// The keys of the first ones.
        found: Vec<String>,
        /// How many there are beside those.
        more: usize,
    },
    /// Several files were asked for in a format that knows none.
    #[error("{}: only safetensors is written as several files, and this is {format}", path.display())]
    NotSharded {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: String,
    },
    /// A format of one tensor, and not one of them.
    #[error("{}: a .npy file holds one tensor, found {found}: choose one, or write .npz", path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// The number of tensors.
        found: usize,
    },
    /// A rule for names that is for no tensor.
    #[error("the rule for names `{pattern}` matches no tensor; there are {}", names.join(", "))]
    NoRename {
        /// The pattern of the rule.
        pattern: String,
        /// The first names, or those that it may have meant.
        names: Vec<String>,
    },
    /// A type that values are not converted to.
    #[error("values are converted to f32, f16 or bf16, not to {dtype}")]
    NotAFloat {
        /// The type.
        dtype: String,
    },
    /// Pruning that cannot be done.
    #[error(transparent)]
    Prune(#[from] crate::prune::PruneFault),
    /// A file of a run directory is not what a run writes.
    #[error("{}{}: {cause}", path.display(), match line {
        Some(line) => format!(":{line}"),
        None => String::new(),
    })]
    Run {
        /// The file.
        path: PathBuf,
        /// The line at fault, from 1, if one is.
        line: Option<usize>,
        /// What is wrong with it, and how to mend it.
        cause: String,
    },
    /// What cannot be folded.
    #[error(transparent)]
    Fold(#[from] crate::fold::FoldError),
    /// The elements of a tensor are needed as numbers, and their type is not decoded.
    #[error(
        "tensor {tensor:?} is {dtype}, which is not decoded: convert it to F16, BF16 or F32 before"
    )]
    NotDecoded {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
    /// A check says nothing of any tensor that it was asked of.
    #[error(
        "--{check} {of} says nothing of the tensors that it names: {found}; {}",
        match *check {
            "nm" => "expected a last dimension as long as a group at least",
            "sparsity" => "expected elements that are decoded",
            _ => "expected matrices of real numbers, of two dimensions or more",
        }
    )]
    NothingToCheck {
        /// The check.
        check: &'static str,
        /// What it was asked of.
        of: String,
        /// The first tensor, its type and shape.
        found: String,
    },
    /// The observer cancelled.
    #[error("interrupted; nothing was written")]
    Cancelled,
}

const FORMATS: &str = "end it in .safetensors, .safetensors.index.json, .pt, .npz, .npy, .msgpack, .weights.h5, \
     .params or .bpk, or say --to FORMAT";

impl From<espalier_checkpoint::Error> for FilesError {
    fn from(error: espalier_checkpoint::Error) -> Self {
        let cancelled =
            matches!(&error, espalier_checkpoint::Error::Io { cause, .. } if is_cancel(cause));
        if cancelled { Self::Cancelled } else { Self::Checkpoint(error) }
    }
}

fn is_cancel(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Cancel>())
}

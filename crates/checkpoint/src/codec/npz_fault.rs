//! What is wrong with an npz file.

use super::npy_fault::NpyFault;

/// Why an archive is not accepted as npz, or a checkpoint cannot be written as such. What is wrong with the
/// archive itself is a [`ZipFault`](crate::ZipFault).
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Dtype, Error, NamedTensor, NpzFault, write_npz};
/// # let dir = tempfile::tempdir()?;
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::new("w", Dtype::BF16, vec![0], vec![])?)?;
/// let error = write_npz(dir.path().join("w.npz"), &checkpoint).unwrap_err();
/// assert!(matches!(error, Error::Npz { cause: NpzFault::Member { .. }, .. }));
/// assert!(error.to_string().contains("w.npz: cannot be written as npz: the member \"w.npy\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpzFault {
    /// A member is no array.
    #[error("the member {member:?} is no array: its name does not end in .npy")]
    NotAnArray {
        /// The member.
        member: String,
    },
    /// A member is not an acceptable npy file, or a tensor cannot be written as one.
    #[error("the member {member:?}: {cause}")]
    Member {
        /// The member.
        member: String,
        /// What is wrong with it.
        cause: NpyFault,
    },
    /// A name is longer than the format allows.
    #[error(
        "the name of the tensor {tensor:.40?}... has {length} bytes, at most {limit} can be written"
    )]
    NameTooLong {
        /// The name.
        tensor: String,
        /// Its length.
        length: usize,
        /// The most that can be written.
        limit: usize,
    },
    /// There are more tensors than are read.
    #[error("{count} tensors, at most {limit} are read and written")]
    TooManyTensors {
        /// The number of tensors.
        count: usize,
        /// The most that are read.
        limit: usize,
    },
}

impl NpzFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        match self {
            Self::NameTooLong { .. } => true,
            Self::Member { cause, .. } => cause.is_of_writing(),
            _ => false,
        }
    }
}

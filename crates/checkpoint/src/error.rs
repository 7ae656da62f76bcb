//! The one error of this crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::codec::burnpack::BurnpackFault;
use crate::codec::flax::FlaxFault;
use crate::codec::gguf::GgufFault;
use crate::codec::hdf5::Hdf5Fault;
use crate::codec::keras::KerasFault;
use crate::codec::mxnet::MxnetFault;
use crate::codec::npy::NpyFault;
use crate::codec::npz::NpzFault;
use crate::codec::safetensors::SafetensorsFault;
use crate::codec::shard_fault::ShardFault;
use crate::codec::torch::TorchFault;
use crate::codec::zip::ZipFault;
use crate::format::Format;
use crate::keys::KeyFault;
use crate::tensor::TensorFault;

/// What went wrong with a file, a directory or a tensor.
///
/// The text of an error is complete: it holds the path and the cause, so `source()` is empty and
/// printing a chain says nothing twice. Match on the variant to reach the cause as a value.
///
/// ```
/// use espalier_checkpoint::{Error, read_safetensors};
/// let error = read_safetensors("no/such/file.safetensors").unwrap_err();
/// assert!(matches!(&error, Error::Io { .. }));
/// assert!(error.to_string().contains("no/such/file.safetensors"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an action on a path.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// The file or directory acted upon.
        path: PathBuf,
        /// What was tried.
        action: Action,
        /// What the operating system answered.
        cause: io::Error,
    },
    /// A file was needed and the path is a directory, a device, a pipe or a socket.
    #[error("{} is not a regular file: give the path of a file", path.display())]
    NotAFile {
        /// The path given.
        path: PathBuf,
    },
    /// A directory was needed and the path is something else.
    #[error("{} exists and is not a directory: move it away or choose another path", path.display())]
    NotADirectory {
        /// The path given, or the part of it that is in the way.
        path: PathBuf,
    },
    /// A path to write to ends in no file name, such as `..` or `/`.
    #[error("{} names no file: end the path with a file name", path.display())]
    NoFileName {
        /// The path given.
        path: PathBuf,
    },
    /// A file was to be created and there is one.
    #[error("{} exists: choose another path, or let it be replaced", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// Symbolic links lead in a circle, or through too many steps.
    #[error("{} leads through more than {limit} symbolic links: point it at a file", path.display())]
    SymlinkLoop {
        /// The path given.
        path: PathBuf,
        /// The most links that are followed.
        limit: usize,
    },
    /// The content of a file is that of no format that is read.
    #[error("{}: not a checkpoint of a known format: {}", path.display(), known())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is not an acceptable safetensors file, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "safetensors", "safetensors file"))]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SafetensorsFault,
    },
    /// The index of a checkpoint in several files, or what it says of them, is not acceptable; or a
    /// checkpoint cannot be written so.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "shards", "set of shards"))]
    Shards {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        cause: ShardFault,
    },
    /// A directory was given in which no checkpoint is found.
    #[error(
        "{} holds neither a *.safetensors.index.json nor a *.safetensors: give the path of a file",
        path.display()
    )]
    NoCheckpoint {
        /// The directory.
        path: PathBuf,
    },
    /// A directory was given that holds several checkpoints.
    #[error("{} holds several checkpoints, give the path of one: {}", path.display(), found.join(", "))]
    SeveralCheckpoints {
        /// The directory.
        path: PathBuf,
        /// The names of the files it could be, in order.
        found: Vec<String>,
    },
    /// The record of what a [`Rotation`](crate::Rotation) has written is not what it wrote.
    #[error("{}: not a record of saved checkpoints: {reason}: mend it or move it away", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not an acceptable npy file, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "npy", "npy file"))]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: NpyFault,
    },
    /// The file is not an acceptable npz file, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "npz", "npz file"))]
    Npz {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: NpzFault,
    },
    /// The file is not an acceptable PyTorch file, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "a PyTorch file", "PyTorch file"))]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: TorchFault,
    },
    /// The file is a zip archive, as several formats are, and not an acceptable one, or a member of it is damaged.
    #[error("{}: not a valid zip archive: {cause}", path.display())]
    Zip {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: ZipFault,
    },
    /// The file is not an acceptable msgpack file of Flax's, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "Flax msgpack", "Flax msgpack file"))]
    Flax {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: FlaxFault,
    },
    /// The file is not an acceptable `.params` file of MXNet's, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "MXNet .params", "MXNet .params file"))]
    Mxnet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: MxnetFault,
    },
    /// The file is not an acceptable burnpack file, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "burnpack", "burnpack file"))]
    Burnpack {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: BurnpackFault,
    },
    /// The file is not an acceptable GGUF file, or holds what is not read.
    #[error("{}: cannot be read as a GGUF file: {cause}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: GgufFault,
    },
    /// The file is not an acceptable HDF5 file, or cannot be written as one.
    #[error("{}: {}: {cause}", path.display(), verdict(cause.is_of_writing(), "HDF5", "HDF5 file"))]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: Hdf5Fault,
    },
    /// The file is not an acceptable file of Keras 3.
    #[error("{}: not a valid .keras file: {cause}", path.display())]
    Keras {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: KerasFault,
    },
    /// Names that cannot be mapped.
    #[error(transparent)]
    Keys(#[from] KeyFault),
    /// A tensor cannot be made or converted.
    #[error("tensor {name:?}: {cause}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        cause: TensorFault,
    },
    /// A checkpoint already holds a tensor of that name.
    #[error(
        "the checkpoint already holds a tensor {name:?}: remove it first or choose another name"
    )]
    DuplicateName {
        /// The name that was given twice.
        name: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, action: Action, cause: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action, cause }
    }

    /// As [`io`](Self::io), but an error of this crate that travelled through `std::io` comes out again.
    pub(crate) fn from_io(path: &Path, action: Action, cause: io::Error) -> Self {
        match cause.downcast::<Self>() {
            Ok(error) => error,
            Err(cause) => Self::io(path, action, cause),
        }
    }
}

/// What a fault comes to: of a file that was read, or of a tensor that was to be written.
fn verdict(is_of_writing: bool, format: &str, file: &str) -> String {
    if is_of_writing {
        format!("cannot be written as {format}")
    } else {
        format!("not a valid {file}")
    }
}

/// The formats that are read, for an error.
fn known() -> String {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    format!("it is none of {}", names.join(", "))
}

/// What was tried when the operating system refused.
///
/// ```
/// assert_eq!(espalier_checkpoint::Action::Open.to_string(), "open");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Ask for the length, kind or mode of a path.
    Inspect,
    /// Open a file or directory.
    Open,
    /// Read from a file.
    Read,
    /// Create a directory.
    CreateDirectory,
    /// Create a temporary file in a directory.
    CreateTemporary,
    /// Remove a temporary file from a directory.
    RemoveTemporary,
    /// Create a file.
    Create,
    /// Remove a file.
    Remove,
    /// Write the contents that are to become a file.
    Write,
    /// Give a new file the mode of the one it replaces.
    SetMode,
    /// Bring a file's contents to the disk.
    Sync,
    /// Put the new file in the place of the old.
    Rename,
    /// Bring a directory's entries to the disk. The new file is in place at that time, but may be
    /// lost if the machine stops.
    SyncDirectory,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inspect => "inspect",
            Self::Open => "open",
            Self::Read => "read",
            Self::CreateDirectory => "create the directory",
            Self::CreateTemporary => "create a temporary file in",
            Self::RemoveTemporary => "remove a temporary file from",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Write => "write",
            Self::SetMode => "keep the mode of",
            Self::Sync => "bring to the disk",
            Self::Rename => "replace",
            Self::SyncDirectory => "bring to the disk the directory",
        })
    }
}

//! PyTorch's files: a pickle that says what there is, and storages that are read when they are asked for.

mod call;
mod fault;
mod flatten;
mod globals;
mod legacy;
mod machine;
mod operate;
mod select;
mod storage;
mod tar;
mod text;
mod value;
mod write;
mod zipped;

use std::path::Path;

pub use fault::TorchFault;
pub use write::write_torch;

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::source::Source;
use flatten::Walk;
use storage::Records;
use value::{Graph, Id};

/// A PyTorch file whose pickle has been read: a state dict, a training checkpoint with state dicts in it, or a
/// whole model.
///
/// [`Checkpoint::open`] takes from a file what its user most likely means (see [`checkpoint`](Self::checkpoint)).
/// This is for those who want to look, and choose.
///
/// # What is trusted
///
/// Nothing. A pickle is a program; it is never run. Its operations are read by a machine that records values,
/// imports nothing and calls nothing. Of globals it knows a fixed list: PyTorch's functions that make tensors of
/// storages, its classes of storages and its types, the containers of Python, and a few plain values. For all
/// others this is the rule:
///
/// - A global of a module that reaches the system, other code or the network (`os`, `subprocess`, `builtins`,
///   `importlib`, `pickle`, `torch.hub` and many more) is refused where its name stands, even if it is not called;
///   so is a name with dots that reaches such a module through another.
/// - A call of anything else that is not named like a class, with a capital, is refused.
/// - Any other global is kept as a mere name. What a class of that name would have made of its arguments and its
///   state is kept as an object without behaviour. If it has what every module has, `_modules` and `_parameters`
///   or `_buffers`, the tensors in them are read; so are those of an object of TorchScript, and those that were put
///   into a list or dictionary of a class of its own. Other objects are passed over.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, TorchFile, write_torch};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model.pt");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc.weight", vec![1, 2], &[0.5, -0.5])?)?;
/// write_torch(&path, &checkpoint)?;
/// let file = TorchFile::open(&path)?;
/// assert_eq!(file.inner(), [""]);
/// assert_eq!(file.select("")?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TorchFile {
    source: Source,
    length: u64,
    graph: Graph,
    root: Id,
    records: Records,
    big_endian: bool,
}

impl TorchFile {
    /// Reads the pickle of a file, and none of its tensors.
    ///
    /// # Errors
    ///
    /// [`Error::Torch`] with the [`TorchFault`] or [`Error::Zip`] if the file is not acceptable,
    /// [`Error::UnknownFormat`] if it is none of PyTorch's, [`Error::Io`] or [`Error::NotAFile`] if it cannot be
    /// read.
    ///
    /// ```
    /// assert!(espalier_checkpoint::TorchFile::open("no/such/file.pt").is_err());
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_source(&Source::open(path)?)
    }

    /// As [`open`](Self::open), from a source that is open, or in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// ```
    /// use espalier_checkpoint::{Error, Source, TorchFile};
    /// let text = Source::from_bytes(b"Dear reader".to_vec(), "letter.pt");
    /// assert!(matches!(TorchFile::open_source(&text), Err(Error::UnknownFormat { .. })));
    /// ```
    pub fn open_source(source: &Source) -> Result<Self, Error> {
        let head = source.read(0..source.len().min(512))?;
        if super::zip::is_zip(&head) {
            zipped::open(source)
        } else if legacy::is_legacy(&head) {
            legacy::open(source)
        } else if tar::is_tar(&head) {
            tar::open(source)
        } else {
            Err(Error::UnknownFormat { path: source.path().to_path_buf() })
        }
    }

    /// The file's name without its ending, for a tensor that has none.
    fn stem(&self) -> String {
        let stem = self.source.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        stem.unwrap_or_default()
    }

    fn fault(&self, cause: TorchFault) -> Error {
        Error::Torch { path: self.source.path().to_path_buf(), cause }
    }

    /// All tensors of a value, flattened.
    fn flatten(&self, id: Id) -> Result<Walk<'_>, Error> {
        let mut walk = Walk::new(self);
        walk.follow(id, 0)?;
        walk.metadata(id)?;
        Ok(walk)
    }
}

/// Whether a file begins as one of PyTorch's that is no zip archive.
pub(crate) fn is_plain(head: &[u8]) -> bool {
    legacy::is_legacy(head) || tar::is_tar(head)
}

/// Whether an archive has the pickle that makes it one of PyTorch's.
pub(crate) fn is_archive(archive: &super::zip::Archive) -> bool {
    archive.members().iter().any(|member| zipped::is_pickle(&member.name))
}

/// What a file's user most likely means.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    TorchFile::open_source(source)?.checkpoint()
}

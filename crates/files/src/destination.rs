//! Where a result goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use espalier_checkpoint::{
    Checkpoint, Error, Format, WriteMode, write_burnpack, write_flax, write_keras_weights,
    write_mxnet, write_npy_tensor, write_npz, write_safetensors_sharded_with,
    write_safetensors_with, write_torch,
};

use crate::error::FilesError;
use crate::observe::{Observer, observed};

/// The size of a shard where none is asked for, in bytes.
const SHARD: u64 = 5_000_000_000;

/// A file to write, and its format.
///
/// ```
/// use espalier_checkpoint::Format;
/// use espalier_files::Destination;
/// assert_eq!(Destination::new("model.pt", None)?.format(), Format::Torch);
/// assert_eq!(Destination::new("model.bin", Some(Format::Npz))?.format(), Format::Npz);
/// assert!(Destination::new("model.bin", None).is_err());
/// # Ok::<(), espalier_files::FilesError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Destination {
    path: PathBuf,
    format: Format,
    mode: WriteMode,
    shard: Option<u64>,
}

impl Destination {
    /// In the format asked for, or that of the name's ending.
    ///
    /// # Errors
    ///
    /// [`FilesError::NotWritten`] if the name does not say it, or it is not written.
    pub fn new(path: impl Into<PathBuf>, to: Option<Format>) -> Result<Self, FilesError> {
        let path = path.into();
        let format = to.or_else(|| by_name(&path));
        match format {
            Some(format) if is_written(format) => {
                Ok(Self { path, format, mode: WriteMode::CreateNew, shard: None })
            }
            format => {
                let format = format.map(|format| format.to_string());
                Err(FilesError::NotWritten { path, format })
            }
        }
    }

    /// Whether a file that is there may be replaced. As it is, it may not.
    #[must_use]
    pub fn with_force(self, force: bool) -> Self {
        let mode = if force { WriteMode::Replace } else { WriteMode::CreateNew };
        Self { mode, ..self }
    }

    /// Several files of at most so many bytes, where the format knows them: safetensors.
    ///
    /// # Errors
    ///
    /// [`FilesError::NotSharded`] for another format.
    pub fn with_shards(self, bytes: u64) -> Result<Self, FilesError> {
        match self.format {
            Format::Safetensors | Format::Sharded => {
                Ok(Self { format: Format::Sharded, shard: Some(bytes), ..self })
            }
            format => Err(FilesError::NotSharded { path: self.path, format: format.to_string() }),
        }
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// That the result may be written there: what can be said before there is one.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] within [`FilesError::Checkpoint`] for a file that may not be replaced.
    pub fn check(&self) -> Result<(), FilesError> {
        if self.mode == WriteMode::CreateNew && self.path.symlink_metadata().is_ok() {
            return Err(Error::AlreadyExists { path: self.path.clone() }.into());
        }
        Ok(())
    }

    /// Writes a checkpoint, atomically: there is the whole file or none.
    ///
    /// # Errors
    ///
    /// What keeps a tensor from being made or written, [`FilesError::Cancelled`], and as [`check`](Self::check).
    pub fn write<O: Observer>(
        &self,
        checkpoint: &Checkpoint,
        observer: &Arc<O>,
    ) -> Result<(), FilesError> {
        self.check()?;
        observer.begin("writing", checkpoint.iter().map(|t| t.byte_len() as u64).sum());
        let checkpoint = observed(checkpoint, observer)?;
        let path = &self.path;
        match self.format {
            Format::Sharded => {
                let shard = self.shard.unwrap_or(SHARD);
                write_safetensors_sharded_with(path, &checkpoint, shard, self.mode)
            }
            Format::Npy => match checkpoint.iter().next() {
                Some(tensor) if checkpoint.len() == 1 => write_npy_tensor(path, tensor),
                _ => {
                    return Err(FilesError::NotOne { path: path.clone(), found: checkpoint.len() });
                }
            },
            Format::Npz => write_npz(path, &checkpoint),
            Format::Torch => write_torch(path, &checkpoint),
            Format::Hdf5 => write_keras_weights(path, &checkpoint),
            Format::Flax => write_flax(path, &checkpoint),
            Format::Mxnet => write_mxnet(path, &checkpoint),
            Format::Burnpack => write_burnpack(path, &checkpoint),
            // `new` let no other pass.
            _ => write_safetensors_with(path, &checkpoint, self.mode),
        }?;
        Ok(())
    }
}

fn is_written(format: Format) -> bool {
    !matches!(format, Format::Keras | Format::Gguf)
}

/// The format that the ending of a name stands for.
fn by_name(path: &Path) -> Option<Format> {
    const ENDINGS: &[(&str, Format)] = &[
        (".safetensors.index.json", Format::Sharded),
        (".safetensors", Format::Safetensors),
        (".pt", Format::Torch),
        (".pth", Format::Torch),
        (".npz", Format::Npz),
        (".npy", Format::Npy),
        (".msgpack", Format::Flax),
        (".h5", Format::Hdf5),
        (".keras", Format::Keras),
        (".params", Format::Mxnet),
        (".bpk", Format::Burnpack),
        (".gguf", Format::Gguf),
    ];
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
}

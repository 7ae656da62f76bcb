//! What format a file has, told by its content.

use std::fmt;

use crate::checkpoint::Checkpoint;
use crate::codec;
use crate::error::Error;
use crate::source::Source;

/// The bytes that are looked at to tell a format.
const HEAD: u64 = 512;

/// The bytes of JSON in which the key is looked for that makes it an index.
const INDEX_HEAD: u64 = 1 << 20;

/// A checkpoint format.
///
/// ```
/// use espalier_checkpoint::{Format, Source};
/// let file = Source::from_bytes(b"\x93NUMPY\x01\x00".to_vec(), "x.npy");
/// assert_eq!(Format::of(&file)?, Format::Npy);
/// assert_eq!(Format::Npy.to_string(), "npy");
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// safetensors, one file.
    Safetensors,
    /// Several files, mostly safetensors, and an index in JSON that says which tensor is in which.
    Sharded,
    /// npy: one array of numpy's.
    Npy,
    /// npz: a zip archive of arrays of numpy's. MXNet 2 writes it too.
    Npz,
    /// PyTorch's files, old and new.
    Torch,
    /// HDF5: `.weights.h5` and `.h5` of Keras, or any with datasets of numbers.
    Hdf5,
    /// `.keras`: a whole model of Keras 3.
    Keras,
    /// Flax's msgpack: dictionaries of arrays.
    Flax,
    /// MXNet's `.params`. MXNet 2 writes npz.
    Mxnet,
    /// Burn's burnpack.
    Burnpack,
    /// GGUF. Quantized tensors are listed, and not read.
    Gguf,
}

impl Format {
    /// Every format, in order.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Format::ALL.is_sorted());
    /// ```
    pub const ALL: &[Self] = &[
        Self::Safetensors,
        Self::Sharded,
        Self::Npy,
        Self::Npz,
        Self::Torch,
        Self::Hdf5,
        Self::Keras,
        Self::Flax,
        Self::Mxnet,
        Self::Burnpack,
        Self::Gguf,
    ];

    /// The name: lower case, as one would say it on a command line.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Format::Safetensors.name(), "safetensors");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Sharded => "sharded",
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Torch => "torch",
            Self::Hdf5 => "hdf5",
            Self::Keras => "keras",
            Self::Flax => "flax",
            Self::Mxnet => "mxnet",
            Self::Burnpack => "burnpack",
            Self::Gguf => "gguf",
        }
    }

    /// Tells the format of a file by its content; its name does not count.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFormat`] if it is none of these, [`Error::Zip`] if it is a zip archive that is not sound,
    /// [`Error::Io`] if it cannot be read.
    ///
    /// ```
    /// use espalier_checkpoint::{Error, Format, Source};
    /// let text = Source::from_bytes(b"Dear reader".to_vec(), "letter.pt");
    /// assert!(matches!(Format::of(&text), Err(Error::UnknownFormat { .. })));
    /// ```
    pub fn of(source: &Source) -> Result<Self, Error> {
        let head = source.read(0..source.len().min(HEAD))?;
        if head.starts_with(codec::npy::MAGIC) {
            return Ok(Self::Npy);
        }
        if head.starts_with(codec::hdf5::MAGIC) {
            return Ok(Self::Hdf5);
        }
        if head.starts_with(codec::gguf::MAGIC) {
            return Ok(Self::Gguf);
        }
        if head.starts_with(codec::burnpack::MAGIC) {
            return Ok(Self::Burnpack);
        }
        if head.starts_with(codec::mxnet::MAGIC) {
            return Ok(Self::Mxnet);
        }
        if codec::torch::is_plain(&head) {
            return Ok(Self::Torch);
        }
        // Several formats are archives; their members tell them apart.
        if codec::zip::is_zip(&head) {
            let archive = codec::zip::Archive::open(source)?;
            if codec::torch::is_archive(&archive) {
                return Ok(Self::Torch);
            }
            if codec::keras::is_archive(&archive) {
                return Ok(Self::Keras);
            }
            if codec::npz::is_archive(&archive, &head) {
                return Ok(Self::Npz);
            }
        }
        // The length of the header, which is an object of JSON.
        if let Some((length, [b'{', ..])) = head.split_first_chunk()
            && u64::from_le_bytes(*length) < source.len()
        {
            return Ok(Self::Safetensors);
        }
        if head.trim_ascii_start().starts_with(b"{") {
            let key = b"\"weight_map\"";
            let json = source.read(0..source.len().min(INDEX_HEAD))?;
            if json.windows(key.len()).any(|part| part == key) {
                return Ok(Self::Sharded);
            }
        }
        // The least that is said at the start, so the last that is asked for.
        if codec::flax::is_flax(&head, source.len()) {
            return Ok(Self::Flax);
        }
        Err(Error::UnknownFormat { path: source.path().to_path_buf() })
    }

    /// Reads what tensors a file of this format holds, and none of their bytes where the format allows.
    pub(crate) fn open(self, source: &Source) -> Result<Checkpoint, Error> {
        match self {
            Self::Safetensors => codec::safetensors::open(source),
            Self::Sharded => codec::sharded::open(source),
            Self::Npy => codec::npy::open(source),
            Self::Npz => codec::npz::open(source),
            Self::Torch => codec::torch::open(source),
            Self::Hdf5 => codec::hdf5::open(source),
            Self::Keras => codec::keras::open(source),
            Self::Flax => codec::flax::open(source),
            Self::Mxnet => codec::mxnet::open(source),
            Self::Burnpack => codec::burnpack::open(source),
            Self::Gguf => codec::gguf::open(source),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

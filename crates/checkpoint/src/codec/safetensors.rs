//! The safetensors format: eight bytes of length, a JSON header, the tensors end to end.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::ser::{SerializeMap, Serializer};

pub use super::safetensors_fault::SafetensorsFault;
use super::safetensors_header::{self as header, METADATA_KEY, RawTensor};
use crate::atomic::{WriteMode, WriteSeek, write_atomically_with};
use crate::checkpoint::Checkpoint;
use crate::data::FileRange;
use crate::dtype::Dtype;
use crate::error::{Action, Error};
use crate::source::Source;
use crate::tensor::NamedTensor;

/// The bytes that hold the header's length.
const LENGTH_BYTES: u64 = 8;

/// The longest header the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// What a safetensors file says it holds.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, read_safetensors_header, write_safetensors};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model.safetensors");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("b", vec![2], &[1.0, 2.0])?)?;
/// write_safetensors(&path, &checkpoint)?;
/// let header = read_safetensors_header(&path)?;
/// let b = &header.tensors[0];
/// assert_eq!((b.name.as_str(), b.shape.as_slice()), ("b", &[2][..]));
/// assert_eq!(b.range, header.data_start..header.data_start + 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The tensors, in the order of their bytes in the file.
    pub tensors: Vec<TensorHeader>,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
    /// Where the first tensor begins, in bytes from the start of the file.
    pub data_start: u64,
}

/// What a safetensors file says of one tensor.
///
/// ```
/// # use espalier_checkpoint::{Dtype, TensorHeader};
/// fn megabytes(tensor: &TensorHeader) -> f64 {
///     (tensor.range.end - tensor.range.start) as f64 / 1e6
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorHeader {
    /// The name.
    pub name: String,
    /// The type of the elements.
    pub dtype: Dtype,
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// Where its bytes are, counted from the start of the file.
    pub range: Range<u64>,
}

/// Reads a whole safetensors file. The tensors come in the order of their bytes in the file.
///
/// The memory it takes is that of the tensors and the header.
///
/// # Errors
///
/// [`Error::Safetensors`] with the [`SafetensorsFault`] if the file is not acceptable,
/// [`Error::Io`] or [`Error::NotAFile`] if it cannot be read.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, read_safetensors, write_safetensors};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("empty.safetensors");
/// write_safetensors(&path, &Checkpoint::new())?;
/// assert!(read_safetensors(&path)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_safetensors(path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
    open(&Source::open(path)?)?.load()
}

/// Reads a safetensors file that is in memory. `origin` is what errors call it.
///
/// # Errors
///
/// As [`read_safetensors`].
///
/// ```
/// use espalier_checkpoint::read_safetensors_bytes;
/// let header = br#"{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
/// let file = [&(header.len() as u64).to_le_bytes()[..], header, b"abc"].concat();
/// let checkpoint = read_safetensors_bytes(&file, "a download")?;
/// assert_eq!(checkpoint.get("b").map(|b| b.bytes()).transpose()?.as_deref(), Some(&b"abc"[..]));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn read_safetensors_bytes(bytes: &[u8], origin: impl AsRef<Path>) -> Result<Checkpoint, Error> {
    open(&Source::from_bytes(bytes.to_vec(), origin))?.load()
}

/// Reads the header of a safetensors file and holds it against the file's length, without reading a
/// tensor.
///
/// # Errors
///
/// As [`read_safetensors`], and in the same cases.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, read_safetensors_header, write_safetensors};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("empty.safetensors");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.metadata.insert("epoch".into(), "3".into());
/// write_safetensors(&path, &checkpoint)?;
/// assert_eq!(read_safetensors_header(&path)?.metadata["epoch"], "3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_safetensors_header(path: impl AsRef<Path>) -> Result<Header, Error> {
    read_header(&Source::open(path)?)
}

fn read_header(source: &Source) -> Result<Header, Error> {
    let (path, length) = (source.path(), source.len());
    let fault = |cause| Error::Safetensors { path: path.to_path_buf(), cause };
    let Some(available) = length.checked_sub(LENGTH_BYTES) else {
        return Err(fault(SafetensorsFault::TooShort { found: length }));
    };
    let mut prefix = [0; LENGTH_BYTES as usize];
    source.fill(0, &mut prefix).map_err(|e| Error::io(path, Action::Read, e))?;
    let claimed = u64::from_le_bytes(prefix);
    if claimed > available {
        return Err(fault(SafetensorsFault::HeaderPastEnd { length: claimed, available }));
    }
    if claimed > MAX_HEADER {
        let limit = MAX_HEADER;
        return Err(fault(SafetensorsFault::HeaderOverLimit { length: claimed, limit }));
    }
    let json = source.read(LENGTH_BYTES..LENGTH_BYTES + claimed)?;
    let mut raw = header::parse(&json).map_err(fault)?;
    drop(json);
    header::arrange(&mut raw.tensors, available - claimed).map_err(fault)?;

    // Not more than `length`, as checked above.
    let data_start = LENGTH_BYTES + claimed;
    let tensors = raw.tensors.into_iter().map(|tensor| TensorHeader {
        name: tensor.name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        range: data_start + tensor.begin..data_start + tensor.end,
    });
    Ok(Header { tensors: tensors.collect(), metadata: raw.metadata, data_start })
}

/// The tensors of a file, whose bytes are read when they are asked for.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let header = read_header(source)?;
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata = header.metadata;
    for TensorHeader { name, dtype, shape, range } in header.tensors {
        let provider = Arc::new(FileRange { source: source.clone(), range });
        checkpoint.push(NamedTensor::lazy(name, dtype, shape, provider)?)?;
    }
    Ok(checkpoint)
}

/// Writes a safetensors file atomically (see [`write_atomically`](crate::write_atomically)).
///
/// Equal checkpoints give equal bytes. The format wants every tensor aligned to its element size, so
/// tensors of larger elements come first; among those of equal size the checkpoint's order is kept.
/// Reading the file gives that order back. Metadata is sorted by key.
///
/// # Errors
///
/// [`Error::Safetensors`] if the checkpoint does not fit the format: a tensor named `__metadata__`,
/// more than 64 dimensions, more than 131 072 keys, a name over 8 MiB, a header over 100 MB. Otherwise as
/// [`write_atomically`](crate::write_atomically).
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, read_safetensors, write_safetensors};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model.safetensors");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::boolean("mask", vec![1], &[true])?)?;
/// checkpoint.push(NamedTensor::f32("z", vec![1], &[1.0])?)?;
/// checkpoint.push(NamedTensor::f32("a", vec![1], &[2.0])?)?;
/// write_safetensors(&path, &checkpoint)?;
/// let names: Vec<_> = read_safetensors(&path)?.names().map(String::from).collect();
/// assert_eq!(names, ["z", "a", "mask"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_safetensors(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<(), Error> {
    write_safetensors_with(path, checkpoint, WriteMode::Replace)
}

/// As [`write_safetensors`], with a say about a file that is there.
///
/// # Errors
///
/// As [`write_safetensors`], and [`Error::AlreadyExists`] for [`WriteMode::CreateNew`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, WriteMode, write_safetensors_with};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.safetensors");
/// write_safetensors_with(&path, &Checkpoint::new(), WriteMode::CreateNew)?;
/// let again = write_safetensors_with(&path, &Checkpoint::new(), WriteMode::CreateNew);
/// assert!(matches!(again, Err(Error::AlreadyExists { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_safetensors_with(
    path: impl AsRef<Path>,
    checkpoint: &Checkpoint,
    mode: WriteMode,
) -> Result<(), Error> {
    let path = path.as_ref();
    let layout = Layout::new(checkpoint.iter().collect(), &checkpoint.metadata)
        .map_err(|cause| Error::Safetensors { path: path.to_path_buf(), cause })?;
    write_atomically_with(path, mode, |out| layout.write(out))
}

/// What a file is to hold, from first to last.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    header: Vec<u8>,
    tensors: Vec<&'a NamedTensor>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(
        mut tensors: Vec<&'a NamedTensor>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, SafetensorsFault> {
        tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype().size_bits().max(8)));
        Ok(Self { header: encode_header(&tensors, metadata)?, tensors })
    }

    pub(super) fn write(&self, out: &mut dyn WriteSeek) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|tensor| tensor.write_to(out))
    }
}

/// The header for tensors that lie end to end in this order, padded so that the data is aligned.
fn encode_header(
    tensors: &[&NamedTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, SafetensorsFault> {
    let mut end = 0u64;
    let mut raw = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        if tensor.name() == METADATA_KEY {
            return Err(SafetensorsFault::ReservedName { name: METADATA_KEY.to_owned() });
        }
        let begin = end;
        let Some(next) = end.checked_add(tensor.byte_len() as u64) else {
            let (dtype, shape) = (tensor.dtype(), tensor.shape().to_vec());
            let tensor = tensor.name().to_owned();
            return Err(SafetensorsFault::ShapeOverflow { tensor, dtype, shape });
        };
        end = next;
        raw.push(RawTensor {
            name: tensor.name().to_owned(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            begin,
            end,
        });
    }
    header::arrange(&mut raw, end)?;

    let unwritable = |e: serde_json::Error| SafetensorsFault::Unwritable { reason: e.to_string() };
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let mut map = serializer.serialize_map(None).map_err(unwritable)?;
    if !metadata.is_empty() {
        map.serialize_entry(METADATA_KEY, metadata).map_err(unwritable)?;
    }
    for tensor in &raw {
        map.serialize_entry(&tensor.name, &header::info(tensor)?).map_err(unwritable)?;
    }
    map.end().map_err(unwritable)?;
    json.resize(json.len().next_multiple_of(LENGTH_BYTES as usize), b' ');
    let length = json.len() as u64;
    if length > MAX_HEADER {
        return Err(SafetensorsFault::HeaderOverLimit { length, limit: MAX_HEADER });
    }
    // What is written must be accepted when it is read: the reader's limits are in its parser.
    header::parse(&json)?;
    Ok(json)
}

/// The bytes of a file.
#[cfg(test)]
pub(crate) fn bytes_of(checkpoint: &Checkpoint) -> Vec<u8> {
    let layout = Layout::new(checkpoint.iter().collect(), &checkpoint.metadata).unwrap();
    let mut out = io::Cursor::new(Vec::new());
    layout.write(&mut out).unwrap();
    out.into_inner()
}

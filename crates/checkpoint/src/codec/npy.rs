//! The npy format: one array behind a short text header.

use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

use super::MAX_RANK;
use super::npy_header::{self, NpyHeader};
use super::strided;
use crate::atomic::write_atomically;
use crate::checkpoint::Checkpoint;
use crate::convert;
use crate::dtype::{Dtype, checked_numel};
use crate::error::{Action, Error};
use crate::source::{self, Source};
use crate::tensor::NamedTensor;

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read, in bytes. That of an array of rank 64 takes a fiftieth of it.
const MAX_HEADER: u64 = 65_535;

/// An array from an npy file: elements in C order, little-endian, of the type in the file.
///
/// ```
/// use espalier_checkpoint::{Array, Dtype, read_npy, write_npy};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("x.npy");
/// write_npy(&path, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let array: Array = read_npy(&path)?;
/// assert_eq!((array.dtype(), array.shape()), (Dtype::F32, &[2, 3][..]));
/// assert_eq!(array.to_f32_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// The type of the elements: one of `Bool`, `U8` to `U64`, `I8` to `I64`, `F16`, `F32`, `F64`.
    ///
    /// ```
    /// # use espalier_checkpoint::{Dtype, read_npy, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// write_npy(&path, &[], &[1.0])?;
    /// assert_eq!(read_npy(&path)?.dtype(), Dtype::F32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The size of each dimension, outermost first; empty for a scalar.
    ///
    /// ```
    /// # use espalier_checkpoint::{read_npy, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// write_npy(&path, &[2, 1], &[1.0, 2.0])?;
    /// assert_eq!(read_npy(&path)?.shape(), [2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements as `f64`, decoded one by one, in C order.
    ///
    /// ```
    /// # use espalier_checkpoint::{read_npy, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// write_npy(&path, &[2], &[1.0, 2.0])?;
    /// assert_eq!(read_npy(&path)?.values().sum::<f64>(), 3.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn values(&self) -> impl Iterator<Item = f64> {
        // Every type that the reader accepts has values.
        convert::values(self.dtype, &self.bytes[..]).into_iter().flatten()
    }

    /// The elements as little-endian bytes in C order, such as labels or pixels of type `U8`.
    ///
    /// ```
    /// # use espalier_checkpoint::{read_npy, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// write_npy(&path, &[1], &[1.0])?;
    /// assert_eq!(read_npy(&path)?.bytes(), [0, 0, 0x80, 0x3f]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The array under a name, without a copy.
    ///
    /// # Errors
    ///
    /// None for an array that was read; the signature is that of the constructor.
    ///
    /// ```
    /// # use espalier_checkpoint::{read_npy, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// write_npy(&path, &[1], &[1.0])?;
    /// assert_eq!(read_npy(&path)?.into_tensor("x")?.name(), "x");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_tensor(self, name: impl Into<String>) -> Result<NamedTensor, Error> {
        NamedTensor::new(name, self.dtype, self.shape, self.bytes)
    }

    /// The elements as `f32`, rounded to the nearest, in C order.
    ///
    /// ```
    /// # use espalier_checkpoint::{read_npy, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// write_npy(&path, &[2], &[1.0, 2.0])?;
    /// assert_eq!(read_npy(&path)?.to_f32_vec(), [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_f32_vec(&self) -> Vec<f32> {
        convert::to_f32(self.dtype, &self.bytes).unwrap_or_default()
    }
}

/// Type and shape; never the elements.
impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({}, {:?})", self.dtype, self.shape)
    }
}

/// Why a file is not accepted as npy, or an array cannot be written as such.
///
/// ```
/// use espalier_checkpoint::{Error, NpyFault, read_npy_bytes};
/// let error = read_npy_bytes(b"not an array", "x.npy").unwrap_err();
/// assert!(matches!(error, Error::Npy { cause: NpyFault::NotNpy, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyFault {
    /// The file does not begin as an npy file does.
    #[error("it does not begin with the npy signature")]
    NotNpy,
    /// The version of the format is not known.
    #[error("version {major}.{minor} of the format; 1.0, 2.0 and 3.0 are read")]
    UnknownVersion {
        /// The major version.
        major: u8,
        /// The minor version.
        minor: u8,
    },
    /// The header is longer than any plain array needs.
    #[error("the header has {length} bytes, at most {limit} are read")]
    HeaderOverLimit {
        /// The length that the file gives for its header.
        length: u64,
        /// The longest that is read.
        limit: u64,
    },
    /// The file ends within the signature or the header.
    #[error("the file ends within the header: it is cut, fetch or save it again")]
    HeaderCut,
    /// The header is not the dictionary that it should be.
    #[error("expected {expected} at byte {position} of the header")]
    Header {
        /// What belongs there.
        expected: &'static str,
        /// The place, in bytes from the start of the header.
        position: usize,
    },
    /// A key of the header is not known.
    #[error("the header has the unknown key {key:?}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key stands twice in the header.
    #[error("the key {key:?} stands twice in the header, again at byte {position}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The place of the second.
        position: usize,
    },
    /// A key is missing from the header.
    #[error("the header has no {key:?}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// The array holds Python objects, which are code.
    #[error("it holds Python objects, which are not read: save it as an array of numbers")]
    Objects,
    /// The array holds records.
    #[error("it holds records, which are not read: save one array for each field")]
    Structured,
    /// The element type is not a plain number or truth value.
    #[error(
        "elements of type {descr:?} are not read; convert to one of f2 f4 f8 u1 u2 u4 u8 i1 i2 i4 i8 b1"
    )]
    UnsupportedType {
        /// The type, as the file spells it.
        descr: String,
    },
    /// The array has more dimensions than numpy knows.
    #[error("more than {limit} dimensions")]
    RankOverLimit {
        /// The most that are read or written.
        limit: usize,
    },
    /// A size in the shape does not fit a machine word.
    #[error("the size at byte {position} of the header overflows")]
    SizeOverflow {
        /// The place, in bytes from the start of the header.
        position: usize,
    },
    /// The size of the shape does not fit a machine word.
    #[error("the size of {dtype} {shape:?} overflows")]
    ShapeOverflow {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// The bytes of data are not as many as type and shape take.
    #[error("{dtype} {shape:?} takes {needed} bytes, {found} follow the header")]
    DataLength {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
        /// The bytes that type and shape take.
        needed: u64,
        /// The bytes after the header.
        found: u64,
    },
    /// The values to write are not as many as the shape holds.
    #[error("shape {shape:?} holds {needed} elements, found {found}")]
    ElementCount {
        /// The shape.
        shape: Vec<usize>,
        /// The elements that the shape takes.
        needed: usize,
        /// The elements given.
        found: usize,
    },
}

/// Reads an npy file of version 1.0, 2.0 or 3.0.
///
/// Element types are `f2 f4 f8 u1 u2 u4 u8 i1 i2 i4 i8 b1` of either byte order; an array in
/// Fortran order is brought into C order. It takes at most twice the memory of the elements.
///
/// # Errors
///
/// [`Error::Npy`] with the [`NpyFault`] if the file is not acceptable, [`Error::Io`] or
/// [`Error::NotAFile`] if it cannot be read.
///
/// ```
/// use espalier_checkpoint::{read_npy, write_npy};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("image.npy");
/// write_npy(&path, &[1, 2], &[0.0, 1.0])?;
/// assert_eq!(read_npy(&path)?.shape(), [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_npy(path: impl AsRef<Path>) -> Result<Array, Error> {
    let path = path.as_ref();
    let (mut file, length) = source::open(path)?;
    read(&mut file, length, path)
}

/// Reads an npy file that is in memory. `origin` is what errors call it.
///
/// # Errors
///
/// As [`read_npy`].
///
/// ```
/// use espalier_checkpoint::read_npy_bytes;
/// let header = b"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }";
/// let file = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header, &[1, 3, 2, 4]];
/// let array = read_npy_bytes(&file.concat(), "pixels")?;
/// assert_eq!(array.bytes(), [1, 2, 3, 4]);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn read_npy_bytes(bytes: &[u8], origin: impl AsRef<Path>) -> Result<Array, Error> {
    let mut rest = bytes;
    read(&mut rest, bytes.len() as u64, origin.as_ref())
}

/// The array as the one tensor of a checkpoint, named as the file without its ending. It is read at once.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let mut reader = BufReader::new(source.whole());
    let array = read(&mut reader, source.len(), source.path())?;
    let name = source.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(array.into_tensor(name.unwrap_or_default())?)?;
    Ok(checkpoint)
}

fn read(reader: &mut impl Read, length: u64, path: &Path) -> Result<Array, Error> {
    let fault = |cause| Error::Npy { path: path.to_path_buf(), cause };
    let unreadable = |e| Error::io(path, Action::Read, e);

    let mut magic = [0; 6];
    if length < 6 {
        return Err(fault(NpyFault::NotNpy));
    }
    reader.read_exact(&mut magic).map_err(unreadable)?;
    if &magic != MAGIC {
        return Err(fault(NpyFault::NotNpy));
    }
    if length < 8 {
        return Err(fault(NpyFault::HeaderCut));
    }
    let mut version = [0; 2];
    reader.read_exact(&mut version).map_err(unreadable)?;
    let width = match version {
        [1, 0] => 2u64,
        [2 | 3, 0] => 4,
        [major, minor] => return Err(fault(NpyFault::UnknownVersion { major, minor })),
    };
    if length < 8 + width {
        return Err(fault(NpyFault::HeaderCut));
    }
    let mut prefix = [0; 4];
    reader.read_exact(&mut prefix[..width as usize]).map_err(unreadable)?;
    let claimed = u64::from(u32::from_le_bytes(prefix));
    if claimed > MAX_HEADER {
        return Err(fault(NpyFault::HeaderOverLimit { length: claimed, limit: MAX_HEADER }));
    }
    let Some(found) = length.checked_sub(8 + width + claimed) else {
        return Err(fault(NpyFault::HeaderCut));
    };
    let text = source::read_exact(reader, claimed as usize).map_err(unreadable)?;
    let NpyHeader { dtype, big_endian, fortran_order, shape } =
        npy_header::parse(&text).map_err(fault)?;

    let needed = checked_numel(&shape).and_then(|numel| dtype.byte_len(numel).ok());
    let Some(needed) = needed else {
        return Err(fault(NpyFault::ShapeOverflow { dtype, shape }));
    };
    if needed as u64 != found {
        let needed = needed as u64;
        return Err(fault(NpyFault::DataLength { dtype, shape, needed, found }));
    }
    let mut bytes = source::read_exact(reader, needed).map_err(unreadable)?;
    let width = dtype.size_bits() / 8;
    if big_endian {
        bytes.chunks_exact_mut(dtype.part_bytes()).for_each(<[u8]>::reverse);
    }
    if fortran_order {
        bytes = strided::gather(&bytes, &shape, &strided::fortran_order(&shape), width);
    }
    Ok(Array { dtype, shape, bytes })
}

/// Writes single-precision numbers in C order as an npy file of version 1.0, atomically (see
/// [`write_atomically`]).
///
/// # Errors
///
/// [`Error::Npy`] if the shape holds another number of elements, overflows, or has more than 64
/// dimensions. Otherwise as [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{read_npy, write_npy};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("scores.npy");
/// write_npy(&path, &[3], &[0.25, 0.5, 0.75])?;
/// assert_eq!(read_npy(&path)?.to_f32_vec(), [0.25, 0.5, 0.75]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npy(path: impl AsRef<Path>, shape: &[usize], values: &[f32]) -> Result<(), Error> {
    let path = path.as_ref();
    let fault = |cause| Error::Npy { path: path.to_path_buf(), cause };
    if shape.len() > MAX_RANK {
        return Err(fault(NpyFault::RankOverLimit { limit: MAX_RANK }));
    }
    let Some(needed) = checked_numel(shape) else {
        return Err(fault(NpyFault::ShapeOverflow { dtype: Dtype::F32, shape: shape.to_vec() }));
    };
    if needed != values.len() {
        let (shape, found) = (shape.to_vec(), values.len());
        return Err(fault(NpyFault::ElementCount { shape, needed, found }));
    }
    let header = encode_header(shape);
    write_atomically(path, |out| {
        out.write_all(&header)?;
        values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
    })
}

/// Signature, version, length and dictionary, padded so that the data is aligned to 64 bytes.
fn encode_header(shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one needs its comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let shape = format!("({}{comma})", sizes.join(", "));
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let start = MAGIC.len() + 4;
    let padded = (start + text.len() + 1).next_multiple_of(64) - start;
    text.extend(std::iter::repeat_n(' ', padded - 1 - text.len()));
    text.push('\n');
    // At most 64 sizes of 20 digits: the length fits two bytes.
    let length = (text.len() as u16).to_le_bytes();
    [&MAGIC[..], &[1, 0], &length, text.as_bytes()].concat()
}

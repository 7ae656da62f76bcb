//! The npy format: one array behind a short text header.

use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

pub use super::npy_fault::NpyFault;
pub(crate) use super::npy_layout::MAGIC;
use super::npy_layout::{self, NpyLayout};
pub use super::npy_write::{write_npy, write_npy_tensor};
use crate::checkpoint::Checkpoint;
use crate::convert;
use crate::data::{FileRange, Provider};
use crate::dtype::Dtype;
use crate::error::{Action, Error};
use crate::source::{self, Source};
use crate::tensor::NamedTensor;

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

/// Reads an npy file of version 1.0, 2.0 or 3.0.
///
/// Element types are `f2 f4 f8 u1 u2 u4 u8 i1 i2 i4 i8 b1` of either byte order; an array in
/// Fortran order is brought into C order. It takes at most twice the memory of the elements. Complex
/// numbers (`c8 c16`) are read by [`Checkpoint::open`] only.
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

/// The array as the one tensor of a checkpoint, named as the file without its ending.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let mut reader = BufReader::new(source.whole());
    let wrap = |cause| Error::Npy { path: source.path().to_path_buf(), cause };
    let layout = npy_layout::read(&mut reader, source.len(), source.path())
        .map_err(|stop| stop.into_error(wrap))?;
    let name = source.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let (dtype, shape, source) = (layout.dtype, layout.shape.clone(), source.clone());
    let provider: Arc<dyn Provider> = if layout.is_plain() {
        Arc::new(FileRange { source, range: layout.range() })
    } else {
        Arc::new(Rearranged { source, layout })
    };
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::lazy(name.unwrap_or_default(), dtype, shape, provider)?)?;
    Ok(checkpoint)
}

/// The bytes of an array in a file that are not as they are to be: big-endian, or in Fortran order.
#[derive(Debug)]
struct Rearranged {
    source: Source,
    layout: NpyLayout,
}

impl Provider for Rearranged {
    fn read(&self) -> Result<Vec<u8>, Error> {
        Ok(self.layout.arrange(self.source.read(self.layout.range())?))
    }
}

fn read(reader: &mut impl Read, length: u64, path: &Path) -> Result<Array, Error> {
    let wrap = |cause| Error::Npy { path: path.to_path_buf(), cause };
    let layout = npy_layout::read(reader, length, path).map_err(|stop| stop.into_error(wrap))?;
    if matches!(layout.dtype, Dtype::C64 | Dtype::C128) {
        return Err(wrap(NpyFault::Complex { dtype: layout.dtype }));
    }
    let bytes = source::read_exact(reader, layout.byte_len)
        .map_err(|e| Error::io(path, Action::Read, e))?;
    let bytes = layout.arrange(bytes);
    Ok(Array { dtype: layout.dtype, shape: layout.shape, bytes })
}

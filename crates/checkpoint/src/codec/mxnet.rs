//! MXNet's `.params` files: arrays end to end, then their names. MXNet 2 writes npz instead.
//!
//! Layout after `NDArray::Save` and `NDArray::Load` of MXNet 1.9 (src/ndarray/ndarray.cc).

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::cursor::{Cursor, Stop};
pub use super::mxnet_fault::MxnetFault;
use super::{MAX_NAMES, MAX_RANK, MAX_TENSORS};
use crate::atomic::write_atomically;
use crate::checkpoint::Checkpoint;
use crate::data::FileRange;
use crate::dtype::{Dtype, checked_numel};
use crate::error::Error;
use crate::source::Source;
use crate::tensor::NamedTensor;

/// What a file begins with: the number of a list of arrays, and eight bytes that are reserved.
pub(crate) const MAGIC: &[u8; 16] = &[0x12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An array with 64-bit sizes.
const V1: u32 = 0xf993_fac8;
/// An array that says how it is stored.
const V2: u32 = 0xf993_fac9;
/// An array whose shape is as numpy's: of rank 0, or with a size of 0.
const V3: u32 = 0xf993_faca;

/// A rank and a type: no array is shorter.
const LEAST_BYTES: u64 = 8;

/// The types in the order of their numbers.
const TYPES: [Dtype; 13] = [
    Dtype::F32,
    Dtype::F64,
    Dtype::F16,
    Dtype::U8,
    Dtype::I32,
    Dtype::I8,
    Dtype::I64,
    Dtype::Bool,
    Dtype::I16,
    Dtype::U16,
    Dtype::U32,
    Dtype::U64,
    Dtype::BF16,
];

type Result<T> = std::result::Result<T, Stop<MxnetFault>>;

/// The arrays in the order of the file. `arg:` and `aux:` stay in the names; arrays without names are
/// called by their number.
pub(crate) fn open(source: &Source) -> std::result::Result<Checkpoint, Error> {
    read(source).map_err(|stop| {
        stop.into_error(|cause| Error::Mxnet { path: source.path().to_path_buf(), cause })
    })
}

fn read(source: &Source) -> Result<Checkpoint> {
    let mut cursor = Cursor::new(source, 0..source.len());
    if &cursor.array::<16>()? != MAGIC {
        return Err(Stop::Fault(MxnetFault::NotMxnet));
    }
    let count = count(&mut cursor, "arrays", LEAST_BYTES)?;
    let mut arrays = Vec::with_capacity(count as usize);
    for array in 0..count {
        arrays.push(self::array(&mut cursor, array)?);
    }
    let names = self::count(&mut cursor, "names", 8)?;
    if names != 0 && names != count {
        return Err(Stop::Fault(MxnetFault::NameCount { arrays: count, names }));
    }
    let names = if names == 0 {
        (0..count).map(|array| array.to_string()).collect()
    } else {
        self::names(&mut cursor, names)?
    };
    if cursor.left() > 0 {
        return Err(Stop::Fault(MxnetFault::TrailingBytes { extra: cursor.left() }));
    }
    let mut checkpoint = Checkpoint::new();
    for (name, Array { dtype, shape, range }) in names.into_iter().zip(arrays) {
        let provider = Arc::new(FileRange { source: source.clone(), range });
        checkpoint.push(NamedTensor::lazy(name, dtype, shape, provider)?)?;
    }
    Ok(checkpoint)
}

struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<u64>,
}

/// A number of things that take at least `least` bytes each.
fn count(cursor: &mut Cursor<'_, MxnetFault>, what: &'static str, least: u64) -> Result<u64> {
    let count = cursor.u64()?;
    let limit = (cursor.left() / least).min(MAX_TENSORS as u64);
    if count > limit {
        return Err(Stop::Fault(MxnetFault::TooMany { what, count, limit }));
    }
    Ok(count)
}

fn names(cursor: &mut Cursor<'_, MxnetFault>, count: u64) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(count as usize);
    let mut seen = HashSet::with_capacity(count as usize);
    let mut total = 0;
    for array in 0..count {
        let length = cursor.u64()?;
        if length > cursor.left() {
            let position = cursor.position();
            return Err(Stop::Fault(MxnetFault::Cut { position, needed: length }));
        }
        total += length;
        if total > MAX_NAMES as u64 {
            return Err(Stop::Fault(MxnetFault::NamesOverLimit { limit: MAX_NAMES }));
        }
        let name = String::from_utf8(cursor.bytes(length)?)
            .map_err(|_| Stop::Fault(MxnetFault::NameNotUtf8 { array }))?;
        if !seen.insert(name.clone()) {
            return Err(Stop::Fault(MxnetFault::DuplicateName { name }));
        }
        names.push(name);
    }
    Ok(names)
}

/// One array of any layout; its bytes are passed over.
fn array(cursor: &mut Cursor<'_, MxnetFault>, array: u64) -> Result<Array> {
    let first = cursor.u32()?;
    if let V2 | V3 = first {
        let storage = cursor.i32()?;
        if storage != 0 {
            return Err(Stop::Fault(MxnetFault::Sparse { array, storage }));
        }
    }
    let sizes: Vec<i64> = match first {
        V1 | V2 | V3 => {
            let rank = cursor.i32()?;
            // Unknown, in numpy's way of counting.
            if first == V3 && rank == -1 {
                return Err(Stop::Fault(MxnetFault::NoShape { array }));
            }
            check_rank(array, rank.into())?;
            (0..rank).map(|_| cursor.i64()).collect::<Result<_>>()?
        }
        // The oldest layout begins with the rank itself.
        rank if rank as usize <= MAX_RANK => {
            (0..rank).map(|_| cursor.u32().map(i64::from)).collect::<Result<_>>()?
        }
        found => return Err(Stop::Fault(MxnetFault::UnknownLayout { array, found })),
    };
    // Without numpy's way of counting, zero means that it is not known, and nothing follows.
    let unknown =
        if first == V3 { sizes.contains(&-1) } else { sizes.is_empty() || sizes.contains(&0) };
    if unknown {
        return Err(Stop::Fault(MxnetFault::NoShape { array }));
    }
    // The device it was on.
    cursor.skip(8)?;
    let number = cursor.i32()?;
    let dtype = usize::try_from(number).ok().and_then(|number| TYPES.get(number)).copied();
    let dtype = dtype.ok_or(Stop::Fault(MxnetFault::UnknownType { array, found: number }))?;
    let shape: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let counted = shape.and_then(|shape| {
        let needed = dtype.byte_len(checked_numel(&shape)?).ok()?;
        Some((shape, needed as u64))
    });
    let Some((shape, needed)) = counted else {
        return Err(Stop::Fault(MxnetFault::ShapeOverflow { array, dtype, shape: sizes }));
    };
    let available = cursor.left();
    if needed > available {
        let fault = MxnetFault::PastEnd { array, dtype, shape, needed, available };
        return Err(Stop::Fault(fault));
    }
    Ok(Array { dtype, shape, range: cursor.skip(needed)? })
}

fn check_rank(array: u64, found: i64) -> Result<()> {
    if usize::try_from(found).is_ok_and(|rank| rank <= MAX_RANK) {
        return Ok(());
    }
    Err(Stop::Fault(MxnetFault::Rank { array, found, limit: MAX_RANK }))
}

/// Writes the tensors as a `.params` file of MXNet 1, atomically (see [`write_atomically`]).
///
/// The layout is the one that `mx.nd.save` writes since MXNet 1.0 (V2). A tensor of rank 0, or without
/// elements, can be said in numpy's way of counting only: then all are written in that layout (V3), which
/// is loaded after `mx.npx.set_np()`. Text metadata has no place in the format and is not written; tied
/// tensors are written twice. Equal checkpoints give equal bytes.
///
/// # Errors
///
/// [`Error::Mxnet`] if a tensor has a type that MXNet has not (8-bit and smaller floats, complex numbers) or
/// more than 64 dimensions. What keeps a tensor from being read, and as [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_mxnet};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model-0000.params");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("arg:fc_weight", vec![1, 2], &[0.5, -0.5])?)?;
/// write_mxnet(&path, &checkpoint)?;
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_mxnet(
    path: impl AsRef<Path>,
    checkpoint: &Checkpoint,
) -> std::result::Result<(), Error> {
    let path = path.as_ref();
    let fault = |cause| Error::Mxnet { path: path.to_path_buf(), cause };
    let as_numpy = |tensor: &NamedTensor| tensor.shape().is_empty() || tensor.numel() == 0;
    let layout = if checkpoint.iter().any(as_numpy) { V3 } else { V2 };
    if checkpoint.len() > MAX_TENSORS {
        let (count, limit) = (checkpoint.len() as u64, MAX_TENSORS as u64);
        return Err(fault(MxnetFault::TooMany { what: "arrays", count, limit }));
    }
    let headers: Vec<Vec<u8>> = checkpoint
        .iter()
        .map(|tensor| header(tensor, layout))
        .collect::<std::result::Result<_, _>>()
        .map_err(fault)?;
    write_atomically(path, |out| {
        let count = (checkpoint.len() as u64).to_le_bytes();
        out.write_all(MAGIC)?;
        out.write_all(&count)?;
        for (tensor, header) in checkpoint.iter().zip(&headers) {
            out.write_all(header)?;
            tensor.write_to(out)?;
        }
        out.write_all(&count)?;
        checkpoint.names().try_for_each(|name| -> io::Result<()> {
            out.write_all(&(name.len() as u64).to_le_bytes())?;
            out.write_all(name.as_bytes())
        })
    })
}

/// What stands before the elements of a tensor.
fn header(tensor: &NamedTensor, layout: u32) -> std::result::Result<Vec<u8>, MxnetFault> {
    let (dtype, shape) = (tensor.dtype(), tensor.shape());
    let name = || tensor.name().to_owned();
    let Some(number) = TYPES.iter().position(|known| *known == dtype) else {
        return Err(MxnetFault::NoSuchDtype { tensor: name(), dtype });
    };
    if shape.len() > MAX_RANK {
        return Err(MxnetFault::RankOverLimit { tensor: name(), limit: MAX_RANK });
    }
    // Dense; the rank.
    let words = [layout, 0, shape.len() as u32];
    let mut header: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    header.extend(shape.iter().flat_map(|&size| (size as u64).to_le_bytes()));
    // In the memory of the processor, which is device 0 of kind 1.
    header.extend([1, 0, number as u32].into_iter().flat_map(u32::to_le_bytes));
    Ok(header)
}

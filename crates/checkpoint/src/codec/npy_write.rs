//! Writing npy files.

use std::path::Path;

use super::MAX_RANK;
use super::npy_fault::NpyFault;
use super::npy_layout::MAGIC;
use crate::atomic::write_atomically;
use crate::dtype::{Dtype, checked_numel};
use crate::error::Error;
use crate::tensor::NamedTensor;

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
    let header = encode_header("<f4", shape);
    write_atomically(path, |out| {
        out.write_all(&header)?;
        values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
    })
}

/// Writes a tensor as an npy file of version 1.0, little-endian and in C order, atomically (see
/// [`write_atomically`]). The name is not written: that of the file is the array's.
///
/// # Errors
///
/// [`Error::Npy`] if the tensor has more than 64 dimensions, or a type that numpy has not: 8-bit and
/// smaller floats, `BF16`, `C32`. What keeps its bytes from being read, and as [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_npy_tensor};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("labels.npy");
/// let labels = NamedTensor::new("labels", Dtype::I16, vec![2], vec![1, 0, 2, 0])?;
/// write_npy_tensor(&path, &labels)?;
/// assert_eq!(Checkpoint::open(&path)?.get("labels"), Some(&labels));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npy_tensor(path: impl AsRef<Path>, tensor: &NamedTensor) -> Result<(), Error> {
    let path = path.as_ref();
    let header =
        header_of(tensor).map_err(|cause| Error::Npy { path: path.to_path_buf(), cause })?;
    write_atomically(path, |out| {
        out.write_all(&header)?;
        tensor.write_to(out)
    })
}

/// What stands before the elements of a tensor.
pub(crate) fn header_of(tensor: &NamedTensor) -> Result<Vec<u8>, NpyFault> {
    let dtype = tensor.dtype();
    let Some(descr) = descr(dtype) else {
        return Err(NpyFault::NoSuchDtype { tensor: tensor.name().to_owned(), dtype });
    };
    if tensor.shape().len() > MAX_RANK {
        return Err(NpyFault::RankOverLimit { limit: MAX_RANK });
    }
    Ok(encode_header(descr, tensor.shape()))
}

/// The type as numpy spells it, if it has it.
fn descr(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::Bool => "|b1",
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::U16 => "<u2",
        Dtype::I16 => "<i2",
        Dtype::U32 => "<u4",
        Dtype::I32 => "<i4",
        Dtype::U64 => "<u8",
        Dtype::I64 => "<i8",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        Dtype::C64 => "<c8",
        Dtype::C128 => "<c16",
        _ => return None,
    })
}

/// Signature, version, length and dictionary, padded so that the data is aligned to 64 bytes.
fn encode_header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one needs its comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let shape = format!("({}{comma})", sizes.join(", "));
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let start = MAGIC.len() + 4;
    let padded = (start + text.len() + 1).next_multiple_of(64) - start;
    text.extend(std::iter::repeat_n(' ', padded - 1 - text.len()));
    text.push('\n');
    // At most 64 sizes of 20 digits: the length fits two bytes.
    let length = (text.len() as u16).to_le_bytes();
    [&MAGIC[..], &[1, 0], &length, text.as_bytes()].concat()
}

//! Writing burnpack files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use half::f16;

use super::MAX_RANK;
use super::burnpack::{ALIGNMENT, MAGIC, MAX_HEADER, PARAM_ID, PREFIX, SCALAR, TYPE, VERSION};
use super::burnpack_fault::BurnpackFault;
use super::burnpack_header::{MAX_TENSORS, TYPES};
use crate::atomic::write_atomically;
use crate::checkpoint::Checkpoint;
use crate::dtype::Dtype;
use crate::error::Error;
use crate::tensor::NamedTensor;

/// The largest tensor that Burn reads.
const MAX_TENSOR: u64 = 10 << 30;

type Result<T> = std::result::Result<T, BurnpackFault>;

/// Writes the tensors as a burnpack file, to the byte as Burn does it, atomically (see
/// [`write_atomically`]).
///
/// The bytes of the tensors come in the order of the checkpoint. Metadata is written, but for notes that
/// the reader leaves there and that become again what they were: `burnpack.param_id:NAME`, the number of
/// a parameter, by which Burn's optimizers know it; `burnpack.scalar:NAME`, a number besides the tensors,
/// as `Int(-3)`, `UInt(3)`, `Bool(true)` or `Float(0x3ff8000000000000)` (its bits);
/// `burnpack.type:NAME`, one of `Flex32`, `Bool(U8)` and `Bool(U32)`, for a tensor of type `F32`, `Bool` or
/// `U32`. A tensor without a number gets one when Burn loads it. Tied tensors are written twice.
///
/// # Errors
///
/// [`Error::Burnpack`] if a tensor has a type that Burn has not (8-bit and smaller floats, complex
/// numbers), more than 64 dimensions or 10 GiB, if there are more than 100 000 of them, the header is
/// over 100 MiB, or one of those notes says something else. What keeps a tensor from being read, and as
/// [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_burnpack};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.bpk");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc.weight", vec![1, 2], &[0.5, -0.5])?)?;
/// checkpoint.metadata.insert("burnpack.param_id:fc.weight".into(), "7".into());
/// write_burnpack(&path, &checkpoint)?;
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_burnpack(
    path: impl AsRef<Path>,
    checkpoint: &Checkpoint,
) -> std::result::Result<(), Error> {
    let path = path.as_ref();
    let (header, begins) =
        header(checkpoint).map_err(|cause| Error::Burnpack { path: path.to_path_buf(), cause })?;
    write_atomically(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&(header.len() as u32).to_le_bytes())?;
        out.write_all(&header)?;
        let unaligned = PREFIX + header.len() as u64;
        pad(out, unaligned.next_multiple_of(ALIGNMENT) - unaligned)?;
        let mut at = 0;
        for (tensor, begin) in checkpoint.iter().zip(&begins) {
            pad(out, begin - at)?;
            tensor.write_to(out)?;
            at = begin + tensor.byte_len() as u64;
        }
        Ok(())
    })
}

/// Writes fewer zeros than the alignment.
fn pad(out: &mut (impl Write + ?Sized), count: u64) -> io::Result<()> {
    out.write_all(&[0; ALIGNMENT as usize][..count as usize])
}

/// The header, and where each tensor begins in the data.
fn header(checkpoint: &Checkpoint) -> Result<(Vec<u8>, Vec<u64>)> {
    let count = checkpoint.len() as u64;
    if count > MAX_TENSORS {
        let limit = MAX_TENSORS;
        return Err(BurnpackFault::TooMany { what: "tensors", count, limit });
    }
    let mut end = 0u64;
    let mut begins = Vec::with_capacity(checkpoint.len());
    // Burn sorts by name.
    let mut sorted = BTreeMap::new();
    for tensor in checkpoint {
        let begin = end.next_multiple_of(ALIGNMENT);
        end = begin + tensor.byte_len() as u64;
        begins.push(begin);
        sorted.insert(tensor.name(), description(tensor, begin, &checkpoint.metadata)?);
    }
    let notes = [PARAM_ID, SCALAR, TYPE];
    let is_note = |key: &str| notes.iter().any(|note| key.starts_with(note));
    let texts: Vec<_> = checkpoint.metadata.iter().filter(|(key, _)| !is_note(key)).collect();
    let scalars = checkpoint
        .metadata
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(SCALAR)?, key, value)))
        .map(|(name, key, value)| scalar(key, value).map(|scalar| (name, scalar)));
    let scalars: Vec<_> = scalars.collect::<Result<_>>()?;

    let mut out = Vec::new();
    let parts = 1 + u64::from(!texts.is_empty()) + u64::from(!scalars.is_empty());
    head(&mut out, 5, parts);
    text(&mut out, "tensors");
    head(&mut out, 5, count);
    for (name, description) in sorted {
        text(&mut out, name);
        out.extend(description);
    }
    if !texts.is_empty() {
        text(&mut out, "metadata");
        head(&mut out, 5, texts.len() as u64);
        for (key, value) in texts {
            text(&mut out, key);
            text(&mut out, value);
        }
    }
    if !scalars.is_empty() {
        text(&mut out, "scalars");
        head(&mut out, 5, scalars.len() as u64);
        for (name, scalar) in scalars {
            text(&mut out, name);
            out.extend(scalar);
        }
    }
    let length = out.len() as u64;
    if length > MAX_HEADER {
        return Err(BurnpackFault::HeaderOverLimit { length, limit: MAX_HEADER });
    }
    Ok((out, begins))
}

/// Type, shape, place and number of a tensor.
fn description(
    tensor: &NamedTensor,
    begin: u64,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let name = || tensor.name().to_owned();
    let (shape, length) = (tensor.shape(), tensor.byte_len() as u64);
    if shape.len() > MAX_RANK {
        return Err(BurnpackFault::RankOverLimit { tensor: name(), limit: MAX_RANK });
    }
    if length > MAX_TENSOR {
        return Err(BurnpackFault::TensorOverLimit { tensor: name(), length, limit: MAX_TENSOR });
    }
    let id = metadata.get_key_value(&format!("{PARAM_ID}{}", tensor.name()));
    let mut out = Vec::new();
    head(&mut out, 5, 3 + u64::from(id.is_some()));
    text(&mut out, "dtype");
    dtype(tensor, metadata, &mut out)?;
    text(&mut out, "shape");
    head(&mut out, 4, shape.len() as u64);
    shape.iter().for_each(|&size| head(&mut out, 0, size as u64));
    text(&mut out, "data_offsets");
    head(&mut out, 4, 2);
    head(&mut out, 0, begin);
    head(&mut out, 0, begin + length);
    if let Some((key, value)) = id {
        let id = value.parse().map_err(|_| note(key, value, "a number from 0 to 2^64 - 1"))?;
        text(&mut out, "param_id");
        head(&mut out, 0, id);
    }
    Ok(out)
}

fn dtype(
    tensor: &NamedTensor,
    metadata: &BTreeMap<String, String>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let noted = metadata.get(&format!("{TYPE}{}", tensor.name())).map(String::as_str);
    let mut truth = |store| {
        head(out, 5, 1);
        text(out, "Bool");
        text(out, store);
    };
    // A note that does not fit the type any more says nothing.
    match (tensor.dtype(), noted) {
        (Dtype::Bool, Some("Bool(U8)")) => truth("U8"),
        (Dtype::Bool, _) => truth("Native"),
        (Dtype::U32, Some("Bool(U32)")) => truth("U32"),
        (Dtype::F32, Some("Flex32")) => text(out, "Flex32"),
        (dtype, _) => match TYPES.iter().find(|(_, known)| *known == dtype) {
            Some((name, _)) => text(out, name),
            None => {
                let tensor = tensor.name().to_owned();
                return Err(BurnpackFault::NoSuchDtype { tensor, dtype });
            }
        },
    }
    Ok(())
}

fn note(key: &str, value: &str, expected: &'static str) -> BurnpackFault {
    BurnpackFault::Note { key: key.to_owned(), value: value.to_owned(), expected }
}

/// A scalar from the note of it.
fn scalar(key: &str, value: &str) -> Result<Vec<u8>> {
    let wrong =
        || note(key, value, "one of Int(-3), UInt(3), Float(0x3ff8000000000000), Bool(true)");
    let (kind, rest) = value.split_once('(').ok_or_else(wrong)?;
    let number = rest.strip_suffix(')').ok_or_else(wrong)?;
    let mut out = Vec::new();
    head(&mut out, 5, 1);
    text(&mut out, kind);
    match kind {
        "Int" => {
            let number: i64 = number.parse().map_err(|_| wrong())?;
            // CBOR keeps -1 less the number.
            let (major, size) = if number < 0 { (1, !number) } else { (0, number) };
            head(&mut out, major, size.cast_unsigned());
        }
        "UInt" => head(&mut out, 0, number.parse().map_err(|_| wrong())?),
        "Bool" => out.push(0xf4 + u8::from(number.parse::<bool>().map_err(|_| wrong())?)),
        "Float" => {
            let bits = number.strip_prefix("0x").ok_or_else(wrong)?;
            float(&mut out, u64::from_str_radix(bits, 16).map_err(|_| wrong())?);
        }
        _ => return Err(wrong()),
    }
    Ok(out)
}

/// A number in the shortest form that keeps its bits.
fn float(out: &mut Vec<u8>, bits: u64) {
    let value = f64::from_bits(bits);
    let (half, single) = (f16::from_f64(value), value as f32);
    if half.to_f64().to_bits() == bits {
        out.push(0xf9);
        out.extend(half.to_bits().to_be_bytes());
    } else if f64::from(single).to_bits() == bits {
        out.push(0xfa);
        out.extend(single.to_bits().to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend(bits.to_be_bytes());
    }
}

/// The head of an item: its major type and a number, in the shortest form.
fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    if number < 24 {
        out.push(major | number as u8);
    } else if let Ok(number) = u8::try_from(number) {
        out.extend([major | 24, number]);
    } else if let Ok(number) = u16::try_from(number) {
        out.push(major | 25);
        out.extend(number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        out.push(major | 26);
        out.extend(number.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend(number.to_be_bytes());
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len() as u64);
    out.extend(text.as_bytes());
}

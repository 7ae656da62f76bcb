//! Burn's burnpack format: a header in CBOR, then the tensors, each at a multiple of 256 bytes.
//!
//! Layout after the documentation of burn-pack 0.22. That crate is not read with: of two entries of one name
//! it takes the last, tensors may overlap, a header can take many times its length in memory, and a file
//! is opened again by its path for each tensor. The tests hold both against each other.

use std::sync::Arc;

pub use super::burnpack_fault::BurnpackFault;
use super::burnpack_header::{Info, Parse, Result};
pub use super::burnpack_write::write_burnpack;
use super::cursor::{Cursor, Stop};
use crate::checkpoint::Checkpoint;
use crate::data::{FileRange, Provider};
use crate::dtype::checked_numel;
use crate::error::Error;
use crate::source::Source;
use crate::tensor::NamedTensor;

/// The number 0x4255524e, "BURN", as it lies in a file.
pub(crate) const MAGIC: &[u8; 4] = b"NRUB";

pub(crate) const VERSION: u16 = 1;

/// Signature, version, length of the header.
pub(crate) const PREFIX: u64 = 10;

/// The longest header the format allows.
pub(crate) const MAX_HEADER: u64 = 100 << 20;

/// What every tensor begins at a multiple of.
pub(crate) const ALIGNMENT: u64 = 256;

/// In the metadata, before the name of a tensor: the number of the parameter, which optimizers know it by.
pub(crate) const PARAM_ID: &str = "burnpack.param_id:";
/// Before the name of a scalar: kind and value, as `Int(-3)`; of a `Float` the bits.
pub(crate) const SCALAR: &str = "burnpack.scalar:";
/// Before the name of a tensor: its type, where the one it has here does not say it.
pub(crate) const TYPE: &str = "burnpack.type:";

/// The tensors in the order of their bytes in the file.
///
/// A quantized tensor is listed as F32, which it would become, and its bytes are refused.
pub(crate) fn open(source: &Source) -> std::result::Result<Checkpoint, Error> {
    read(source).map_err(|stop| {
        stop.into_error(|cause| Error::Burnpack { path: source.path().to_path_buf(), cause })
    })
}

fn read(source: &Source) -> Result<Checkpoint> {
    let mut cursor = Cursor::new(source, 0..source.len());
    if &cursor.array::<4>()? != MAGIC {
        return Err(Stop::Fault(BurnpackFault::NotBurnpack));
    }
    let version = cursor.u16()?;
    if version != VERSION {
        return Err(Stop::Fault(BurnpackFault::UnknownVersion { version }));
    }
    let length = u64::from(cursor.u32()?);
    if length > MAX_HEADER {
        let limit = MAX_HEADER;
        return Err(Stop::Fault(BurnpackFault::HeaderOverLimit { length, limit }));
    }
    let header = cursor.skip(length)?;
    let start = header.end.next_multiple_of(ALIGNMENT);
    let Parse { mut tensors, metadata, .. } = Parse::read(Cursor::new(source, header))?;
    arrange(&mut tensors, source.len().saturating_sub(start)).map_err(Stop::Fault)?;

    let mut checkpoint = Checkpoint::new();
    for Info { name, dtype, quantized, shape, begin, end } in tensors {
        let source = source.clone();
        let provider: Arc<dyn Provider> = if quantized {
            Arc::new(Quantized { source, tensor: name.clone() })
        } else {
            // An empty tensor may begin where the file has ended.
            let range = if begin == end { 0..0 } else { start + begin..start + end };
            Arc::new(FileRange { source, range })
        };
        checkpoint.push(NamedTensor::lazy(name, dtype, shape, provider)?)?;
    }
    checkpoint.metadata = metadata;
    Ok(checkpoint)
}

/// Puts the tensors into the order of the file and holds them against the bytes of data it has: every size
/// right, every byte in one tensor at most.
fn arrange(tensors: &mut [Info], available: u64) -> std::result::Result<(), BurnpackFault> {
    for Info { name, dtype, quantized, shape, begin, end } in tensors.iter() {
        let (tensor, dtype, shape) = (|| name.clone(), *dtype, || shape.clone());
        let numel = checked_numel(&shape());
        let Some(needed) = numel.and_then(|numel| dtype.byte_len(numel).ok()) else {
            return Err(BurnpackFault::ShapeOverflow { tensor: tensor(), dtype, shape: shape() });
        };
        let (begin, end, needed) = (*begin, *end, needed as u64);
        let length = end.checked_sub(begin);
        if length.is_none() || !quantized && length != Some(needed) {
            let (tensor, shape) = (tensor(), shape());
            return Err(BurnpackFault::DataLength { tensor, dtype, shape, needed, begin, end });
        }
        if begin < end && end > available {
            return Err(BurnpackFault::PastEnd { tensor: tensor(), end, available });
        }
    }
    tensors.sort_by_key(|info| (info.begin, info.end));
    let mut previous: Option<&Info> = None;
    for info in tensors.iter().filter(|info| info.begin < info.end) {
        if let Some(other) = previous
            && info.begin < other.end
        {
            let (tensor, other_name) = (info.name.clone(), other.name.clone());
            let (begin, end) = (info.begin, other.end);
            return Err(BurnpackFault::Overlap { tensor, begin, other: other_name, end });
        }
        previous = Some(info);
    }
    Ok(())
}

/// A tensor whose bytes are not read.
#[derive(Debug)]
struct Quantized {
    source: Source,
    tensor: String,
}

impl Provider for Quantized {
    fn read(&self) -> std::result::Result<Vec<u8>, Error> {
        let cause = BurnpackFault::Quantized { tensor: self.tensor.clone() };
        Err(Error::Burnpack { path: self.source.path().to_path_buf(), cause })
    }
}

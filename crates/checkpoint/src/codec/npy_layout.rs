//! Where the elements of an npy file are, and how they become little-endian and C-ordered.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::cursor::Stop;
use super::npy_fault::NpyFault;
use super::npy_header::{self, NpyHeader};
use super::strided;
use crate::dtype::{Dtype, checked_numel};
use crate::error::{Action, Error};
use crate::source;

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read, in bytes. That of an array of rank 64 takes a fiftieth of it.
const MAX_HEADER: u64 = 65_535;

/// What the header says, held against the length of the file.
#[derive(Debug)]
pub(crate) struct NpyLayout {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Where the elements begin.
    pub(crate) start: u64,
    /// The bytes of the elements.
    pub(crate) byte_len: usize,
    big_endian: bool,
    fortran_order: bool,
}

impl NpyLayout {
    /// Where the elements are.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.byte_len as u64
    }

    /// Whether the elements are little-endian and in C order as they are.
    pub(crate) fn is_plain(&self) -> bool {
        let swapped = self.big_endian && self.dtype.part_bytes() > 1;
        !swapped && (!self.fortran_order || self.shape.len() < 2)
    }

    /// Brings the elements from the file into order.
    pub(crate) fn arrange(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.big_endian {
            bytes.chunks_exact_mut(self.dtype.part_bytes()).for_each(<[u8]>::reverse);
        }
        if self.fortran_order && self.shape.len() > 1 {
            let strides = strided::fortran_order(&self.shape);
            bytes = strided::gather(&bytes, &self.shape, &strides, self.dtype.size_bits() / 8);
        }
        bytes
    }
}

/// Reads signature, version and header from the start of an npy file of `length` bytes.
pub(crate) fn read(
    reader: &mut impl Read,
    length: u64,
    path: &Path,
) -> Result<NpyLayout, Stop<NpyFault>> {
    let fault = |cause| Err(Stop::Fault(cause));
    let unreadable = |e| Error::from_io(path, Action::Read, e);

    let mut magic = [0; 6];
    if length < 6 {
        return fault(NpyFault::NotNpy);
    }
    reader.read_exact(&mut magic).map_err(unreadable)?;
    if &magic != MAGIC {
        return fault(NpyFault::NotNpy);
    }
    if length < 8 {
        return fault(NpyFault::HeaderCut);
    }
    let mut version = [0; 2];
    reader.read_exact(&mut version).map_err(unreadable)?;
    let width = match version {
        [1, 0] => 2u64,
        [2 | 3, 0] => 4,
        [major, minor] => return fault(NpyFault::UnknownVersion { major, minor }),
    };
    if length < 8 + width {
        return fault(NpyFault::HeaderCut);
    }
    let mut prefix = [0; 4];
    reader.read_exact(&mut prefix[..width as usize]).map_err(unreadable)?;
    let claimed = u64::from(u32::from_le_bytes(prefix));
    if claimed > MAX_HEADER {
        return fault(NpyFault::HeaderOverLimit { length: claimed, limit: MAX_HEADER });
    }
    let start = 8 + width + claimed;
    let Some(found) = length.checked_sub(start) else {
        return fault(NpyFault::HeaderCut);
    };
    let text = source::read_exact(reader, claimed as usize).map_err(unreadable)?;
    let NpyHeader { dtype, big_endian, fortran_order, shape } =
        npy_header::parse(&text).map_err(Stop::Fault)?;

    let needed = checked_numel(&shape).and_then(|numel| dtype.byte_len(numel).ok());
    let Some(byte_len) = needed else {
        return fault(NpyFault::ShapeOverflow { dtype, shape });
    };
    let needed = byte_len as u64;
    if needed != found {
        return fault(NpyFault::DataLength { dtype, shape, needed, found });
    }
    Ok(NpyLayout { dtype, shape, start, byte_len, big_endian, fortran_order })
}

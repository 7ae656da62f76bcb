//! Files as they are, and gzip.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::error::DataError;

/// The most that deflate makes of one byte: 258 bytes of two bits.
const MOST_FROM_ONE: u64 = 1032;

/// What a path leads to, for messages.
pub(crate) fn kind(metadata: &fs::Metadata) -> &'static str {
    if metadata.is_dir() {
        "a folder"
    } else if metadata.is_file() {
        "a file"
    } else {
        "a device, pipe or socket"
    }
}

fn open(path: &Path) -> Result<(File, u64), DataError> {
    let wrong = |source| DataError::Io { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(wrong)?;
    // A pipe would wait for its writer.
    if !metadata.is_file() {
        let (path, found) = (path.to_owned(), kind(&metadata));
        return Err(DataError::Kind { path, found, expected: "a file" });
    }
    Ok((File::open(path).map_err(wrong)?, metadata.len()))
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let wrong = |source| DataError::Io { path: path.to_owned(), source };
    let (mut file, length) = open(path)?;
    let mut bytes = Vec::new();
    // A file with holes may be larger than any memory.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(length).map_err(|_| wrong(io::ErrorKind::OutOfMemory.into()))?;
    file.read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// What is read from a file that may be packed by gzip, and the most bytes that may be in it.
pub(crate) struct Unpacked<'a> {
    pub(crate) reader: Box<dyn Read + 'a>,
    pub(crate) most: u64,
}

/// Unpacks these bytes if they are gzip.
pub(crate) fn unpack(bytes: &[u8]) -> Unpacked<'_> {
    let length = bytes.len() as u64;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let reader = Box::new(GzDecoder::new(bytes));
        return Unpacked { reader, most: length.saturating_mul(MOST_FROM_ONE) };
    }
    Unpacked { reader: Box::new(bytes), most: length }
}

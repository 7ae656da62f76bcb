//! Opening files to read.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::error::{Action, Error};

/// Opens a regular file and tells its length in bytes.
pub(crate) fn open(path: &Path) -> Result<(BufReader<File>, u64), Error> {
    // Before opening: to open a pipe would wait for a writer.
    let kind = fs::metadata(path).map_err(|e| Error::io(path, Action::Open, e))?;
    if !kind.is_file() {
        return Err(Error::NotAFile { path: path.to_path_buf() });
    }
    let file = File::open(path).map_err(|e| Error::io(path, Action::Open, e))?;
    let length = file.metadata().map_err(|e| Error::io(path, Action::Inspect, e))?.len();
    Ok((BufReader::new(file), length))
}

/// Reads exactly `length` bytes. The caller has held `length` against the length of the file; it is
/// reserved in a way that can fail, as a file with holes is larger than the disk.
pub(crate) fn read_exact(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|e| io::Error::new(io::ErrorKind::OutOfMemory, e.to_string()))?;
    let read = reader.take(length as u64).read_to_end(&mut bytes)?;
    if read == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

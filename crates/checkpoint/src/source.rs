//! Files that are read at any place.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::{Action, Error};

/// From this many bytes on a read is shared among threads, and the share of each.
const PIECE: usize = 16 << 20;

/// The bytes of a file, on the disk or in memory, read wherever they are needed.
///
/// A file on the disk stays open and is read by position, never mapped: if it is cut while it is read, the
/// read fails as any other does. Clones are cheap and read independently.
///
/// ```
/// use espalier_checkpoint::Source;
/// let source = Source::from_bytes(b"abc".to_vec(), "a download");
/// assert_eq!((source.len(), source.path().to_str()), (3, Some("a download")));
/// assert_eq!(source.read(1..3)?, b"bc");
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Source {
    path: Arc<Path>,
    bytes: Bytes,
    length: u64,
}

#[derive(Debug, Clone)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<Vec<u8>>),
}

impl Source {
    /// Opens a regular file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened, [`Error::NotAFile`] if it is a directory, a device or a pipe.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Source::open("no/such/file").is_err());
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        // Before opening: to open a pipe would wait for a writer.
        let kind = fs::metadata(path).map_err(|e| Error::io(path, Action::Open, e))?;
        if !kind.is_file() {
            return Err(Error::NotAFile { path: path.to_path_buf() });
        }
        let file = File::open(path).map_err(|e| Error::io(path, Action::Open, e))?;
        let length = file.metadata().map_err(|e| Error::io(path, Action::Inspect, e))?.len();
        Ok(Self { path: path.into(), bytes: Bytes::File(Arc::new(file)), length })
    }

    /// A file that is open. `origin` is what errors call it.
    pub(crate) fn from_file(file: File, origin: impl AsRef<Path>) -> Result<Self, Error> {
        let path = origin.as_ref();
        let length = file.metadata().map_err(|e| Error::io(path, Action::Inspect, e))?.len();
        Ok(Self { path: path.into(), bytes: Bytes::File(Arc::new(file)), length })
    }

    /// A file that is in memory. `origin` is what errors call it.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Source::from_bytes(Vec::new(), "nothing").is_empty());
    /// ```
    pub fn from_bytes(bytes: Vec<u8>, origin: impl AsRef<Path>) -> Self {
        let length = bytes.len() as u64;
        Self { path: origin.as_ref().into(), bytes: Bytes::Memory(Arc::new(bytes)), length }
    }

    /// The path, or what errors call it.
    ///
    /// ```
    /// # use espalier_checkpoint::Source;
    /// assert_eq!(Source::from_bytes(Vec::new(), "nothing").path().to_str(), Some("nothing"));
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The length in bytes, as it was on opening.
    ///
    /// ```
    /// # use espalier_checkpoint::Source;
    /// assert_eq!(Source::from_bytes(vec![0; 9], "nine").len(), 9);
    /// ```
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are no bytes.
    ///
    /// ```
    /// # use espalier_checkpoint::Source;
    /// assert!(!Source::from_bytes(vec![0], "one").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the bytes are in memory, so that the path may name nothing.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.bytes, Bytes::Memory(_))
    }

    /// The bytes of a range. Large ranges are read by several threads.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the range does not lie within the file, the file has become shorter, or there is
    /// no memory for it.
    ///
    /// ```
    /// # use espalier_checkpoint::Source;
    /// let source = Source::from_bytes(vec![1, 2, 3], "three");
    /// assert_eq!(source.read(0..2)?, [1, 2]);
    /// assert!(source.read(2..4).is_err());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        self.read_range(range).map_err(|e| Error::io(&self.path, Action::Read, e))
    }

    fn read_range(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = self.check(&range)?;
        if let Bytes::Memory(bytes) = &self.bytes {
            return Ok(bytes[range.start as usize..range.end as usize].to_vec());
        }
        let mut bytes = zeroed(length)?;
        if length < 2 * PIECE {
            self.fill(range.start, &mut bytes)?;
        } else {
            bytes.par_chunks_mut(PIECE).enumerate().try_for_each(|(index, piece)| {
                self.fill(range.start + (index * PIECE) as u64, piece)
            })?;
        }
        Ok(bytes)
    }

    /// The length of a range that lies within the file.
    fn check(&self, range: &Range<u64>) -> io::Result<usize> {
        let inside = range.start <= range.end && range.end <= self.length;
        let length = range.end.checked_sub(range.start).filter(|_| inside);
        let length = length.ok_or(io::ErrorKind::UnexpectedEof)?;
        usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    /// Fills `out` from `offset` on.
    pub(crate) fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &self.bytes {
            Bytes::File(file) => read_exact_at(file, out, offset),
            Bytes::Memory(bytes) => {
                let end =
                    offset.checked_add(out.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
                self.check(&(offset..end))?;
                out.copy_from_slice(&bytes[offset as usize..end as usize]);
                Ok(())
            }
        }
    }

    /// A reader of the whole file, or of a part: places count from the start of `range`.
    pub(crate) fn reader(&self, range: Range<u64>) -> SourceReader {
        let end = range.end.min(self.length);
        let start = range.start.min(end);
        SourceReader { source: self.clone(), range: start..end, at: start }
    }

    /// A reader of the whole file.
    pub(crate) fn whole(&self) -> SourceReader {
        self.reader(0..self.length)
    }
}

/// Reads a part of a [`Source`] one piece after the other. It has no buffer of its own.
#[derive(Debug, Clone)]
pub(crate) struct SourceReader {
    source: Source,
    range: Range<u64>,
    at: u64,
}

impl Read for SourceReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // A place behind the end is allowed, and there is nothing there.
        let left = self.range.end.saturating_sub(self.at);
        let length = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.source.fill(self.at, &mut out[..length])?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for SourceReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => self.range.start.checked_add(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.range.end.checked_add_signed(by),
        };
        self.at = at.filter(|at| *at >= self.range.start).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at - self.range.start)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                out = &mut out[read..];
                offset += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Zeros, reserved in a way that can fail: a file with holes is larger than any memory.
pub(crate) fn zeroed(length: usize) -> io::Result<Vec<u8>> {
    let mut probe = Vec::<u8>::new();
    probe
        .try_reserve_exact(length)
        .map_err(|e| io::Error::new(io::ErrorKind::OutOfMemory, e.to_string()))?;
    drop(probe);
    // Memory that the system hands out as zeros is not written to here.
    Ok(vec![0; length])
}

/// Opens a regular file and tells its length in bytes.
pub(crate) fn open(path: &Path) -> Result<(io::BufReader<SourceReader>, u64), Error> {
    let source = Source::open(path)?;
    Ok((io::BufReader::new(source.whole()), source.len()))
}

/// Reads exactly `length` bytes. The caller has held `length` against the length of the file.
pub(crate) fn read_exact(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = zeroed(length)?;
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

//! Where the bytes of a tensor are.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Action, Error};
use crate::source::Source;

/// Bytes handed on at once when a tensor is streamed.
const PIECE: u64 = 4 << 20;

/// The bytes of a tensor that are read or made when they are asked for.
///
/// Little-endian, in C order, and exactly as many as type and shape of the tensor take: whoever asks
/// checks it. Nothing is kept between two calls.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Dtype, Error, NamedTensor, Provider};
///
/// #[derive(Debug)]
/// struct Ones(usize);
///
/// impl Provider for Ones {
///     fn read(&self) -> Result<Vec<u8>, Error> {
///         Ok(vec![1; self.0])
///     }
/// }
///
/// let mask = NamedTensor::lazy("mask", Dtype::Bool, vec![2, 3], Arc::new(Ones(6)))?;
/// assert_eq!(mask.bytes()?[..], [1; 6]);
/// # Ok::<(), Error>(())
/// ```
pub trait Provider: fmt::Debug + Send + Sync {
    /// All of the bytes.
    ///
    /// # Errors
    ///
    /// What keeps them from being read.
    fn read(&self) -> Result<Vec<u8>, Error>;

    /// Hands the bytes on from first to last, in pieces of any size: for tensors that should not be in
    /// memory as a whole. As it is, they are read at once.
    ///
    /// # Errors
    ///
    /// What keeps them from being read, or what `take` answers, as [`Error::Io`] or as the [`Error`] in it.
    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        hand(&self.read()?, take)
    }

    /// Whether [`read_at`](Self::read_at) reads only what it is asked for.
    fn is_seekable(&self) -> bool {
        false
    }

    /// Fills `out` with the bytes from `start` on. As it is, all are read for it.
    ///
    /// # Errors
    ///
    /// What keeps them from being read, among it that there are not as many.
    fn read_at(&self, start: u64, out: &mut [u8]) -> Result<(), Error> {
        fill(&self.read()?, start, out)
    }
}

/// Copies what is in memory.
fn fill(bytes: &[u8], start: u64, out: &mut [u8]) -> Result<(), Error> {
    let start = usize::try_from(start).ok();
    let part = start.and_then(|start| bytes.get(start..start.checked_add(out.len())?));
    let ended =
        || Error::io("a tensor".as_ref(), Action::Read, io::ErrorKind::UnexpectedEof.into());
    out.copy_from_slice(part.ok_or_else(ended)?);
    Ok(())
}

/// Hands on what is in memory.
pub(crate) fn hand(
    bytes: &[u8],
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Error> {
    take(bytes).map_err(taken)
}

/// The error of one who took a piece.
fn taken(error: io::Error) -> Error {
    Error::from_io("the destination".as_ref(), Action::Write, error)
}

/// A range of a file.
#[derive(Debug)]
pub(crate) struct FileRange {
    pub(crate) source: Source,
    pub(crate) range: Range<u64>,
}

impl Provider for FileRange {
    fn read(&self) -> Result<Vec<u8>, Error> {
        self.source.read(self.range.clone())
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        let mut piece = Vec::new();
        for start in self.range.clone().step_by(PIECE as usize) {
            let end = self.range.end.min(start + PIECE);
            piece.resize((end - start) as usize, 0);
            self.source
                .fill(start, &mut piece)
                .map_err(|e| Error::io(self.source.path(), Action::Read, e))?;
            hand(&piece, take)?;
        }
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn read_at(&self, start: u64, out: &mut [u8]) -> Result<(), Error> {
        let error = |e| Error::io(self.source.path(), Action::Read, e);
        let end = start.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.range.end - self.range.start) {
            return Err(error(io::ErrorKind::UnexpectedEof.into()));
        }
        self.source.fill(self.range.start + start, out).map_err(error)
    }
}

/// The bytes, or where they come from. Clones are one and the same.
#[derive(Clone)]
pub(crate) enum Data {
    Memory(Arc<Vec<u8>>),
    Lazy(Arc<dyn Provider>),
}

impl Data {
    /// Whether both are clones of each other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(a), Self::Memory(b)) => Arc::ptr_eq(a, b),
            (Self::Lazy(a), Self::Lazy(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Tells clones of each other from all others, while they live.
    pub(crate) fn address(&self) -> usize {
        match self {
            Self::Memory(bytes) => Arc::as_ptr(bytes).addr(),
            Self::Lazy(provider) => Arc::as_ptr(provider).cast::<u8>().addr(),
        }
    }

    pub(crate) fn bytes(&self) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Lazy(provider) => provider.read().map(Cow::Owned),
        }
    }

    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Memory(bytes) => Ok(Arc::unwrap_or_clone(bytes)),
            Self::Lazy(provider) => provider.read(),
        }
    }

    pub(crate) fn stream(
        &self,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Error> {
        match self {
            Self::Memory(bytes) => hand(bytes, take),
            Self::Lazy(provider) => provider.stream(take),
        }
    }

    pub(crate) fn is_seekable(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Lazy(provider) => provider.is_seekable(),
        }
    }

    pub(crate) fn read_at(&self, start: u64, out: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::Memory(bytes) => fill(bytes, start, out),
            Self::Lazy(provider) => provider.read_at(start, out),
        }
    }
}

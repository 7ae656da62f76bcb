//! The bytes of a member of a zip file, never more of them than the directory says.

use std::io::{self, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use super::zip_directory::{Member, Method, ZipFault};
use crate::error::{Action, Error};
use crate::source::{self, Source, SourceReader};

/// Bytes handed on at once when a member is streamed.
const PIECE: usize = 1 << 20;

/// Memory that a refusal may take besides twice the length of the file.
const ALLOWANCE: u64 = 32 << 20;

impl Member {
    /// Reads from the first byte on. The end of it is an error if there are too few or too many, or their
    /// checksum is another; the [`Error`] travels in the [`io::Error`].
    pub(crate) fn reader<'a>(&'a self, source: &'a Source) -> MemberReader<'a> {
        let packed = source.reader(self.start..self.end());
        let bytes = match self.method {
            Method::Stored => Bytes::Stored(packed),
            Method::Deflated => Bytes::Deflated(DeflateDecoder::new(BufReader::new(packed))),
        };
        let checksum = crc32fast::Hasher::new();
        MemberReader { member: self, source, bytes, checksum, found: 0 }
    }

    /// The bytes from `skip` on.
    pub(crate) fn read_from(&self, source: &Source, skip: u64) -> Result<Vec<u8>, Error> {
        // A claim far beyond the file is believed only after it has been seen to be true.
        if self.size > source.len().saturating_mul(2).saturating_add(ALLOWANCE) {
            self.stream_from(source, self.size, &mut |_| Ok(()))?;
        }
        let read = || {
            let mut reader = self.reader(source);
            io::copy(&mut (&mut reader).take(skip), &mut io::sink())?;
            let length = usize::try_from(self.size.saturating_sub(skip))
                .map_err(|_| io::ErrorKind::OutOfMemory)?;
            let bytes = source::read_exact(&mut reader, length)?;
            reader.finish()?;
            Ok(bytes)
        };
        read().map_err(|e| Error::from_io(source.path(), Action::Read, e))
    }

    /// Hands on the bytes from `skip` on. That they are damaged shows at the end.
    pub(crate) fn stream_from(
        &self,
        source: &Source,
        skip: u64,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Error> {
        let failed = |e| Error::from_io(source.path(), Action::Read, e);
        let mut reader = self.reader(source);
        io::copy(&mut (&mut reader).take(skip), &mut io::sink()).map_err(failed)?;
        let mut piece = vec![0; PIECE.min(usize::try_from(self.size).unwrap_or(PIECE)).max(1)];
        loop {
            let length = reader.read(&mut piece).map_err(failed)?;
            if length == 0 {
                return Ok(());
            }
            take(&piece[..length])
                .map_err(|e| Error::from_io("the destination".as_ref(), Action::Write, e))?;
        }
    }
}

/// Reads a member; see [`Member::reader`].
pub(crate) struct MemberReader<'a> {
    member: &'a Member,
    source: &'a Source,
    bytes: Bytes,
    checksum: crc32fast::Hasher,
    found: u64,
}

enum Bytes {
    Stored(SourceReader),
    Deflated(DeflateDecoder<BufReader<SourceReader>>),
}

impl MemberReader<'_> {
    fn fault(&self, cause: ZipFault) -> io::Error {
        io::Error::other(Error::Zip { path: self.source.path().to_path_buf(), cause })
    }

    fn name(&self) -> String {
        self.member.name.clone()
    }

    /// Reads on to the end, where the checks are.
    fn finish(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// Holds what was read against the directory.
    fn check(&self) -> io::Result<()> {
        let (claimed, found) = (self.member.size, self.found);
        if found != claimed {
            return Err(self.fault(ZipFault::Length { member: self.name(), claimed, found }));
        }
        if let Bytes::Deflated(decoder) = &self.bytes {
            let extra = self.member.packed.saturating_sub(decoder.total_in());
            if extra > 0 {
                return Err(self.fault(ZipFault::AfterData { member: self.name(), extra }));
            }
        }
        let (expected, found) = (self.member.checksum, self.checksum.clone().finalize());
        if found != expected {
            let member = self.name();
            return Err(self.fault(ZipFault::Checksum { member, expected, found }));
        }
        Ok(())
    }
}

impl Read for MemberReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.bytes {
            Bytes::Stored(reader) => reader.read(out),
            Bytes::Deflated(decoder) => decoder.read(out),
        };
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let length = match read {
            Ok(length) => length,
            Err(e) if matches!(self.bytes, Bytes::Stored(_)) => return Err(e),
            Err(e) if matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
                return Err(self.fault(ZipFault::Damaged { member: self.name() }));
            }
            Err(e) => return Err(e),
        };
        if length == 0 {
            self.check()?;
            return Ok(0);
        }
        self.found += length as u64;
        let (claimed, found) = (self.member.size, self.found);
        if found > claimed {
            return Err(self.fault(ZipFault::Length { member: self.name(), claimed, found }));
        }
        self.checksum.update(&out[..length]);
        Ok(length)
    }
}

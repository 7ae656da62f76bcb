//! Reads the bytes of a member one after the other, and never more of them than the directory says.

use std::io::{self, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use super::{Record, ZipFault};
use crate::source::SourceReader;

/// Compressed bytes read at once.
const PACKED: usize = 64 << 10;

/// See [`Record::reader`].
pub(crate) struct RecordReader<'a> {
    record: &'a Record,
    bytes: Bytes,
    /// The sum of what was read, if it has not been held against the directory before.
    sum: Option<crc32fast::Hasher>,
    found: u64,
}

enum Bytes {
    Stored(SourceReader),
    Deflated(DeflateDecoder<BufReader<SourceReader>>),
}

impl<'a> RecordReader<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        let packed = record.source.reader(record.range.clone());
        let bytes = if record.deflated {
            let length = record.range.end.saturating_sub(record.range.start);
            let room = usize::try_from(length).map_or(PACKED, |length| length.min(PACKED));
            Bytes::Deflated(DeflateDecoder::new(BufReader::with_capacity(room, packed)))
        } else {
            Bytes::Stored(packed)
        };
        let sum = (!record.is_sound()).then(crc32fast::Hasher::new);
        Self { record, bytes, sum, found: 0 }
    }

    /// Passes over bytes, of which there are as many.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        if let (Bytes::Stored(reader), None) = (&mut self.bytes, &self.sum) {
            // They have been read before.
            let by = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
            io::Seek::seek(reader, io::SeekFrom::Current(by))?;
            self.found += count;
            return Ok(());
        }
        io::copy(&mut self.take(count), &mut io::sink()).map(drop)
    }

    fn fault(&self, cause: ZipFault) -> io::Error {
        io::Error::other(self.record.fault(cause))
    }

    /// Holds what was read against the directory.
    fn check(&self) -> io::Result<()> {
        let (needed, found) = (self.record.size, self.found);
        if found != needed {
            let name = self.record.name();
            return Err(self.fault(ZipFault::Length { name, needed, found }));
        }
        if let Bytes::Deflated(inflater) = &self.bytes {
            let packed = self.record.range.end - self.record.range.start;
            let extra = packed.saturating_sub(inflater.total_in());
            if extra > 0 {
                let name = self.record.name();
                return Err(self.fault(ZipFault::AfterData { name, extra }));
            }
        }
        self.sum.clone().map_or(Ok(()), |sum| self.record.prove(sum).map_err(io::Error::other))
    }
}

impl Read for RecordReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        if out.is_empty() {
            return Ok(0);
        }
        let length = match &mut self.bytes {
            Bytes::Stored(reader) => reader.read(out)?,
            Bytes::Deflated(inflater) => inflater.read(out).map_err(|e| match e.kind() {
                InvalidData | InvalidInput | UnexpectedEof => {
                    let cause = ZipFault::Damaged { name: self.record.name() };
                    io::Error::other(self.record.fault(cause))
                }
                _ => e,
            })?,
        };
        if length == 0 {
            self.check()?;
            return Ok(0);
        }
        self.found += length as u64;
        let (needed, found) = (self.record.size, self.found);
        if found > needed {
            let name = self.record.name();
            return Err(self.fault(ZipFault::Length { name, needed, found }));
        }
        if let Some(sum) = &mut self.sum {
            sum.update(&out[..length]);
        }
        Ok(length)
    }
}

//! The bytes of one member, or of a plain range of a file.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::reader::RecordReader;
use super::{Member, ZipFault};
use crate::error::{Action, Error};
use crate::source::{self, Source};

/// Read and summed at once: fits the cache of a core.
const BLOCK: usize = 256 << 10;

/// The share of a thread.
const PIECE: usize = 16 << 20;

/// Handed on at once when streamed. A multiple of every element.
const STREAMED: usize = 4 << 20;

/// What a member that is parsed as a whole may become beside twice the length of the file.
const PARSED: u64 = 64 << 20;

/// What is believed to come out of a compressed member, beside twice the length of the file, before it is seen.
const BELIEVED: u64 = 32 << 20;

/// Bytes that are read when they are asked for, and held against their length and sum when they are read first.
#[derive(Debug)]
pub(crate) struct Record {
    pub(super) source: Source,
    name: Box<str>,
    /// Where they are, compressed or not.
    pub(super) range: Range<u64>,
    pub(super) size: u64,
    pub(super) deflated: bool,
    crc: Option<u32>,
    /// Whether length and sum were found right before.
    sound: AtomicBool,
}

impl Record {
    pub(super) fn of_member(source: &Source, member: &Member, summed: bool) -> Self {
        Self {
            source: source.clone(),
            name: member.name.clone(),
            range: member.range(),
            size: member.size,
            deflated: member.deflated,
            crc: summed.then_some(member.crc),
            // The length of what is not compressed has been seen.
            sound: AtomicBool::new(!summed && !member.deflated),
        }
    }

    /// A range of a file that has no sum.
    pub(crate) fn plain(source: &Source, range: Range<u64>) -> Self {
        let size = range.end.saturating_sub(range.start);
        let (source, sound) = (source.clone(), AtomicBool::new(true));
        Self { source, name: "".into(), range, size, deflated: false, crc: None, sound }
    }

    /// The length in bytes, inflated.
    pub(crate) fn len(&self) -> u64 {
        self.size
    }

    /// Reads from the first byte on. If there are too few or too many, or their sum is another, the end is an
    /// error; the [`Error`] travels in the [`io::Error`].
    pub(crate) fn reader(&self) -> RecordReader<'_> {
        RecordReader::new(self)
    }

    /// All of the bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        self.read_part(0..self.size)
    }

    /// All of the bytes, if they are not many more than those of the file: for what is parsed as a whole.
    pub(crate) fn read_bounded(&self) -> Result<Vec<u8>, Error> {
        let limit = self.source.len().saturating_mul(2).saturating_add(PARSED);
        if self.size > limit {
            return Err(self.fault(ZipFault::Inflates {
                name: self.name(),
                size: self.size,
                limit,
            }));
        }
        self.read()
    }

    /// The bytes of a range. The first time, all are read, for the sum.
    pub(crate) fn read_part(&self, part: Range<u64>) -> Result<Vec<u8>, Error> {
        let length = self.check(&part)?;
        if self.deflated {
            return self.inflate(part, length);
        }
        let start = self.range.start + part.start;
        if self.is_sound() {
            return self.source.read(start..start + (part.end - part.start));
        }
        let mut sum = self.sum(0..part.start)?;
        let mut bytes = source::zeroed(length).map_err(|e| self.unreadable(e))?;
        let sums: Vec<crc32fast::Hasher> = bytes
            .par_chunks_mut(PIECE)
            .enumerate()
            .map(|(index, piece)| self.fill_and_sum(start + (index * PIECE) as u64, piece))
            .collect::<Result<_, _>>()?;
        sums.iter().for_each(|of_piece| sum.combine(of_piece));
        sum.combine(&self.sum(part.end..self.size)?);
        self.prove(sum)?;
        Ok(bytes)
    }

    /// The length of a part that lies within.
    fn check(&self, part: &Range<u64>) -> Result<usize, Error> {
        if part.start > part.end || part.end > self.size {
            return Err(self.unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        usize::try_from(part.end - part.start)
            .map_err(|_| self.unreadable(io::ErrorKind::OutOfMemory.into()))
    }

    fn fill_and_sum(&self, at: u64, piece: &mut [u8]) -> Result<crc32fast::Hasher, Error> {
        let mut sum = crc32fast::Hasher::new();
        let mut at = at;
        for block in piece.chunks_mut(BLOCK) {
            self.source.fill(at, block).map_err(|e| self.unreadable(e))?;
            sum.update(block);
            at += block.len() as u64;
        }
        Ok(sum)
    }

    /// The sum of a part that is not kept, of a member that is not compressed.
    fn sum(&self, part: Range<u64>) -> Result<crc32fast::Hasher, Error> {
        let mut sum = crc32fast::Hasher::new();
        let mut block = Vec::new();
        for start in part.clone().step_by(BLOCK) {
            block.resize((part.end - start).min(BLOCK as u64) as usize, 0);
            sum.combine(&self.fill_and_sum(self.range.start + start, &mut block)?);
        }
        Ok(sum)
    }

    fn inflate(&self, part: Range<u64>, length: usize) -> Result<Vec<u8>, Error> {
        // A claim far beyond the file is believed only after it has been seen to be true.
        let believed = self.source.len().saturating_mul(2).saturating_add(BELIEVED);
        if length as u64 > believed {
            self.verify()?;
        }
        let read = || {
            let mut reader = self.reader();
            reader.skip(part.start)?;
            let bytes = source::read_exact(&mut reader, length)?;
            self.finish(reader)?;
            Ok(bytes)
        };
        read().map_err(|e| self.failed(e))
    }

    /// Hands all bytes on from first to last. That they are not sound shows at the end.
    pub(crate) fn stream(
        &self,
        take: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.stream_part(0..self.size, take)
    }

    /// Hands on the bytes of a range. That the member is not sound shows at the end.
    pub(crate) fn stream_part(
        &self,
        part: Range<u64>,
        take: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check(&part)?;
        let mut reader = self.reader();
        reader.skip(part.start).map_err(|e| self.failed(e))?;
        let mut piece = Vec::new();
        for start in part.clone().step_by(STREAMED) {
            piece.resize((part.end - start).min(STREAMED as u64) as usize, 0);
            reader.read_exact(&mut piece).map_err(|e| self.failed(e))?;
            take(&mut piece)?;
        }
        self.finish(reader).map_err(|e| self.failed(e))
    }

    /// Holds the bytes against their length and sum, if that has not been done.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        if self.is_sound() {
            return Ok(());
        }
        if !self.deflated {
            return self.prove(self.sum(0..self.size)?);
        }
        self.finish(self.reader()).map_err(|e| self.failed(e))
    }

    /// Reads on to the end, where the checks are, if they have not been made.
    fn finish(&self, mut reader: RecordReader<'_>) -> io::Result<()> {
        if self.is_sound() { Ok(()) } else { io::copy(&mut reader, &mut io::sink()).map(drop) }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed)
    }

    /// Holds the sum of all bytes, as many as there should be, against that in the directory.
    pub(super) fn prove(&self, sum: crc32fast::Hasher) -> Result<(), Error> {
        let found = sum.finalize();
        if let Some(expected) = self.crc.filter(|expected| *expected != found) {
            return Err(self.fault(ZipFault::Crc { name: self.name(), expected, found }));
        }
        self.sound.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn name(&self) -> String {
        self.name.to_string()
    }

    pub(super) fn fault(&self, cause: ZipFault) -> Error {
        Error::Zip { path: self.source.path().to_path_buf(), cause }
    }

    fn unreadable(&self, cause: io::Error) -> Error {
        Error::io(self.source.path(), Action::Read, cause)
    }

    /// The error of a reader, which may be one of this crate.
    fn failed(&self, cause: io::Error) -> Error {
        Error::from_io(self.source.path(), Action::Read, cause)
    }
}

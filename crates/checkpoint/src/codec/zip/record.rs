//! The bytes of one member, or of a plain range of a file.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::DeflateDecoder;
use rayon::prelude::*;

use super::{Member, ZipFault};
use crate::error::{Action, Error};
use crate::source::{self, Source};

/// Read and summed at once: fits the cache of a core.
const BLOCK: usize = 256 << 10;

/// The share of a thread.
const PIECE: usize = 16 << 20;

/// Handed on at once when streamed. A multiple of every element.
const STREAMED: usize = 4 << 20;

/// Bytes that are read when they are asked for, and held against their sum when they are read first.
#[derive(Debug)]
pub(crate) struct Record {
    source: Source,
    name: Box<str>,
    range: Range<u64>,
    size: u64,
    deflated: bool,
    crc: Option<u32>,
    /// Whether the sum was found right before.
    sound: AtomicBool,
}

impl Record {
    pub(super) fn of_member(source: &Source, member: &Member, summed: bool) -> Self {
        Self {
            source: source.clone(),
            name: member.name.clone(),
            range: member.start..member.start + member.packed,
            size: member.size,
            deflated: member.deflated,
            crc: summed.then_some(member.crc),
            sound: AtomicBool::new(false),
        }
    }

    /// A range of a file that has no sum.
    pub(crate) fn plain(source: &Source, range: Range<u64>) -> Self {
        let size = range.end.saturating_sub(range.start);
        let (source, sound) = (source.clone(), AtomicBool::new(true));
        Self { source, name: "".into(), range, size, deflated: false, crc: None, sound }
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.size
    }

    /// All of the bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        if self.deflated {
            return self.inflate();
        }
        let Some(crc) = self.unproven() else { return self.source.read(self.range.clone()) };
        let length = usize::try_from(self.size)
            .map_err(|_| self.unreadable(io::ErrorKind::OutOfMemory.into()))?;
        let mut bytes = source::zeroed(length).map_err(|e| self.unreadable(e))?;
        let sums: Vec<crc32fast::Hasher> = bytes
            .par_chunks_mut(PIECE)
            .enumerate()
            .map(|(index, piece)| self.fill_and_sum((index * PIECE) as u64, piece))
            .collect::<Result<_, _>>()?;
        let mut sum = crc32fast::Hasher::new();
        sums.iter().for_each(|of_piece| sum.combine(of_piece));
        self.prove(crc, sum)?;
        Ok(bytes)
    }

    fn fill_and_sum(&self, start: u64, piece: &mut [u8]) -> Result<crc32fast::Hasher, Error> {
        let mut sum = crc32fast::Hasher::new();
        let mut at = self.range.start + start;
        for block in piece.chunks_mut(BLOCK) {
            self.source.fill(at, block).map_err(|e| self.unreadable(e))?;
            sum.update(block);
            at += block.len() as u64;
        }
        Ok(sum)
    }

    /// The bytes of a range. The first time, all are read, for the sum.
    pub(crate) fn read_part(&self, part: Range<u64>) -> Result<Vec<u8>, Error> {
        if part == (0..self.size) {
            return self.read();
        }
        let inside = part.start <= part.end && part.end <= self.size;
        if !inside {
            return Err(self.unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        if self.deflated {
            let mut bytes = self.inflate()?;
            bytes.truncate(part.end as usize);
            bytes.drain(..part.start as usize);
            return Ok(bytes);
        }
        if self.unproven().is_some() {
            self.stream(&mut |_| Ok(()))?;
        }
        self.source.read(self.range.start + part.start..self.range.start + part.end)
    }

    /// Hands all bytes on from first to last. That the sum is wrong shows at the end.
    pub(crate) fn stream(
        &self,
        take: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.deflated {
            return take(&mut self.inflate()?);
        }
        let crc = self.unproven();
        let mut sum = crc32fast::Hasher::new();
        let mut piece = Vec::new();
        for start in (0..self.size).step_by(STREAMED) {
            let length = (self.size - start).min(STREAMED as u64) as usize;
            piece.resize(length, 0);
            self.source
                .fill(self.range.start + start, &mut piece)
                .map_err(|e| self.unreadable(e))?;
            if crc.is_some() {
                sum.update(&piece);
            }
            take(&mut piece)?;
        }
        crc.map_or(Ok(()), |crc| self.prove(crc, sum))
    }

    fn inflate(&self) -> Result<Vec<u8>, Error> {
        let broken = || self.fault(ZipFault::Inflate { name: self.name(), needed: self.size });
        let length = usize::try_from(self.size)
            .map_err(|_| self.unreadable(io::ErrorKind::OutOfMemory.into()))?;
        let packed = io::BufReader::new(self.source.reader(self.range.clone()));
        let mut inflater = DeflateDecoder::new(packed);
        let mut bytes = source::zeroed(length).map_err(|e| self.unreadable(e))?;
        inflater.read_exact(&mut bytes).map_err(|_| broken())?;
        let more = inflater.read(&mut [0]).map_err(|_| broken())?;
        let packed = self.range.end - self.range.start;
        if more != 0 || inflater.total_in() != packed {
            return Err(broken());
        }
        if let Some(crc) = self.unproven() {
            let mut sum = crc32fast::Hasher::new();
            sum.update(&bytes);
            self.prove(crc, sum)?;
        }
        Ok(bytes)
    }

    /// The sum, if it is known and the bytes have not been held against it.
    fn unproven(&self) -> Option<u32> {
        self.crc.filter(|_| !self.sound.load(Ordering::Relaxed))
    }

    fn prove(&self, expected: u32, sum: crc32fast::Hasher) -> Result<(), Error> {
        let found = sum.finalize();
        if found != expected {
            return Err(self.fault(ZipFault::Crc { name: self.name(), expected, found }));
        }
        self.sound.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn fault(&self, cause: ZipFault) -> Error {
        Error::Zip { path: self.source.path().to_path_buf(), cause }
    }

    fn unreadable(&self, cause: io::Error) -> Error {
        Error::io(self.source.path(), Action::Read, cause)
    }
}

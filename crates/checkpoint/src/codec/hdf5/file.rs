//! The file: its superblock, and its structures read within bounds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cursor::{Cursor, Widths};
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::lookup3;
use crate::error::Error;
use crate::source::Source;

pub(crate) const MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Bytes of structures that may be read beyond four times the length of the file.
const SPARE: u64 = 16 << 20;

/// What a read of a structure counts for at least.
const LEAST: u64 = 32;

/// The longest superblock: version 1 with everything at eight bytes.
const SUPERBLOCK: u64 = 128;

/// An open file and what its superblock says. Addresses count from the superblock, at `start` of the source.
#[derive(Debug)]
pub(super) struct File {
    source: Source,
    start: u64,
    length: u64,
    widths: Widths,
    root: u64,
    /// The bytes of structures read so far: what bounds all work on structures that are shared or circular.
    spent: AtomicU64,
    /// What must hold before the elements of a dataset are given away.
    guard: Option<Arc<dyn Guard>>,
}

/// A check of the whole file that is made once, when the first elements are asked for.
pub(crate) trait Guard: fmt::Debug + Send + Sync {
    fn verify(&self) -> Result<(), Error>;
}

impl File {
    /// Reads the superblock at `start` of the source, of a file that takes `length` bytes there at most.
    pub(super) fn open(
        source: &Source,
        start: u64,
        length: u64,
        guard: Option<Arc<dyn Guard>>,
    ) -> Result<Self, Failure> {
        let widths = Widths { offset: 8, length: 8 };
        let source = source.clone();
        let mut file = Self { source, start, length, widths, root: 0, spent: 0.into(), guard };
        let head = file.read("superblock", 0, length.min(SUPERBLOCK))?;
        let mut cursor = Cursor::new(&head, "superblock", 0, widths);
        if cursor.bytes(MAGIC.len())? != MAGIC {
            return Err(cursor.damaged("its signature").into());
        }
        let version = cursor.version(&[0, 1, 2, 3])?;
        if version < 2 {
            // Versions of the parts, which never changed.
            cursor.skip(4)?;
        }
        let widths = Widths { offset: cursor.u8()?.into(), length: cursor.u8()?.into() };
        if ![2, 4, 8].contains(&widths.offset) || ![2, 4, 8].contains(&widths.length) {
            return Err(cursor.damaged("addresses and lengths of 2, 4 or 8 bytes").into());
        }
        cursor.set_widths(widths);
        // The sizes of nodes (each node tells how full it is) and the consistency flags.
        cursor.skip(match version {
            0 => 9,
            1 => 13,
            _ => 1,
        })?;
        let base = cursor.offset()?;
        if base != Some(0) {
            return Err(Hdf5Fault::Unsupported { feature: "a base address other than zero" }.into());
        }
        // The address of free space, or of the extension.
        cursor.offset()?;
        let end = cursor.address_of("the end of the file")?;
        if version < 2 {
            // The driver, and the name of the root.
            cursor.skip(2 * widths.offset)?;
        }
        let root = cursor.address_of("the address of the root")?;
        if version >= 2 {
            let checked = cursor.at();
            let found = cursor.u32()?;
            check(&head[..checked], found, "superblock", 0)?;
        }
        if end > length {
            return Err(Hdf5Fault::Cut { needed: end, found: length }.into());
        }
        (file.widths, file.root) = (widths, root);
        Ok(file)
    }

    /// The same file, with nothing counted yet.
    pub(super) fn fresh(&self) -> Self {
        Self { source: self.source.clone(), spent: 0.into(), guard: self.guard.clone(), ..*self }
    }

    /// Checks the whole file, where that is to be done and has not been.
    pub(super) fn verify(&self) -> Result<(), Error> {
        self.guard.as_ref().map_or(Ok(()), |guard| guard.verify())
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn widths(&self) -> Widths {
        self.widths
    }

    pub(super) fn root(&self) -> u64 {
        self.root
    }

    /// Whether a range lies within the file.
    pub(super) fn check_range(
        &self,
        structure: &'static str,
        address: u64,
        length: u64,
    ) -> Result<(), Hdf5Fault> {
        let end = address.checked_add(length).filter(|&end| end <= self.length);
        let outside = || Hdf5Fault::OutOfFile { structure, address, length, end: self.length };
        end.map(|_| ()).ok_or_else(outside)
    }

    /// Where a range that lies within the file is in the source.
    pub(super) fn in_source(&self, address: u64, length: u64) -> std::ops::Range<u64> {
        self.start + address..self.start + address + length
    }

    /// Counts work on structures: bytes read, or paths made of them.
    pub(super) fn charge(&self, bytes: u64) -> Result<(), Hdf5Fault> {
        let limit = self.length.saturating_mul(4).saturating_add(SPARE);
        let before = self.spent.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            return Err(Hdf5Fault::TooMuchStructure { limit });
        }
        Ok(())
    }

    /// The bytes of a structure.
    pub(super) fn read(
        &self,
        structure: &'static str,
        address: u64,
        length: u64,
    ) -> Result<Vec<u8>, Failure> {
        self.check_range(structure, address, length)?;
        self.charge(length.max(LEAST))?;
        Ok(self.source.read(self.in_source(address, length))?)
    }

    /// As [`read`](Self::read), but less where the file ends before.
    pub(super) fn read_up_to(
        &self,
        structure: &'static str,
        address: u64,
        length: u64,
    ) -> Result<Vec<u8>, Failure> {
        self.read(structure, address, length.min(self.length.saturating_sub(address)).max(1))
    }

    /// As [`read`](Self::read); the last four bytes are the checksum of the others, and are cut off.
    pub(super) fn read_checked(
        &self,
        structure: &'static str,
        address: u64,
        length: u64,
    ) -> Result<Vec<u8>, Failure> {
        let mut bytes = self.read(structure, address, length)?;
        let short = Hdf5Fault::Damaged { structure, address, expected: "a checksum" };
        let found = bytes.last_chunk().copied().map(u32::from_le_bytes).ok_or(short)?;
        bytes.truncate(bytes.len() - 4);
        check(&bytes, found, structure, address)?;
        Ok(bytes)
    }

    /// A cursor over bytes of this file.
    pub(super) fn cursor<'a>(
        &self,
        bytes: &'a [u8],
        structure: &'static str,
        address: u64,
    ) -> Cursor<'a> {
        Cursor::new(bytes, structure, address, self.widths)
    }
}

/// Whether the bytes have that checksum. Fuzzing, which cannot guess it, gets past.
pub(super) fn check(
    bytes: &[u8],
    found: u32,
    structure: &'static str,
    address: u64,
) -> Result<(), Hdf5Fault> {
    if cfg!(fuzzing) || lookup3::checksum(bytes) == found {
        return Ok(());
    }
    Err(Hdf5Fault::Checksum { structure, address })
}

//! Reads the fields of a structure that is in memory.

use super::fault::Hdf5Fault;

/// The widths of addresses and lengths, which the superblock gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// A place in a structure. Numbers are little-endian.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    structure: &'static str,
    address: u64,
    widths: Widths,
}

impl<'a> Cursor<'a> {
    /// At the start of the bytes of a structure that begins at `address` of the file.
    pub(super) fn new(
        bytes: &'a [u8],
        structure: &'static str,
        address: u64,
        widths: Widths,
    ) -> Self {
        Self { bytes, at: 0, structure, address, widths }
    }

    pub(super) fn widths(&self) -> Widths {
        self.widths
    }

    pub(super) fn set_widths(&mut self, widths: Widths) {
        self.widths = widths;
    }

    pub(super) fn address(&self) -> u64 {
        self.address
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What is missing in the structure.
    pub(super) fn damaged(&self, expected: &'static str) -> Hdf5Fault {
        Hdf5Fault::Damaged { structure: self.structure, address: self.address, expected }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Hdf5Fault> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| self.damaged("more bytes"))?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Hdf5Fault> {
        self.bytes(count).map(|_| ())
    }

    /// Skips to a multiple of `unit` bytes from `start` on, or to the end of the structure.
    pub(super) fn align(&mut self, start: usize, unit: usize) -> Result<(), Hdf5Fault> {
        let padding = (self.at - start).next_multiple_of(unit) - (self.at - start);
        self.skip(padding.min(self.left()))
    }

    /// A number of at most eight bytes.
    pub(super) fn uint(&mut self, width: usize) -> Result<u64, Hdf5Fault> {
        let mut eight = [0; 8];
        let taken = self.bytes(width)?;
        let Some(low) = eight.get_mut(..width) else {
            return Err(self.damaged("numbers of at most eight bytes"));
        };
        low.copy_from_slice(taken);
        Ok(u64::from_le_bytes(eight))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Hdf5Fault> {
        Ok(self.uint(1)? as u8)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Hdf5Fault> {
        Ok(self.uint(2)? as u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Hdf5Fault> {
        Ok(self.uint(4)? as u32)
    }

    /// A length, or another number that can be as large.
    pub(super) fn length(&mut self) -> Result<u64, Hdf5Fault> {
        self.uint(self.widths.length)
    }

    /// An address; none if all its bits are set.
    pub(super) fn offset(&mut self) -> Result<Option<u64>, Hdf5Fault> {
        let width = self.widths.offset;
        let undefined = u64::MAX >> (64 - 8 * width);
        Ok(Some(self.uint(width)?).filter(|&offset| offset != undefined))
    }

    /// An address that must be there.
    pub(super) fn address_of(&mut self, expected: &'static str) -> Result<u64, Hdf5Fault> {
        self.offset()?.ok_or_else(|| self.damaged(expected))
    }

    /// The signature of a structure.
    pub(super) fn signature(&mut self, signature: &[u8; 4]) -> Result<(), Hdf5Fault> {
        if self.bytes(4)? == signature { Ok(()) } else { Err(self.damaged("its signature")) }
    }

    /// A version out of those that are read.
    pub(super) fn version(&mut self, read: &[u8]) -> Result<u8, Hdf5Fault> {
        let address = self.address + self.at as u64;
        let found = self.u8()?;
        if read.contains(&found) {
            return Ok(found);
        }
        let (structure, found) = (self.structure, u64::from(found));
        Err(Hdf5Fault::UnknownVersion { structure, found, address })
    }

    /// A text that a zero ends.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Hdf5Fault> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == 0);
        let end = end.ok_or_else(|| self.damaged("a zero at the end of a text"))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }
}

//! Fractal heaps: where groups of newer versions keep many links, and objects many attributes.

use super::btree2;
use super::cursor::Cursor;
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;

/// An open heap.
#[derive(Debug)]
pub(super) struct Heap {
    address: u64,
    /// The bytes of a number that tells a place in the heap.
    offset_width: usize,
    /// The bytes of a number that tells the length of an object.
    length_width: usize,
    /// Blocks in a row.
    row: u64,
    /// The bytes of a block of the first two rows; each further row doubles it.
    smallest: u64,
    /// The bytes of the largest block that holds objects; larger ones hold blocks.
    largest: u64,
    root: Option<u64>,
    /// The rows of the root; none if it holds objects itself.
    rows: u64,
    /// The tree of the objects that are too large for a block.
    huge: Option<u64>,
    /// The bytes of the name of an object.
    id_length: usize,
}

impl Heap {
    /// The heap that a message tells of, with the address of the tree of its names; none if there is none.
    ///
    /// Where the order of creation is kept, its largest number of `order_width` bytes is passed over.
    pub(super) fn with_names(
        file: &File,
        message: &mut Cursor<'_>,
        order_width: usize,
    ) -> Result<Option<(Self, u64)>, Failure> {
        message.version(&[0])?;
        let flags = message.u8()?;
        message.skip(if flags & 1 != 0 { order_width } else { 0 })?;
        let (heap, tree) = (message.offset()?, message.offset()?);
        let Some(heap) = heap else { return Ok(None) };
        let tree = tree.ok_or_else(|| message.damaged("the address of its tree"))?;
        Ok(Some((Self::open(file, heap)?, tree)))
    }

    /// Reads the header of a heap.
    pub(super) fn open(file: &File, address: u64) -> Result<Self, Failure> {
        let widths = file.widths();
        let length = 26 + 12 * widths.length + 3 * widths.offset;
        let bytes = file.read("fractal heap", address, length as u64 - 4)?;
        let mut cursor = file.cursor(&bytes, "fractal heap", address);
        cursor.signature(b"FRHP")?;
        cursor.version(&[0])?;
        let id_length = usize::from(cursor.u16()?);
        if cursor.u16()? != 0 {
            return Err(Hdf5Fault::Unsupported { feature: "a heap with filters" }.into());
        }
        file.read_checked("fractal heap", address, length as u64)?;
        cursor.skip(1)?;
        let largest_object = u64::from(cursor.u32()?);
        cursor.length()?;
        let huge = cursor.offset()?;
        cursor.length()?;
        cursor.offset()?;
        cursor.skip(8 * widths.length)?;
        let row = u64::from(cursor.u16()?);
        let (smallest, largest) = (cursor.length()?, cursor.length()?);
        let bits = cursor.u16()?;
        cursor.skip(2)?;
        let root = cursor.offset()?;
        let rows = u64::from(cursor.u16()?);
        let powers = smallest.is_power_of_two() && largest.is_power_of_two();
        if row == 0 || !powers || smallest > largest || !(1..=64).contains(&bits) {
            return Err(cursor.damaged("blocks that grow by doubling").into());
        }
        let offset_width = usize::from(bits).div_ceil(8);
        let length_width = (largest.min(largest_object).max(1).ilog2() as usize) / 8 + 1;
        Ok(Self {
            address,
            offset_width,
            length_width,
            row,
            smallest,
            largest,
            root,
            rows,
            huge,
            id_length,
        })
    }

    /// The bytes of an object.
    pub(super) fn object(&self, file: &File, id: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut cursor = file.cursor(id, "fractal heap", self.address);
        let head = cursor.u8()?;
        match head >> 4 & 3 {
            0 => {
                let offset = cursor.uint(self.offset_width)?;
                let length = cursor.uint(self.length_width)?;
                self.managed(file, offset, length)
            }
            1 => self.large(file, &mut cursor),
            2 => {
                // Within the name itself, whose length has a second byte if names are long.
                let low = usize::from(head & 15);
                let length =
                    if self.id_length > 18 { low << 8 | usize::from(cursor.u8()?) } else { low };
                Ok(cursor.bytes(length + 1)?.to_vec())
            }
            _ => Err(cursor.damaged("objects of a known kind").into()),
        }
    }

    /// An object with an own place in the file: named by it, or found in a tree.
    fn large(&self, file: &File, cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Failure> {
        let widths = file.widths();
        if self.id_length > widths.offset + widths.length {
            let address = cursor.address_of("the address of an object")?;
            let length = cursor.length()?;
            return file.read("object in a heap", address, length);
        }
        let wanted = cursor.uint(cursor.left().min(8).min(widths.length))?;
        let tree = self.huge.ok_or_else(|| cursor.damaged("a tree of large objects"))?;
        let mut place = None;
        btree2::records(file, tree, 1, &mut |record| {
            let address = record.address_of("the address of an object")?;
            let length = record.length()?;
            if record.length()? == wanted {
                place = Some((address, length));
            }
            Ok(())
        })?;
        let (address, length) = place.ok_or_else(|| cursor.damaged("the object of that number"))?;
        file.read("object in a heap", address, length)
    }

    fn damaged(&self, expected: &'static str) -> Failure {
        let (structure, address) = ("fractal heap", self.address);
        Hdf5Fault::Damaged { structure, address, expected }.into()
    }

    /// An object within a block. Places count through all blocks, with their headers.
    fn managed(&self, file: &File, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
        let missing = || self.damaged("a block for each of its objects");
        let mut address = self.root.ok_or_else(missing)?;
        let mut offset = offset;
        let mut rows = self.rows;
        let mut size = self.smallest;
        while rows > 0 {
            let (row, start, width) = self.row_of(offset).ok_or_else(missing)?;
            if row >= rows {
                return Err(missing());
            }
            let column = (offset - start) / width;
            let place = row * self.row + column;
            let pointers = 5 + file.widths().offset as u64 + self.offset_width as u64;
            // The whole block, for its checksum.
            let count = rows.checked_mul(self.row).ok_or_else(missing)?;
            let whole = pointers + count * file.widths().offset as u64 + 4;
            let bytes = file.read_checked("indirect block", address, whole)?;
            let mut cursor = file.cursor(&bytes, "indirect block", address);
            cursor.signature(b"FHIB")?;
            cursor.version(&[0])?;
            cursor.skip(file.widths().offset + self.offset_width)?;
            cursor.skip(place as usize * file.widths().offset)?;
            address = cursor.address_of("the address of a block")?;
            offset -= start + column * width;
            size = width;
            if width <= self.largest {
                break;
            }
            // A block of blocks has as many rows as fill it; fewer than its parent.
            let below = (width / self.smallest / self.row).max(1).ilog2() as u64 + 1;
            if below >= rows {
                return Err(missing());
            }
            rows = below;
        }
        if offset.checked_add(length).is_none_or(|end| end > size.max(self.smallest)) {
            return Err(self.damaged("objects within its blocks"));
        }
        let address = address.checked_add(offset).ok_or_else(missing)?;
        file.read("object in a heap", address, length)
    }

    /// The row that a place is in, where the row begins, and how large its blocks are.
    fn row_of(&self, offset: u64) -> Option<(u64, u64, u64)> {
        let first = self.smallest.checked_mul(self.row)?;
        if offset < first {
            return Some((0, 0, self.smallest));
        }
        // Row r begins at `first * 2^(r - 1)`, with blocks of `smallest * 2^(r - 1)` bytes.
        let doublings = (offset / first).ilog2();
        let start = first.checked_shl(doublings)?;
        Some((u64::from(doublings) + 1, start, self.smallest.checked_shl(doublings)?))
    }
}

//! The arrays that tell where chunks are, in files of newer versions.

use super::cursor::Cursor;
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;

/// Takes the number of an entry, and the entry.
type Visit<'a> = &'a mut dyn FnMut(u64, &mut Cursor<'_>) -> Result<(), Failure>;

/// Signature, version, kind of entries and the address of the header: what every block begins with.
fn prefix(file: &File) -> u64 {
    6 + file.widths().offset as u64
}

fn too_large(structure: &'static str, address: u64, file: &File) -> Hdf5Fault {
    Hdf5Fault::OutOfFile { structure, address, length: u64::MAX, end: file.length() }
}

/// Visits entries that lie one after the other.
fn entries(
    file: &File,
    bytes: &[u8],
    entry: u64,
    first: u64,
    address: u64,
    visit: Visit<'_>,
) -> Result<(), Failure> {
    let entries = bytes.chunks_exact(entry as usize);
    for (index, bytes) in (first..).zip(entries) {
        visit(index, &mut file.cursor(bytes, "chunk entry", address))?;
    }
    Ok(())
}

/// What the header of an array begins with: gives the bytes of an entry, which must hold an address, and
/// with filters a length and a mask.
fn entry_width(
    cursor: &mut Cursor<'_>,
    signature: &[u8; 4],
    filtered: bool,
) -> Result<u64, Hdf5Fault> {
    cursor.signature(signature)?;
    cursor.version(&[0])?;
    if cursor.u8()? != u8::from(filtered) {
        return Err(cursor.damaged("the kind of its dataset"));
    }
    let entry = u64::from(cursor.u8()?);
    let offset = cursor.widths().offset as u64;
    let fits = if filtered { (offset + 5..=offset + 12).contains(&entry) } else { entry == offset };
    if fits { Ok(entry) } else { Err(cursor.damaged("entries of an address")) }
}

/// Visits the entries of a fixed array.
pub(super) fn fixed(
    file: &File,
    address: u64,
    filtered: bool,
    visit: Visit<'_>,
) -> Result<(), Failure> {
    const HEADER: &str = "fixed array";
    let widths = file.widths();
    let length = 8 + widths.length + widths.offset + 4;
    let bytes = file.read_checked(HEADER, address, length as u64)?;
    let mut cursor = file.cursor(&bytes, HEADER, address);
    let entry = entry_width(&mut cursor, b"FAHD", filtered)?;
    let bits = u32::from(cursor.u8()?);
    let count = cursor.length()?;
    let Some(block) = cursor.offset()? else { return Ok(()) };
    let page = 1u64.checked_shl(bits).ok_or_else(|| cursor.damaged("smaller pages"))?;

    let too_large = || too_large("fixed array block", block, file);
    let all = count.checked_mul(entry).filter(|&all| all <= file.length()).ok_or_else(too_large)?;
    let start = prefix(file);
    if count <= page {
        let bytes = file.read_checked("fixed array block", block, start + all + 4)?;
        let mut cursor = file.cursor(&bytes, "fixed array block", block);
        cursor.signature(b"FADB")?;
        return entries(file, &bytes[start as usize..], entry, 0, block, visit);
    }
    let pages = count.div_ceil(page);
    let bitmap = pages.div_ceil(8);
    let bytes = file.read_checked("fixed array block", block, start + bitmap + 4)?;
    let mut cursor = file.cursor(&bytes, "fixed array block", block);
    cursor.signature(b"FADB")?;
    let made = Bits { bytes: &bytes[start as usize..], first: 0 };
    let first = block + start + bitmap + 4;
    visit_pages(file, first, Pages { count, entry, page, index: 0, made: Some(made) }, visit)
}

/// Pages of entries, one after the other.
struct Pages<'a> {
    count: u64,
    entry: u64,
    /// Entries in a page.
    page: u64,
    /// The number of the first entry.
    index: u64,
    /// Which of them were written to; none is all.
    made: Option<Bits<'a>>,
}

/// A bit for each page, the highest of a byte first.
#[derive(Clone, Copy)]
struct Bits<'a> {
    bytes: &'a [u8],
    /// The bit of the first page.
    first: u64,
}

impl Bits<'_> {
    fn get(self, page: u64) -> bool {
        let bit = self.first + page;
        let byte = self.bytes.get((bit / 8) as usize).copied().unwrap_or_default();
        byte & (0x80 >> (bit % 8)) != 0
    }
}

fn visit_pages(
    file: &File,
    address: u64,
    pages: Pages<'_>,
    visit: Visit<'_>,
) -> Result<(), Failure> {
    let Pages { count, entry, page, index, made } = pages;
    for number in 0..count.div_ceil(page) {
        if made.is_none_or(|made| made.get(number)) {
            let first = number * page;
            // The last has no more than are left.
            let length = page.min(count - first) * entry;
            let at = address + number * (page * entry + 4);
            let bytes = file.read_checked("page of chunk entries", at, length + 4)?;
            entries(file, &bytes, entry, index + first, at, visit)?;
        }
    }
    Ok(())
}

/// What the header of an extensible array says.
struct Extensible {
    entry: u64,
    /// Entries in a page.
    page: u64,
    /// The bytes of a number that tells a place in the array.
    offset_width: u64,
    /// Entries that may have been written.
    used: u64,
}

/// Visits the entries of an extensible array.
///
/// The first block has the first entries and the addresses of data blocks. Those come in groups: group `g`
/// has `2^(g / 2)` blocks of `smallest * 2^((g + 1) / 2)` entries. The later groups have a block with their
/// addresses each.
pub(super) fn extensible(
    file: &File,
    address: u64,
    filtered: bool,
    visit: Visit<'_>,
) -> Result<(), Failure> {
    const HEADER: &str = "extensible array";
    let widths = file.widths();
    let length = 12 + 6 * widths.length + widths.offset + 4;
    let bytes = file.read_checked(HEADER, address, length as u64)?;
    let mut cursor = file.cursor(&bytes, HEADER, address);
    let entry = entry_width(&mut cursor, b"EAHD", filtered)?;
    let bits = u32::from(cursor.u8()?);
    let first = u64::from(cursor.u8()?);
    let smallest = u64::from(cursor.u8()?);
    let pointers = u64::from(cursor.u8()?);
    let page_bits = u32::from(cursor.u8()?);
    cursor.skip(4 * widths.length)?;
    let used = cursor.length()?;
    cursor.length()?;
    let Some(block) = cursor.offset()? else { return Ok(()) };
    let powers = smallest.is_power_of_two() && pointers.is_power_of_two();
    if !powers || pointers < 2 || bits > 64 || page_bits > 32 || bits < smallest.ilog2() {
        return Err(cursor.damaged("blocks that grow by doubling").into());
    }
    let offset_width = u64::from(bits.div_ceil(8));
    let array = Extensible { entry, page: 1 << page_bits, offset_width, used };

    let groups = 1 + bits - smallest.ilog2();
    // The groups whose data blocks the first block tells of.
    let near = (2 * pointers.ilog2()).min(groups);
    let near_blocks = 2 * (pointers - 1);
    let offset = widths.offset as u64;
    let length =
        prefix(file) + first * entry + (near_blocks + u64::from(groups - near)) * offset + 4;
    let bytes = file.read_checked("index block", block, length)?;
    let mut cursor = file.cursor(&bytes, "index block", block);
    cursor.signature(b"EAIB")?;
    cursor.skip(prefix(file) as usize - 4)?;
    let own = cursor.bytes((first * entry) as usize)?;
    entries(file, own, entry, 0, block, visit)?;

    let mut index = first;
    for group in 0..groups {
        if index >= used {
            break;
        }
        let blocks = 1u64.checked_shl(group / 2);
        let count = smallest.checked_mul(1u64.checked_shl(group.div_ceil(2)).unwrap_or(u64::MAX));
        let too_large = || too_large("index block", block, file);
        let (blocks, count) = blocks.zip(count).ok_or_else(too_large)?;
        let after = blocks.checked_mul(count).and_then(|all| index.checked_add(all));
        let after = after.ok_or_else(too_large)?;
        if group < near {
            for number in 0..blocks {
                let there = cursor.offset()?;
                let index = index + number * count;
                array.data_block(file, there, index, count, None, visit)?;
            }
        } else if let Some(there) = cursor.offset()? {
            array.far_group(file, there, index, blocks, count, visit)?;
        }
        index = after;
    }
    Ok(())
}

impl Extensible {
    /// The bytes of a data block, or of a block with addresses, before what is in it.
    fn prefix(&self, file: &File) -> u64 {
        prefix(file) + self.offset_width
    }

    /// Visits the data blocks of a group that has a block with their addresses.
    fn far_group(
        &self,
        file: &File,
        address: u64,
        index: u64,
        blocks: u64,
        count: u64,
        visit: Visit<'_>,
    ) -> Result<(), Failure> {
        // A bit for each page of each data block, without gaps; the room for them is in whole bytes a block.
        let pages = if count > self.page { count.div_ceil(self.page) } else { 0 };
        let bitmap = pages.div_ceil(8);
        let offset = file.widths().offset as u64;
        let length = blocks.checked_mul(bitmap + offset).filter(|&all| all <= file.length());
        let too_large = || too_large("secondary block", address, file);
        let length = length.ok_or_else(too_large)? + self.prefix(file) + 4;
        let bytes = file.read_checked("secondary block", address, length)?;
        let mut cursor = file.cursor(&bytes, "secondary block", address);
        cursor.signature(b"EASB")?;
        cursor.skip(self.prefix(file) as usize - 4)?;
        let made = cursor.bytes((blocks * bitmap) as usize)?;
        for number in 0..blocks {
            let made = Bits { bytes: made, first: number * pages };
            let there = cursor.offset()?;
            let index = index + number * count;
            self.data_block(file, there, index, count, Some(made), visit)?;
        }
        Ok(())
    }

    /// Visits the entries of a data block.
    fn data_block(
        &self,
        file: &File,
        address: Option<u64>,
        index: u64,
        count: u64,
        made: Option<Bits<'_>>,
        visit: Visit<'_>,
    ) -> Result<(), Failure> {
        let Some(address) = address.filter(|_| index < self.used) else { return Ok(()) };
        let start = self.prefix(file);
        let all = count.checked_mul(self.entry).filter(|&all| all <= file.length());
        let all = all.ok_or_else(|| too_large("data block", address, file))?;
        let paged = count > self.page;
        let length = start + if paged { 0 } else { all } + 4;
        let bytes = file.read_checked("data block", address, length)?;
        let mut cursor = file.cursor(&bytes, "data block", address);
        cursor.signature(b"EADB")?;
        if !paged {
            return entries(file, &bytes[start as usize..], self.entry, index, address, visit);
        }
        let Self { entry, page, .. } = *self;
        visit_pages(file, address + length, Pages { count, entry, page, index, made }, visit)
    }
}

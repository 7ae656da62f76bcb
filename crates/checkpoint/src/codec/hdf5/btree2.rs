//! B-trees of version 2: links, attributes and chunks in files of newer versions.

use super::cursor::Cursor;
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;

/// The most levels: a tree of the smallest nodes has fewer for any file.
const MAX_DEPTH: u16 = 32;

/// Visits every record of the tree whose header is at `address`, in order. `kind` is what its records are.
pub(super) fn records(
    file: &File,
    address: u64,
    kind: u8,
    visit: &mut dyn FnMut(&mut Cursor<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let widths = file.widths();
    let length = 4 + 12 + widths.offset + 2 + widths.length + 4;
    let bytes = file.read_checked("B-tree header", address, length as u64)?;
    let mut cursor = file.cursor(&bytes, "B-tree header", address);
    cursor.signature(b"BTHD")?;
    cursor.version(&[0])?;
    if cursor.u8()? != kind {
        return Err(cursor.damaged("records of the kind that belongs there").into());
    }
    let node = u64::from(cursor.u32()?);
    let record = u64::from(cursor.u16()?);
    let depth = cursor.u16()?;
    cursor.skip(2)?;
    let root = cursor.offset()?;
    let count = u64::from(cursor.u16()?);
    if record == 0 || depth > MAX_DEPTH {
        return Err(cursor.damaged("records of some bytes, not too deep").into());
    }
    let Some(root) = root.filter(|_| count > 0) else { return Ok(()) };
    let tree = Tree { file, kind, record, levels: levels(node, record, depth, widths.offset) };
    tree.visit(root, count, depth, visit)
}

/// The widths of the numbers in pointers to nodes of a level.
struct Level {
    /// The number of records in the node.
    count: usize,
    /// The number of records in the node and below it; nothing for leaves.
    total: usize,
}

/// How many bytes a number up to `most` takes.
fn width(most: u64) -> usize {
    (most.max(1).ilog2() as usize) / 8 + 1
}

/// What a pointer to a node of each level, from the leaves up, has.
fn levels(node: u64, record: u64, depth: u16, offset: usize) -> Vec<Level> {
    // Signature, version, kind and checksum.
    let room = node.saturating_sub(10);
    let leaf = room / record;
    let count = width(leaf);
    let mut levels = vec![Level { count, total: 0 }];
    let mut total = leaf;
    for level in 1..=u64::from(depth) {
        let below = if level > 1 { width(total) } else { 0 };
        let pointer = (offset + count + below) as u64;
        let most = room.saturating_sub(pointer) / (record + pointer);
        total = (most.saturating_add(1)).saturating_mul(total).saturating_add(most);
        levels.push(Level { count, total: width(total) });
    }
    levels
}

struct Tree<'a> {
    file: &'a File,
    kind: u8,
    record: u64,
    levels: Vec<Level>,
}

impl Tree<'_> {
    /// Visits the records of a node and of those below it. Each level is one below the last.
    fn visit(
        &self,
        address: u64,
        count: u64,
        depth: u16,
        visit: &mut dyn FnMut(&mut Cursor<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let file = self.file;
        // No node has more records than bytes.
        file.check_range("B-tree node", address, count)?;
        let below = depth.checked_sub(1).and_then(|below| self.levels.get(usize::from(below)));
        let pointer = below.map_or(0, |level| file.widths().offset + level.count + level.total);
        let children = if below.is_some() { count + 1 } else { 0 };
        let records = count.checked_mul(self.record);
        let length =
            records.and_then(|records| (children * pointer as u64 + 10).checked_add(records));
        let too_long = Hdf5Fault::OutOfFile {
            structure: "B-tree node",
            address,
            length: u64::MAX,
            end: file.length(),
        };
        let length = length.ok_or(too_long)?;
        let bytes = file.read_checked("B-tree node", address, length)?;
        let mut cursor = file.cursor(&bytes, "B-tree node", address);
        cursor.signature(if below.is_some() { b"BTIN" } else { b"BTLF" })?;
        cursor.version(&[0])?;
        if cursor.u8()? != self.kind {
            return Err(cursor.damaged("the kind of its tree").into());
        }
        let records = cursor.bytes((count * self.record) as usize)?;
        let mut records = records.chunks_exact(self.record as usize);
        for place in 0..=count {
            if let Some(level) = below {
                let child = cursor.address_of("the address of a node")?;
                let count = cursor.uint(level.count)?;
                cursor.skip(level.total)?;
                self.visit(child, count, depth - 1, visit)?;
            }
            if place < count
                && let Some(record) = records.next()
            {
                visit(&mut file.cursor(record, "B-tree record", address))?;
            }
        }
        Ok(())
    }
}

//! Where the chunks of a dataset are.

use super::btree1::{Kind, Node};
use super::btree2;
use super::chunk_array;
use super::cursor::Cursor;
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;
use super::space::{Chunked, Index, Space};

/// A chunk in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Which one it is, counted through the grid in C order.
    pub(super) place: u64,
    pub(super) address: u64,
    /// The bytes in the file.
    pub(super) stored: u64,
    /// A bit for each filter that was left out.
    pub(super) skipped: u32,
}

/// How a dataset is cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    /// The sizes of the dataset.
    pub(super) sizes: Vec<u64>,
    /// The sizes of a chunk.
    pub(super) chunk: Vec<u64>,
    /// The number of chunks along each dimension.
    pub(super) counts: Vec<u64>,
    /// The same for the largest that the dataset can become; `u64::MAX` for any.
    most: Vec<u64>,
}

impl Grid {
    /// Sizes of chunks are not zero, and as many as those of the dataset.
    pub(super) fn new(space: &Space, chunk: &[u64]) -> Self {
        let count = |(&size, &chunk): (&u64, &u64)| {
            if size == u64::MAX { size } else { size.div_ceil(chunk) }
        };
        let along = |sizes: &[u64]| sizes.iter().zip(chunk).map(count).collect();
        let (counts, most) = (along(&space.sizes), along(&space.most));
        Self { sizes: space.sizes.clone(), chunk: chunk.to_vec(), counts, most }
    }

    /// Where a chunk begins, in elements.
    pub(super) fn start(&self, mut place: u64) -> Vec<u64> {
        let mut start = vec![0; self.counts.len()];
        for axis in (0..start.len()).rev() {
            let count = self.counts[axis].max(1);
            start[axis] = place % count * self.chunk[axis];
            place /= count;
        }
        start
    }

    /// Which chunk has these coordinates in the grid.
    fn place(&self, at: &[u64]) -> Result<u64, Hdf5Fault> {
        let mut place = 0u64;
        for (&at_axis, &count) in at.iter().zip(&self.counts) {
            let next = place.checked_mul(count).and_then(|place| place.checked_add(at_axis));
            let outside = || Hdf5Fault::ChunkPlace {
                at: at
                    .iter()
                    .zip(&self.chunk)
                    .map(|(&at, &size)| at.saturating_mul(size))
                    .collect(),
            };
            place = next.filter(|_| at_axis < count).ok_or_else(outside)?;
        }
        Ok(place)
    }

    /// Which chunk is the `index`th of an array, whose places are those of the largest dataset; the
    /// dimension without a bound, if there is one, counts slowest.
    fn place_in_array(&self, index: u64) -> Result<u64, Hdf5Fault> {
        let mut order: Vec<usize> = (0..self.most.len()).collect();
        if let Some(unbound) = self.most.iter().position(|&most| most == u64::MAX) {
            order.remove(unbound);
            order.insert(0, unbound);
        }
        let mut at = vec![0; order.len()];
        let mut rest = index;
        for (rank, &axis) in order.iter().enumerate().rev() {
            let most = if rank == 0 { u64::MAX } else { self.most[axis].max(1) };
            at[axis] = rest % most;
            rest /= most;
        }
        self.place(&at)
    }

    /// The number of chunks that the largest dataset has.
    fn most(&self) -> Option<u64> {
        self.most.iter().try_fold(1u64, |product, &most| product.checked_mul(most))
    }
}

/// The chunks that are stored, in order. `bytes` is what a chunk takes without filters, `filtered` whether
/// there are any.
pub(super) fn chunks(
    file: &File,
    chunked: &Chunked,
    grid: &Grid,
    bytes: u64,
    filtered: bool,
) -> Result<Vec<Chunk>, Failure> {
    let Some(address) = chunked.address else { return Ok(Vec::new()) };
    let mut list = List { file, grid, chunks: Vec::new() };
    match chunked.index {
        Index::Tree => tree(&mut list, address)?,
        Index::Single { filtered } => {
            let (stored, skipped) = filtered.unwrap_or((bytes, 0));
            list.push(Chunk { place: 0, address, stored, skipped })?;
        }
        Index::Implicit => {
            let count = grid.most().filter(|&count| count <= file.length());
            let outside = |length| Hdf5Fault::OutOfFile {
                structure: "chunks",
                address,
                length,
                end: file.length(),
            };
            let count = count.ok_or_else(|| outside(u64::MAX))?;
            file.check_range("chunks", address, count.saturating_mul(bytes))?;
            for index in 0..count {
                let address = address + index * bytes;
                let place = grid.place_in_array(index)?;
                list.push(Chunk { place, address, stored: bytes, skipped: 0 })?;
            }
        }
        Index::FixedArray | Index::ExtensibleArray => {
            let visit = &mut |index, cursor: &mut Cursor<'_>| {
                let widths = cursor.widths();
                let Some(address) = cursor.offset()? else { return Ok(()) };
                let (stored, skipped) = if filtered {
                    let width = cursor.left().saturating_sub(4).min(widths.length);
                    (cursor.uint(width)?, cursor.u32()?)
                } else {
                    (bytes, 0)
                };
                let place = grid.place_in_array(index)?;
                Ok(list.push(Chunk { place, address, stored, skipped })?)
            };
            if chunked.index == Index::FixedArray {
                chunk_array::fixed(file, address, filtered, visit)?;
            } else {
                chunk_array::extensible(file, address, filtered, visit)?;
            }
        }
        Index::NewTree => {
            let kind = if filtered { 11 } else { 10 };
            btree2::records(file, address, kind, &mut |cursor| {
                let address = cursor.address_of("the address of a chunk")?;
                let scaled = 8 * grid.counts.len();
                let (stored, skipped) = if filtered {
                    let width = cursor.left().saturating_sub(4 + scaled).min(8);
                    (cursor.uint(width)?, cursor.u32()?)
                } else {
                    (bytes, 0)
                };
                let at: Result<Vec<u64>, _> = grid.counts.iter().map(|_| cursor.uint(8)).collect();
                let place = grid.place(&at?)?;
                Ok(list.push(Chunk { place, address, stored, skipped })?)
            })?;
        }
    }
    list.sorted()
}

/// Chunks as they are found.
struct List<'a> {
    file: &'a File,
    grid: &'a Grid,
    chunks: Vec<Chunk>,
}

impl List<'_> {
    fn push(&mut self, chunk: Chunk) -> Result<(), Hdf5Fault> {
        self.file.check_range("chunk", chunk.address, chunk.stored)?;
        // Each has bytes of its own, and is told of by eight or more.
        let limit = self.file.length() / 8;
        if self.chunks.len() as u64 >= limit {
            return Err(Hdf5Fault::TooManyObjects { limit: limit as usize });
        }
        self.chunks.push(chunk);
        Ok(())
    }

    fn sorted(mut self) -> Result<Vec<Chunk>, Failure> {
        self.chunks.sort_by_key(|chunk| chunk.place);
        let twice = self.chunks.windows(2).find(|pair| pair[0].place == pair[1].place);
        if let Some(pair) = twice {
            let at = self.grid.start(pair[0].place);
            return Err(Hdf5Fault::ChunkPlace { at }.into());
        }
        Ok(self.chunks)
    }
}

/// A B-tree of version 1.
fn tree(list: &mut List<'_>, root: u64) -> Result<(), Failure> {
    let (file, grid) = (list.file, list.grid);
    let rank = grid.counts.len();
    let key = 8 + 8 * (rank as u64 + 1);
    let mut rest = vec![(root, None)];
    while let Some((address, level)) = rest.pop() {
        let Node { level: found, count, bytes } =
            Node::read(file, address, Kind::Chunks, level, key)?;
        let mut cursor = file.cursor(&bytes, "B-tree", address);
        let mut children = Vec::with_capacity(count.into());
        for _ in 0..count {
            let (stored, skipped) = (u64::from(cursor.u32()?), cursor.u32()?);
            let starts: Result<Vec<u64>, _> = (0..=rank).map(|_| cursor.uint(8)).collect();
            let starts = starts?;
            let child = cursor.address_of("the address of a chunk")?;
            if found > 0 {
                children.push((child, Some(found)));
                continue;
            }
            let mut at = Vec::with_capacity(rank);
            for (&start, &size) in starts.iter().zip(&grid.chunk) {
                if start % size != 0 {
                    let at = starts[..rank].to_vec();
                    return Err(Hdf5Fault::ChunkPlace { at }.into());
                }
                at.push(start / size);
            }
            let place = grid.place(&at)?;
            list.push(Chunk { place, address: child, stored, skipped })?;
        }
        rest.extend(children.into_iter().rev());
    }
    Ok(())
}

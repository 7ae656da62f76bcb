//! The messages that say how large a dataset is and where its elements are.

use super::cursor::Cursor;
use super::fault::Hdf5Fault;
use crate::codec::MAX_RANK;

/// The most filters of a dataset, as in the HDF5 library.
const MAX_FILTERS: u8 = 32;

/// The sizes of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Space {
    /// The size of each dimension; empty for a scalar.
    pub(super) sizes: Vec<u64>,
    /// The size that each can grow to; `u64::MAX` is any.
    pub(super) most: Vec<u64>,
    /// Whether there is no element, not even of a scalar.
    pub(super) null: bool,
}

/// Reads a dataspace.
pub(super) fn space(cursor: &mut Cursor<'_>) -> Result<Space, Hdf5Fault> {
    let version = cursor.version(&[1, 2])?;
    let rank = usize::from(cursor.u8()?);
    let flags = cursor.u8()?;
    let kind = cursor.u8()?;
    if version == 1 {
        cursor.skip(4)?;
    }
    if rank > MAX_RANK {
        return Err(Hdf5Fault::RankOverLimit { limit: MAX_RANK });
    }
    let sizes = lengths(cursor, rank)?;
    let most = if flags & 1 != 0 { lengths(cursor, rank)? } else { sizes.clone() };
    if sizes.iter().zip(&most).any(|(size, most)| size > most) {
        return Err(cursor.damaged("sizes within their bounds"));
    }
    Ok(Space { sizes, most, null: version == 2 && kind == 2 })
}

fn lengths(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<u64>, Hdf5Fault> {
    let unlimited = u64::MAX >> (64 - 8 * cursor.widths().length);
    let any = |length: u64| if length == unlimited { u64::MAX } else { length };
    (0..count).map(|_| cursor.length().map(any)).collect()
}

/// Where the elements of a dataset are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// In the header.
    Compact(Vec<u8>),
    /// In one range of the file, or nowhere yet. The oldest version does not tell the length.
    Contiguous { address: Option<u64>, length: Option<u64> },
    /// In chunks.
    Chunked(Chunked),
    /// In other datasets.
    Virtual,
}

/// The chunks of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunked {
    /// The sizes of a chunk, in elements.
    pub(super) sizes: Vec<u64>,
    /// The bytes of an element.
    pub(super) element: u64,
    /// Where the index is, if there is a chunk.
    pub(super) address: Option<u64>,
    pub(super) index: Index,
    /// Whether chunks that reach beyond the dataset are stored without filters.
    pub(super) plain_edges: bool,
}

/// How chunks are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// A B-tree of version 1.
    Tree,
    /// There is one, with its length and the filters left out, if it went through any.
    Single { filtered: Option<(u64, u32)> },
    /// They lie one after the other.
    Implicit,
    /// An array of a fixed length.
    FixedArray,
    /// An array that grows.
    ExtensibleArray,
    /// A B-tree of version 2.
    NewTree,
}

/// Reads a layout.
pub(super) fn layout(cursor: &mut Cursor<'_>) -> Result<Layout, Hdf5Fault> {
    match cursor.version(&[1, 2, 3, 4, 5])? {
        1 | 2 => old_layout(cursor),
        version => new_layout(cursor, version),
    }
}

fn old_layout(cursor: &mut Cursor<'_>) -> Result<Layout, Hdf5Fault> {
    let rank = usize::from(cursor.u8()?);
    let class = cursor.u8()?;
    cursor.skip(5)?;
    let address = if class == 0 { None } else { cursor.offset()? };
    if rank > MAX_RANK + 1 {
        return Err(Hdf5Fault::RankOverLimit { limit: MAX_RANK });
    }
    let sizes: Result<Vec<u64>, _> = (0..rank).map(|_| cursor.uint(4)).collect();
    match class {
        0 => {
            let length = cursor.u32()? as usize;
            Ok(Layout::Compact(cursor.bytes(length)?.to_vec()))
        }
        1 => Ok(Layout::Contiguous { address, length: None }),
        2 => {
            // The last of the sizes, or what follows them, is that of an element.
            let (sizes, element) = split(cursor, sizes?)?;
            let index = Index::Tree;
            Ok(Layout::Chunked(Chunked { sizes, element, address, index, plain_edges: false }))
        }
        _ => Err(cursor.damaged("a known class of layouts")),
    }
}

fn new_layout(cursor: &mut Cursor<'_>, version: u8) -> Result<Layout, Hdf5Fault> {
    match cursor.u8()? {
        0 => {
            let length = usize::from(cursor.u16()?);
            Ok(Layout::Compact(cursor.bytes(length)?.to_vec()))
        }
        1 => {
            let address = cursor.offset()?;
            Ok(Layout::Contiguous { address, length: Some(cursor.length()?) })
        }
        2 if version == 3 => {
            let rank = usize::from(cursor.u8()?);
            let address = cursor.offset()?;
            let sizes: Result<Vec<u64>, _> = (0..rank).map(|_| cursor.uint(4)).collect();
            let (sizes, element) = split(cursor, sizes?)?;
            let index = Index::Tree;
            Ok(Layout::Chunked(Chunked { sizes, element, address, index, plain_edges: false }))
        }
        2 => indexed(cursor),
        3 => Ok(Layout::Virtual),
        _ => Err(cursor.damaged("a known class of layouts")),
    }
}

fn indexed(cursor: &mut Cursor<'_>) -> Result<Layout, Hdf5Fault> {
    let flags = cursor.u8()?;
    let rank = usize::from(cursor.u8()?);
    let width = usize::from(cursor.u8()?);
    let sizes: Result<Vec<u64>, _> = (0..rank).map(|_| cursor.uint(width)).collect();
    let (sizes, element) = split(cursor, sizes?)?;
    let index = match cursor.u8()? {
        1 if flags & 2 != 0 => {
            let length = cursor.length()?;
            Index::Single { filtered: Some((length, cursor.u32()?)) }
        }
        1 => Index::Single { filtered: None },
        2 => Index::Implicit,
        3 => {
            cursor.skip(1)?;
            Index::FixedArray
        }
        4 => {
            cursor.skip(5)?;
            Index::ExtensibleArray
        }
        5 => {
            cursor.skip(6)?;
            Index::NewTree
        }
        _ => return Err(cursor.damaged("a known index of chunks")),
    };
    let address = cursor.offset()?;
    let plain_edges = flags & 1 != 0;
    Ok(Layout::Chunked(Chunked { sizes, element, address, index, plain_edges }))
}

/// The sizes of a chunk and that of an element, which comes last.
fn split(cursor: &Cursor<'_>, mut sizes: Vec<u64>) -> Result<(Vec<u64>, u64), Hdf5Fault> {
    let element = sizes.pop().ok_or_else(|| cursor.damaged("sizes of chunks"))?;
    if sizes.len() > MAX_RANK {
        return Err(Hdf5Fault::RankOverLimit { limit: MAX_RANK });
    }
    Ok((sizes, element))
}

/// What chunks go through when they are written, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// Compressed, as zlib does it.
    Deflate,
    /// The first bytes of all elements, then the second ones, and so on.
    Shuffle { element: usize },
    /// A checksum behind it.
    Fletcher32,
}

/// Reads the filters.
pub(super) fn filters(cursor: &mut Cursor<'_>) -> Result<Vec<Filter>, Hdf5Fault> {
    let version = cursor.version(&[1, 2])?;
    let count = cursor.u8()?;
    if version == 1 {
        cursor.skip(6)?;
    }
    if count > MAX_FILTERS {
        return Err(cursor.damaged("at most 32 filters"));
    }
    let mut filters = Vec::new();
    for _ in 0..count {
        let id = cursor.u16()?;
        let length = if version == 1 || id >= 256 { usize::from(cursor.u16()?) } else { 0 };
        // Whether it may be left out; each chunk tells whether it was.
        cursor.skip(2)?;
        let values = usize::from(cursor.u16()?);
        let padded = if version == 1 { length.next_multiple_of(8) } else { length };
        let name = cursor.bytes(padded)?;
        let first = if values > 0 { Some(cursor.u32()?) } else { None };
        cursor.skip(4 * values.saturating_sub(1))?;
        if version == 1 && values % 2 == 1 {
            cursor.skip(4)?;
        }
        filters.push(match (id, first) {
            (1, _) if filters.contains(&Filter::Deflate) => {
                let feature = "two compressions of one dataset";
                return Err(Hdf5Fault::Unsupported { feature });
            }
            (1, _) => Filter::Deflate,
            (2, Some(element)) if element > 0 => Filter::Shuffle { element: element as usize },
            (3, _) => Filter::Fletcher32,
            _ => {
                let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
                let name = String::from_utf8_lossy(&name[..end]).into_owned();
                return Err(Hdf5Fault::UnknownFilter { id, name });
            }
        });
    }
    Ok(filters)
}

/// Reads the bytes of an element that was never written; none are zeros.
pub(super) fn fill(cursor: &mut Cursor<'_>, old: bool) -> Result<Vec<u8>, Hdf5Fault> {
    if !old {
        let version = cursor.version(&[1, 2, 3])?;
        let defined = if version == 3 {
            cursor.u8()? & 0x20 != 0
        } else {
            cursor.skip(2)?;
            // Version 1 always has the length.
            cursor.u8()? != 0 || version == 1
        };
        if !defined {
            return Ok(Vec::new());
        }
    }
    let length = cursor.u32()?;
    // A length of -1 says that there is none.
    if length == u32::MAX { Ok(Vec::new()) } else { Ok(cursor.bytes(length as usize)?.to_vec()) }
}

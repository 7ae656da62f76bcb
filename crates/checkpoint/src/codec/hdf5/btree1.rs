//! B-trees of version 1: groups of older versions, and where chunks are.

use super::failure::Failure;
use super::file::File;

/// What a tree is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Group = 0,
    Chunks = 1,
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Self::Group => "the kind of a group's",
            Self::Chunks => "the kind of a dataset's",
        }
    }
}

/// A node.
pub(super) struct Node {
    /// How far it is above the leaves.
    pub(super) level: u16,
    /// The pairs of a key and a child.
    pub(super) count: u16,
    pub(super) bytes: Vec<u8>,
}

impl Node {
    /// Reads a node of pairs of `key` bytes and an address; `above` is the level of its parent.
    pub(super) fn read(
        file: &File,
        address: u64,
        kind: Kind,
        above: Option<u16>,
        key: u64,
    ) -> Result<Self, Failure> {
        let offset = file.widths().offset as u64;
        let prefix = file.read("B-tree", address, 8 + 2 * offset)?;
        let mut cursor = file.cursor(&prefix, "B-tree", address);
        cursor.signature(b"TREE")?;
        if cursor.u8()? != kind as u8 {
            return Err(cursor.damaged(kind.expected()).into());
        }
        let level = u16::from(cursor.u8()?);
        // Each level is one below the last, so that no node leads back to itself.
        if above.is_some_and(|above| level + 1 != above) {
            return Err(cursor.damaged("levels that count down").into());
        }
        let count = cursor.u16()?;
        let start = address + prefix.len() as u64;
        let bytes = file.read("B-tree", start, (key + offset) * u64::from(count))?;
        Ok(Self { level, count, bytes })
    }
}

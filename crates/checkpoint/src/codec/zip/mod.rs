//! Zip archives, read strictly: what two readers could understand in two ways is refused.
//!
//! The directory is read once, with the header of every member, so that where the bytes of each are is known
//! before any is read, and no two share a byte.

mod directory;
mod fault;
mod reader;
mod record;
mod write;

pub use fault::ZipFault;
pub(crate) use record::Record;
pub(crate) use write::ZipWriter;

use std::ops::Range;
use std::sync::Arc;

use crate::error::Error;
use crate::source::Source;

/// What every archive with a member begins with.
const MAGIC: &[u8; 4] = b"PK\x03\x04";

/// What an archive without members begins with: its end.
const EMPTY: &[u8; 4] = b"PK\x05\x06";

/// Whether a file begins as a zip archive does.
pub(crate) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || is_empty(head)
}

/// Whether a file begins as a zip archive without members does.
pub(crate) fn is_empty(head: &[u8]) -> bool {
    head.starts_with(EMPTY)
}

/// A member, as directory and header describe it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: Box<str>,
    pub(crate) deflated: bool,
    pub(crate) crc: u32,
    /// The length in bytes, inflated.
    pub(crate) size: u64,
    packed: u64,
    /// Where its header is, and its bytes.
    header: u64,
    start: u64,
}

impl Member {
    /// Where its bytes are, compressed or not. They end within the file.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.packed
    }
}

/// An open archive.
#[derive(Debug)]
pub(crate) struct Archive {
    source: Source,
    /// In the order of the directory.
    members: Vec<Member>,
    /// Places in `members` in the order of the names.
    by_name: Vec<u32>,
    /// Whether sums were written.
    summed: bool,
}

impl Archive {
    /// Reads the directory and the header of each member.
    pub(crate) fn open(source: &Source) -> Result<Self, Error> {
        let members = directory::read(source)?;
        let fault = |cause| Error::Zip { path: source.path().to_path_buf(), cause };
        let mut by_name: Vec<u32> = (0..members.len() as u32).collect();
        by_name.sort_unstable_by_key(|&place| &members[place as usize].name);
        let twice = by_name
            .array_windows()
            .find(|[a, b]| members[*a as usize].name == members[*b as usize].name);
        if let Some([place, _]) = twice {
            let name = members[*place as usize].name.to_string();
            return Err(fault(ZipFault::Duplicate { name }));
        }
        Ok(Self { source: source.clone(), members, by_name, summed: true })
    }

    /// Takes sums that are all 0 as not written.
    pub(crate) fn with_sums_left_out(mut self) -> Self {
        self.summed = self.members.iter().any(|member| member.crc != 0);
        self
    }

    /// The members, in the order of the directory.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Member> {
        let named = |place: &u32| self.members[*place as usize].name.as_ref().cmp(name);
        let at = self.by_name.binary_search_by(named).ok()?;
        self.members.get(self.by_name[at] as usize)
    }

    /// The bytes of a member, to be read when they are asked for.
    pub(crate) fn record(&self, member: &Member) -> Arc<Record> {
        Arc::new(Record::of_member(&self.source, member, self.summed))
    }
}

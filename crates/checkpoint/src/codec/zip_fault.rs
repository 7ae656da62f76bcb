//! What is wrong with a zip file.

use super::cursor::CutFault;

/// Why a file is not accepted as a zip archive, or one of its members cannot be read.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, Source, ZipFault};
/// let cut = Source::from_bytes(b"PK\x03\x04 and no more".to_vec(), "x.npz");
/// let error = Checkpoint::open_source(&cut).unwrap_err();
/// assert!(matches!(error, Error::Zip { cause: ZipFault::NoDirectory, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipFault {
    /// The record that ends every archive is not there.
    #[error("the directory at the end is missing: the file is cut, fetch or save it again")]
    NoDirectory,
    /// The file ends within a record.
    #[error("a record of {needed} bytes begins at byte {position} and does not fit")]
    Cut {
        /// Where the record begins.
        position: u64,
        /// Its length.
        needed: u64,
    },
    /// A record does not begin with its signature.
    #[error("expected {expected} at byte {position}")]
    Signature {
        /// The record that belongs there.
        expected: &'static str,
        /// The place.
        position: u64,
    },
    /// The archive spans several files.
    #[error("it is one of several parts: join them, or save it in one file")]
    SeveralParts,
    /// Two records of the directory's place or length do not agree.
    #[error("the directory is said to be at bytes {start}..{end}, and {found} ends it")]
    DirectoryPlace {
        /// The start that is given.
        start: u64,
        /// The end that follows from start and length.
        end: u64,
        /// Where it must end.
        found: u64,
    },
    /// The short and the long record at the end contradict each other.
    #[error("the two records at the end differ in {what}: {short} and {long}")]
    TwoDirectories {
        /// What they differ in.
        what: &'static str,
        /// What the short record says.
        short: u64,
        /// What the long record says.
        long: u64,
    },
    /// The number of members is not the one given.
    #[error("{claimed} members are announced, the directory has room for {found}")]
    MemberCount {
        /// The number given.
        claimed: u64,
        /// The number found.
        found: u64,
    },
    /// There are more members than any model has tensors.
    #[error("{count} members, at most {limit} are read")]
    TooManyMembers {
        /// The number given.
        count: u64,
        /// The most that are read.
        limit: usize,
    },
    /// The names together are longer than those of any model.
    #[error("the names of the members take more than {limit} bytes together")]
    NamesOverLimit {
        /// The most that are read.
        limit: usize,
    },
    /// A member's name is not UTF-8.
    #[error("the name of the member at byte {position} is not UTF-8: save the file again")]
    NameNotUtf8 {
        /// Where the entry of the directory begins.
        position: u64,
    },
    /// Two members have the same name.
    #[error("two members are called {member:?}")]
    Duplicate {
        /// The name.
        member: String,
    },
    /// Two members share bytes.
    #[error("{member:?} begins at byte {begin}, within {other:?} that ends at byte {end}")]
    Overlap {
        /// The later one.
        member: String,
        /// Where it begins.
        begin: u64,
        /// The earlier one.
        other: String,
        /// Where that ends.
        end: u64,
    },
    /// A member is encrypted.
    #[error("{member:?} is encrypted: save it without a password")]
    Encrypted {
        /// The member.
        member: String,
    },
    /// A member is compressed in a way that is not read.
    #[error("{member:?} is compressed by method {method}; stored (0) and deflated (8) are read")]
    Method {
        /// The member.
        member: String,
        /// The number of the method.
        method: u16,
    },
    /// A member's own header contradicts the directory.
    #[error("the header of {member:?} and the directory differ in {what}")]
    Contradiction {
        /// The member.
        member: String,
        /// What they differ in.
        what: &'static str,
    },
    /// A member reaches into the directory, or past the end.
    #[error("{member:?} ends at byte {end}, and the directory begins at {limit}")]
    PastDirectory {
        /// The member.
        member: String,
        /// Where it ends; the largest number if it does not fit.
        end: u64,
        /// Where the directory begins.
        limit: u64,
    },
    /// The sizes of a member cannot both be true.
    #[error("{member:?} is said to have {size} bytes made of {packed}, which cannot be")]
    Sizes {
        /// The member.
        member: String,
        /// The bytes as they are read.
        size: u64,
        /// The bytes in the file.
        packed: u64,
    },
    /// A member has another number of bytes than the directory says.
    #[error("{member:?} is said to have {claimed} bytes and has {}{found}", if *.found > *.claimed { "at least " } else { "" })]
    Length {
        /// The member.
        member: String,
        /// The number given.
        claimed: u64,
        /// The number found.
        found: u64,
    },
    /// Compressed data is followed by something else.
    #[error("the compressed data of {member:?} is followed by {extra} bytes more")]
    AfterData {
        /// The member.
        member: String,
        /// The bytes too many.
        extra: u64,
    },
    /// Compressed data does not decompress.
    #[error("the compressed data of {member:?} is damaged: fetch or save the file again")]
    Damaged {
        /// The member.
        member: String,
    },
    /// The checksum of a member is another.
    #[error(
        "the checksum of {member:?} is {found:08x} and should be {expected:08x}: it is damaged"
    )]
    Checksum {
        /// The member.
        member: String,
        /// The one in the directory.
        expected: u32,
        /// That of the data.
        found: u32,
    },
}

impl CutFault for ZipFault {
    fn cut(position: u64, needed: u64) -> Self {
        Self::Cut { position, needed }
    }
}

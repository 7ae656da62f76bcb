//! What is wrong with a zip archive.

/// Why an archive is not accepted as a checkpoint's, or cannot be written.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, Source, ZipFault};
/// let cut = Source::from_bytes(b"PK\x03\x04 and no more".to_vec(), "model.pt");
/// let error = Checkpoint::open_source(&cut).unwrap_err();
/// assert!(matches!(error, Error::Zip { cause: ZipFault::NoEnd, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipFault {
    /// The record that ends every archive is not there.
    #[error("it has no end of directory: it is cut, fetch or save it again")]
    NoEnd,
    /// The records at the end contradict each other or lead out of the file.
    #[error("its end of directory is not sound: {what}")]
    End {
        /// What is wrong.
        what: &'static str,
    },
    /// There are more members than any checkpoint has.
    #[error("it has {found} members, at most {limit} are read")]
    TooManyMembers {
        /// The number of members that the archive gives.
        found: u64,
        /// The most that are read.
        limit: u64,
    },
    /// The directory is longer than that of any checkpoint.
    #[error("its directory has {length} bytes, at most {limit} are read")]
    DirectoryOverLimit {
        /// The length that the archive gives for its directory.
        length: u64,
        /// The longest that is read.
        limit: u64,
    },
    /// The directory holds something else than its entries.
    #[error("entry {entry} of its directory is not sound: {what}")]
    Entry {
        /// The entry, counted from 0.
        entry: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Two members have one name.
    #[error("it has two members {name:?}: which is meant cannot be told")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A member is encrypted.
    #[error("its member {name:?} is encrypted: decrypt it before")]
    Encrypted {
        /// The member.
        name: String,
    },
    /// A member is compressed by a method other than deflate.
    #[error(
        "its member {name:?} is compressed by method {method}; 0 (stored) and 8 (deflate) are read"
    )]
    Method {
        /// The member.
        name: String,
        /// The method's number.
        method: u16,
    },
    /// The header in front of a member says something else than the directory.
    #[error("the header of its member {name:?} does not agree with the directory: {what}")]
    Header {
        /// The member.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Two members share bytes.
    #[error("its members {name:?} and {other:?} overlap")]
    Overlap {
        /// The first of them in the file.
        name: String,
        /// The one that begins within the first.
        other: String,
    },
    /// A member ends behind the place where the directory begins.
    #[error("its member {name:?} ends at byte {end}, the members at {limit}: it is cut")]
    PastEnd {
        /// The member.
        name: String,
        /// Its end.
        end: u64,
        /// Where the directory begins.
        limit: u64,
    },
    /// A member that is read as a whole would become much larger than the file.
    #[error(
        "its member {name:?} inflates to {size} bytes, at most {limit} are for a file of this length"
    )]
    Inflates {
        /// The member.
        name: String,
        /// The size that the archive gives.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The two lengths of a member cannot both be true.
    #[error("its member {name:?} is said to have {size} bytes made of {packed}, which cannot be")]
    Sizes {
        /// The member.
        name: String,
        /// The bytes that it is said to have.
        size: u64,
        /// The bytes in the archive.
        packed: u64,
    },
    /// A member is not as long as the directory says.
    #[error(
        "its member {name:?} has {}{found} bytes and should have {needed}",
        if *.found > *.needed { "at least " } else { "" }
    )]
    Length {
        /// The member.
        name: String,
        /// The size that the archive gives.
        needed: u64,
        /// The bytes that come out.
        found: u64,
    },
    /// The compressed bytes of a member are not such.
    #[error("its member {name:?} does not inflate: it is damaged, fetch or save it again")]
    Damaged {
        /// The member.
        name: String,
    },
    /// Compressed bytes are followed by something else.
    #[error("the compressed bytes of its member {name:?} are followed by {extra} more")]
    AfterData {
        /// The member.
        name: String,
        /// The bytes too many.
        extra: u64,
    },
    /// The bytes of a member are not those that were written.
    #[error(
        "its member {name:?} is damaged: its CRC-32 is {found:08x} and should be {expected:08x}"
    )]
    Crc {
        /// The member.
        name: String,
        /// The sum that the archive gives.
        expected: u32,
        /// The sum of the bytes.
        found: u32,
    },
}

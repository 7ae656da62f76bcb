//! What a `.keras` file can be refused for.

/// Why a file is not accepted as one that Keras 3 saved. What is wrong with the weights in it is an
/// [`Hdf5Fault`](crate::Hdf5Fault).
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, KerasFault, Source};
/// let start = [&b"PK\x03\x04"[..], &[0; 22], &[13, 0, 0, 0], b"metadata.json"].concat();
/// let error = Checkpoint::open_source(&Source::from_bytes(start, "model.keras")).unwrap_err();
/// assert!(matches!(error, Error::Keras { cause: KerasFault::NoDirectory, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KerasFault {
    /// The end of the zip, which tells what is in it, is missing.
    #[error(
        "the directory at the end of the zip is missing: the file is cut, fetch or save it again"
    )]
    NoDirectory,
    /// A structure of the zip is not what belongs at that place.
    #[error("the {structure} at byte {address} of the zip should have {expected}: it is damaged")]
    Damaged {
        /// What should be there.
        structure: &'static str,
        /// Where it begins.
        address: u64,
        /// What was missed.
        expected: &'static str,
    },
    /// There are more members than Keras writes.
    #[error("the zip has {found} members, {limit} are read")]
    TooManyMembers {
        /// How many there are.
        found: u64,
        /// The most that are read.
        limit: u64,
    },
    /// A name stands twice in the directory.
    #[error("the zip has {member:?} twice")]
    DuplicateMember {
        /// The name.
        member: String,
    },
    /// Two members share bytes of the file.
    #[error("{member:?} and {other:?} of the zip share bytes")]
    Overlap {
        /// The first.
        member: String,
        /// The second.
        other: String,
    },
    /// A member is encrypted.
    #[error("{member:?} of the zip is encrypted: save it without a password")]
    Encrypted {
        /// The member.
        member: String,
    },
    /// A member is compressed in a way that is not read.
    #[error(
        "{member:?} of the zip is compressed with method {method}: 0 (stored) and 8 (deflated) are read"
    )]
    UnknownMethod {
        /// The member.
        member: String,
        /// The number of the method.
        method: u16,
    },
    /// Directory and header of a member say different things.
    #[error("directory and header do not agree on {member:?} of the zip")]
    HeaderMismatch {
        /// The member.
        member: String,
    },
    /// A member is missing.
    #[error("the zip has no {member:?}: it is no model that Keras saved in one file")]
    MissingMember {
        /// The member.
        member: &'static str,
    },
    /// A member claims more bytes than are read.
    #[error("{member:?} of the zip claims {claimed} bytes, {limit} are read of one so long")]
    TooLarge {
        /// The member.
        member: String,
        /// The length that the directory gives.
        claimed: u64,
        /// The most that are read.
        limit: u64,
    },
    /// A member does not have the length that the directory gives.
    #[error("{member:?} of the zip does not have the {expected} bytes that its directory tells")]
    Length {
        /// The member.
        member: String,
        /// The length that the directory gives.
        expected: u64,
    },
    /// A member does not have the checksum that the directory gives.
    #[error("the checksum of {member:?} in the zip is wrong: the file is damaged")]
    Checksum {
        /// The member.
        member: String,
    },
    /// A member that is text is not UTF-8.
    #[error("{member:?} of the zip is not UTF-8")]
    NotUtf8 {
        /// The member.
        member: String,
    },
}

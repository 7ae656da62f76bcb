//! What a `.keras` file can be refused for.

/// Why a file is not accepted as one that Keras 3 saved. What is wrong with the archive is a
/// [`ZipFault`](crate::ZipFault), and with the weights in it an [`Hdf5Fault`](crate::Hdf5Fault).
///
/// ```
/// use espalier_checkpoint::KerasFault;
/// let fault = KerasFault::MissingMember { member: "config.json" };
/// assert!(fault.to_string().contains("has no \"config.json\""));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KerasFault {
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
        member: &'static str,
        /// The length that the directory gives.
        claimed: u64,
        /// The most that are read.
        limit: u64,
    },
    /// A member that is text is not UTF-8.
    #[error("{member:?} of the zip is not UTF-8")]
    NotUtf8 {
        /// The member.
        member: &'static str,
    },
}

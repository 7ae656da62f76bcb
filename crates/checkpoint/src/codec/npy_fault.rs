//! What is wrong with an npy file.

use crate::dtype::Dtype;

/// Why a file is not accepted as npy, or an array cannot be written as such.
///
/// ```
/// use espalier_checkpoint::{Error, NpyFault, read_npy_bytes};
/// let error = read_npy_bytes(b"not an array", "x.npy").unwrap_err();
/// assert!(matches!(error, Error::Npy { cause: NpyFault::NotNpy, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyFault {
    /// The file does not begin as an npy file does.
    #[error("it does not begin with the npy signature")]
    NotNpy,
    /// The version of the format is not known.
    #[error("version {major}.{minor} of the format; 1.0, 2.0 and 3.0 are read")]
    UnknownVersion {
        /// The major version.
        major: u8,
        /// The minor version.
        minor: u8,
    },
    /// The header is longer than any plain array needs.
    #[error("the header has {length} bytes, at most {limit} are read")]
    HeaderOverLimit {
        /// The length that the file gives for its header.
        length: u64,
        /// The longest that is read.
        limit: u64,
    },
    /// The file ends within the signature or the header.
    #[error("the file ends within the header: it is cut, fetch or save it again")]
    HeaderCut,
    /// The header is not the dictionary that it should be.
    #[error("expected {expected} at byte {position} of the header")]
    Header {
        /// What belongs there.
        expected: &'static str,
        /// The place, in bytes from the start of the header.
        position: usize,
    },
    /// A key of the header is not known.
    #[error("the header has the unknown key {key:?}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key stands twice in the header.
    #[error("the key {key:?} stands twice in the header, again at byte {position}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The place of the second.
        position: usize,
    },
    /// A key is missing from the header.
    #[error("the header has no {key:?}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// The array holds Python objects, which are code.
    #[error("it holds Python objects, which are not read: save it as an array of numbers")]
    Objects,
    /// The array holds records.
    #[error("it holds records, which are not read: save one array for each field")]
    Structured,
    /// The element type is not a plain number or truth value.
    #[error(
        "elements of type {descr:?} are not read; convert to one of f2 f4 f8 c8 c16 u1 u2 u4 u8 i1 i2 i4 i8 b1"
    )]
    UnsupportedType {
        /// The type, as the file spells it.
        descr: String,
    },
    /// The array has more dimensions than numpy knows.
    #[error("more than {limit} dimensions")]
    RankOverLimit {
        /// The most that are read or written.
        limit: usize,
    },
    /// A size in the shape does not fit a machine word.
    #[error("the size at byte {position} of the header overflows")]
    SizeOverflow {
        /// The place, in bytes from the start of the header.
        position: usize,
    },
    /// The size of the shape does not fit a machine word.
    #[error("the size of {dtype} {shape:?} overflows")]
    ShapeOverflow {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// The bytes of data are not as many as type and shape take.
    #[error("{dtype} {shape:?} takes {needed} bytes, {found} follow the header")]
    DataLength {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
        /// The bytes that type and shape take.
        needed: u64,
        /// The bytes after the header.
        found: u64,
    },
    /// The values to write are not as many as the shape holds.
    #[error("shape {shape:?} holds {needed} elements, found {found}")]
    ElementCount {
        /// The shape.
        shape: Vec<usize>,
        /// The elements that the shape takes.
        needed: usize,
        /// The elements given.
        found: usize,
    },
    /// The elements are complex, where real numbers are needed.
    #[error(
        "its elements are {dtype}, complex numbers; real ones are needed: save one part of them"
    )]
    Complex {
        /// The type.
        dtype: Dtype,
    },
    /// The format has no such type.
    #[error("tensor {tensor:?} is {dtype}, which npy has not: convert it before")]
    NoSuchDtype {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
}

impl NpyFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self, Self::NoSuchDtype { .. } | Self::ElementCount { .. })
    }
}

//! What is wrong with an IDX file.

/// Why a file is not an acceptable IDX file, or not one of what it was given for.
///
/// ```
/// use espalier_data::{DataError, IdxFault, read_idx_bytes};
/// let error = read_idx_bytes((b"PK\x03\x04", "images"), (b"", "labels"), None).unwrap_err();
/// assert!(matches!(error, DataError::Idx { cause: IdxFault::Magic { found: [0x50, 0x4b, 3, 4] }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxFault {
    /// The file ends within its header.
    #[error("it ends after {found} bytes; expected a header of {expected}")]
    Short {
        /// The bytes that there are.
        found: usize,
        /// The bytes that a header takes.
        expected: usize,
    },
    /// The first bytes are of another format.
    #[error(
        "it starts with {:02x} {:02x} {:02x} {:02x}; expected 00 00, a type from 08 to 0e, and the \
         number of dimensions",
        found[0], found[1], found[2], found[3]
    )]
    Magic {
        /// The first bytes.
        found: [u8; 4],
    },
    /// The number of bytes is not what the header says.
    #[error("{dims:?} elements of {width} bytes take {expected} bytes; found {found}")]
    Length {
        /// The sizes in the header.
        dims: Vec<usize>,
        /// The bytes of an element.
        width: usize,
        /// The bytes that they take, as text: it may be more than can be counted.
        expected: String,
        /// The bytes that there are, as text: of a packed file, it may be only known that there are
        /// fewer, or more.
        found: String,
    },
    /// The packed bytes cannot be unpacked.
    #[error("it cannot be unpacked: {cause}; expected a whole gzip file")]
    Gzip {
        /// What the reader said.
        cause: String,
    },
    /// Sizes that inputs cannot have.
    #[error(
        "its sizes are {dims:?}; expected those of inputs, [n, height, width], [n, channels, height, \
         width] or [n, features], none of them 0"
    )]
    Inputs {
        /// The sizes.
        dims: Vec<usize>,
    },
    /// Sizes that labels cannot have.
    #[error("its sizes are {dims:?}; expected those of labels, [n]: are the two files swapped?")]
    Labels {
        /// The sizes.
        dims: Vec<usize>,
    },
    /// A type that labels cannot have.
    #[error("its elements are of type {found:02x}, floating point; expected whole numbers")]
    LabelType {
        /// The type.
        found: u8,
    },
}

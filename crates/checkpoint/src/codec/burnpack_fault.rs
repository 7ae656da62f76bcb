//! What is wrong with a burnpack file.

use super::cursor::CutFault;
use crate::dtype::Dtype;

/// Why a file is not accepted as Burn's burnpack, or a checkpoint cannot be written as such.
///
/// ```
/// use espalier_checkpoint::{BurnpackFault, Checkpoint, Error, Source};
/// let file = [&b"NRUB"[..], &9u16.to_le_bytes(), &[0; 4]].concat();
/// let error = Checkpoint::open_source(&Source::from_bytes(file, "x.bpk")).unwrap_err();
/// assert!(matches!(error, Error::Burnpack { cause: BurnpackFault::UnknownVersion { version: 9 }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BurnpackFault {
    /// The file, or its header, ends within something.
    #[error(
        "the {needed} bytes that begin at byte {position} do not fit: the file is cut, fetch or save it again"
    )]
    Cut {
        /// Where it begins.
        position: u64,
        /// Its length.
        needed: u64,
    },
    /// The file does not begin as a burnpack file does.
    #[error("it does not begin with the burnpack signature")]
    NotBurnpack,
    /// The version of the format is not known.
    #[error("version {version} of the format; 1 is read")]
    UnknownVersion {
        /// The version.
        version: u16,
    },
    /// The header is longer than the format allows.
    #[error("the header has {length} bytes, at most {limit} are allowed")]
    HeaderOverLimit {
        /// Its length.
        length: u64,
        /// The most the format allows.
        limit: u64,
    },
    /// The header is not the CBOR it should be.
    #[error("expected {expected} at byte {position}")]
    Header {
        /// What belongs there.
        expected: &'static str,
        /// The place, in bytes from the start of the file.
        position: u64,
    },
    /// A text is not UTF-8.
    #[error("the text at byte {position} is not UTF-8")]
    NotUtf8 {
        /// Where it begins.
        position: u64,
    },
    /// There is more of something than the file can hold, or than is read.
    #[error("{count} {what}, at most {limit} are read of a header of this length")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The number given.
        count: u64,
        /// The most that are read.
        limit: u64,
    },
    /// Names and texts together are longer than those of any model.
    #[error("names and texts take more than {limit} bytes together")]
    NamesOverLimit {
        /// The most that are read.
        limit: usize,
    },
    /// A key stands twice.
    #[error("the key {key:?} stands twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A part of a tensor's description is missing.
    #[error("tensor {tensor:?} has no {missing}")]
    Missing {
        /// The tensor.
        tensor: String,
        /// What is missing.
        missing: &'static str,
    },
    /// The type of a tensor is not known.
    #[error("tensor {tensor:?} has the unknown type {found:?}")]
    UnknownType {
        /// The tensor.
        tensor: String,
        /// The type, as the file spells it.
        found: String,
    },
    /// A tensor has more dimensions than any library knows.
    #[error("tensor {tensor:?} has more than {limit} dimensions")]
    RankOverLimit {
        /// The tensor.
        tensor: String,
        /// The most that are read or written.
        limit: usize,
    },
    /// The size of a tensor cannot be counted.
    #[error("the size of tensor {tensor:?}, {dtype} {shape:?}, overflows")]
    ShapeOverflow {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The bytes of a tensor are not as many as type and shape take.
    #[error(
        "tensor {tensor:?}, {dtype} {shape:?}, takes {needed} bytes and is given {begin}..{end}"
    )]
    DataLength {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// The bytes that type and shape take.
        needed: u64,
        /// Where it begins in the data.
        begin: u64,
        /// Where it ends.
        end: u64,
    },
    /// A tensor reaches past the end of the file.
    #[error(
        "tensor {tensor:?} ends at byte {end} of the data, which has {available}: the file is cut"
    )]
    PastEnd {
        /// The tensor.
        tensor: String,
        /// Where it ends.
        end: u64,
        /// The bytes there are.
        available: u64,
    },
    /// Two tensors share bytes.
    #[error(
        "tensor {tensor:?} begins at byte {begin} of the data, within {other:?} that ends at {end}"
    )]
    Overlap {
        /// The later one.
        tensor: String,
        /// Where it begins.
        begin: u64,
        /// The earlier one.
        other: String,
        /// Where that ends.
        end: u64,
    },
    /// The elements of a tensor are packed in blocks, which are not read.
    #[error(
        "tensor {tensor:?} is quantized, which is not read: dequantize the model before saving"
    )]
    Quantized {
        /// The tensor.
        tensor: String,
    },
    /// The format has no such type.
    #[error("tensor {tensor:?} is {dtype}, which burnpack has not: convert it before")]
    NoSuchDtype {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A tensor is larger than the format allows.
    #[error("tensor {tensor:?} has {length} bytes, at most {limit} are allowed")]
    TensorOverLimit {
        /// The tensor's name.
        tensor: String,
        /// Its length.
        length: u64,
        /// The most the format allows.
        limit: u64,
    },
    /// A note of the reader in the metadata does not say what it should.
    #[error("the metadata {key:?} is {value:?}, and should be {expected}")]
    Note {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl BurnpackFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self, Self::NoSuchDtype { .. })
    }
}

impl CutFault for BurnpackFault {
    fn cut(position: u64, needed: u64) -> Self {
        Self::Cut { position, needed }
    }
}

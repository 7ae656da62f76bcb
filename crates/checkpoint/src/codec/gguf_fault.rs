//! What is wrong with a GGUF file.

use super::cursor::CutFault;

/// Why a file is not accepted as GGUF, or a tensor of it cannot be read.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, GgufFault, Source};
/// let file = [&b"GGUF"[..], &9u32.to_le_bytes()].concat();
/// let error = Checkpoint::open_source(&Source::from_bytes(file, "x.gguf")).unwrap_err();
/// assert!(matches!(error, Error::Gguf { cause: GgufFault::UnknownVersion { version: 9 }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufFault {
    /// The file ends within something.
    #[error(
        "the file ends within the {needed} bytes that begin at byte {position}: fetch it again"
    )]
    Cut {
        /// Where it begins.
        position: u64,
        /// Its length.
        needed: u64,
    },
    /// The file does not begin as a GGUF file does.
    #[error("it does not begin with the GGUF signature")]
    NotGguf,
    /// The version of the format is not known.
    #[error("version {version} of the format; 2 and 3 are read: convert the file")]
    UnknownVersion {
        /// The version.
        version: u32,
    },
    /// The numbers are big-endian.
    #[error("it is big-endian; little-endian files are read: convert it with gguf-convert-endian")]
    BigEndian,
    /// There is more of something than the file can hold, or than is read.
    #[error("{count} {what}, at most {limit} are read of a file of this length")]
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
    /// A text is not UTF-8.
    #[error("the text at byte {position} is not UTF-8")]
    NotUtf8 {
        /// Where it begins.
        position: u64,
    },
    /// The type of a value is not known.
    #[error("the value of {key:?} has the unknown type {found}")]
    UnknownValueType {
        /// The key.
        key: String,
        /// The number of the type.
        found: u32,
    },
    /// Arrays in arrays.
    #[error("the value of {key:?} is an array of arrays, which are not read")]
    NestedArrays {
        /// The key.
        key: String,
    },
    /// A key stands twice.
    #[error("the key {key:?} stands twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// The alignment is impossible.
    #[error("general.alignment is {found}; a power of two from 8 to 2^20 is needed")]
    Alignment {
        /// What the file has.
        found: String,
    },
    /// Two tensors have one name.
    #[error("two tensors are called {tensor:?}")]
    DuplicateTensor {
        /// The name.
        tensor: String,
    },
    /// A tensor has more dimensions than any library knows.
    #[error("tensor {tensor:?} has {found} dimensions, at most {limit} are read")]
    RankOverLimit {
        /// The tensor.
        tensor: String,
        /// Its number of dimensions.
        found: u32,
        /// The most that are read.
        limit: usize,
    },
    /// The size of a tensor cannot be counted.
    #[error("the size of tensor {tensor:?}, {shape:?}, overflows")]
    ShapeOverflow {
        /// The tensor.
        tensor: String,
        /// Its shape, outermost first.
        shape: Vec<u64>,
    },
    /// The type of a tensor is not known.
    #[error("tensor {tensor:?} has the unknown type {found}")]
    UnknownType {
        /// The tensor.
        tensor: String,
        /// The number of the type.
        found: u32,
    },
    /// Rows of a quantized tensor do not consist of whole blocks.
    #[error("tensor {tensor:?} is {kind} and has rows of {row} elements, no multiple of {block}")]
    PartialBlock {
        /// The tensor.
        tensor: String,
        /// Its type.
        kind: &'static str,
        /// The elements in a row.
        row: u64,
        /// The elements in a block.
        block: u64,
    },
    /// A tensor does not begin where one may.
    #[error("tensor {tensor:?} begins at byte {offset} of the data, no multiple of {alignment}")]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Where it begins.
        offset: u64,
        /// The alignment.
        alignment: u64,
    },
    /// A tensor reaches past the end of the file.
    #[error(
        "tensor {tensor:?} ends at byte {end} of the data, which has {available}: the file is cut"
    )]
    PastEnd {
        /// The tensor.
        tensor: String,
        /// Where it ends; the largest number if it does not fit.
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
        "tensor {tensor:?} is quantized as {kind}, which is not read: dequantize the model to F32 before"
    )]
    Quantized {
        /// The tensor.
        tensor: String,
        /// Its type.
        kind: &'static str,
    },
}

impl CutFault for GgufFault {
    fn cut(position: u64, needed: u64) -> Self {
        Self::Cut { position, needed }
    }
}

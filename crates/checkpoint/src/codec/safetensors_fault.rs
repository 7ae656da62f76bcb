//! What a safetensors file can be refused for.

use crate::dtype::Dtype;

/// Why a file is not accepted as safetensors, or a checkpoint cannot be written as such.
///
/// Offsets are in bytes and count from the end of the header, as they do in the file.
///
/// ```
/// use espalier_checkpoint::{Error, SafetensorsFault, read_safetensors_bytes};
/// let error = read_safetensors_bytes(b"short", "model.safetensors").unwrap_err();
/// assert!(matches!(error, Error::Safetensors { cause: SafetensorsFault::TooShort { found: 5 }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsFault {
    /// There is no room for the length of the header.
    #[error(
        "the file has {found} bytes, a header takes at least 8: the file is cut or of another format"
    )]
    TooShort {
        /// The length of the file in bytes.
        found: u64,
    },
    /// The header is longer than the rest of the file.
    #[error(
        "the header claims {length} bytes, {available} follow: the file is cut or of another format"
    )]
    HeaderPastEnd {
        /// The length that the file gives for its header.
        length: u64,
        /// The bytes after that length.
        available: u64,
    },
    /// The header is longer than the format allows.
    #[error("the header has {length} bytes, the format allows {limit}")]
    HeaderOverLimit {
        /// The length of the header.
        length: u64,
        /// The longest allowed.
        limit: u64,
    },
    /// The header is not UTF-8.
    #[error("the header is not UTF-8 from its byte {position} on")]
    NotUtf8 {
        /// The first byte of the header that is not.
        position: usize,
    },
    /// The header is not JSON, or not of the kind that belongs at that place.
    #[error("the header{}: {reason}", of_tensor(tensor.as_deref()))]
    Json {
        /// The tensor (or `__metadata__`) whose description was being read.
        tensor: Option<String>,
        /// What the JSON parser found.
        reason: String,
    },
    /// The header does not begin with `{`, as the format asks.
    #[error("the header does not begin with an opening brace: the file is of another format")]
    NotAnObject,
    /// A key stands twice in the same object.
    #[error("the key {key:?} stands twice{}", of_tensor(within.as_deref()))]
    DuplicateKey {
        /// The key.
        key: String,
        /// The tensor (or `__metadata__`) within which it stands; none for the names of the tensors.
        within: Option<String>,
    },
    /// There are more names than any checkpoint has.
    #[error("the header has more than {limit} keys: split the checkpoint into several files")]
    TooManyKeys {
        /// The most that are read or written.
        limit: usize,
    },
    /// All tensors together have more dimensions than any checkpoint has.
    #[error("the header has more than {limit} dimensions: split the checkpoint into several files")]
    TooManyDimensions {
        /// The most that are read or written.
        limit: usize,
    },
    /// A name or a text of the metadata is longer than any that has a use.
    #[error("the text at byte {position} of the header is longer than {limit} bytes: shorten it")]
    TextOverLimit {
        /// Where it begins, in bytes from the start of the header.
        position: usize,
        /// The longest that is read or written.
        limit: usize,
    },
    /// A tensor has more dimensions than any library knows.
    #[error("tensor {tensor:?} has more than {limit} dimensions")]
    RankOverLimit {
        /// The tensor.
        tensor: String,
        /// The most that are read or written.
        limit: usize,
    },
    /// A tensor's type is not known.
    #[error("tensor {tensor:?} has the unknown type {found:?}")]
    UnknownDtype {
        /// The tensor.
        tensor: String,
        /// The type that the file gives.
        found: String,
    },
    /// A tensor to be written has a type that the format does not know.
    #[error(
        "tensor {tensor:?} is {dtype}, which safetensors has not: convert it or choose another format"
    )]
    NoSuchDtype {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// The size of a shape does not fit a machine word.
    #[error("the size of tensor {tensor:?} overflows: {dtype} {shape:?}")]
    ShapeOverflow {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Elements smaller than a byte end within a byte.
    #[error("tensor {tensor:?} does not end at a whole byte: {dtype} {shape:?}")]
    PartialByte {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor ends before it begins.
    #[error("tensor {tensor:?} begins at {begin} and ends before, at {end}")]
    ReversedOffsets {
        /// The tensor.
        tensor: String,
        /// Its first byte.
        begin: u64,
        /// The byte after its last.
        end: u64,
    },
    /// A tensor ends after the file.
    #[error(
        "tensor {tensor:?} ends at {end}, the data at {available}: the file is cut, fetch it again"
    )]
    PastEnd {
        /// The tensor.
        tensor: String,
        /// The byte after its last.
        end: u64,
        /// The bytes of data in the file.
        available: u64,
    },
    /// The offsets hold another number of bytes than type and shape take.
    #[error("tensor {tensor:?}: {dtype} {shape:?} takes {needed} bytes, its offsets hold {found}")]
    SizeMismatch {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// The bytes that type and shape take.
        needed: u64,
        /// The bytes between the offsets.
        found: u64,
    },
    /// A tensor begins within the one before.
    #[error(
        "tensor {tensor:?} begins at {begin}, within the tensor before, which ends at {previous_end}"
    )]
    Overlap {
        /// The tensor.
        tensor: String,
        /// Its first byte.
        begin: u64,
        /// The end of the tensor before.
        previous_end: u64,
    },
    /// Bytes that belong to no tensor lie before this one.
    #[error(
        "tensor {tensor:?} begins at {begin}, the tensor before ends at {previous_end}: the bytes between belong to none"
    )]
    Hole {
        /// The tensor.
        tensor: String,
        /// Its first byte.
        begin: u64,
        /// The end of the tensor before.
        previous_end: u64,
    },
    /// Bytes that belong to no tensor lie at the end of the file.
    #[error("{extra} bytes after the last tensor belong to none")]
    TrailingBytes {
        /// How many.
        extra: u64,
    },
    /// A tensor to write has the name that the format keeps for the metadata.
    #[error("a tensor cannot be called {name:?}, the format keeps that name: rename it")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// The header cannot be put into JSON.
    #[error("the header cannot be written: {reason}")]
    Unwritable {
        /// What the JSON writer said.
        reason: String,
    },
}

impl SafetensorsFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(
            self,
            Self::NoSuchDtype { .. } | Self::ReservedName { .. } | Self::Unwritable { .. }
        )
    }
}

fn of_tensor(name: Option<&str>) -> String {
    name.map(|name| format!(" within {name:?}")).unwrap_or_default()
}

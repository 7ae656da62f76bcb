//! What is wrong with a msgpack file of Flax's.

use super::cursor::CutFault;
use crate::dtype::Dtype;

/// Why a file is not accepted as Flax's msgpack, or a checkpoint cannot be written as such.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, FlaxFault, Source};
/// let cut = Source::from_bytes(b"\x81\xa6params".to_vec(), "x.msgpack");
/// let error = Checkpoint::open_source(&cut).unwrap_err();
/// assert!(matches!(error, Error::Flax { cause: FlaxFault::Cut { .. }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlaxFault {
    /// The file ends within something.
    #[error(
        "the file ends within the {needed} bytes that begin at byte {position}: it is cut, fetch or save it again"
    )]
    Cut {
        /// Where it begins.
        position: u64,
        /// Its length.
        needed: u64,
    },
    /// The outermost value is no dictionary.
    #[error("the outermost value is no dictionary: save the whole tree of parameters")]
    NotADictionary,
    /// A byte begins no value.
    #[error("the byte {byte:#04x} at {position} begins no value")]
    UnknownByte {
        /// The byte.
        byte: u8,
        /// Its place.
        position: u64,
    },
    /// Dictionaries are nested too deep.
    #[error("{path:?} is nested deeper than {limit} dictionaries")]
    Depth {
        /// Where.
        path: String,
        /// The most that are read or written.
        limit: usize,
    },
    /// There is more of something than the file can hold, or than is read.
    #[error("{count} values at byte {position}, at most {limit} are read of a file of this length")]
    TooMany {
        /// Where.
        position: u64,
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
    /// A key is no text.
    #[error("the key at byte {position}, within {path:?}, is no text")]
    KeyNotText {
        /// The dictionary.
        path: String,
        /// Where the key begins.
        position: u64,
    },
    /// A text is not UTF-8.
    #[error("the text at byte {position} is not UTF-8")]
    NotUtf8 {
        /// Where it begins.
        position: u64,
    },
    /// A key stands twice in a dictionary.
    #[error("the key {path:?} stands twice")]
    DuplicateKey {
        /// The path of the key.
        path: String,
    },
    /// Two values have one path when their keys are joined.
    #[error("two values are called {path:?} when their keys are joined by /: rename one")]
    Collision {
        /// The path.
        path: String,
    },
    /// The kind of an extension is not known.
    #[error("{path:?} is an extension of the unknown kind {kind}")]
    UnknownExtension {
        /// Where.
        path: String,
        /// The kind.
        kind: i8,
    },
    /// An array is not written as Flax writes it.
    #[error("the array {path:?}: expected {expected} at byte {position}")]
    Payload {
        /// Where.
        path: String,
        /// What belongs there.
        expected: &'static str,
        /// The place.
        position: u64,
    },
    /// The type of an array is not known.
    #[error("the array {path:?} has elements of type {found:?}, which are not read")]
    UnknownType {
        /// Where.
        path: String,
        /// The type, as the file spells it.
        found: String,
    },
    /// An array has more dimensions than any library knows.
    #[error("{path:?} has more than {limit} dimensions")]
    RankOverLimit {
        /// Where.
        path: String,
        /// The most that are read or written.
        limit: usize,
    },
    /// The size of an array cannot be counted.
    #[error("the size of {path:?}, {dtype} {shape:?}, overflows")]
    ShapeOverflow {
        /// Where.
        path: String,
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// The bytes of an array are not as many as type and shape take.
    #[error("{path:?}, {dtype} {shape:?}, takes {needed} bytes and has {found}")]
    DataLength {
        /// Where.
        path: String,
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
        /// The bytes that type and shape take.
        needed: u64,
        /// The bytes there are.
        found: u64,
    },
    /// An array in chunks is not put together as Flax does it.
    #[error("the array {path:?} in chunks: {reason}")]
    Chunks {
        /// Where.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file goes on after its end.
    #[error("{extra} bytes follow the dictionary")]
    TrailingBytes {
        /// The bytes too many.
        extra: u64,
    },
    /// The format has no such type.
    #[error("tensor {tensor:?} is {dtype}, which Flax has not: convert it before")]
    NoSuchDtype {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A name is also the beginning of another.
    #[error(
        "{path:?} is a value and a dictionary, since another name goes on after it: rename one"
    )]
    ValueAndDictionary {
        /// The name.
        path: String,
    },
    /// A text or a tensor is too long to be written.
    #[error("{path:?} has {length} bytes, at most {limit} can be written")]
    TooLong {
        /// Where.
        path: String,
        /// Its length.
        length: u64,
        /// The most that can be written.
        limit: u64,
    },
}

impl FlaxFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self, Self::NoSuchDtype { .. } | Self::TooLong { .. })
    }
}

impl CutFault for FlaxFault {
    fn cut(position: u64, needed: u64) -> Self {
        Self::Cut { position, needed }
    }
}

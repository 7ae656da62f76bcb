//! What is wrong with a file of MXNet's.

use super::cursor::CutFault;
use crate::dtype::Dtype;

/// Why a file is not accepted as MXNet's `.params`, or a checkpoint cannot be written as such.
///
/// The names come after the arrays, so an array that cannot be read is known by its number only.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, MxnetFault, Source};
/// let file = [0x112u64, 0, 1 << 40].map(u64::to_le_bytes).concat();
/// let error = Checkpoint::open_source(&Source::from_bytes(file, "x.params")).unwrap_err();
/// assert!(matches!(error, Error::Mxnet { cause: MxnetFault::TooMany { .. }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MxnetFault {
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
    /// The file does not begin as a list of arrays does.
    #[error("it does not begin with the number 0x112 and eight bytes of zero")]
    NotMxnet,
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
    /// The layout of an array is not known.
    #[error("array {array} begins with 0x{found:08x}, which is no known layout")]
    UnknownLayout {
        /// The number of the array, from 0.
        array: u64,
        /// What it begins with.
        found: u32,
    },
    /// An array is sparse.
    #[error(
        "array {array} is sparse (storage type {storage}); dense arrays are read: use tostype('default') before saving"
    )]
    Sparse {
        /// The number of the array.
        array: u64,
        /// Its storage type.
        storage: i32,
    },
    /// An array has no shape yet.
    #[error("array {array} has no shape: initialize the network before saving")]
    NoShape {
        /// The number of the array.
        array: u64,
    },
    /// An array has an impossible number of dimensions.
    #[error("array {array} has {found} dimensions; 0 to {limit} are read")]
    Rank {
        /// The number of the array.
        array: u64,
        /// Its number of dimensions.
        found: i64,
        /// The most that are read.
        limit: usize,
    },
    /// The type of an array is not known.
    #[error("array {array} has the unknown type {found}")]
    UnknownType {
        /// The number of the array.
        array: u64,
        /// The number of the type.
        found: i32,
    },
    /// The size of an array cannot be counted.
    #[error("the size of array {array}, {dtype} {shape:?}, overflows")]
    ShapeOverflow {
        /// The number of the array.
        array: u64,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// An array reaches past the end of the file.
    #[error(
        "array {array}, {dtype} {shape:?}, takes {needed} bytes, and {available} are left: the file is cut"
    )]
    PastEnd {
        /// The number of the array.
        array: u64,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// The bytes it takes.
        needed: u64,
        /// The bytes there are.
        available: u64,
    },
    /// There are names for some arrays only, or for more than there are.
    #[error("{names} names for {arrays} arrays")]
    NameCount {
        /// The number of arrays.
        arrays: u64,
        /// The number of names.
        names: u64,
    },
    /// The names together are longer than those of any model.
    #[error("the names take more than {limit} bytes together")]
    NamesOverLimit {
        /// The most that are read.
        limit: usize,
    },
    /// A name is not UTF-8.
    #[error("the name of array {array} is not UTF-8")]
    NameNotUtf8 {
        /// The number of the array.
        array: u64,
    },
    /// Two arrays have one name.
    #[error("two arrays are called {name:?}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The file goes on after its end.
    #[error("{extra} bytes follow the names")]
    TrailingBytes {
        /// The bytes too many.
        extra: u64,
    },
    /// The format has no such type.
    #[error("tensor {tensor:?} is {dtype}, which MXNet has not: convert it before")]
    NoSuchDtype {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A tensor has too many dimensions to be written.
    #[error("tensor {tensor:?} has more than {limit} dimensions")]
    RankOverLimit {
        /// The tensor's name.
        tensor: String,
        /// The most that are written.
        limit: usize,
    },
}

impl MxnetFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self, Self::NoSuchDtype { .. } | Self::RankOverLimit { .. })
    }
}

impl CutFault for MxnetFault {
    fn cut(position: u64, needed: u64) -> Self {
        Self::Cut { position, needed }
    }
}

//! What is wrong with a PyTorch file.

use crate::dtype::Dtype;

/// Why a PyTorch file is not accepted, or a checkpoint cannot be written as one. Positions are in bytes from the
/// start of the pickle in a zip archive, and from the start of the file otherwise.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, Source, TorchFault};
/// let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
/// file.extend(b"\x80\x02M\xe9\x03.\x80\x02}.cos\nsystem\nX\x02\0\0\0ls\x85R.");
/// let error = Checkpoint::open_source(&Source::from_bytes(file, "evil.pt")).unwrap_err();
/// let Error::Torch { cause, .. } = error else { panic!("{error}") };
/// assert_eq!(cause, TorchFault::Forbidden { global: "os.system".into(), position: 25 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TorchFault {
    /// The pickle ends before it says so.
    #[error(
        "the pickle ends at byte {position} without STOP: the file is cut, fetch or save it again"
    )]
    NoStop {
        /// Where it ends.
        position: u64,
    },
    /// A pickle is longer than that of any checkpoint.
    #[error("the pickle is longer than {limit} bytes")]
    PickleOverLimit {
        /// The longest that is read.
        limit: u64,
    },
    /// Something follows the pickle.
    #[error("the pickle ends at byte {position}, and something follows")]
    AfterStop {
        /// Where it ends.
        position: u64,
    },
    /// There is no such operation, or it is of no use for a checkpoint.
    #[error("operation {opcode:#04x} at byte {position} of the pickle is not known here")]
    Opcode {
        /// The byte.
        opcode: u8,
        /// Its place.
        position: u64,
    },
    /// An operation needs more values than there are.
    #[error("operation {opcode:#04x} at byte {position} of the pickle finds too few values")]
    Underflow {
        /// The byte.
        opcode: u8,
        /// Its place.
        position: u64,
    },
    /// A value is fetched that was not put away.
    #[error("byte {position} of the pickle fetches value {index}, which was never stored")]
    DanglingMemo {
        /// The number of the value.
        index: u64,
        /// The place of the operation.
        position: u64,
    },
    /// A text is longer than what is left of the file.
    #[error("byte {position} of the pickle begins {length} bytes, and {left} are left")]
    Length {
        /// The length given.
        length: u64,
        /// The bytes left.
        left: u64,
        /// The place of the operation.
        position: u64,
    },
    /// A text or number is not written as it should be.
    #[error("byte {position} of the pickle should be followed by {expected}")]
    Malformed {
        /// What should be there.
        expected: &'static str,
        /// The place of the operation.
        position: u64,
    },
    /// Values are nested deeper than in any checkpoint.
    #[error("values are nested deeper than {limit}")]
    TooDeep {
        /// The most levels.
        limit: usize,
    },
    /// The values take more memory than a file of this length should.
    #[error(
        "its values take more than {limit} bytes, too many for a file of this length: they are repeated"
    )]
    TooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// A global that could do harm.
    #[error(
        "{global:?} at byte {position} of the pickle is code that no model needs, and is not loaded: \
         do not trust this file"
    )]
    Forbidden {
        /// The global, with its module.
        global: String,
        /// The place of its name.
        position: u64,
    },
    /// Something is called that is neither known nor a class.
    #[error(
        "byte {position} of the pickle calls {global:?}, which is neither known here nor a class: save the \
         state_dict() instead"
    )]
    Call {
        /// What is called.
        global: String,
        /// The place of the call.
        position: u64,
    },
    /// A call has other arguments than those that PyTorch writes.
    #[error(
        "the call of {global} at byte {position} of the pickle has other arguments than PyTorch writes"
    )]
    Arguments {
        /// What is called.
        global: String,
        /// The place of the call.
        position: u64,
    },
    /// A value is put into something that does not take it.
    #[error("operation {opcode:#04x} at byte {position} of the pickle changes {target}")]
    Target {
        /// The byte.
        opcode: u8,
        /// What it is applied to.
        target: &'static str,
        /// Its place.
        position: u64,
    },
    /// A reference is not to a storage.
    #[error("byte {position} of the pickle refers to something that is no storage of this file")]
    Reference {
        /// The place of the operation.
        position: u64,
    },
    /// A file of the old format does not begin as one.
    #[error("it does not begin with the {what} of PyTorch's old format")]
    Preamble {
        /// What is missing.
        what: &'static str,
    },
    /// The record of the byte order says something unknown.
    #[error("its byte order is {found:?}; `little` and `big` are read")]
    ByteOrder {
        /// What is there, at most 16 bytes of it.
        found: String,
    },
    /// A zip archive has no pickle, or two.
    #[error("it has {found} members data.pkl and should have one")]
    Pickles {
        /// The number of them.
        found: usize,
    },
    /// The storages of an old file are not as its pickle says.
    #[error("storage {key:?} takes {needed} bytes, and {found} are there")]
    StorageLength {
        /// The storage's key.
        key: String,
        /// The bytes that it should have.
        needed: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// A tar archive is not sound.
    #[error("its tar member {member}: {what}")]
    Tar {
        /// The member, counted from 0.
        member: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A tensor's storage is not in the file.
    #[error("tensor {tensor:?} lies in storage {key:?}, which the file has not")]
    MissingStorage {
        /// The tensor.
        tensor: String,
        /// The storage's key.
        key: String,
    },
    /// A tensor's storage has not as many bytes as the pickle says.
    #[error(
        "the storage of tensor {tensor:?} should have {claimed} elements of {width} bytes, and has {found} bytes"
    )]
    StorageCount {
        /// The tensor.
        tensor: String,
        /// The elements that the pickle gives.
        claimed: i64,
        /// The bytes of an element.
        width: usize,
        /// The bytes that are there.
        found: u64,
    },
    /// A size, step or offset is negative.
    #[error("tensor {tensor:?} has the {what} {value}, which is negative")]
    Negative {
        /// The tensor.
        tensor: String,
        /// Which of them.
        what: &'static str,
        /// The value.
        value: i64,
    },
    /// Sizes and steps are not as many as each other.
    #[error("tensor {tensor:?} has {sizes} sizes and {strides} steps")]
    Rank {
        /// The tensor.
        tensor: String,
        /// The number of sizes.
        sizes: usize,
        /// The number of steps.
        strides: usize,
    },
    /// A tensor has more dimensions than any library knows.
    #[error("tensor {tensor:?} has more than {limit} dimensions")]
    RankOverLimit {
        /// The tensor.
        tensor: String,
        /// The most that are read.
        limit: usize,
    },
    /// A size, a step, an offset or their product does not fit a machine word.
    #[error("the size of tensor {tensor:?} overflows")]
    Overflow {
        /// The tensor.
        tensor: String,
    },
    /// A tensor reaches behind the end of its storage.
    #[error("tensor {tensor:?} needs {needed} elements of a storage that has {found}")]
    PastEnd {
        /// The tensor.
        tensor: String,
        /// The elements from the start of the storage to the last of the tensor.
        needed: u64,
        /// The elements in the storage.
        found: u64,
    },
    /// A tensor has many more elements than are stored.
    #[error(
        "tensor {tensor:?} makes {numel} elements out of the {stored} of its storage: save a contiguous() copy"
    )]
    Expansion {
        /// The tensor.
        tensor: String,
        /// Its elements.
        numel: u64,
        /// The elements of its storage.
        stored: u64,
    },
    /// The tensors together are much larger than the file.
    #[error("its tensors take more than {limit} bytes, too many for a file of this length")]
    TotalOverLimit {
        /// The most bytes.
        limit: u64,
    },
    /// A tensor is of a kind that is not read.
    #[error("tensor {tensor:?} is {kind}")]
    Kind {
        /// The tensor.
        tensor: String,
        /// What it is, and what to do.
        kind: &'static str,
    },
    /// A tensor's elements are of a type that is not read.
    #[error("tensor {tensor:?} has elements of type torch.{found}, which is not read: convert it")]
    UnsupportedType {
        /// The tensor.
        tensor: String,
        /// PyTorch's name of the type.
        found: &'static str,
    },
    /// Two tensors get one name when dictionaries within one another are made flat.
    #[error("two tensors get the name {name:?}: choose an inner dictionary")]
    Collision {
        /// The name.
        name: String,
    },
    /// A tensor's key is neither text nor a whole number.
    #[error("a tensor within {within:?} has a key that is neither text nor a whole number")]
    Key {
        /// The name of the dictionary; empty for the outermost.
        within: String,
    },
    /// There is no dictionary of that name.
    #[error("there is no dictionary of tensors {wanted:?}; there are {found:?}")]
    NoSuchDictionary {
        /// The name asked for.
        wanted: String,
        /// Those that there are, at most 16.
        found: Vec<String>,
    },
    /// A tensor cannot be written, since PyTorch has not its type.
    #[error("tensor {tensor:?} is {dtype}, which PyTorch has not: convert it first")]
    NoSuchDtype {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A name or text is too long to be written.
    #[error("the name of tensor {tensor:?} or its sizes cannot be written in a pickle")]
    Unwritable {
        /// The tensor, or the key of the metadata.
        tensor: String,
    },
}

impl TorchFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self, Self::NoSuchDtype { .. } | Self::Unwritable { .. })
    }
}

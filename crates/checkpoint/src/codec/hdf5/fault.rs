//! What an HDF5 file can be refused for.

use crate::dtype::Dtype;

/// Why a file is not accepted as HDF5, or a checkpoint cannot be written as such.
///
/// Addresses are in bytes from the start of the file (of the HDF5 file, where that lies in a zip). What is
/// found within a dataset or a group is a [`Within`](Self::Within), which names it.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, Hdf5Fault, Source};
/// let file = Source::from_bytes(b"\x89HDF\r\n\x1a\n\x09".to_vec(), "weights.h5");
/// let error = Checkpoint::open_source(&file).unwrap_err();
/// let Error::Hdf5 { cause, .. } = error else { unreachable!() };
/// assert_eq!(cause, Hdf5Fault::UnknownVersion { structure: "superblock", found: 9, address: 8 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hdf5Fault {
    /// What is wrong is wrong with one object of the file, or one tensor.
    #[error("{object:?}: {cause}")]
    Within {
        /// The path of the dataset or group, without the first slash; `/` is the root.
        object: String,
        /// What is wrong with it.
        cause: Box<Hdf5Fault>,
    },
    /// The file is shorter than it says.
    #[error("the file ends at byte {found} of {needed}: it is cut, fetch or save it again")]
    Cut {
        /// Where the file should end.
        needed: u64,
        /// Where it ends.
        found: u64,
    },
    /// A structure has a version that is not read.
    #[error("version {found} of the {structure} at byte {address} is not read")]
    UnknownVersion {
        /// What it is.
        structure: &'static str,
        /// The version.
        found: u64,
        /// Where the version stands.
        address: u64,
    },
    /// A structure is not what belongs at that place.
    #[error("the {structure} at byte {address} should have {expected}: the file is damaged")]
    Damaged {
        /// What should be there.
        structure: &'static str,
        /// Where it begins.
        address: u64,
        /// What was missed.
        expected: &'static str,
    },
    /// A structure does not have the checksum that it says.
    #[error("the checksum of the {structure} at byte {address} is wrong: the file is damaged")]
    Checksum {
        /// What it is.
        structure: &'static str,
        /// Where it begins.
        address: u64,
    },
    /// Something points out of the file.
    #[error(
        "the {structure} takes {length} bytes from byte {address} on, the file ends at {end}: it is damaged"
    )]
    OutOfFile {
        /// What it is.
        structure: &'static str,
        /// Where it should begin.
        address: u64,
        /// The bytes it should have.
        length: u64,
        /// Where the file ends.
        end: u64,
    },
    /// The structures of the file, read one after the other, are much longer than the file.
    #[error(
        "more than {limit} bytes of structures are to be read: they refer to each other too often"
    )]
    TooMuchStructure {
        /// The most that are read.
        limit: u64,
    },
    /// There are more objects than any checkpoint has.
    #[error("more than {limit} groups, datasets and links: split the file")]
    TooManyObjects {
        /// The most that are read or written.
        limit: usize,
    },
    /// Groups lie within groups too often.
    #[error("groups lie more than {limit} deep within each other")]
    TooDeep {
        /// The most levels that are read or written.
        limit: usize,
    },
    /// A group contains itself.
    #[error("the group contains itself: remove the link")]
    Cycle,
    /// A link leads to another file.
    #[error(
        "the link leads to another file, {file:?}: links out of the file are not followed, copy it in"
    )]
    ExternalLink {
        /// The other file.
        file: String,
    },
    /// A soft link does not lead to a dataset of this file.
    #[error(
        "the soft link leads to {target:?}, which is no dataset that is read: make it a hard link"
    )]
    SoftLink {
        /// The path in the link.
        target: String,
    },
    /// A link is of a kind that only the program that made it knows.
    #[error("the link is of the kind {kind}; hard and soft links are read")]
    UnknownLink {
        /// The kind of link.
        kind: u8,
    },
    /// The elements of a dataset are in other files.
    #[error("its elements are in other files: files are not followed, copy the elements in")]
    ExternalData,
    /// A dataset is put together from others.
    #[error("it is a virtual dataset, whose elements may be in other files: copy the elements in")]
    Virtual,
    /// A link has a name that no path can hold.
    #[error(
        "the name {name:?} cannot be a part of a path: it is empty, a dot, not UTF-8 or has a slash or a zero in it"
    )]
    BadName {
        /// The name, as far as it is text.
        name: String,
    },
    /// Two objects have one name.
    #[error("the name {name:?} is there twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The elements are numbers that no type here holds.
    #[error("its elements are {found}, which are not read: convert them")]
    UnsupportedType {
        /// What they are.
        found: String,
    },
    /// The elements have no bytes.
    #[error("its elements have a size of {found} bytes, which is not that of their type")]
    ElementSize {
        /// The size.
        found: u64,
    },
    /// A dataset has more dimensions than any library knows.
    #[error("more than {limit} dimensions")]
    RankOverLimit {
        /// The most that are read or written.
        limit: usize,
    },
    /// The size of a dataset does not fit a machine word.
    #[error("the size of {dtype} {shape:?} overflows")]
    ShapeOverflow {
        /// The type of the elements.
        dtype: Dtype,
        /// The sizes.
        shape: Vec<u64>,
    },
    /// A dataset, with those before it, claims more bytes than a file of that length can hold, however well
    /// it is compressed.
    #[error(
        "with this dataset the file claims {claimed} bytes, one of its length holds {limit} at most"
    )]
    Extent {
        /// The bytes of this and all datasets before.
        claimed: u64,
        /// 1032 times the length of the file, and 64 MiB.
        limit: u64,
    },
    /// The bytes of a dataset that is stored as a whole are not as many as type and shape take.
    #[error("type and shape take {needed} bytes, {found} are stored")]
    DataLength {
        /// The bytes that type and shape take.
        needed: u64,
        /// The bytes stored.
        found: u64,
    },
    /// The chunks are compressed or changed in a way that is not read.
    #[error("its chunks went through the filter {id}{}, which is not read: use gzip", named(name))]
    UnknownFilter {
        /// The number under which the filter is registered.
        id: u16,
        /// The name in the file.
        name: String,
    },
    /// The chunks have a size that cannot be.
    #[error("chunks of {chunk:?} do not fit the shape {shape:?}")]
    ChunkShape {
        /// The sizes of a chunk.
        chunk: Vec<u64>,
        /// The sizes of the dataset.
        shape: Vec<u64>,
    },
    /// The index holds a chunk twice, or one that lies outside of the dataset.
    #[error("the index of its chunks has one at {at:?}, which is outside or there twice")]
    ChunkPlace {
        /// Where the chunk begins, in elements.
        at: Vec<u64>,
    },
    /// A chunk claims more bytes than its stored ones can give, or others than it should.
    #[error("the chunk at {at:?} has {stored} bytes, which cannot give the {needed} of a chunk")]
    ChunkLength {
        /// Where the chunk begins, in elements.
        at: Vec<u64>,
        /// The bytes in the file.
        stored: u64,
        /// The bytes that a chunk takes.
        needed: u64,
    },
    /// A chunk does not come out of its filters.
    #[error(
        "the chunk at {at:?} cannot be decoded, the filter {filter} fails: the file is damaged"
    )]
    ChunkContent {
        /// Where the chunk begins, in elements.
        at: Vec<u64>,
        /// The filter.
        filter: &'static str,
    },
    /// The file uses a part of the format that is not read.
    #[error("it uses {feature}, which is not read")]
    Unsupported {
        /// What is used.
        feature: &'static str,
    },
    /// A list of names, as Keras writes them, names what is not there.
    #[error("its attribute {attribute:?} names {name:?}, which is not there")]
    MissingWeight {
        /// The attribute.
        attribute: String,
        /// The name.
        name: String,
    },
    /// A tensor to be written has a type that Keras and h5py do not know.
    #[error("HDF5 files of Keras have no {dtype}: convert it or choose another format")]
    NoSuchDtype {
        /// The type.
        dtype: Dtype,
    },
    /// A tensor to be written has the name of a group that others are in.
    #[error("it is a tensor, and other names have it for a group: rename it")]
    NameConflict,
    /// A name is longer than the format allows.
    #[error("a part of the name has {length} bytes, {limit} are written")]
    NameOverLimit {
        /// The length.
        length: usize,
        /// The most that are written.
        limit: usize,
    },
}

impl Hdf5Fault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        match self {
            Self::NoSuchDtype { .. } | Self::NameConflict | Self::NameOverLimit { .. } => true,
            Self::Within { cause, .. } => cause.is_of_writing(),
            _ => false,
        }
    }

    /// The same of the object at that path. What names its object already is left as it is.
    pub(super) fn within(self, object: &str) -> Self {
        if let Self::Within { .. } = self {
            return self;
        }
        let object = if object.is_empty() { "/" } else { object };
        Self::Within { object: object.to_owned(), cause: Box::new(self) }
    }
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({name:?})") }
}

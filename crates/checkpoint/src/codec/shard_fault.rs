//! What a set of shards can be refused for.

/// Why a checkpoint in several files is not accepted, or cannot be written.
///
/// What is wrong with a shard itself comes as the error of its format, with the path of the shard.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, ShardFault, Source};
/// let index = br#"{"weight_map": {"fc.weight": "../secret.safetensors"}}"#;
/// let index = Source::from_bytes(index.to_vec(), "model.safetensors.index.json");
/// let Err(Error::Shards { cause, .. }) = Checkpoint::open_source(&index) else { panic!() };
/// assert!(matches!(cause, ShardFault::ShardName { tensor, .. } if tensor == "fc.weight"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardFault {
    /// The index is longer than any that has a use.
    #[error("the index has {length} bytes, at most {limit} are read")]
    IndexOverLimit {
        /// Its length.
        length: u64,
        /// The longest that is read.
        limit: u64,
    },
    /// The index is not UTF-8.
    #[error("the index is not UTF-8 from its byte {position} on")]
    NotUtf8 {
        /// The first byte that is not.
        position: usize,
    },
    /// The index is not JSON, or not of the kind that belongs at that place.
    #[error("the index: {reason}")]
    Json {
        /// What the JSON parser found.
        reason: String,
    },
    /// A key stands twice in the same object.
    #[error("the key {key:?} stands twice{}", within.map(|name| format!(" within {name:?}")).unwrap_or_default())]
    DuplicateKey {
        /// The key.
        key: String,
        /// The object within which it stands; none for the index itself.
        within: Option<&'static str>,
    },
    /// There are more names than any checkpoint has.
    #[error("the index has more than {limit} keys: fuse or leave out tensors")]
    TooManyKeys {
        /// The most that are read or written.
        limit: usize,
    },
    /// A name is longer than any that has a use.
    #[error("the text at byte {position} of the index is longer than {limit} bytes: shorten it")]
    TextOverLimit {
        /// Where it begins, in bytes from the start of the index.
        position: usize,
        /// The longest that is read or written.
        limit: usize,
    },
    /// The index does not say which tensor is in which file.
    #[error("the index has no \"weight_map\": it is not the index of a checkpoint")]
    NoWeightMap,
    /// There are more files than can be open at once.
    #[error("more than {limit} shards: make them larger")]
    TooManyShards {
        /// The most that are read or written.
        limit: usize,
    },
    /// A shard is named by something else than a plain file name, such as a path.
    #[error(
        "tensor {tensor:?} is said to be in {shard:?}, which is no plain file name: shards lie beside the index"
    )]
    ShardName {
        /// The first tensor in it.
        tensor: String,
        /// The name that the index gives.
        shard: String,
    },
    /// A shard is a symbolic link other than those of a download cache.
    #[error(
        "shard {shard:?} is a symbolic link, which may lead anywhere: put the file itself there (only links to ../../blobs/HASH, as in a download cache, are followed)"
    )]
    Symlink {
        /// The name of the shard.
        shard: String,
    },
    /// A shard is not there.
    #[error(
        "shard {shard:?}, with tensor {tensor:?}, is missing: fetch or save the checkpoint again"
    )]
    MissingShard {
        /// The name of the shard.
        shard: String,
        /// The first tensor in it.
        tensor: String,
    },
    /// A shard is an index itself.
    #[error("shard {shard:?} is an index itself")]
    Nested {
        /// The name of the shard.
        shard: String,
    },
    /// A tensor is not where the index says.
    #[error(
        "tensor {tensor:?} is not in {shard:?}{}: the files are of different checkpoints",
        found.as_ref().map(|found| format!(" but in {found:?}")).unwrap_or_default()
    )]
    Absent {
        /// The tensor.
        tensor: String,
        /// The shard that the index gives.
        shard: String,
        /// The shard that it is in, if it is in one of this set.
        found: Option<String>,
    },
    /// A tensor is in two shards.
    #[error("tensor {tensor:?} is in {first:?} and in {second:?}")]
    Twice {
        /// The tensor.
        tensor: String,
        /// A shard that it is in.
        first: String,
        /// The other.
        second: String,
    },
    /// A tensor is in a shard and not in the index.
    #[error(
        "tensor {tensor:?} of shard {shard:?} is not in the index: it is of another checkpoint"
    )]
    Unlisted {
        /// The tensor.
        tensor: String,
        /// The shard that it is in.
        shard: String,
    },
    /// The index is in memory, so there is no directory to look for shards in.
    #[error("the index is in memory, without files beside it: use open_shards")]
    InMemory,
    /// The checkpoint was replaced each time it was read.
    #[error(
        "it was replaced while it was read, {attempts} times: read it when it is not being written"
    )]
    Replaced {
        /// How often it was read.
        attempts: usize,
    },
    /// The path to write to is not that of an index.
    #[error(
        "an index ends in .safetensors.index.json: choose such a path, or give it without any ending"
    )]
    IndexName,
    /// Another program removed a shard while the checkpoint was being saved.
    #[error(
        "shard {shard:?} is gone or cut before the index was written: another program changed it"
    )]
    Lost {
        /// The name of the shard.
        shard: String,
    },
    /// The index cannot be put into JSON.
    #[error("the index cannot be written: {reason}")]
    Unwritable {
        /// What the JSON writer said.
        reason: String,
    },
}

impl ShardFault {
    /// Whether it is of a tensor that was to be written, not of a file.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self, Self::IndexName | Self::Lost { .. } | Self::Unwritable { .. })
    }
}

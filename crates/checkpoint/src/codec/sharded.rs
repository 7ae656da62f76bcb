//! A checkpoint in several files, beside an index that says which tensor is in which.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use super::shard_fault::ShardFault;
use super::shard_index::{self, Index, MAX_INDEX};
use crate::checkpoint::{Checkpoint, Origin};
use crate::error::{Action, Error};
use crate::format::Format;
use crate::source::Source;
use crate::temporary::directory_of;
use crate::tensor::NamedTensor;

/// How often a checkpoint is read anew that is replaced while it is read.
const ATTEMPTS: usize = 100;

/// What links in a download cache lead to, but for the name, which is a hash.
const CACHE: &str = "../../blobs/";

/// Reads what tensors a set of shards holds, with shards that come from anywhere: `shard` gives the one of
/// a name.
///
/// [`Checkpoint::open`] takes them from beside the index. What is checked is the same here.
///
/// # Errors
///
/// [`Error::Shards`] with the [`ShardFault`] if index and shards do not agree, the error of a shard's
/// format if it is not acceptable, and the errors of `shard`.
///
/// ```
/// use espalier_checkpoint::{Source, open_shards};
/// let index = Source::from_bytes(br#"{"weight_map": {"b": "one"}}"#.to_vec(), "index");
/// let header = br#"{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
/// let file = [&(header.len() as u64).to_le_bytes()[..], header, b"abc"].concat();
/// let checkpoint = open_shards(&index, |name| Ok(Source::from_bytes(file.clone(), name)))?;
/// assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["b"]);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn open_shards(
    index: &Source,
    mut shard: impl FnMut(&str) -> Result<Source, Error>,
) -> Result<Checkpoint, Error> {
    let path = index.path();
    let parsed = parse(path, &read(index)?)?;
    let mut checkpoint = gather(path, &parsed, |place| shard(&parsed.shards[place]))?;
    checkpoint.origin = Some(Origin { path: path.to_path_buf(), format: Format::Sharded });
    Ok(checkpoint)
}

/// The tensors of the shards beside an index.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let path = source.path();
    let mut json = read(source)?;
    for _ in 0..ATTEMPTS {
        let index = parse(path, &json)?;
        let opened = if source.is_in_memory() && !index.shards.is_empty() {
            Err(fault(path, ShardFault::InMemory))
        } else {
            let directory = shards_of(path)?;
            gather(path, &index, |place| open_shard(path, &directory, &index, place))
        };
        let Err(Error::Shards { cause: ShardFault::MissingShard { .. }, .. }) = &opened else {
            return opened;
        };
        drop(index);
        // A save removes the old shards once its index is there.
        let now = read(&Source::open(path)?)?;
        if now == json {
            return opened;
        }
        json = now;
    }
    Err(fault(path, ShardFault::Replaced { attempts: ATTEMPTS }))
}

fn fault(path: &Path, cause: ShardFault) -> Error {
    Error::Shards { path: path.to_path_buf(), cause }
}

/// The text of an index.
fn read(source: &Source) -> Result<Vec<u8>, Error> {
    let length = source.len();
    if length > MAX_INDEX {
        let cause = ShardFault::IndexOverLimit { length, limit: MAX_INDEX };
        return Err(fault(source.path(), cause));
    }
    source.read(0..length)
}

fn parse(path: &Path, json: &[u8]) -> Result<Index, Error> {
    shard_index::parse(json).map_err(|cause| fault(path, cause))
}

/// The shards that the index at a path names, if it can be read.
pub(super) fn named_by(path: &Path) -> Vec<String> {
    let index = Source::open(path).and_then(|source| parse(path, &read(&source)?));
    index.map(|index| index.shards).unwrap_or_default()
}

/// The directory that holds the shards: the one of the index; if that is a symbolic link, the one that it
/// leads to, except in a download cache, where the shards are links too.
fn shards_of(index: &Path) -> Result<PathBuf, Error> {
    let is_link = fs::symlink_metadata(index).is_ok_and(|found| found.is_symlink());
    if !is_link || cached(index).is_some() {
        return Ok(directory_of(index));
    }
    let target = fs::canonicalize(index).map_err(|e| Error::io(index, Action::Inspect, e))?;
    Ok(directory_of(&target))
}

/// Where a link of a download cache leads: a file named by its hash in the folder that the cache keeps them in.
fn cached(link: &Path) -> Option<PathBuf> {
    let to = fs::read_link(link).ok()?;
    let hash = to.to_str()?.strip_prefix(CACHE)?;
    let is_hash = matches!(hash.len(), 40 | 64) && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let target = directory_of(link).join(&to);
    (is_hash && fs::symlink_metadata(&target).ok()?.is_file()).then_some(target)
}

/// Opens a shard beside the index. Symbolic links are not followed out of the directory.
fn open_shard(path: &Path, directory: &Path, index: &Index, place: usize) -> Result<Source, Error> {
    let shard = &index.shards[place];
    let file = directory.join(shard);
    let missing = || {
        let (shard, tensor) = (shard.clone(), index.first_in(place).to_owned());
        fault(path, ShardFault::MissingShard { shard, tensor })
    };
    match fs::symlink_metadata(&file) {
        Ok(found) if found.is_symlink() => match cached(&file) {
            Some(target) => Source::open(target),
            None => Err(fault(path, ShardFault::Symlink { shard: shard.clone() })),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(missing()),
        // Removed between the two looks.
        _ => Source::open(&file).map_err(|error| match &error {
            Error::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound => missing(),
            _ => error,
        }),
    }
}

/// Reads the headers of all shards and holds them against the index: every tensor in exactly the shard that
/// it is said to be in, and no other.
fn gather(
    path: &Path,
    index: &Index,
    mut open: impl FnMut(usize) -> Result<Source, Error>,
) -> Result<Checkpoint, Error> {
    let listed: HashMap<&str, usize> =
        index.tensors.iter().map(|(name, shard)| (name.as_str(), *shard)).collect();
    let mut found: HashMap<String, (usize, NamedTensor)> = HashMap::new();
    let mut texts = vec![(String::new(), index.metadata.clone())];
    for (place, shard) in index.shards.iter().enumerate() {
        let tensors = open_one(path, shard, &open(place)?)?;
        texts.push((shard.clone(), tensors.metadata.clone()));
        for tensor in tensors {
            let name = tensor.name().to_owned();
            if let Some((first, _)) = found.get(&name) {
                let (first, second) = (index.shards[*first].clone(), shard.clone());
                return Err(fault(path, ShardFault::Twice { tensor: name, first, second }));
            }
            if !listed.contains_key(name.as_str()) {
                let shard = shard.clone();
                return Err(fault(path, ShardFault::Unlisted { tensor: name, shard }));
            }
            found.insert(name, (place, tensor));
        }
    }
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata = merge(texts);
    for (name, shard) in &index.tensors {
        let (place, tensor) = found.remove(name).unzip();
        if let Some(tensor) = tensor.filter(|_| place == Some(*shard)) {
            checkpoint.push(tensor)?;
            continue;
        }
        let (tensor, shard) = (name.clone(), index.shards[*shard].clone());
        let found = place.map(|place| index.shards[place].clone());
        return Err(fault(path, ShardFault::Absent { tensor, shard, found }));
    }
    Ok(checkpoint)
}

/// The tensors of a shard, which is safetensors or of another format.
fn open_one(path: &Path, shard: &str, source: &Source) -> Result<Checkpoint, Error> {
    match Format::of(source) {
        Ok(Format::Sharded) => Err(fault(path, ShardFault::Nested { shard: shard.to_owned() })),
        Ok(format) => format.open(source),
        // It says best what is wrong with what is most likely a safetensors file.
        Err(Error::UnknownFormat { .. }) => super::safetensors::open(source),
        Err(error) => Err(error),
    }
}

/// The metadata of all files in one: what they agree on under its key, what a later one says else under
/// the key with the name of the file.
fn merge(texts: Vec<(String, BTreeMap<String, String>)>) -> BTreeMap<String, String> {
    let mut merged: BTreeMap<String, String> = BTreeMap::new();
    for (file, metadata) in texts {
        for (key, value) in metadata {
            match merged.get(&key) {
                None => merged.insert(key, value),
                Some(same) if *same == value => None,
                Some(_) => merged.insert(format!("{key} ({file})"), value),
            };
        }
    }
    merged
}

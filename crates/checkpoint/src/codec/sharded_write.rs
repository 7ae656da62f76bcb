//! Saving a checkpoint in several files.
//!
//! Each save gives its shards names that no other save uses, and the index alone decides which of them
//! are the checkpoint. While a save is going on, a hidden file with its letters is locked; shards with
//! letters that have no such file, or one that nobody locks, and that the index does not name, are left
//! over.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::safetensors::Layout;
use super::safetensors_header::MAX_KEYS;
use super::shard_fault::ShardFault;
use super::shard_index::{self, Index, MAX_SHARDS};
use super::sharded;
use crate::atomic::{Target, WriteMode, fill, write_target};
use crate::calls::{Calls, Directory, System};
use crate::checkpoint::Checkpoint;
use crate::error::{Action, Error};
use crate::temporary::{self, SUFFIX, directory_of, is_random, names};
use crate::tensor::NamedTensor;

/// What an index ends in.
pub(crate) const INDEX: &str = ".safetensors.index.json";

/// What a shard ends in.
const SHARD: &str = ".safetensors";

/// Stands before the letters of a save.
const MARK: &str = "-save";

/// The letters of a save.
const LETTERS: usize = 8;

/// The stem in a directory.
const STEM: &str = "model";

/// Writes a checkpoint as several safetensors files of at most `max_shard_bytes` each and an index, in the
/// layout of Hugging Face. A reader that follows the index sees the whole old checkpoint or the whole new.
///
/// `path` is that of the index, `NAME.safetensors.index.json`; or `NAME` or `NAME.safetensors`, which stand
/// for it; or an existing directory, in which `NAME` is `model`. The shards lie beside the index and are
/// called `NAME-saveXXXXXXXX-00001-of-00003.safetensors`, with letters that are others for each save.
///
/// The tensors keep the checkpoint's order. They are put into shards one after the other; where the next
/// one does not fit, a new shard begins. Counted are the bytes of tensors, not the header, so that only a
/// shard of a single tensor is over the limit. Metadata is written into every shard, and into the index.
///
/// The shards are written and brought to the disk first, then the index takes the place of the old one
/// as [`write_atomically`](crate::write_atomically) does it, then the shards that only the old index named
/// are removed. On any error before, the new shards are removed and the old checkpoint is as it was. A
/// process that is killed leaves files that no index names; the next save to the same index removes them.
/// It does not touch those of a save that is still going on, which it knows by a lock; where file systems
/// know no locks, it removes none. All files have the mode of the old index.
///
/// # Errors
///
/// [`Error::Shards`] if `path` is not that of an index, for over 131 072 tensors, or for over 10 000 shards;
/// [`Error::Safetensors`] if a tensor does not fit the format. Otherwise as
/// [`write_atomically`](crate::write_atomically).
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors_sharded};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.safetensors.index.json");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("a", vec![2], &[1.0, 2.0])?)?;
/// checkpoint.push(NamedTensor::f32("b", vec![2], &[3.0, 4.0])?)?;
/// write_safetensors_sharded(&path, &checkpoint, 8)?;
/// assert_eq!(std::fs::read_dir(dir.path())?.count(), 3);
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_safetensors_sharded(
    path: impl AsRef<Path>,
    checkpoint: &Checkpoint,
    max_shard_bytes: u64,
) -> Result<(), Error> {
    write_safetensors_sharded_with(path, checkpoint, max_shard_bytes, WriteMode::Replace)
}

/// As [`write_safetensors_sharded`], with a say about an index that is there.
///
/// # Errors
///
/// As [`write_safetensors_sharded`], and [`Error::AlreadyExists`] for [`WriteMode::CreateNew`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Error, WriteMode, write_safetensors_sharded_with};
/// # let dir = tempfile::tempdir()?;
/// let write = || {
///     let (path, limit) = (dir.path(), 5_000_000_000);
///     write_safetensors_sharded_with(path, &Checkpoint::new(), limit, WriteMode::CreateNew)
/// };
/// write()?;
/// assert!(matches!(write(), Err(Error::AlreadyExists { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_safetensors_sharded_with(
    path: impl AsRef<Path>,
    checkpoint: &Checkpoint,
    max_shard_bytes: u64,
    mode: WriteMode,
) -> Result<(), Error> {
    write(&System, path.as_ref(), checkpoint, max_shard_bytes, mode)
}

pub(crate) fn write(
    calls: &dyn Calls,
    path: &Path,
    checkpoint: &Checkpoint,
    max_shard_bytes: u64,
    mode: WriteMode,
) -> Result<(), Error> {
    let index_path = index_of(path);
    let fault = |cause| Error::Shards { path: index_path.clone(), cause };
    let target = Target::find(&index_path, mode)?;
    let stem = stem_of(&target.path).ok_or_else(|| fault(ShardFault::IndexName))?;
    // Whatever does not fit the format is found before anything is written.
    let plan = plan(checkpoint, max_shard_bytes);
    if plan.len() > MAX_SHARDS {
        return Err(fault(ShardFault::TooManyShards { limit: MAX_SHARDS }));
    }
    if checkpoint.len() > MAX_KEYS {
        return Err(fault(ShardFault::TooManyKeys { limit: MAX_KEYS }));
    }
    let layouts = plan.iter().map(|tensors| Layout::new(tensors.clone(), &checkpoint.metadata));
    let layouts = layouts
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| Error::Safetensors { path: index_path.clone(), cause })?;

    let parent = directory_of(&target.path);
    let directory = Directory::open(&parent)?;
    let old = sharded::named_by(&target.path);
    // An index that is not on the disk yet may give way to the one before, whose shards are swept here.
    let synced = || {
        let synced = calls.sync_directory(&directory);
        synced.map_err(|e| Error::io(&parent, Action::SyncDirectory, e))
    };
    synced()?;
    sweep(calls, &target.path, stem);
    let mut save = Save::begin(calls, &parent, stem)?;
    let shards: Vec<String> =
        (1..=plan.len()).map(|number| save.name(stem, number, plan.len())).collect();
    let index = Index {
        tensors: plan
            .iter()
            .enumerate()
            .flat_map(|(place, tensors)| tensors.iter().map(move |t| (t.name().to_owned(), place)))
            .collect(),
        shards,
        metadata: checkpoint.metadata.clone(),
    };
    let sizes = checkpoint.iter().map(|tensor| tensor.byte_len() as u64);
    let total = sizes.fold(0, u64::saturating_add);
    let json = shard_index::encode(&index, total).map_err(fault)?;

    for (shard, layout) in index.shards.iter().zip(&layouts) {
        save.write(&parent.join(shard), &target, layout)?;
    }
    // The names of the shards are on the disk before that of the index.
    synced()?;
    save.check(&index.shards).map_err(|shard| fault(ShardFault::Lost { shard }))?;
    let written = write_target(calls, &index_path, &target, |out| out.write_all(&json));
    // That error comes after the rename: the new index is there, and the old one may come back if the machine
    // stops, so the shards of both are needed.
    let both = matches!(written, Err(Error::Io { action: Action::SyncDirectory, .. }));
    if written.is_ok() || both {
        save.finish();
    }
    written?;
    remove_old(calls, &target.path, stem, &old);
    sweep(calls, &target.path, stem);
    Ok(())
}

/// The path of the index that a path stands for.
fn index_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.join(format!("{STEM}{INDEX}"));
    }
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let ending = if name.ends_with(".json") {
        return path.to_path_buf();
    } else if name.ends_with(SHARD) {
        &INDEX[SHARD.len()..]
    } else {
        INDEX
    };
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// What the names of shards begin with.
fn stem_of(index: &Path) -> Option<&str> {
    index.file_name()?.to_str()?.strip_suffix(INDEX).filter(|stem| !stem.is_empty())
}

/// The tensors of each shard.
fn plan(checkpoint: &Checkpoint, max_shard_bytes: u64) -> Vec<Vec<&NamedTensor>> {
    let mut shards: Vec<Vec<&NamedTensor>> = Vec::new();
    let mut size = 0u64;
    for tensor in checkpoint {
        let bytes = tensor.byte_len() as u64;
        match shards.last_mut() {
            Some(shard) if size.saturating_add(bytes) <= max_shard_bytes => {
                size += bytes;
                shard.push(tensor);
            }
            // An empty tensor always fits.
            Some(shard) if bytes == 0 => shard.push(tensor),
            _ => {
                size = bytes;
                shards.push(vec![tensor]);
            }
        }
    }
    shards
}

/// A save that is going on. Unless it is finished, what it has written is removed when it is dropped.
struct Save<'a> {
    calls: &'a dyn Calls,
    /// Locked, so that no other save takes the shards for left over.
    guard: NamedTempFile,
    letters: String,
    /// With the length of each.
    written: Vec<(PathBuf, u64)>,
}

impl<'a> Save<'a> {
    fn begin(calls: &'a dyn Calls, directory: &Path, stem: &str) -> Result<Self, Error> {
        let cannot = |e| Error::io(directory, Action::CreateTemporary, e);
        let prefix = format!(".{stem}{MARK}");
        let mut named = Builder::new();
        named.prefix(&prefix).suffix(SUFFIX).rand_bytes(LETTERS);
        let guard = temporary::create_locked(calls, &named, directory).map_err(cannot)?;
        let name = guard.path().file_name().and_then(|name| name.to_str());
        let letters = name.and_then(|name| guard_letters(name, stem)).map(str::to_owned);
        let letters = letters.ok_or_else(|| cannot(io::ErrorKind::InvalidFilename.into()))?;
        Ok(Self { calls, guard, letters, written: Vec::new() })
    }

    fn name(&self, stem: &str, number: usize, count: usize) -> String {
        format!("{stem}{MARK}{}-{number:05}-of-{count:05}{SHARD}", self.letters)
    }

    fn write(&mut self, path: &Path, target: &Target, layout: &Layout<'_>) -> Result<(), Error> {
        let file = self
            .calls
            .create_new(path, target.permissions())
            .map_err(|e| Error::io(path, Action::Create, e))?;
        // From now on it is there, whatever comes.
        self.written.push((path.to_path_buf(), 0));
        fill(self.calls, &file, path, target, |out| layout.write(out))?;
        let length = file.metadata().map_err(|e| Error::io(path, Action::Inspect, e))?.len();
        if let Some(last) = self.written.last_mut() {
            last.1 = length;
        }
        Ok(())
    }

    /// That all shards are still there; otherwise the name of one that is not.
    fn check(&self, shards: &[String]) -> Result<(), String> {
        for ((path, length), shard) in self.written.iter().zip(shards) {
            if !fs::symlink_metadata(path).is_ok_and(|found| found.len() == *length) {
                return Err(shard.clone());
            }
        }
        Ok(())
    }

    /// The shards are part of a checkpoint now.
    fn finish(mut self) {
        self.written.clear();
    }
}

impl Drop for Save<'_> {
    fn drop(&mut self) {
        for (path, _) in &self.written {
            let _ = self.calls.remove(path);
        }
        let _ = self.calls.remove(self.guard.path());
    }
}

/// The letters in the name of the file that is locked while a save is going on.
fn guard_letters<'a>(name: &'a str, stem: &str) -> Option<&'a str> {
    let letters = name.strip_prefix('.')?.strip_prefix(stem)?.strip_prefix(MARK)?;
    letters.strip_suffix(SUFFIX).filter(|letters| is_random(letters, LETTERS))
}

/// The letters in the name of a shard that was written here.
fn shard_letters<'a>(name: &'a str, stem: &str) -> Option<&'a str> {
    let (letters, rest) = name.strip_prefix(stem)?.strip_prefix(MARK)?.split_at_checked(LETTERS)?;
    (is_random(letters, LETTERS) && is_numbered(rest)).then_some(letters)
}

/// Whether this is `-00001-of-00003.safetensors`.
fn is_numbered(rest: &str) -> bool {
    let numbers = rest.strip_prefix('-').and_then(|rest| rest.strip_suffix(SHARD));
    let numbers = numbers.and_then(|numbers| numbers.split_once("-of-"));
    let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(number, count)| is_number(number) && is_number(count))
}

/// Removes the shards that the old index named and the new one does not. An index may name any file: only
/// names of shards count.
fn remove_old(calls: &dyn Calls, index: &Path, stem: &str, old: &[String]) {
    let now = sharded::named_by(index);
    for shard in old.iter().filter(|shard| !now.contains(shard)) {
        let foreign = shard.strip_prefix(stem).is_some_and(is_numbered);
        let path = index.with_file_name(shard);
        if (foreign || shard_letters(shard, stem).is_some()) && is_file(&path) {
            let _ = calls.remove(&path);
        }
    }
}

/// Removes what killed saves to an index have left. What cannot be removed stays.
fn sweep(calls: &dyn Calls, index: &Path, stem: &str) {
    let directory = directory_of(index);
    let names = names(&directory);
    let letters = |name| guard_letters(name, stem).or_else(|| shard_letters(name, stem));
    // The state of each save whose files were seen. Its guard was there before its shards: if it is not
    // there now, the save has ended.
    let mut saves: BTreeMap<&str, Option<Guard>> = BTreeMap::new();
    for letters in names.iter().filter_map(|name| letters(name)) {
        saves.entry(letters).or_insert_with(|| {
            let path = directory.join(format!(".{stem}{MARK}{letters}{SUFFIX}"));
            match fs::symlink_metadata(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Some(Guard { path, lock: None }),
                _ => temporary::abandoned(&path).map(|lock| Guard { path, lock: Some(lock) }),
            }
        });
    }
    // Read after the guards were looked at: a save that has ended has its shards in the index or in none.
    let named = sharded::named_by(index);
    for name in &names {
        let Some(letters) = shard_letters(name, stem) else { continue };
        if !matches!(saves.get(letters), Some(Some(_))) || named.contains(name) {
            continue;
        }
        // The index of another checkpoint whose name looks like a save of this one.
        let other = format!("{stem}{MARK}{letters}{INDEX}");
        let path = directory.join(name);
        if !directory.join(other).exists() && is_file(&path) {
            let _ = calls.remove(&path);
        }
    }
    // Last, so that a sweep that is killed is gone on with.
    for guard in saves.into_values().flatten().filter(|guard| guard.lock.is_some()) {
        let _ = calls.remove(&guard.path);
    }
}

/// The file that tells whether a save is going on, of one that is not; with its lock, if it is there.
struct Guard {
    path: PathBuf,
    lock: Option<File>,
}

/// Removes a checkpoint: first the index, so that no reader finds one that lacks shards.
pub(crate) fn remove(calls: &dyn Calls, index: &Path) -> io::Result<()> {
    let shards = sharded::named_by(index);
    calls.remove(index)?;
    if let Some(stem) = stem_of(index) {
        remove_old(calls, index, stem, &shards);
    }
    Ok(())
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

//! Temporary files that a later save can tell to be left behind.
//!
//! Whoever writes a temporary file holds a lock on it, which the system takes away when the process ends
//! however it ends. So a file with the name of one and without a lock belongs to no one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::calls::Calls;

/// How often a file is created anew if another process takes it for one left behind.
const ATTEMPTS: usize = 16;

/// What temporary files begin with.
const PREFIX: &str = ".espalier-";

/// What temporary files end with.
pub(crate) const SUFFIX: &str = ".tmp";

/// The random letters in a name.
const LETTERS: usize = 6;

/// A temporary file with that mode less the umask.
pub(crate) fn create(calls: &dyn Calls, directory: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let mut named = Builder::new();
    // Not made of the target's name, which may be as long as a name can be.
    named.prefix(PREFIX).suffix(SUFFIX).rand_bytes(LETTERS);
    #[cfg(unix)]
    named.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    create_locked(calls, &named, directory)
}

/// A temporary file that no other process takes for one left behind.
pub(crate) fn create_locked(
    calls: &dyn Calls,
    named: &Builder<'_, '_>,
    directory: &Path,
) -> io::Result<NamedTempFile> {
    for _ in 0..ATTEMPTS {
        let temporary = calls.create_temporary(named, directory)?;
        match temporary.as_file().try_lock() {
            // Another process looks at it just now, to remove it.
            Err(TryLockError::WouldBlock) => continue,
            // Where there are no locks nothing is taken for left behind either.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // Names are random, so a file of that name is this one.
        if temporary.path().symlink_metadata().is_ok() {
            return Ok(temporary);
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is removed as often as it is created"))
}

/// Removes what killed saves have left in a directory. What cannot be removed stays.
pub(crate) fn sweep(calls: &dyn Calls, directory: &Path) {
    for name in names(directory) {
        let letters = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        if letters.is_some_and(|letters| is_random(letters, LETTERS)) {
            let path = directory.join(name);
            if let Some(_lock) = abandoned(&path) {
                let _ = calls.remove(&path);
            }
        }
    }
}

/// A lock on a temporary file that no living process writes, if it is one.
pub(crate) fn abandoned(path: &Path) -> Option<File> {
    // A link of that name is none of ours, and to open a pipe would wait.
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    // Network file systems lock for writing only what is open for it.
    let file = File::options().read(true).write(true).open(path).ok()?;
    file.try_lock().ok().map(|()| file)
}

/// Whether this is the random part of a name.
pub(crate) fn is_random(letters: &str, count: usize) -> bool {
    letters.len() == count && letters.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

/// The names in a directory, in order; none if it cannot be listed. Names that are no text are left out:
/// none is ours.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// The directory that holds a file; the current one for a bare name.
pub(crate) fn directory_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_path_buf()
}

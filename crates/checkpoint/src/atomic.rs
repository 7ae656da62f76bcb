//! Files that are there whole or not at all.

use std::fs::{self, Metadata};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use crate::calls::{Calls, Directory, Out, System};
use crate::error::{Action, Error};
use crate::temporary::{self, directory_of};

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// Buffer between the writer and the file, in bytes.
const BUFFER: usize = 1 << 20;

/// The mode of a new file.
const NEW_MODE: u32 = 0o644;

/// A place to write to in any order.
///
/// ```
/// fn is_one(_: &impl espalier_checkpoint::WriteSeek) {}
/// is_one(&std::io::Cursor::new(Vec::new()));
/// ```
pub trait WriteSeek: Write + Seek {}

impl<T: Write + Seek + ?Sized> WriteSeek for T {}

/// What a save does if there is a file of that name.
///
/// ```
/// assert_eq!(espalier_checkpoint::WriteMode::default(), espalier_checkpoint::WriteMode::Replace);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WriteMode {
    /// It takes the place of the file.
    #[default]
    Replace,
    /// It fails with [`Error::AlreadyExists`], also if the file has come into being while the save was
    /// going on.
    CreateNew,
}

/// Writes a file so that every reader sees the whole old contents or the whole new, even if the
/// machine stops in between.
///
/// The contents go into a temporary file in the same directory, are brought to the disk, and take
/// the place of `path` by a rename, which is brought to the disk too. A file that is replaced hands
/// on its mode; a new one gets 0644 less the umask. If `path` is a symbolic link, the file it leads to is
/// replaced and the link stays. The directory must exist. Owner and extended attributes are those
/// of a new file.
///
/// On any error, and if `write` panics, the temporary file is removed and the old file is as it was.
/// There is one exception: an [`Action::SyncDirectory`] error comes after the rename. A process that is
/// killed leaves at most a file `.espalier-*.tmp` behind, which the next save into the directory removes.
/// It tells such a file from one that is being written by a lock on it; where file systems know no locks
/// it stays, and may be deleted.
///
/// # Errors
///
/// [`Error::Io`] with the path and the action that failed, [`Error::NotAFile`] if `path` is a
/// directory or a device, [`Error::NoFileName`], [`Error::SymlinkLoop`]. An [`Error`] that `write` returns
/// within an [`io::Error`] comes out as it is.
///
/// ```
/// use espalier_checkpoint::write_atomically;
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("notes.txt");
/// write_atomically(&path, |out| out.write_all(b"pruned"))?;
/// assert_eq!(std::fs::read(&path)?, b"pruned");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>,
) -> Result<(), Error> {
    write_atomically_with(path, WriteMode::Replace, write)
}

/// As [`write_atomically`], with a say about a file that is there.
///
/// # Errors
///
/// As [`write_atomically`], and [`Error::AlreadyExists`] for [`WriteMode::CreateNew`]. Of several that
/// create the same file at once one succeeds.
///
/// ```
/// use espalier_checkpoint::{Error, WriteMode, write_atomically_with};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("notes.txt");
/// write_atomically_with(&path, WriteMode::CreateNew, |out| out.write_all(b"first"))?;
/// let again = write_atomically_with(&path, WriteMode::CreateNew, |out| out.write_all(b"second"));
/// assert!(matches!(again, Err(Error::AlreadyExists { .. })));
/// assert_eq!(std::fs::read(&path)?, b"first");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically_with(
    path: impl AsRef<Path>,
    mode: WriteMode,
    write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>,
) -> Result<(), Error> {
    let path = path.as_ref();
    write_target(&System, path, &Target::find(path, mode)?, write)
}

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its path, which is no symbolic link.
    pub(crate) path: PathBuf,
    /// The file that is there.
    old: Option<Metadata>,
    mode: WriteMode,
}

impl Target {
    /// Follows symbolic links and looks at what is there.
    pub(crate) fn find(path: &Path, mode: WriteMode) -> Result<Self, Error> {
        let (target, old) = resolve(path)?;
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Err(Error::NotAFile { path: target });
        }
        if target.file_name().is_none() {
            return Err(Error::NoFileName { path: target });
        }
        if mode == WriteMode::CreateNew && old.is_some() {
            return Err(Error::AlreadyExists { path: target });
        }
        Ok(Self { path: target, old, mode })
    }

    /// The mode that files are created with.
    pub(crate) fn permissions(&self) -> u32 {
        #[cfg(unix)]
        if let Some(old) = &self.old {
            use std::os::unix::fs::PermissionsExt;
            return old.permissions().mode() & 0o777;
        }
        NEW_MODE
    }
}

/// Writes a file atomically; errors call it `path`.
pub(crate) fn write_target(
    calls: &dyn Calls,
    path: &Path,
    target: &Target,
    write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>,
) -> Result<(), Error> {
    let parent = directory_of(&target.path);
    // Opened first: a directory that cannot be brought to the disk is found before the rename.
    let directory = Directory::open(&parent)?;
    temporary::sweep(calls, &parent);
    let temporary = temporary::create(calls, &parent, target.permissions())
        .map_err(|e| Error::io(&parent, Action::CreateTemporary, e))?;
    fill(calls, temporary.as_file(), path, target, write)?;
    // The file stays open, and with it the lock, until it has its name.
    let (_open, from) = temporary.into_parts();
    let renamed = match target.mode {
        WriteMode::Replace => calls.rename(from, &target.path),
        WriteMode::CreateNew => calls.rename_new(from, &target.path),
    };
    renamed.map_err(|e| match (target.mode, e.kind()) {
        (WriteMode::CreateNew, io::ErrorKind::AlreadyExists) => {
            Error::AlreadyExists { path: target.path.clone() }
        }
        _ => Error::io(path, Action::Rename, e),
    })?;
    calls.sync_directory(&directory).map_err(|e| Error::io(&parent, Action::SyncDirectory, e))
}

/// Writes the contents of a new file, gives it the mode of the target and brings it to the disk.
pub(crate) fn fill(
    calls: &dyn Calls,
    file: &fs::File,
    path: &Path,
    target: &Target,
    write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>,
) -> Result<(), Error> {
    let mut out = BufWriter::with_capacity(BUFFER, Out::new(calls, file));
    let written = write(&mut out).and_then(|()| out.flush());
    out.get_mut().finish();
    // What is still in the buffer after an error is of no use.
    let _ = out.into_parts();
    written.map_err(|e| Error::from_io(path, Action::Write, e))?;
    if let Some(old) = &target.old {
        // The umask may have taken away from the mode the file was created with.
        let kept = calls.set_permissions(file, old.permissions());
        kept.map_err(|e| Error::io(path, Action::SetMode, e))?;
    }
    calls.sync(file).map_err(|e| Error::io(path, Action::Sync, e))
}

/// Finds out whether files can be written into a directory, before long work whose result goes there.
///
/// A directory that is missing is created, with its parents. Then a temporary file is created in it
/// and removed. Nothing else is checked, free space least of all.
///
/// # Errors
///
/// [`Error::NotADirectory`] if something else has that path, [`Error::Io`] with the path and the
/// action that failed otherwise.
///
/// ```
/// use espalier_checkpoint::check_writable_dir;
/// # let dir = tempfile::tempdir()?;
/// let runs = dir.path().join("runs/first");
/// check_writable_dir(&runs)?;
/// assert!(runs.is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_writable_dir(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // The nearest part that exists tells more than the error of `create_dir_all` would.
    let obstacle = path.ancestors().find_map(|part| Some((part, fs::metadata(part).ok()?)));
    if let Some((part, found)) = obstacle
        && !found.is_dir()
    {
        return Err(Error::NotADirectory { path: part.to_path_buf() });
    }
    fs::create_dir_all(path).map_err(|e| Error::io(path, Action::CreateDirectory, e))?;
    let temporary = temporary::create(&System, path, NEW_MODE)
        .map_err(|e| Error::io(path, Action::CreateTemporary, e))?;
    temporary.close().map_err(|e| Error::io(path, Action::RemoveTemporary, e))
}

/// Follows symbolic links, also to a file that is not there yet. Gives the path that is no link, and what
/// is there now.
fn resolve(path: &Path) -> Result<(PathBuf, Option<Metadata>), Error> {
    let inspect = |e| Error::io(path, Action::Inspect, e);
    let mut target = path.to_path_buf();
    for _ in 0..=MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(found) if found.is_symlink() => {
                let link = fs::read_link(&target).map_err(inspect)?;
                // An absolute link replaces the whole path.
                target = directory_of(&target).join(link);
            }
            Ok(found) => return Ok((target, Some(found))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((target, None)),
            Err(e) => return Err(inspect(e)),
        }
    }
    Err(Error::SymlinkLoop { path: path.to_path_buf(), limit: MAX_LINKS })
}

//! Files that are there whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Action, Error};

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// Buffer between the writer and the file, in bytes.
const BUFFER: usize = 1 << 20;

/// A place to write to in any order.
///
/// ```
/// fn is_one(_: &impl espalier_checkpoint::WriteSeek) {}
/// is_one(&std::io::Cursor::new(Vec::new()));
/// ```
pub trait WriteSeek: Write + Seek {}

impl<T: Write + Seek + ?Sized> WriteSeek for T {}

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
/// killed leaves at most a file `.espalier-*.tmp` behind, which may be deleted.
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
    let path = path.as_ref();
    let (target, old) = resolve(path)?;
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return Err(Error::NotAFile { path: target });
    }
    if target.file_name().is_none() {
        return Err(Error::NoFileName { path: target });
    }
    let parent = directory_of(&target);
    // Opened first: a directory that cannot be brought to the disk is found before the rename.
    let directory = open_directory(parent)?;
    let temporary = create_temporary(parent, old.as_ref())?;

    let mut out = BufWriter::with_capacity(BUFFER, temporary.as_file());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(|e| Error::from_io(path, Action::Write, e))?;
    drop(out);
    if let Some(old) = &old {
        // The umask may have taken away from the mode the file was created with.
        let kept = temporary.as_file().set_permissions(old.permissions());
        kept.map_err(|e| Error::io(path, Action::SetMode, e))?;
    }
    temporary.as_file().sync_all().map_err(|e| Error::io(path, Action::Sync, e))?;
    temporary.persist(&target).map_err(|e| Error::io(path, Action::Rename, e.error))?;
    sync_directory(&directory).map_err(|e| Error::io(parent, Action::SyncDirectory, e))
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
    create_temporary(path, None)?.close().map_err(|e| Error::io(path, Action::RemoveTemporary, e))
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

/// The directory that holds a file; the current one for a bare name.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file that is removed when dropped, never more open than the file it will replace.
fn create_temporary(directory: &Path, old: Option<&Metadata>) -> Result<NamedTempFile, Error> {
    let mut builder = tempfile::Builder::new();
    // Not made of the target's name, which may be as long as a name can be.
    builder.prefix(".espalier-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = old.map_or(0o644, |old| old.permissions().mode() & 0o777);
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = old;
    builder.tempfile_in(directory).map_err(|e| Error::io(directory, Action::CreateTemporary, e))
}

#[cfg(unix)]
fn open_directory(directory: &Path) -> Result<File, Error> {
    File::open(directory).map_err(|e| Error::io(directory, Action::Open, e))
}

#[cfg(unix)]
fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        // Some network file systems know no such thing; the rename is all there is to be had.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(not(unix))]
fn open_directory(_directory: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(unix))]
fn sync_directory(_directory: &()) -> io::Result<()> {
    Ok(())
}

//! The calls to the operating system that a save is made of.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempPath};

use crate::ahead::Ahead;
use crate::error::{Action, Error};

/// What a save asks of the operating system. As they stand the methods do it; an implementation may refuse.
pub(crate) trait Calls {
    /// Creates a file that is removed when dropped.
    fn create_temporary(
        &self,
        named: &Builder<'_, '_>,
        directory: &Path,
    ) -> io::Result<NamedTempFile> {
        named.tempfile_in(directory)
    }

    /// Creates a file that is not there yet, with that mode less the umask.
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        options.open(path)
    }

    /// Writes some of the bytes and tells how many.
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    /// Sets the mode of a file.
    fn set_permissions(&self, file: &File, permissions: Permissions) -> io::Result<()> {
        file.set_permissions(permissions)
    }

    /// Brings a file to the disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Gives a temporary file a name that may be taken.
    fn rename(&self, from: TempPath, to: &Path) -> io::Result<()> {
        from.persist(to).map_err(|e| e.error)
    }

    /// Gives a temporary file a name that must not be taken.
    fn rename_new(&self, from: TempPath, to: &Path) -> io::Result<()> {
        from.persist_noclobber(to).map_err(|e| e.error)
    }

    /// Brings the names in a directory to the disk.
    fn sync_directory(&self, directory: &Directory) -> io::Result<()> {
        directory.sync()
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The operating system as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System;

impl Calls for System {}

/// A directory, open so that its names can be brought to the disk.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Directory(File);

#[cfg(unix)]
impl Directory {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        File::open(path).map(Self).map_err(|e| Error::io(path, Action::Open, e))
    }

    fn sync(&self) -> io::Result<()> {
        match self.0.sync_all() {
            // Some network file systems know no such thing; the rename is all there is to be had.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

/// A directory; there is no way to bring its names to the disk.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Directory;

#[cfg(not(unix))]
impl Directory {
    pub(crate) fn open(_path: &Path) -> Result<Self, Error> {
        Ok(Self)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is written through [`Calls`].
pub(crate) struct Out<'a> {
    calls: &'a dyn Calls,
    file: &'a File,
    position: u64,
    ahead: Ahead,
}

impl<'a> Out<'a> {
    /// A new file, at its start.
    pub(crate) fn new(calls: &'a dyn Calls, file: &'a File) -> Self {
        Self { calls, file, position: 0, ahead: Ahead::default() }
    }

    /// When everything is written.
    pub(crate) fn finish(&mut self) {
        self.ahead.finish(self.file);
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.calls.write(self.file, bytes)?;
        self.position += written as u64;
        self.ahead.wrote(self.file, self.position);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Out<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut file = self.file;
        self.position = file.seek(to)?;
        Ok(self.position)
    }
}

//! Which file of a directory is the checkpoint.

use std::path::{Path, PathBuf};

use crate::codec::sharded_write::INDEX;
use crate::error::{Action, Error};

/// The file that a directory is opened by: its one `*.safetensors.index.json`, or if there is none its one
/// `*.safetensors`. Hidden files do not count.
pub(crate) fn checkpoint_in(directory: &Path) -> Result<PathBuf, Error> {
    let unreadable = |e| Error::io(directory, Action::Read, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        // A name that is no text cannot be one of those looked for.
        names.extend(entry.map_err(unreadable)?.file_name().into_string());
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort_unstable();
    for ending in [INDEX, ".safetensors"] {
        let mut found: Vec<String> =
            names.iter().filter(|name| name.ends_with(ending)).cloned().collect();
        match found.len() {
            0 => {}
            1 => return Ok(directory.join(found.remove(0))),
            _ => {
                let path = directory.to_path_buf();
                return Err(Error::SeveralCheckpoints { path, found });
            }
        }
    }
    Err(Error::NoCheckpoint { path: directory.to_path_buf() })
}

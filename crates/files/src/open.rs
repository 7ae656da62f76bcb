//! Files opened.

use std::path::Path;

use espalier_checkpoint::{Checkpoint, Format, Origin, Source, TorchFile};

use crate::error::FilesError;

/// The most state dicts that an error lists.
const LISTED: usize = 12;

/// Opens a checkpoint by its content; tensors are read when they are asked for.
///
/// `key` chooses an inner state dict of a PyTorch file, such as `model` of a training checkpoint, or all tensors under
/// their full names if it is empty. Without it the one state dict is taken that holds tensors; the state of an
/// optimizer is none. A file that holds tensors by their names outermost has nothing to choose.
///
/// # Errors
///
/// As [`Checkpoint::open`], [`FilesError::NoKeys`] for a key where there is nothing to choose, and
/// [`FilesError::SeveralKeys`] where a key is needed and there is none.
///
/// ```
/// # use espalier_checkpoint::{Checkpoint, NamedTensor, write_torch};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model.pt");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![1], &[1.0])?)?;
/// write_torch(&path, &checkpoint)?;
/// assert_eq!(espalier_files::open(&path, None)?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(path: impl AsRef<Path>, key: Option<&str>) -> Result<Checkpoint, FilesError> {
    let path = path.as_ref();
    if path.is_dir() {
        return match key {
            None => Ok(Checkpoint::open(path)?),
            Some(_) => Err(no_keys(path, Format::Sharded)),
        };
    }
    let source = Source::open(path)?;
    let format = Format::of(&source)?;
    let (Format::Torch, key) = (format, key) else {
        return match key {
            None => Ok(Checkpoint::open_source(&source)?),
            Some(_) => Err(no_keys(path, format)),
        };
    };
    let file = TorchFile::open_source(&source)?;
    let mut checkpoint = match key {
        Some(key) => file.select(key)?,
        None => the_one(&file, path)?,
    };
    checkpoint.origin = Some(Origin::new(path, format));
    Ok(checkpoint)
}

fn no_keys(path: &Path, format: Format) -> FilesError {
    FilesError::NoKeys { path: path.to_owned(), format: format.to_string() }
}

/// What is read of a PyTorch file without a word on it.
fn the_one(file: &TorchFile, path: &Path) -> Result<Checkpoint, FilesError> {
    let inner = file.inner();
    if inner.is_empty() || inner.iter().any(String::is_empty) {
        return Ok(file.all()?);
    }
    // Of several, one may be known by its key for the model's.
    let likely = file.checkpoint()?;
    if likely.metadata.contains_key("torch.selected") {
        return Ok(likely);
    }
    let optimizer = |name: &str| name.split('.').next().is_some_and(|key| key.contains("optim"));
    let models: Vec<String> = inner.into_iter().filter(|name| !optimizer(name)).collect();
    match &models[..] {
        [] => Ok(likely),
        [one] => Ok(file.select(one)?),
        [..] => {
            let more = models.len().saturating_sub(LISTED);
            let found = models.into_iter().take(LISTED).collect();
            Err(FilesError::SeveralKeys { path: path.to_owned(), found, more })
        }
    }
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::{NamedTensor, write_npz, write_torch};

    use super::*;

    #[test]
    fn a_key_where_there_is_nothing_to_choose() {
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(NamedTensor::f32("fc.w", vec![1], &[1.0]).unwrap()).unwrap();
        let (npz, torch) = (dir.path().join("a.npz"), dir.path().join("a.pt"));
        write_npz(&npz, &checkpoint).unwrap();
        write_torch(&torch, &checkpoint).unwrap();
        assert!(matches!(open(&npz, Some("model")), Err(FilesError::NoKeys { .. })));
        assert!(matches!(open(&torch, Some("model")), Err(FilesError::Checkpoint(_))));
        for key in [None, Some("")] {
            let opened = open(&torch, key).unwrap();
            assert_eq!(opened.names().collect::<Vec<_>>(), ["fc.w"]);
            assert_eq!(opened.origin, Some(Origin::new(&torch, Format::Torch)));
        }
    }
}

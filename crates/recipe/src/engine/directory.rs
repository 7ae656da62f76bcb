//! The run directory: what a run leaves behind.
//!
//! A run that replaces a finished one works in a folder inside the directory and moves its files
//! out of it at its end, so that until then the finished run is there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use espalier::state::StateDict;
use espalier_checkpoint::{check_writable_dir, write_atomically};
use toml_edit::{DocumentMut, Value};

use super::error::TrainError;
use super::event::{EpochMetrics, Summary};

/// The recipe as it was run; its presence makes a directory a run's.
pub(crate) const RECIPE: &str = "recipe.toml";
/// The trained network.
pub(crate) const MODEL: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const SUMMARY: &str = "summary.json";

/// Where a run works while an earlier one is still in the directory.
const NEXT: &str = ".next";

/// A directory that a run may write to.
pub(crate) struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Checks that `path` can be a run's: it is writable and empty, missing (then it is made), or
    /// an earlier run's. No file is left or removed.
    ///
    /// # Errors
    ///
    /// [`TrainError::NotARun`], [`TrainError::NotWritable`].
    pub(crate) fn check(path: &Path) -> Result<Self, TrainError> {
        if path.is_dir() && !holds_run(path) {
            let strangers =
                names(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
            if let Some(found) = strangers.into_iter().next() {
                return Err(TrainError::NotARun { directory: path.to_owned(), found });
            }
        }
        check_writable_dir(path)
            .map_err(Box::new)
            .map_err(|source| TrainError::NotWritable { directory: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the directory for this run, writes the recipe's text, and opens the metrics.
    ///
    /// # Errors
    ///
    /// [`TrainError::Busy`] if another run is writing there.
    pub(crate) fn begin(&self, recipe: &str) -> Result<Writing, TrainError> {
        let lock = lock(&self.path)?;
        let next = self.path.join(NEXT);
        remove_ours(&next)?;
        let replaces = self.path.join(SUMMARY).is_file();
        let work = if replaces { next } else { self.path.clone() };
        if replaces {
            fs::create_dir_all(&work)
                .map_err(|source| TrainError::Io { path: work.clone(), source })?;
        } else {
            remove_files(&work, &[MODEL, METRICS])?;
        }
        let path = work.join(METRICS);
        // Replaced, never removed: it may be the very recipe that is being run.
        write_atomically(work.join(RECIPE), |out| out.write_all(recipe.as_bytes()))?;
        let file =
            File::create(&path).map_err(|source| TrainError::Io { path: path.clone(), source })?;
        let metrics = Metrics { path, file, length: 0 };
        Ok(Writing {
            directory: self.path.clone(),
            work,
            replaces,
            done: false,
            metrics,
            _lock: lock,
        })
    }
}

/// A directory with the recipe of a run and something that a run made of it.
fn holds_run(path: &Path) -> bool {
    path.join(RECIPE).is_file() && (path.join(METRICS).is_file() || path.join(SUMMARY).is_file())
}

/// The directory's own lock, released with the process. None where a directory cannot be locked.
fn lock(path: &Path) -> Result<Option<File>, TrainError> {
    let Ok(handle) = File::open(path) else { return Ok(None) };
    match handle.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Err(TrainError::Busy { directory: path.to_owned() }),
        _ => Ok(Some(handle)),
    }
}

fn remove_files(directory: &Path, names: &[&str]) -> Result<(), TrainError> {
    for name in names {
        let path = directory.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(TrainError::Io { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the folder of a run that did not end, if there is one.
fn remove_ours(next: &Path) -> Result<(), TrainError> {
    if next.is_dir() {
        remove_files(next, &[RECIPE, METRICS, MODEL, SUMMARY])?;
        fs::remove_dir(next).map_err(|source| TrainError::Io { path: next.to_owned(), source })?;
    }
    Ok(())
}

/// A run's files while it is going on.
pub(crate) struct Writing {
    directory: PathBuf,
    work: PathBuf,
    /// Whether a finished run is still in the directory.
    pub(crate) replaces: bool,
    done: bool,
    pub(crate) metrics: Metrics,
    _lock: Option<File>,
}

impl Writing {
    /// Writes network and summary, and puts the run in the place of the one before.
    pub(crate) fn finish(
        mut self,
        state: &StateDict,
        summary: &Summary,
    ) -> Result<PathBuf, TrainError> {
        state.save(self.work.join(MODEL))?;
        // The summary, which marks a run as whole, is written last and goes first.
        let path = self.work.join(SUMMARY);
        let mut text = json(&path, serde_json::to_string_pretty(summary))?;
        text.push('\n');
        write_atomically(&path, |out| out.write_all(text.as_bytes()))?;
        if self.replaces {
            remove_files(&self.directory, &[SUMMARY])?;
            for name in [RECIPE, METRICS, MODEL, SUMMARY] {
                let to = self.directory.join(name);
                fs::rename(self.work.join(name), &to)
                    .map_err(|source| TrainError::Io { path: to, source })?;
            }
            remove_ours(&self.work)?;
        }
        self.done = true;
        Ok(self.directory.join(MODEL))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.replaces && !self.done {
            // The earlier run stays; what is left of this one would only confuse.
            let _ = remove_ours(&self.work);
        }
    }
}

/// Names in a directory in order, without what an interrupted write may have left.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != NEXT && !(name.starts_with(".espalier-") && name.ends_with(".tmp")) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn json(path: &Path, text: Result<String, serde_json::Error>) -> Result<String, TrainError> {
    text.map_err(|error| TrainError::Io { path: path.to_owned(), source: error.into() })
}

/// `metrics.jsonl`, growing.
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl Metrics {
    /// Adds a line, whole or not at all.
    pub(crate) fn add(&mut self, metrics: &EpochMetrics) -> Result<(), TrainError> {
        let mut line = json(&self.path, serde_json::to_string(metrics))?;
        line.push('\n');
        match self.file.write_all(line.as_bytes()).and_then(|()| self.file.flush()) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(source) => {
                // A full disk may have taken half of it.
                let _ = self.file.set_len(self.length);
                Err(TrainError::Io { path: self.path.clone(), source })
            }
        }
    }
}

/// A recipe's text with this seed in it, all else as it was.
///
/// # Errors
///
/// If the text is no TOML any more, which a parsed recipe's is.
pub(crate) fn with_seed(text: &str, seed: i64) -> Result<String, toml_edit::TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let mut value = Value::from(seed);
    if let Some(old) = document.get("seed").and_then(|item| item.as_value()) {
        *value.decor_mut() = old.decor().clone();
    }
    document["seed"] = toml_edit::Item::Value(value);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_replaced_in_place_or_added_before_the_tables() {
        let text =
            "name = \"a\"\nseed = 3   # chosen by dice\n\n[data] # digits\nsource = 'digits'\n";
        assert_eq!(with_seed(text, 5).unwrap(), text.replace("seed = 3 ", "seed = 5 "));
        let text = "name = \"a\"\n\n[data]\nsource = 'digits'\n";
        assert_eq!(
            with_seed(text, 5).unwrap(),
            "name = \"a\"\nseed = 5\n\n[data]\nsource = 'digits'\n"
        );
    }
}

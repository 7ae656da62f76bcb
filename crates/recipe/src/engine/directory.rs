//! The run directory: what a run leaves behind.

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
        if path.is_dir() && !path.join(RECIPE).is_file() {
            let strangers =
                names(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
            if let Some(found) = strangers.into_iter().next() {
                return Err(TrainError::NotARun { directory: path.to_owned(), found });
            }
        }
        check_writable_dir(path)
            .map_err(|source| TrainError::NotWritable { directory: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what an earlier run left, keeps the recipe's text, and opens the metrics.
    pub(crate) fn begin(&self, recipe: &str) -> Result<Metrics, TrainError> {
        // The model goes first: what is left of an earlier run must not look whole.
        for name in [MODEL, SUMMARY, METRICS] {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(TrainError::Io { path, source });
                }
                _ => {}
            }
        }
        // Replaced, never removed: it may be the very recipe that is being run.
        write_atomically(self.path.join(RECIPE), |out| out.write_all(recipe.as_bytes()))?;
        let path = self.path.join(METRICS);
        match File::create(&path) {
            Ok(file) => Ok(Metrics { path, file }),
            Err(source) => Err(TrainError::Io { path, source }),
        }
    }

    /// Writes the trained network.
    pub(crate) fn save_model(&self, state: &StateDict) -> Result<PathBuf, TrainError> {
        let path = self.path.join(MODEL);
        state.save(&path)?;
        Ok(path)
    }

    /// Writes the summary, which marks a run as whole.
    pub(crate) fn save_summary(&self, summary: &Summary) -> Result<(), TrainError> {
        let path = self.path.join(SUMMARY);
        let mut text = json(&path, serde_json::to_string_pretty(summary))?;
        text.push('\n');
        write_atomically(&path, |out| out.write_all(text.as_bytes()))?;
        Ok(())
    }
}

/// Names in a directory in order, without what an interrupted write may have left.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !(name.starts_with(".espalier-") && name.ends_with(".tmp")) {
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
}

impl Metrics {
    /// Adds a line, whole or not at all as far as the system allows.
    pub(crate) fn add(&mut self, metrics: &EpochMetrics) -> Result<(), TrainError> {
        let mut line = json(&self.path, serde_json::to_string(metrics))?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(|source| TrainError::Io { path: self.path.clone(), source })
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

//! What a training run has left in its directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use espalier_checkpoint::{Action, Error};
use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item};

use crate::error::FilesError;

const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
const SUMMARY: &str = "summary.json";
/// The trained network.
pub(crate) const MODEL: &str = "model.safetensors";

/// A training run.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// use espalier_files::Run;
/// assert!(!Run::is_one(dir));
/// std::fs::write(dir.join("recipe.toml"), "name = \"tiny\"\n")?;
/// std::fs::write(dir.join("metrics.jsonl"), "{\"epoch\":1,\"step\":45,\"loss\":0.5}\n")?;
/// assert!(Run::is_one(dir));
/// let run = Run::read(dir)?;
/// assert_eq!((run.name.as_deref(), run.epochs[0].loss), (Some("tiny"), Some(0.5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The recipe's name.
    pub name: Option<String>,
    /// The recipe's description.
    pub description: Option<String>,
    /// What is measured after each epoch, in their order.
    pub epochs: Vec<Epoch>,
    /// Whether a last line of the metrics was left out because it breaks off.
    pub torn: bool,
    /// The pruning, if the recipe has any.
    pub pruning: Option<RunPruning>,
    /// What the run came to; absent if it has not ended.
    pub summary: Option<RunSummary>,
    /// The recipe's text.
    pub recipe: String,
}

/// A line of the metrics. What a run has not measured, or what was no number, is absent.
///
/// ```
/// use espalier_files::Epoch;
/// let epoch: Epoch = serde_json::from_str(r#"{"epoch": 1, "loss": null, "gradient_norm": 0.5}"#)?;
/// assert_eq!((epoch.epoch, epoch.loss, epoch.gradient_norm), (1.0, None, Some(0.5)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Epochs done so far.
    pub epoch: f64,
    /// Steps done so far.
    #[serde(default)]
    pub step: Option<f64>,
    /// Mean training loss.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Mean loss of the test examples.
    #[serde(default)]
    pub test_loss: Option<f64>,
    /// Fraction of the training examples that were right.
    #[serde(default)]
    pub train_accuracy: Option<f64>,
    /// Fraction of the test examples that are right.
    #[serde(default)]
    pub test_accuracy: Option<f64>,
    /// The learning rate of each group.
    #[serde(default)]
    pub rates: BTreeMap<String, Option<f64>>,
    /// Fraction of the network's weights that are zero.
    #[serde(default)]
    pub sparsity: Option<f64>,
    /// The Euclidean norm of all gradients together.
    #[serde(default)]
    pub gradient_norm: Option<f64>,
    /// That of the gradients of each parameter or group.
    #[serde(default)]
    pub gradient_norms: BTreeMap<String, Option<f64>>,
    /// Seconds that it took.
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// What a run came to.
///
/// ```
/// use espalier_files::RunSummary;
/// let summary: RunSummary = serde_json::from_str(r#"{"accuracy": {"after_pruning": 0.98}, "seed": 3}"#)?;
/// assert_eq!((summary.accuracy.after_pruning, summary.seed), (Some(0.98), Some(3)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Fractions of the test examples that are right.
    #[serde(default)]
    pub accuracy: RunAccuracy,
    /// Fraction of zeros among the saved weights.
    #[serde(default)]
    pub sparsity: Option<f64>,
    /// Elements of the network's parameters, tied ones once.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Seconds that it took.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The seed that it followed from.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// Fractions of the test examples that are right.
///
/// See [`RunSummary`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RunAccuracy {
    /// Before the first round of pruning.
    #[serde(default)]
    pub before_pruning: Option<f64>,
    /// Of the network that is saved.
    #[serde(default)]
    pub after_pruning: Option<f64>,
}

/// The pruning of a run, as its recipe has it and as its metrics tell.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let recipe = "[prune]\nmethod = 'l1_unstructured'\nepochs = [1]\nsparsity = [0.5]\n";
/// std::fs::write(dir.join("recipe.toml"), recipe)?;
/// let metrics = "{\"epoch\":1,\"test_accuracy\":0.9}\n{\"epoch\":2,\"test_accuracy\":0.8,\"sparsity\":0.5}\n";
/// std::fs::write(dir.join("metrics.jsonl"), metrics)?;
/// let pruning = espalier_files::Run::read(dir)?.pruning.unwrap();
/// let round = &pruning.rounds[0];
/// assert_eq!((round.epoch, round.target, round.reached), (1, Some(0.5), Some(0.5)));
/// assert_eq!((round.accuracy_before, round.accuracy_after), (Some(0.9), Some(0.8)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPruning {
    /// Which elements go first, as the recipe spells it.
    pub method: Option<String>,
    /// Among which elements they are compared.
    pub scope: Option<String>,
    /// What the targets are fractions of: `selected` parameters or the whole `network`.
    pub of: String,
    /// The rounds in order.
    pub rounds: Vec<Round>,
}

/// One round of pruning. See [`RunPruning`] for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// The number of epochs before it.
    pub epoch: usize,
    /// The fraction that should be zero after it.
    pub target: Option<f64>,
    /// The fraction of the network's weights that are zero after the epoch that follows it; absent if that is not done.
    pub reached: Option<f64>,
    /// Test accuracy after the epoch before it.
    pub accuracy_before: Option<f64>,
    /// Test accuracy after the epoch that follows it.
    pub accuracy_after: Option<f64>,
}

impl Run {
    /// Whether a path is a run's directory: it holds a recipe, and metrics or a summary.
    ///
    /// ```
    /// assert!(!espalier_files::Run::is_one("no/such/directory"));
    /// ```
    pub fn is_one(path: impl AsRef<Path>) -> bool {
        let holds = |name| path.as_ref().join(name).is_file();
        holds(RECIPE) && (holds(METRICS) || holds(SUMMARY))
    }

    /// Reads a run's directory, of one that goes on too.
    ///
    /// # Errors
    ///
    /// [`FilesError::Run`] for a file that is not what a run writes, and what keeps one from being read.
    ///
    /// See [`Run`] for an example.
    pub fn read(directory: impl AsRef<Path>) -> Result<Self, FilesError> {
        let directory = directory.as_ref();
        let recipe = text(&directory.join(RECIPE))?.unwrap_or_default();
        let document: DocumentMut =
            recipe.parse().map_err(|error: toml_edit::TomlError| FilesError::Run {
                path: directory.join(RECIPE),
                line: None,
                cause: format!("not a recipe: {}", error.message()),
            })?;
        let (epochs, torn) = metrics(&directory.join(METRICS))?;
        let said = |key: &str| document.get(key).and_then(Item::as_str).map(str::to_owned);
        Ok(Self {
            name: said("name"),
            description: said("description"),
            pruning: document.get("prune").and_then(|table| pruning(table, &epochs)),
            summary: summary(&directory.join(SUMMARY))?,
            epochs,
            torn,
            recipe,
        })
    }
}

/// A file's text; nothing if there is no file.
fn text(path: &Path) -> Result<Option<String>, FilesError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => {
            let path = path.to_owned();
            return Err(Error::Io { path, action: Action::Read, cause }.into());
        }
    };
    let text = String::from_utf8(bytes).map_err(|_| FilesError::Run {
        path: path.to_owned(),
        line: None,
        cause: "expected a text in UTF-8, found other bytes: it is not what a run writes".into(),
    })?;
    Ok(Some(text))
}

/// The lines of the metrics, and whether the last one breaks off, as when a run is killed.
fn metrics(path: &Path) -> Result<(Vec<Epoch>, bool), FilesError> {
    let text = text(path)?.unwrap_or_default();
    let mut epochs = Vec::new();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(epoch) => epochs.push(epoch),
            Err(_) if !line.ends_with('\n') => return Ok((epochs, true)),
            Err(error) => {
                // Its own place is within the line.
                let said = error.to_string();
                let said = said.split(" at line ").next().unwrap_or_default();
                return Err(FilesError::Run {
                    path: path.to_owned(),
                    line: Some(at + 1),
                    cause: format!(
                        "expected an object of numbers with an `epoch`, found something else ({said}): remove the line"
                    ),
                });
            }
        }
    }
    Ok((epochs, false))
}

fn summary(path: &Path) -> Result<Option<RunSummary>, FilesError> {
    let Some(text) = text(path)? else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|error| FilesError::Run {
        path: path.to_owned(),
        line: Some(error.line()),
        cause: format!("not the summary of a run: {error}: move it away to do without"),
    })
}

fn pruning(table: &Item, epochs: &[Epoch]) -> Option<RunPruning> {
    let table = table.as_table_like()?;
    let said = |key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
    let list = |key: &str| -> Vec<Option<f64>> {
        let array = table.get(key).and_then(Item::as_array).into_iter().flatten();
        array.map(|value| value.as_float().or(value.as_integer().map(|i| i as f64))).collect()
    };
    let targets = list("sparsity");
    let after = |count: usize| epochs.iter().find(|epoch| epoch.epoch == count as f64);
    let round = |(at, start): (usize, f64)| {
        let epoch = start as usize;
        Round {
            epoch,
            target: targets.get(at).copied().flatten(),
            reached: after(epoch + 1).and_then(|found| found.sparsity),
            accuracy_before: after(epoch).and_then(|found| found.test_accuracy),
            accuracy_after: after(epoch + 1).and_then(|found| found.test_accuracy),
        }
    };
    let starts = list("epochs").into_iter().flatten().enumerate();
    Some(RunPruning {
        method: said("method"),
        scope: said("scope"),
        of: said("of").unwrap_or_else(|| "selected".into()),
        rounds: starts.map(round).collect(),
    })
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    fn run(metrics: &str) -> Result<Run, FilesError> {
        let directory = tempdir().unwrap();
        let directory = directory.path();
        fs::write(directory.join(RECIPE), "name = 'a'\nprune = { epochs = [1], sparsity = [0.5] }")
            .unwrap();
        fs::write(directory.join(METRICS), metrics).unwrap();
        Run::read(directory)
    }

    #[test]
    fn a_run_that_goes_on() {
        let line = r#"{"epoch":1,"step":9,"loss":0.5,"rates":{"a":1e-3},"sparsity":0.0,"new":[1]}"#;
        let found = run(&format!("{line}\n\n{{\"epo")).unwrap();
        assert!(found.torn && found.summary.is_none());
        assert_eq!((found.epochs.len(), found.epochs[0].rates["a"]), (1, Some(1e-3)));
        let pruning = found.pruning.unwrap();
        assert_eq!((pruning.of.as_str(), pruning.rounds.len()), ("selected", 1));
        assert_eq!((pruning.rounds[0].target, pruning.rounds[0].reached), (Some(0.5), None));
        assert!(!run("").unwrap().torn);
    }

    #[test]
    fn a_line_that_no_run_writes() {
        let error = run("{\"epoch\":1}\n{\"epoch\":NaN}\n").unwrap_err();
        assert!(matches!(&error, FilesError::Run { line: Some(2), .. }));
        let text = error.to_string();
        assert!(text.contains("metrics.jsonl:2: expected an object"), "{text}");
    }

    #[test]
    fn a_summary_and_a_recipe_that_no_run_writes() {
        let directory = tempdir().unwrap();
        let directory = directory.path();
        fs::write(directory.join(RECIPE), "name = ").unwrap();
        fs::write(directory.join(SUMMARY), "7").unwrap();
        assert!(Run::is_one(directory));
        let error = Run::read(directory).unwrap_err().to_string();
        assert!(error.contains("recipe.toml: not a recipe"), "{error}");
        fs::write(directory.join(RECIPE), "name = 'a'").unwrap();
        let error = Run::read(directory).unwrap_err().to_string();
        assert!(error.contains("summary.json:1: not the summary"), "{error}");
        fs::write(directory.join(SUMMARY), b"\xff").unwrap();
        let error = Run::read(directory).unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "{error}");
    }
}

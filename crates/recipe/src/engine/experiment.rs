//! All the runs of one recipe: its pretraining, itself, its variants.

use std::path::{Path, PathBuf};

use espalier_checkpoint::write_atomically;
use serde::Serialize;

use super::directory::{PRETRAIN, VARIANTS};
use super::error::TrainError;
use super::event::{Event, Observer, Summary};
use super::prepare::{Prepared, RunOptions, changed, seeded};
use crate::spec::{Changes, Recipe, VariantSpec};

/// What the runs of an experiment came to, in its directory.
const COMPARISON: &str = "comparison.json";

/// A recipe with its pretraining and its variants.
///
/// The runs are trained one after another: `[pretrain]` first, whose weights the others start from, then
/// the recipe itself, then each `[[variant]]`, all on the same data from the same seed. A variant
/// `without = ["pretrain"]` does not start from them. Each has a directory of its own; the recipe's holds
/// the others.
///
/// ```
/// use espalier_recipe::{Event, Experiment, Observer, Recipe, RunOptions};
///
/// struct Quiet;
/// impl Observer for Quiet {
///     fn event(&mut self, _: Event<'_>) {}
/// }
///
/// let recipe = Recipe::parse(
///     r#"
/// name = "tiny"
/// data = { source = "digits" }
/// layer = [{ type = "flatten" }, { type = "linear", features = 10 }]
/// optimizer = { type = "adam", lr = 1e-2 }
/// train = { epochs = 1, batch_size = 64 }
/// [[variant]]
/// name = "plain"
/// set = { optimizer = { type = "sgd", lr = 1e-2 } }
/// "#,
///     "tiny.toml",
/// )?;
/// # let runs = tempfile::tempdir()?;
/// # let directory = Some(runs.path().join("tiny"));
/// let options = RunOptions { directory, ..RunOptions::default() };
/// let outcomes = Experiment::new(recipe, options)?.train(&mut Quiet)?;
/// assert_eq!((outcomes[0].name.as_str(), outcomes[1].name.as_str()), ("tiny", "plain"));
/// assert!(outcomes[0].summary.loss < outcomes[1].summary.loss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Experiment {
    runs: Vec<Run>,
    directory: PathBuf,
    /// The first run, ready.
    first: Option<Prepared>,
}

/// One run to be trained.
struct Run {
    name: String,
    recipe: Recipe,
    options: RunOptions,
}

/// What one run of an [`Experiment`] came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The recipe's name, `pretrain`, or the variant's name.
    pub name: String,
    /// The run directory.
    pub directory: PathBuf,
    /// What it came to.
    pub summary: Summary,
}

impl Experiment {
    /// Builds and checks every run. Nothing is trained yet, and no file written or removed.
    ///
    /// # Errors
    ///
    /// As [`Prepared::new`], for the first run at fault.
    pub fn new(recipe: Recipe, options: RunOptions) -> Result<Self, TrainError> {
        // A variant may have a seed of its own.
        let recipe = seeded(recipe, options.seed)?;
        let options = RunOptions { seed: None, ..options };
        let directory = match &options.directory {
            Some(directory) => directory.clone(),
            None => recipe.output.directory.value.clone(),
        };
        let mut own = Vec::new();
        for (key, there) in [
            ("variant", !recipe.variants.is_empty()),
            ("pretrain", recipe.pretrain.is_some()),
            ("short", recipe.short.is_some()),
        ] {
            if there {
                own.push(key.to_owned());
            }
        }
        let plain = changed(&recipe, &Changes { set: Vec::new(), without: own })?;
        let with = |recipe: Recipe, directory: PathBuf, start: Option<PathBuf>| {
            let start = start.or_else(|| options.start.clone());
            (recipe, RunOptions { directory: Some(directory), start, ..options.clone() })
        };
        let mut runs = Vec::new();
        let mut start = None;
        let mut add = |name: &str, (recipe, options): (Recipe, RunOptions)| {
            runs.push(Run { name: name.to_owned(), recipe, options });
        };
        if let Some(pretrain) = &recipe.pretrain {
            let before = directory.join(PRETRAIN);
            add(PRETRAIN, with(changed(&plain, &pretrain.value)?, before.clone(), None));
            start = Some(before);
        }
        add(&recipe.name.value, with(plain.clone(), directory.clone(), start.clone()));
        for variant in &recipe.variants {
            let VariantSpec { name, changes } = &variant.value;
            let own = directory.join(VARIANTS).join(&name.value);
            // A variant without pretraining starts as the recipe would without it.
            let mut changes = changes.clone();
            let count = changes.without.len();
            changes.without.retain(|key| key != PRETRAIN);
            let start = start.clone().filter(|_| changes.without.len() == count);
            add(&name.value, with(changed(&plain, &changes)?, own, start));
        }
        let mut first = None;
        for run in &runs {
            // What training starts from is not there yet.
            let waits = run.options.start == start && start.is_some();
            let options = match waits {
                true => RunOptions { start: None, ..run.options.clone() },
                false => run.options.clone(),
            };
            let prepared = Prepared::new(run.recipe.clone(), options)?;
            if first.is_none() {
                first = Some(prepared);
            }
        }
        Ok(Self { runs, directory, first })
    }

    /// The directory of the recipe's own run, which holds those of the others.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The number of runs.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Always false: the recipe itself is a run.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Trains every run, and writes `comparison.json` if there are several.
    ///
    /// # Errors
    ///
    /// As [`Prepared::train`], for the first run at fault; those before are done.
    pub fn train(mut self, observer: &mut dyn Observer) -> Result<Vec<Outcome>, TrainError> {
        let count = self.runs.len();
        let mut outcomes = Vec::with_capacity(count);
        let mut first = self.first.take();
        for (index, run) in self.runs.into_iter().enumerate() {
            let prepared = match first.take() {
                Some(prepared) => prepared,
                None => Prepared::new(run.recipe, run.options)?,
            };
            let directory = prepared.directory().to_owned();
            observer.event(Event::Run {
                name: &run.name,
                index,
                count,
                steps: prepared.steps(),
                epochs: prepared.epochs(),
            });
            let summary = prepared.train(observer)?;
            outcomes.push(Outcome { name: run.name, directory, summary });
        }
        if count > 1 {
            let path = self.directory.join(COMPARISON);
            let mut text = serde_json::to_string_pretty(&outcomes)
                .map_err(|error| TrainError::Io { path: path.clone(), source: error.into() })?;
            text.push('\n');
            write_atomically(&path, |out| out.write_all(text.as_bytes()))?;
        }
        Ok(outcomes)
    }
}

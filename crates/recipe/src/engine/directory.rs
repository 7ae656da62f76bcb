//! The run directory: what a run leaves behind.
//!
//! A run that replaces a finished one works in a folder inside the directory and moves its files
//! out of it at its end, so that until then the finished run is there.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use std::cell::Cell;

use espalier::nn::Graph;
use espalier::state::{StateDict, Strict, TrainingState};
use espalier_checkpoint::{check_writable_dir, write_atomically};

use super::board::TENSORBOARD;
use super::error::TrainError;
use super::event::{EpochMetrics, Summary};

/// The recipe as it was run; its presence makes a directory a run's.
pub(crate) const RECIPE: &str = "recipe.toml";
/// The trained network.
pub(crate) const MODEL: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const SUMMARY: &str = "summary.json";
/// What an unfinished run goes on from.
const STATE: &str = "state.safetensors";
/// The best network so far, where training may stop early.
const BEST: &str = "best.safetensors";
/// All that a run has written when it is done, in the order in which it takes its place.
const WRITTEN: [&str; 4] = [RECIPE, METRICS, MODEL, SUMMARY];

/// The directories of other runs of the same recipe.
pub(super) const PRETRAIN: &str = "pretrain";
pub(super) const VARIANTS: &str = "variants";

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

    /// The directory without a check, for what writes nothing.
    pub(crate) fn unchecked(path: &Path) -> Self {
        Self { path: path.to_owned() }
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
            remove_files(&work, &[MODEL, METRICS, STATE, BEST])?;
            remove_board(&work)?;
        }
        let path = work.join(METRICS);
        // Replaced, never removed: it may be the very recipe that is being run.
        write_atomically(work.join(RECIPE), |out| out.write_all(recipe.as_bytes()))?;
        let file =
            File::create(&path).map_err(|source| TrainError::Io { path: path.clone(), source })?;
        let metrics = Metrics { path, file, length: 0 };
        let has_state = Cell::new(false);
        Ok(Writing {
            directory: self.path.clone(),
            work,
            replaces,
            done: false,
            has_state,
            metrics,
            _lock: lock,
        })
    }

    /// The state of a run of this recipe that did not end, if there is one.
    ///
    /// # Errors
    ///
    /// [`TrainError::OtherRecipe`] if the state is of another recipe, [`TrainError::Busy`] if the run is
    /// going on.
    pub(crate) fn unfinished(&self, recipe: &str) -> Result<Option<Unfinished>, TrainError> {
        let next = self.path.join(NEXT);
        let work = [next, self.path.clone()].into_iter().find(|work| work.join(STATE).is_file());
        let Some(work) = work else { return Ok(None) };
        let lock = lock(&self.path)?;
        self.same_recipe(&work, recipe)?;
        Ok(Some(Unfinished { directory: self.path.clone(), work, lock }))
    }

    /// The summary and the model of a run of this recipe that ended, if there is nothing that did not.
    ///
    /// # Errors
    ///
    /// [`TrainError::OtherRecipe`] if it was of another recipe.
    pub(crate) fn finished(&self, recipe: &str) -> Result<Option<(Summary, PathBuf)>, TrainError> {
        let (summary, model) = (self.path.join(SUMMARY), self.path.join(MODEL));
        if self.path.join(NEXT).join(STATE).is_file() || !summary.is_file() || !model.is_file() {
            return Ok(None);
        }
        self.same_recipe(&self.path, recipe)?;
        let io = |source| TrainError::Io { path: summary.clone(), source };
        let text = fs::read_to_string(&summary).map_err(io)?;
        let found = serde_json::from_str(&text).map_err(|error| io(error.into()))?;
        Ok(Some((found, model)))
    }

    fn same_recipe(&self, work: &Path, recipe: &str) -> Result<(), TrainError> {
        let path = work.join(RECIPE);
        let found = fs::read_to_string(&path).map_err(|source| TrainError::Io { path, source })?;
        if found == recipe {
            return Ok(());
        }
        Err(TrainError::OtherRecipe { directory: self.path.clone() })
    }
}

/// A run that did not end.
pub(crate) struct Unfinished {
    directory: PathBuf,
    work: PathBuf,
    lock: Option<File>,
}

impl Unfinished {
    /// The file of the state.
    pub(crate) fn state(&self) -> PathBuf {
        self.work.join(STATE)
    }

    /// Goes on with its files; `length` bytes of its metrics are of the state.
    ///
    /// # Errors
    ///
    /// If the metrics cannot be opened or are shorter.
    pub(crate) fn go_on(self, length: u64) -> Result<Writing, TrainError> {
        let path = self.work.join(METRICS);
        let io = |source| TrainError::Io { path: path.clone(), source };
        let mut file = File::options().read(true).write(true).open(&path).map_err(io)?;
        if file.metadata().map_err(io)?.len() < length {
            return Err(io(io::ErrorKind::UnexpectedEof.into()));
        }
        // Lines of epochs after the state will be written anew.
        file.set_len(length).map_err(io)?;
        file.seek(io::SeekFrom::End(0)).map_err(io)?;
        let replaces = self.work != self.directory;
        Ok(Writing {
            directory: self.directory,
            work: self.work,
            replaces,
            done: false,
            has_state: Cell::new(true),
            metrics: Metrics { path, file, length },
            _lock: self.lock,
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

/// Removes the events of a run.
fn remove_board(directory: &Path) -> Result<(), TrainError> {
    let path = directory.join(TENSORBOARD);
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(TrainError::Io { path, source })
        }
        _ => Ok(()),
    }
}

/// Removes the folder of a run that did not end, if there is one.
fn remove_ours(next: &Path) -> Result<(), TrainError> {
    if next.is_dir() {
        remove_files(next, &[RECIPE, METRICS, MODEL, SUMMARY, STATE, BEST])?;
        remove_board(next)?;
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
    /// Whether there is a state to go on from.
    has_state: Cell<bool>,
    pub(crate) metrics: Metrics,
    _lock: Option<File>,
}

impl Writing {
    /// Where the run's files are while it goes on.
    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a state to go on from, in the place of the one before.
    pub(crate) fn save_state(&self, state: &TrainingState) -> Result<(), TrainError> {
        state.save(self.work.join(STATE))?;
        self.has_state.set(true);
        Ok(())
    }

    /// Whether there is a state to go on from.
    pub(crate) fn is_resumable(&self) -> bool {
        self.has_state.get()
    }

    /// Writes the best network so far.
    pub(crate) fn keep_best(&self, state: &StateDict) -> Result<(), TrainError> {
        Ok(state.save(self.work.join(BEST))?)
    }

    /// The best network, in the form of `like`.
    pub(crate) fn best(&self, like: Graph) -> Result<Graph, TrainError> {
        let state = StateDict::open(self.work.join(BEST))?;
        Ok(state.load_into(like, Strict::Yes)?)
    }

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
        remove_files(&self.work, &[STATE, BEST])?;
        if self.replaces {
            remove_files(&self.directory, &[SUMMARY])?;
            remove_board(&self.directory)?;
            let board = self.work.join(TENSORBOARD);
            if board.is_dir() {
                let to = self.directory.join(TENSORBOARD);
                fs::rename(board, &to)
                    .map_err(|source| TrainError::Io { path: to.clone(), source })?;
            }
            for name in WRITTEN {
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
        if self.replaces && !self.done && !self.is_resumable() {
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
        let ours = [NEXT, PRETRAIN, VARIANTS].contains(&name.as_str());
        if !(ours || name.starts_with(".espalier-") && name.ends_with(".tmp")) {
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
    /// Bytes of whole lines.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

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

//! Which of the checkpoints of a run are kept.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::write_atomically;
use crate::calls::{Calls, System};
use crate::codec::sharded_write::{self, INDEX};
use crate::error::{Action, Error};
use crate::source::Source;

/// The file in which a rotation notes what it has written.
const RECORD: &str = "checkpoints.json";

/// The longest record that is read, in bytes: far more than is ever kept.
const MAX_RECORD: u64 = 16 << 20;

/// Which score is better.
///
/// ```
/// use espalier_checkpoint::Better;
/// let (accuracy, loss) = (Better::Higher, Better::Lower);
/// assert_ne!(accuracy, loss);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher, as of an accuracy.
    Higher,
    /// The lower, as of a loss.
    Lower,
}

/// A checkpoint that was saved.
///
/// ```
/// use espalier_checkpoint::Saved;
/// let saved = Saved { step: 120, file: "step-000120.safetensors".into(), score: Some(0.93) };
/// assert_eq!(saved.step, 120);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The step it was saved at.
    pub step: u64,
    /// The name of its file, or of its index.
    pub file: String,
    /// How good it is, if that was measured.
    pub score: Option<f64>,
}

/// How many checkpoints are kept: the last ones, and beside them the best ones.
///
/// ```
/// use espalier_checkpoint::{Better, Keep, Saved};
/// let saved = |step, score| Saved { step, file: format!("step-{step}"), score };
/// let all = [saved(1, Some(0.9)), saved(2, Some(0.7)), saved(3, Some(0.8)), saved(4, None)];
/// let keep = Keep { last: 2, best: 1, better: Better::Higher };
/// assert_eq!(keep.retired(&all), [&all[1]]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many of the last; the very last is kept even if this is 0.
    pub last: usize,
    /// How many of the best, which may be among the last. Of equally good ones the later is better; one
    /// whose score is missing or no finite number is none of them.
    pub best: usize,
    /// Which score is better.
    pub better: Better,
}

impl Keep {
    /// The checkpoints that are not kept, of those in the order in which they were saved.
    ///
    /// See [`Keep`] for an example.
    pub fn retired<'a>(&self, saved: &'a [Saved]) -> Vec<&'a Saved> {
        let mut kept = vec![false; saved.len()];
        let last = saved.len().saturating_sub(self.last.max(1));
        kept[last..].fill(true);
        let score = |place: &usize| saved[*place].score.filter(|score| score.is_finite());
        let mut ranked: Vec<usize> = (0..saved.len()).filter(|at| score(at).is_some()).collect();
        ranked.sort_by(|a, b| {
            let order = score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal);
            let order = if self.better == Better::Lower { order.reverse() } else { order };
            order.then(b.cmp(a))
        });
        for place in ranked.into_iter().take(self.best) {
            kept[place] = true;
        }
        saved.iter().zip(kept).filter(|(_, kept)| !kept).map(|(saved, _)| saved).collect()
    }
}

/// The checkpoints that a run has saved into a directory, of which old ones are removed.
///
/// They are called `step-000120.safetensors`, or with another ending. What was written is noted with the
/// scores in `checkpoints.json` in the directory; what is not in there is never removed. One process at a
/// time may do so.
///
/// ```
/// use espalier_checkpoint::{Better, Checkpoint, Keep, Rotation, write_safetensors};
/// # let dir = tempfile::tempdir()?;
/// let keep = Keep { last: 1, best: 1, better: Better::Lower };
/// let mut rotation = Rotation::open(dir.path(), ".safetensors", keep)?;
/// for (step, loss) in [(10, 0.5), (20, 0.2), (30, 0.3), (40, 0.4)] {
///     write_safetensors(rotation.path(step), &Checkpoint::new())?;
///     rotation.saved(step, Some(loss))?;
/// }
/// let steps: Vec<u64> = rotation.kept().iter().map(|saved| saved.step).collect();
/// assert_eq!(steps, [20, 40]);
/// assert!(!rotation.path(30).exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rotation {
    directory: PathBuf,
    ending: String,
    keep: Keep,
    saved: Vec<Saved>,
}

/// What is in the record.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// In the order in which they were saved.
    checkpoints: Vec<Saved>,
}

impl Rotation {
    /// Reads what was saved into the directory earlier. `ending` is that of the files from now on:
    /// `.safetensors`, or `.safetensors.index.json` for shards.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] if the record is not one, [`Error::Io`] or [`Error::NotAFile`] if it cannot be
    /// read; [`Error::NoFileName`] if `ending` is not a dot with letters, figures and dots.
    ///
    /// See [`Rotation`] for an example.
    pub fn open(
        directory: impl AsRef<Path>,
        ending: impl Into<String>,
        keep: Keep,
    ) -> Result<Self, Error> {
        let (directory, ending) = (directory.as_ref().to_path_buf(), ending.into());
        if !is_ending(&ending) {
            return Err(Error::NoFileName { path: directory.join(ending) });
        }
        let saved = read(&directory.join(RECORD))?;
        Ok(Self { directory, ending, keep, saved })
    }

    /// The path to save a step to.
    ///
    /// ```
    /// # use espalier_checkpoint::{Better, Keep, Rotation};
    /// # let keep = Keep { last: 1, best: 0, better: Better::Lower };
    /// let rotation = Rotation::open("runs", ".safetensors", keep)?;
    /// assert!(rotation.path(120).ends_with("step-000120.safetensors"));
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn path(&self, step: u64) -> PathBuf {
        self.directory.join(self.file(step))
    }

    fn file(&self, step: u64) -> String {
        format!("{}{}", stem(step), self.ending)
    }

    /// What is there, in the order in which it was saved.
    ///
    /// See [`Rotation`] for an example.
    pub fn kept(&self) -> &[Saved] {
        &self.saved
    }

    /// Notes that a step was saved, and removes what is not kept any more. To be called when the save has
    /// succeeded. A step that is saved again counts as the last. Gives what was removed, in the order in
    /// which it was saved.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file of the step is not there, an old one cannot be removed, or the record cannot
    /// be written. What could not be removed is tried again the next time.
    ///
    /// See [`Rotation`] for an example.
    pub fn saved(&mut self, step: u64, score: Option<f64>) -> Result<Vec<Saved>, Error> {
        self.saved_with(&System, step, score)
    }

    fn saved_with(
        &mut self,
        calls: &dyn Calls,
        step: u64,
        score: Option<f64>,
    ) -> Result<Vec<Saved>, Error> {
        let path = self.path(step);
        fs::metadata(&path).map_err(|e| Error::io(&path, Action::Inspect, e))?;
        let file = self.file(step);
        // What someone else has removed is no longer ours, whatever takes its name.
        self.saved.retain(|saved| saved.file != file && self.directory.join(&saved.file).exists());
        let score = score.filter(|score| score.is_finite());
        self.saved.push(Saved { step, file, score });
        // Before anything is removed, so that what is there is known if this is cut short.
        self.write()?;
        let retired: Vec<Saved> = self.keep.retired(&self.saved).into_iter().cloned().collect();
        if retired.is_empty() {
            return Ok(retired);
        }
        for old in &retired {
            let path = self.directory.join(&old.file);
            let removed = if old.file.ends_with(INDEX) {
                sharded_write::remove(calls, &path)
            } else {
                calls.remove(&path)
            };
            removed.map_err(|e| Error::io(&path, Action::Remove, e))?;
        }
        self.saved.retain(|saved| !retired.contains(saved));
        self.write()?;
        Ok(retired)
    }

    fn write(&self) -> Result<(), Error> {
        let path = self.directory.join(RECORD);
        let record = Record { checkpoints: self.saved.clone() };
        let json = serde_json::to_vec_pretty(&record)
            .map_err(|e| Error::Record { path: path.clone(), reason: e.to_string() })?;
        write_atomically(path, |out| out.write_all(&json))
    }
}

/// Whether this is a dot with letters, figures and dots.
fn is_ending(text: &str) -> bool {
    text.starts_with('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

/// What the name of a step begins with.
fn stem(step: u64) -> String {
    format!("step-{step:06}")
}

/// What a record says; nothing if it is not there.
fn read(path: &Path) -> Result<Vec<Saved>, Error> {
    let source = match Source::open(path) {
        Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        other => other?,
    };
    let fault = |reason| Error::Record { path: path.to_path_buf(), reason };
    if source.len() > MAX_RECORD {
        return Err(fault(format!("{} bytes, at most {MAX_RECORD} are read", source.len())));
    }
    let json = source.read(0..source.len())?;
    let record: Record = serde_json::from_slice(&json).map_err(|e| fault(e.to_string()))?;
    for saved in &record.checkpoints {
        // Files are removed by these names: no other than this could have written is accepted.
        let rest = saved.file.strip_prefix(&stem(saved.step));
        if !rest.is_some_and(is_ending) {
            let (step, file) = (saved.step, &saved.file);
            return Err(fault(format!("{file:?} is no file of step {step}")));
        }
    }
    Ok(record.checkpoints)
}

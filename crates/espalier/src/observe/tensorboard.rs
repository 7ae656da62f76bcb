//! Observations as TensorBoard event files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::ObserveError;
use super::event::{self, Value};
use super::stats::Stats;
use super::watch::{Record, Sink};
use crate::error::Error;

/// An event file that TensorBoard shows: `tensorboard --logdir DIR`.
///
/// Histograms are tagged `weight/PATH` and `gradient/PATH`. Scalars are tagged by what they measure
/// first, so that all parameters stand together: `weight norm/PATH`, `weight mean/PATH`, `std`,
/// `min`, `max`, `zeros` (a fraction), where there are any `nan` and `inf` (counts), the same of
/// `gradient`, then `update norm/PATH` and `update ratio/PATH`. The caller's scalars have their own
/// names. Scalars are single precision, as TensorBoard's are.
///
/// Each event is given to the system at once: a killed run leaves at most one cut off, which
/// TensorBoard passes over.
///
/// ```
/// use espalier::observe::{TensorBoard, Watch};
///
/// let dir = std::env::temp_dir().join(format!("espalier-board-{}", std::process::id()));
/// let board = TensorBoard::create(&dir)?;
/// let file = board.path().to_owned();
/// Watch::new().to(board).scalar("loss", 3, 0.5)?;
/// let bytes = std::fs::read(&file).unwrap_or_default();
/// assert!(bytes.windows(4).any(|window| window == b"loss"));
/// # std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    file: File,
    path: PathBuf,
    /// In place of the clock.
    wall_time: Option<f64>,
}

impl TensorBoard {
    /// A new event file in this directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Observe`] if it cannot be made.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::open(dir.as_ref(), None)?)
    }

    /// As [`create`](Self::create), with this time (seconds since 1970) on every event in place of
    /// the clock's: equal runs then write equal bytes.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_at(dir: impl AsRef<Path>, wall_time: f64) -> Result<Self, Error> {
        Ok(Self::open(dir.as_ref(), Some(wall_time))?)
    }

    fn open(dir: &Path, wall_time: Option<f64>) -> Result<Self, ObserveError> {
        let failed = |source| ObserveError::File { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let seconds = wall_time.unwrap_or_else(now) as u64;
        let process = std::process::id();
        for count in 0u32.. {
            // The name that TensorBoard looks for, its time first: it reads files in name order.
            let name = format!("events.out.tfevents.{seconds:010}.espalier.{process}.{count}");
            let path = dir.join(name);
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut board = Self { file, path, wall_time };
                    board.write(&event::version(board.time()))?;
                    return Ok(board);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn time(&self) -> f64 {
        self.wall_time.unwrap_or_else(now)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ObserveError> {
        self.file
            .write_all(bytes)
            .map_err(|source| ObserveError::File { path: self.path.clone(), source })
    }
}

fn now() -> f64 {
    // A clock before 1970 is no reason to stop a training.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The values of one kind of tensor of a parameter.
fn describe<'a>(values: &mut Vec<(String, Value<'a>)>, kind: &str, path: &str, stats: &'a Stats) {
    if !stats.bins.is_empty() {
        values.push((format!("{kind}/{path}"), Value::Histogram(stats)));
    }
    let numbers = [
        ("norm", stats.norm),
        ("mean", stats.mean),
        ("std", stats.std),
        ("min", stats.min),
        ("max", stats.max),
        ("zeros", stats.zero_fraction()),
    ];
    let odd = [("nan", stats.nan), ("inf", stats.inf)];
    let odd = odd.into_iter().filter(|(_, count)| *count > 0);
    let numbers = numbers.into_iter().chain(odd.map(|(name, count)| (name, count as f64)));
    values.extend(numbers.map(|(name, number)| {
        let tag = format!("{kind} {name}/{path}");
        (tag, Value::Scalar(number))
    }));
}

impl Sink for TensorBoard {
    fn record(&mut self, record: &Record) -> Result<(), ObserveError> {
        let path = &record.path;
        let mut values = Vec::new();
        if let Some(stats) = &record.weight {
            describe(&mut values, "weight", path, stats);
        }
        if let Some(stats) = &record.gradient {
            describe(&mut values, "gradient", path, stats);
        }
        if let Some(update) = &record.update {
            values.push((format!("update norm/{path}"), Value::Scalar(update.norm)));
            values.push((format!("update ratio/{path}"), Value::Scalar(update.ratio)));
        }
        let bytes = event::summary(self.time(), record.step, &values);
        self.write(&bytes)
    }

    fn scalar(&mut self, name: &str, step: usize, value: f64) -> Result<(), ObserveError> {
        let values = [(name.to_owned(), Value::Scalar(value))];
        let bytes = event::summary(self.time(), step, &values);
        self.write(&bytes)
    }
}

//! Observations as JSON lines.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::ObserveError;
use super::watch::{Record, Sink};
use crate::error::Error;

/// A file of one JSON object a line: what was seen of a parameter at a step, or a number of the
/// caller's.
///
/// ```json
/// {"step":0,"path":"0.weight","weight":{"count":6,"zeros":0,"nan":0,"inf":0,"norm":1.5,
///  "mean":0.1,"std":0.6,"min":-1.0,"max":1.0,"bins":[2,4]},"gradient":null,
///  "update":{"norm":0.01,"ratio":0.0067}}
/// {"step":0,"scalar":"loss","value":0.25}
/// ```
///
/// (Each on one line.) Keys have the order of the fields of [`Record`]. What JSON has no number
/// for, NaN and infinities, is `null`. Each line is given to the system whole and at once, so that
/// a killed run leaves whole lines.
#[derive(Debug)]
pub struct Jsonl {
    file: File,
    path: PathBuf,
}

#[derive(Serialize)]
struct Scalar<'a> {
    step: usize,
    scalar: &'a str,
    value: f64,
}

impl Jsonl {
    /// A new file, in the place of any older one.
    ///
    /// # Errors
    ///
    /// [`Error::Observe`] if it cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// The file with its lines, for more to follow: for a run that is resumed.
    ///
    /// # Errors
    ///
    /// [`Error::Observe`] if it cannot be opened or made.
    pub fn append(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path.as_ref(), OpenOptions::new().append(true).create(true))
    }

    fn open(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        match options.open(path) {
            Ok(file) => Ok(Self { file, path: path.to_owned() }),
            Err(source) => Err(ObserveError::File { path: path.to_owned(), source }.into()),
        }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), ObserveError> {
        let failed = |source| ObserveError::File { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)
    }
}

impl Sink for Jsonl {
    fn record(&mut self, record: &Record) -> Result<(), ObserveError> {
        self.line(record)
    }
    fn scalar(&mut self, name: &str, step: usize, value: f64) -> Result<(), ObserveError> {
        self.line(&Scalar { step, scalar: name, value })
    }
}

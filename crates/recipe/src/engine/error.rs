//! Why there is no trained network, or no prediction.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use espalier_network::text::{ReadError, RecipeError};

/// Why a recipe was not trained to the end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The recipe does not fit the data or the network that it describes.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A seed that a recipe cannot hold.
    #[error("seed {found} is too large; expected an integer from 0 to {}", i64::MAX)]
    Seed {
        /// The seed given.
        found: u64,
    },
    /// Files cannot be written into the run directory. Found before training.
    #[error("the run directory {} cannot be written: {source}", directory.display())]
    NotWritable {
        /// The run directory.
        directory: PathBuf,
        /// What is in the way.
        source: Box<espalier_checkpoint::Error>,
    },
    /// The directory holds files that are not of a run. Found before training.
    #[error(
        "{} is not empty and holds no run: it has {found} but not the recipe.toml and metrics.jsonl \
         of one; choose another directory or empty this one",
        directory.display()
    )]
    NotARun {
        /// The directory.
        directory: PathBuf,
        /// The first file in it, by name.
        found: String,
    },
    /// Another run is writing to the directory. Nothing was changed.
    #[error(
        "another run is writing to {}; wait for it or choose another directory",
        directory.display()
    )]
    Busy {
        /// The directory.
        directory: PathBuf,
    },
    /// The observer stopped the run. The directory holds the recipe and the finished epochs'
    /// metrics and no model, or the finished run that this one was to replace.
    #[error(
        "interrupted; {} holds {}",
        directory.display(),
        if *replaces { "the run that finished before" } else { "the metrics so far and no model" }
    )]
    Interrupted {
        /// The run directory.
        directory: PathBuf,
        /// Whether the directory still holds a finished run.
        replaces: bool,
    },
    /// The loss is infinite or not a number.
    #[error(
        "the loss of step {step} is {loss}; a lower learning rate, or another start for a \
         parameter that is zero, may mend it"
    )]
    NonFinite {
        /// The step, from 1.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// A file of the run cannot be read, written or removed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the run cannot be written.
    #[error(transparent)]
    Write(#[from] espalier_checkpoint::Error),
    /// The network refuses an operation.
    #[error(transparent)]
    Network(Box<espalier::Error>),
}

/// Why there are no predictions.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The run's recipe cannot be read or built.
    #[error(transparent)]
    Recipe(#[from] ReadError),
    /// A directory without a recipe.
    #[error(
        "{} is no run directory: it has no recipe.toml; expected what `train` wrote",
        directory.display()
    )]
    NotARun {
        /// The directory.
        directory: PathBuf,
    },
    /// A run without a model.
    #[error(
        "{} has no model.safetensors: its training did not end; train it again",
        directory.display()
    )]
    NoModel {
        /// The run directory.
        directory: PathBuf,
    },
    /// A file of weights that does not say what network they are of.
    #[error(
        "{} has no recipe in its metadata; expected what `train` or `Network::save` wrote",
        path.display()
    )]
    NoRecipe {
        /// The file.
        path: PathBuf,
    },
    /// The model cannot be read or written, or is not of its recipe.
    #[error("{}: {source}", path.display())]
    Model {
        /// The model's file.
        path: PathBuf,
        /// What does not fit.
        source: Box<espalier::Error>,
    },
    /// A file that is neither `.npy` nor `.csv` by its name.
    #[error("{}: expected a file that ends in .npy or .csv", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// An npy file that cannot be read.
    #[error(transparent)]
    Npy(#[from] espalier_checkpoint::Error),
    /// A CSV file that cannot be read.
    #[error("{}: {source}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: csv::Error,
    },
    /// An array of another shape than images have.
    #[error("{}: found an array of shape {found:?}; expected {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The array's shape.
        found: Vec<usize>,
        /// The shapes that fit, in words.
        expected: String,
    },
    /// A line with another number of columns than images have.
    #[error(
        "{}: line {line}: found {found} columns; expected {pixels} pixels, or {} with a label last",
        path.display(),
        pixels + 1
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its columns.
        found: usize,
        /// Pixels of an image.
        pixels: usize,
    },
    /// Lines with a label and lines without.
    #[error(
        "{}: line {line}: found {found} columns after lines of {earlier}; expected labels on all \
         lines or on none",
        path.display()
    )]
    SomeLabels {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its columns.
        found: usize,
        /// Columns of the lines before.
        earlier: usize,
    },
    /// A value that is not what stands at its place.
    #[error("{}: {place}: found {found}; expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Where: `line 3, column 7`.
        place: String,
        /// The value.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// A file without images.
    #[error("{}: holds no image", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Images of another shape than the network takes.
    #[error("the network takes images of shape {expected:?}, found {found:?}")]
    Images {
        /// The network's shape.
        expected: Vec<usize>,
        /// The images' shape.
        found: Vec<usize>,
    },
    /// The network refuses the images.
    #[error(transparent)]
    Network(Box<espalier::Error>),
}

impl From<espalier::Error> for TrainError {
    fn from(error: espalier::Error) -> Self {
        Self::Network(Box::new(error))
    }
}

impl From<espalier::Error> for PredictError {
    fn from(error: espalier::Error) -> Self {
        Self::Network(Box::new(error))
    }
}

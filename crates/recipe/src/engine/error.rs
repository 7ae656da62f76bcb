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
    /// Data that cannot be read, or that the recipe's options do not fit.
    #[error(transparent)]
    Data(#[from] espalier_data::DataError),
    /// The file of the network cannot be read.
    #[error(transparent)]
    NetworkFile(ReadError),
    /// A change that the recipe does not allow.
    #[error(transparent)]
    Change(crate::changes::ChangeError),
    /// A network that cannot be put together.
    #[error(transparent)]
    Graph(espalier::nn::GraphError),
    /// Weights to start from that cannot be read or do not fit.
    #[error("training cannot start from {}: {reason}", path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A saved state that cannot be gone on with.
    #[error("{} is no state of this run: {reason}; train without resuming to begin anew", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The directory holds a run of another recipe, which cannot be gone on with.
    #[error(
        "{} holds a run of another recipe or seed; train without resuming to replace it, or choose \
         another directory",
        directory.display()
    )]
    OtherRecipe {
        /// The run directory.
        directory: PathBuf,
    },
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
    /// metrics and no model, or the finished run that this one was to replace, and perhaps a state to go
    /// on from.
    #[error(
        "interrupted; {} holds {}{}",
        directory.display(),
        if *replaces { "the run that finished before" } else { "the metrics so far and no model" },
        if *resumable { "; --resume goes on from the last saved epoch" } else { "" }
    )]
    Interrupted {
        /// The run directory.
        directory: PathBuf,
        /// Whether the directory still holds a finished run.
        replaces: bool,
        /// Whether there is a state to go on from.
        resumable: bool,
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
    /// What a model says of its data is not understood.
    #[error("{}: what it says of its data is not understood: {reason}", path.display())]
    Data {
        /// The model's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A network that cannot be put together.
    #[error(transparent)]
    Graph(espalier::nn::GraphError),
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
    /// A file without examples.
    #[error("{}: holds no example", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Examples of another shape than the network takes.
    #[error("the network takes examples of shape {expected:?}, found {found:?}")]
    Examples {
        /// The network's shape.
        expected: Vec<usize>,
        /// The examples' shape.
        found: Vec<usize>,
    },
    /// A network of tokens, which no table of numbers holds.
    #[error(
        "{}: the network takes tokens of a vocabulary, which this command does not read",
        path.display()
    )]
    Tokens {
        /// The file.
        path: PathBuf,
    },
    /// The network refuses the examples.
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

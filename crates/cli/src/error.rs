//! Why a command failed.

use std::io;

use espalier_files::FilesError;
#[cfg(feature = "train")]
use espalier_recipe::{PredictError, ReadError, RecipeError, TrainError};
use thiserror::Error;

/// The exit code of whatever is no fault of the command line.
pub(crate) const FAILURE: u8 = 1;

/// The exit code of a command that found what it looks for: a difference, an offender.
pub(crate) const FOUND: u8 = 3;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Checkpoint(#[from] espalier_checkpoint::Error),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[cfg(feature = "train")]
    #[error(transparent)]
    Recipe(#[from] ReadError),
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(Box<TrainError>),
    #[cfg(feature = "train")]
    #[error(transparent)]
    Predict(Box<PredictError>),
    #[cfg(feature = "train")]
    #[error("{} has no [short], which says what its quick form is", recipe.display())]
    NoShort {
        /// The recipe.
        recipe: std::path::PathBuf,
    },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("{}: a report is a page of HTML: end its name in .html", path.display())]
    NotAPage {
        /// The output.
        path: std::path::PathBuf,
    },
    #[error("cannot set what Ctrl-C does: {0}")]
    Signal(#[from] ctrlc::Error),
    #[error("cannot write the numbers as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

#[cfg(feature = "train")]
impl CliError {
    /// The problems of a recipe, if they are the cause.
    pub(crate) fn recipe(&self) -> Option<&RecipeError> {
        match self {
            Self::Recipe(ReadError::Recipe(error)) => Some(error),
            Self::Train(error) => match &**error {
                TrainError::Recipe(error) => Some(error),
                _ => None,
            },
            Self::Predict(error) => match &**error {
                PredictError::Recipe(ReadError::Recipe(error)) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }
}

// Boxed, for they are large and every result would be.
#[cfg(feature = "train")]
impl From<TrainError> for CliError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

#[cfg(feature = "train")]
impl From<PredictError> for CliError {
    fn from(error: PredictError) -> Self {
        Self::Predict(Box::new(error))
    }
}

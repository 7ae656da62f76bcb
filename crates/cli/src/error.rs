//! Why a command failed.

use std::io;

use espalier_recipe::{PredictError, ReadError, RecipeError, TrainError};
use thiserror::Error;

/// The exit code of whatever is no fault of the command line.
pub(crate) const FAILURE: u8 = 1;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Checkpoint(#[from] espalier_checkpoint::Error),
    #[error(transparent)]
    Recipe(#[from] ReadError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Predict(#[from] PredictError),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot set what Ctrl-C does: {0}")]
    Signal(#[from] ctrlc::Error),
    #[error("cannot write the numbers as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CliError {
    /// The problems of a recipe, if they are the cause.
    pub(crate) fn recipe(&self) -> Option<&RecipeError> {
        match self {
            Self::Recipe(ReadError::Recipe(error))
            | Self::Train(TrainError::Recipe(error))
            | Self::Predict(PredictError::Recipe(ReadError::Recipe(error))) => Some(error),
            _ => None,
        }
    }
}

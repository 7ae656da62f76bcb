//! Events for TensorBoard.

use std::path::Path;

use espalier::Error;
use espalier::observe::{Sink as _, TensorBoard};

use super::event::EpochMetrics;
use crate::spec::Recipe;

/// The directory of the events in a run's.
pub(super) const TENSORBOARD: &str = "tensorboard";

/// Where a run's numbers go besides its metrics, if anywhere.
pub(super) struct Board(Option<TensorBoard>);

impl Board {
    /// A file of events in the run's directory, if the recipe asks for it.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub(super) fn open(recipe: &Recipe, directory: &Path) -> Result<Self, Error> {
        let wanted = recipe.output.tensorboard;
        let open = || TensorBoard::create(directory.join(TENSORBOARD));
        Ok(Self(wanted.then(open).transpose()?))
    }

    /// Adds an epoch's numbers, at the step it ended with.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub(super) fn add(&mut self, line: &EpochMetrics) -> Result<(), Error> {
        let Some(board) = &mut self.0 else { return Ok(()) };
        let mut scalar = |name: &str, value: f64| board.scalar(name, line.step, value);
        scalar("loss/train", line.loss)?;
        scalar("loss/test", line.test_loss)?;
        if let Some(accuracy) = line.train_accuracy {
            scalar("accuracy/train", accuracy)?;
        }
        if let Some(accuracy) = line.test_accuracy {
            scalar("accuracy/test", accuracy)?;
        }
        for (group, rate) in &line.rates {
            scalar(&format!("rate/{group}"), *rate)?;
        }
        scalar("sparsity", line.sparsity)?;
        scalar("gradient_norm", line.gradient_norm)?;
        Ok(())
    }
}

//! From a checked recipe to a trained network on the disk, and from there to predictions.
//!
//! [`prepare`] builds everything that a recipe describes and finds what the text alone could not
//! show; [`train`] runs it; [`directory`] is what stays; [`predict`] reads it back.

mod board;
mod constrain;
mod describe;
mod directory;
mod error;
mod evaluate;
mod event;
mod examples;
mod experiment;
mod faults;
mod freeze;
mod groups;
mod initialize;
mod names;
mod network;
mod predict;
mod prepare;
mod project;
mod prune;
mod resume;
mod saved;
mod schedule;
mod source;
mod start;
mod task;
mod train;

pub use describe::{Description, GroupRow, LayerRow};
pub use error::{PredictError, TrainError};
pub use event::{Accuracy, EpochMetrics, Event, Observer, Summary, TableRow};
pub use examples::Examples;
pub use experiment::{Experiment, Outcome};
pub use predict::{Prediction, Predictor};
pub use prepare::{Prepared, RunOptions};
pub use saved::Network;

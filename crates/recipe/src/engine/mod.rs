//! From a checked recipe to a trained network on the disk, and from there to predictions.
//!
//! [`prepare`] builds everything that a recipe describes and finds what the text alone could not
//! show; [`train`] runs it; [`directory`] is what stays; [`predict`] reads it back.

mod constrain;
mod data;
mod directory;
mod error;
mod evaluate;
mod event;
mod faults;
mod groups;
mod images;
mod initialize;
mod names;
mod network;
mod predict;
mod prepare;
mod prune;
mod saved;
mod train;

pub use error::{PredictError, TrainError};
pub use event::{Accuracy, EpochMetrics, Event, Observer, Summary, TableRow};
pub use images::Images;
pub use predict::{Prediction, Predictor};
pub use prepare::{Prepared, RunOptions};
pub use saved::Network;

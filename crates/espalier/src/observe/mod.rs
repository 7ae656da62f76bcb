//! Watching weights, gradients and updates while a network is trained.
//!
//! A [`Watch`] looks every so many steps and tells its sinks, of which two are here:
//! [`TensorBoard`] event files and [`Jsonl`], lines of JSON. [`Stats`] describes a single tensor.

mod error;
mod event;
mod jsonl;
mod read;
mod stats;
mod tensorboard;
mod watch;

pub use error::ObserveError;
pub use jsonl::Jsonl;
pub use read::{Network, Plain};
pub use stats::Stats;
pub use tensorboard::TensorBoard;
pub use watch::{Record, Sink, Update, Watch};

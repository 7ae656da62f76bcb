//! Numbers to terminal tables and JSON, for espalier.
//!
//! [`summarize`] measures every tensor of a checkpoint. The [`Summary`] it gives serializes to JSON
//! with its keys in a fixed order, and [`table`] sets it as text; [`parameter_table`] is the compact
//! table of names, shapes and zeros that shows a network before and after pruning.
//!
//! # Example
//!
//! ```
//! use espalier_checkpoint::{Checkpoint, NamedTensor};
//! use espalier_report::{Style, summarize, table};
//!
//! let mut checkpoint = Checkpoint::new();
//! checkpoint.push(NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, 0.0, -1.0])?)?;
//! let summary = summarize("model.safetensors", "safetensors", &checkpoint);
//! assert_eq!(summary.total.zeros, 2);
//! assert!(table(&summary, Style::ascii()).contains("50.00%"));
//! # Ok::<(), espalier_checkpoint::Error>(())
//! ```

mod format;
mod stats;
mod style;
mod summary;
mod tables;

pub use format::grouped;
pub use style::Style;
pub use summary::{Summary, TensorRow, Total, summarize};
pub use tables::{ParameterRow, parameter_table, table};

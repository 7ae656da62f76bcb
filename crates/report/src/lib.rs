//! Numbers to terminal tables, JSON and HTML, for espalier.
//!
//! [`table`] sets what [`inspect`](espalier_files::inspect) measures of a checkpoint as text, [`tree`] the modules that its
//! names make, and [`histogram`] the values of a tensor; [`parameter_table`] is the compact table of names, shapes
//! and zeros that shows a network before and after pruning. [`page`] makes a page of HTML of
//! everything that is measured of a checkpoint or a training run.
//!
//! # Example
//!
//! ```
//! use espalier_checkpoint::{Checkpoint, NamedTensor};
//! use espalier_files::{Silent, inspect};
//! use espalier_report::{Style, table};
//!
//! let mut checkpoint = Checkpoint::new();
//! checkpoint.push(NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, 0.0, -1.0])?)?;
//! let summary = inspect(&checkpoint, &std::sync::Arc::new(Silent))?;
//! assert_eq!(summary.total.zeros, 2);
//! assert!(table(&summary, Style::ascii()).contains("50.00%"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bars;
mod format;
mod page;
mod style;
mod tables;
mod tree;

pub use bars::histogram;
pub use format::{bytes, grouped, harmless, per_cent, shape, statistic};
pub use page::page;
pub use style::{Column, Style, draw};
pub use tables::{ParameterRow, headers_table, parameter_table, table};
pub use tree::tree;

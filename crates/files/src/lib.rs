//! Whole-file operations on checkpoints, larger than memory or not, for espalier.
//!
//! [`open`] reads what a file holds, a [`Selection`] says which of its tensors are meant, and a
//! [`Destination`] writes what became of them. In between everything is lazy: an operation gives back a
//! [`Checkpoint`](espalier_checkpoint::Checkpoint) whose tensors are made while they are written, so that memory is
//! bounded by pieces and not by files. An [`Observer`] is told of the bytes that are done, and may cancel.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
//! use espalier_files::{Destination, Selection, Silent, open};
//!
//! # let dir = tempfile::tempdir()?;
//! # let (input, output) = (dir.path().join("a.safetensors"), dir.path().join("b.npz"));
//! let mut checkpoint = Checkpoint::new();
//! checkpoint.push(NamedTensor::f32("fc.weight", vec![2], &[1.0, 2.0])?)?;
//! write_safetensors(&input, &checkpoint)?;
//!
//! let opened = open(&input, None)?;
//! assert_eq!(Selection::new(&["fc.*"], &[])?.of(&opened)?, [true]);
//! Destination::new(&output, None)?.write(&opened, &Arc::new(Silent))?;
//! assert_eq!(open(&output, None)?.iter().next(), checkpoint.iter().next());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bins;
mod check;
mod convert;
mod destination;
mod diff;
mod elements;
mod error;
mod fold;
mod inspect;
mod mapped;
mod nearest;
mod observe;
mod open;
mod pieces;
mod prune;
mod report;
mod select;
mod sweep;

pub use bins::{Bins, bins};
pub use check::{Check, Checked, Invariant, Offender, check};
pub use convert::{Conversion, Converted, Layout};
pub use destination::Destination;
pub use diff::{Changed, Diff, DiffTotal, Lone, Renamed, diff};
pub use error::FilesError;
pub use fold::{FoldError, FoldOptions, FoldSummary, Folded, FoldedTensor, MapOf, fold};
pub use inspect::{Sort, Summary, TensorRow, Total, headers, inspect};
pub use observe::{Observer, Silent, observed};
pub use open::open;
pub use prune::{
    Amount, PruneFault, PruneMethod, PrunePattern, PruneReport, PruneRow, PruneScope, PruneTotal,
    Pruned, Pruning,
};
pub use report::{
    Detail, Epoch, Histogram, Measured, Report, ReportRow, ReportTotal, Round, Run, RunAccuracy,
    RunPruning, RunSummary, Spectrum, Statistics, ZeroMap, measure, report,
};
pub use select::Selection;

//! What can go wrong when a network is observed.

use std::io;
use std::path::PathBuf;

/// Why an observation failed. The network and the training are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// A file that cannot be made or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A tensor whose values cannot be read as floats.
    #[error("`{path}`: its values cannot be read: {reason}")]
    Values {
        /// The parameter.
        path: String,
        /// Why not.
        reason: String,
    },
    /// `after` without the `before` of the same step.
    #[error(
        "`after` of step {step} follows {}; call `before` with the same step ahead of the \
         optimizer's",
        match before { Some(before) => format!("`before` of step {before}"), None => "no `before`".to_owned() }
    )]
    Order {
        /// The step of `after`.
        step: usize,
        /// The step of the `before` that is still open, if any.
        before: Option<usize>,
    },
}

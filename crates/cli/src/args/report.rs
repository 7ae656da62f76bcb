//! Arguments of `espalier report`.

use std::path::PathBuf;

use super::{ReadArgs, SelectArgs};

/// Write a page on a checkpoint or a training run, to be looked at in a browser
///
/// The page is one file of HTML and loads nothing: totals, a table of the tensors to sort and filter, and of each tensor
/// a histogram, the singular values of its matrix and a map of its zeros; of a run also the curves of its training and
/// its rounds of pruning.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier report runs/digits -o report.html
  espalier report model.pt --include '*.weight' -o report.html")]
pub(crate) struct ReportArgs {
    /// A checkpoint of any format, or the directory of a run
    #[arg(value_name = "FILE|RUN")]
    pub(crate) path: PathBuf,
    /// The page to write, a name that ends in .html
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Replace the page if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the numbers that are in the page as one JSON document too
    #[arg(long)]
    pub(crate) json: bool,
    /// Compute singular values of matrices whose smaller side is at most this; 0 for none
    ///
    /// Of a tensor of more than two dimensions the first stands against all others. A matrix may have at most four
    /// times the square of SIDE elements. Time grows with the cube.
    #[arg(long, value_name = "SIDE", default_value_t = 1024)]
    pub(crate) singular_values: usize,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

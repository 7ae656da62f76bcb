//! Arguments of `espalier inspect`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{ReadArgs, SelectArgs};

/// Show what checkpoint files hold: tensors, shapes, zeros and statistics
///
/// All formats are read, told by their content. Sparsity is the share of elements that are zero. Statistics are over the
/// finite elements, and the deviation divides by their number, as numpy's does; complex numbers count by their
/// magnitude. A tied tensor counts once in the totals.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier inspect runs/digits/model.safetensors
  espalier inspect model.pt --tree
  espalier inspect model.pt --include 'encoder.*' --sort sparsity
  espalier inspect model.safetensors --hist fc.weight
  espalier inspect model.safetensors --json")]
pub(crate) struct InspectArgs {
    /// The files; a directory stands for the checkpoint in it
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Draw the tree of modules with parameters, bytes and sparsity
    #[arg(long)]
    pub(crate) tree: bool,
    /// Draw a histogram of a tensor's values, alone; may be repeated
    ///
    /// A name, or a glob for several. With --json the histograms stand beside the tensors.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tree", "headers"])]
    pub(crate) hist: Vec<String>,
    /// The order of the tensors, instead of that of the file
    #[arg(long, value_name = "BY")]
    pub(crate) sort: Option<SortBy>,
    /// Read no elements: names, types, shapes and sizes only
    #[arg(long)]
    pub(crate) headers: bool,
    /// Print one JSON document: an object, for several files an array of them
    ///
    /// {"file", "format", "tensors": [{"name", "dtype", "shape", "numel", "bytes", "zeros", "sparsity", "mean", "std", "min",
    /// "max", "l2", "nonfinite", "tied_to"}], "total": {"tensors", "parameters", "bytes", "zeros", "sparsity"}}. What has no
    /// value is null.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// What tensors are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// By name
    Name,
    /// The largest in bytes first
    Size,
    /// The largest share of zeros first
    Sparsity,
}

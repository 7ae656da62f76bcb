//! Arguments of `espalier fold`.

use std::path::PathBuf;

use espalier_files::MapOf;

use super::{OutputArgs, ReadArgs, SelectArgs};

/// Compute parametrized, pruned and adapted weights, and write them under plain names
///
/// Folds weight norm and spectral norm (both of PyTorch's schemes), orthogonal weights, pruning masks, LoRA and DoRA
/// (by PEFT's names), and what this library has saved. All other tensors are copied as they are. A file with
/// nothing to fold is written as it is, and a message says so.
///
/// PyTorch does not save which orthogonal map was used: without a base, a diagonal of 1 and -1 is taken for
/// Householder's; a square weight with a base is taken for the matrix exponential, with a note; of all others
/// --orthogonal-map must say it.
///
/// The alpha of an adapter is that of the adapter_config.json beside its file, or --alpha.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier fold gan.pt -o gan.safetensors
  espalier fold base.safetensors --adapter runs/lora -o merged.safetensors
  espalier fold net.pt -o net.safetensors --orthogonal-map 'encoder.*=cayley'")]
pub(crate) struct FoldArgs {
    /// The file, in any format that is read
    pub(crate) input: PathBuf,
    /// The file to write
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// The alpha of LoRA and DoRA, in place of what a configuration says
    #[arg(long, value_name = "A", value_parser = finite)]
    pub(crate) alpha: Option<f64>,
    /// An adapter to merge: a file, or the directory that PEFT saved; may be repeated, in order
    #[arg(long = "adapter", value_name = "PATH")]
    pub(crate) adapters: Vec<PathBuf>,
    /// How orthogonal weights are computed: GLOB=matrix_exp, cayley or householder; may be repeated, the first that
    /// matches counts
    #[arg(long = "orthogonal-map", value_name = "GLOB=MAP")]
    pub(crate) maps: Vec<MapOf>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) write: OutputArgs,
    /// Only say what would be folded; compute and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document that lists what was folded
    #[arg(long)]
    pub(crate) json: bool,
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
}

//! Arguments of `espalier prune`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgGroup, ValueEnum};
use espalier_files::{Amount, PruneMethod, PrunePattern, PruneScope, Pruning};

use super::{OutputArgs, ReadArgs, SelectArgs};

/// Set weights of a file to zero: the smallest, N of every M, or whole channels
///
/// Pruned are the tensors of floats with two or more dimensions, or those that --include names. Exactly as many go
/// as asked, as torch.nn.utils.prune counts them; of equal ones the earlier in the file goes first. The file
/// may be larger than memory. The input stays as it is.
#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("how much").required(true).args(["amount", "nm"]),
    after_help = "\
Example:
  espalier prune model.safetensors -o half.safetensors --amount 0.5
  espalier prune model.safetensors -o sparse.safetensors --nm 2:4 --exclude 'head.*'
  espalier prune model.pt -o thin.pt --structured --norm 2 --dim 0 --amount 0.25 --keep-mask"
)]
pub(crate) struct PruneArgs {
    /// The file, in any format that is read
    pub(crate) input: PathBuf,
    /// The file to write; its ending says the format
    #[arg(long, short, value_name = "OUT", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// How much goes: a fraction with a dot (0.5 is half, 1.0 all) or a number of elements (1 is one)
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    amount: Option<Amount>,
    /// Keep N of every M elements along the last dimension, as 2:4
    ///
    /// In PyTorch's layout that is along the input features. A shorter last group stays as it is.
    #[arg(long, value_name = "N:M", value_parser = groups, conflicts_with_all = ["scope", "structured"])]
    nm: Option<(usize, usize)>,
    /// By what elements are ranked
    #[arg(long, value_enum, default_value_t = Method::L1)]
    method: Method,
    /// Prune whole channels of each tensor
    #[arg(long, requires = "dim")]
    structured: bool,
    /// The norm that channels are ranked by: 1, 2, inf
    #[arg(long, value_name = "P", requires = "structured", allow_hyphen_values = true)]
    norm: Option<f64>,
    /// The dimension of the channels: 0 for output features in PyTorch's layout, -1 for the last
    #[arg(long, value_name = "D", requires = "structured", allow_hyphen_values = true)]
    dim: Option<isize>,
    /// Whether all tensors are ranked together or each by itself; channels always are each by itself
    #[arg(long, value_enum)]
    scope: Option<Scope>,
    /// The seed of --method random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write X_orig and X_mask in place of X, as PyTorch saves what is pruned and can be restored
    #[arg(long)]
    keep_mask: bool,
    /// Only tell what would be pruned
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) out: OutputArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The smallest magnitude first
    L1,
    /// At random
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// All tensors together, the default
    Global,
    /// Each tensor by itself
    Layer,
}

fn groups(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once(':').and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
    let parsed = parsed.filter(|(n, m)| *m > 0 && n <= m);
    parsed.ok_or_else(|| "expected N:M with N at most M, as 2:4".to_owned())
}

impl PruneArgs {
    /// What clap cannot say of arguments that do not go together.
    pub(crate) fn check(&self) -> Result<(), (ErrorKind, &'static str)> {
        if self.structured && self.scope == Some(Scope::Global) {
            let text = "--scope global cannot be used with --structured: norms of channels of different lengths do \
                        not compare; leave --scope away, and the amount is of each tensor";
            return Err((ErrorKind::ArgumentConflict, text));
        }
        if self.structured && self.norm.is_none() && self.method == Method::L1 {
            let text = "--structured ranks channels by a norm: give --norm P, as --norm 2, or --method random";
            return Err((ErrorKind::MissingRequiredArgument, text));
        }
        if self.norm.is_some_and(f64::is_nan) {
            return Err((ErrorKind::InvalidValue, "--norm expects a number or inf, found NaN"));
        }
        Ok(())
    }

    /// The pruning that is asked for.
    pub(crate) fn pruning(&self) -> Pruning {
        // The command line was refused without an amount or groups.
        let amount = self.amount.unwrap_or(Amount::Count(0));
        let pattern = match self.nm {
            Some((n, m)) => PrunePattern::Groups { n, m },
            None if self.structured => {
                let (norm, dim) = (self.norm.unwrap_or(2.0), self.dim.unwrap_or(0));
                PrunePattern::Channels { amount, norm, dim }
            }
            None => {
                let scope = match self.scope {
                    Some(Scope::Layer) => PruneScope::Layer,
                    _ => PruneScope::Global,
                };
                PrunePattern::Elements { amount, scope }
            }
        };
        let method = match self.method {
            Method::L1 => PruneMethod::L1,
            Method::Random => PruneMethod::Random { seed: self.seed },
        };
        Pruning { pattern, method, keep_mask: self.keep_mask }
    }
}

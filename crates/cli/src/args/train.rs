//! Arguments of the commands that train and predict.

use std::path::PathBuf;

/// TOML has no larger integers.
const LARGEST_SEED: u64 = i64::MAX as u64;

/// Train the network that a recipe describes
///
/// A recipe is a TOML file: data, layers, what holds of their parameters, optimizer, schedule and
/// pruning. All of it is checked before anything is written. The tables of the parameters, the
/// accuracies and the sparsity go to standard output, progress to standard error.
///
/// Ctrl-C stops after the current step and leaves a run directory that can be read; a second one
/// stops at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier train recipes/digits.toml --out runs/first --seed 7
  espalier train recipes/digits.toml --set train.epochs=10 --set '!prune' --dry-run")]
pub(crate) struct TrainArgs {
    /// The recipe, a TOML file
    pub(crate) recipe: PathBuf,
    /// The run directory, instead of the recipe's
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Set a key of the recipe to another value, like train.epochs=3; !KEY takes one away
    ///
    /// May be given several times. Keys are as errors show them: optimizer.lr, layer[3].features,
    /// prune.sparsity[0]. A value is one of TOML's, or a string.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Go on with a run of the same recipe that did not end
    ///
    /// It ends with the same weights, to the bit, as if it had never stopped. A run that has ended is left
    /// as it is; without anything to go on from, training starts.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Show what would be trained, and train nothing
    ///
    /// The network with its shapes, the parameters, who is in which group, what each rule matched, the
    /// schedule's curve and the rounds of pruning.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
    /// Train the recipe's quick form: with the changes of its [short]
    #[arg(long)]
    pub(crate) short: bool,
    /// The seed of all that is drawn at random, instead of the recipe's
    ///
    /// From 0 to 9223372036854775807, as in a recipe.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
}

/// Predict with a trained network
///
/// Prints one line an example: its number from 0, the most probable class and its probability, or the
/// numbers that the network gives. If the examples come with labels, they are shown too, and the accuracy
/// follows.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier predict runs/digits --data digits.csv
  espalier predict runs/digits --data images.npy --json")]
pub(crate) struct PredictArgs {
    /// The run directory that `espalier train` wrote
    pub(crate) run: PathBuf,
    /// The examples, as those that the network was trained on (pixels from 0 to 16 for the digits): a .npy
    /// array, an example along its first dimension, or a .csv file, an example a line, with or without its
    /// label last
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Print one JSON document: {"predictions": [...], "accuracy": a number or null}
    ///
    /// A prediction is {"index", "label", "probability"} (or "values") and, if the examples come with
    /// labels, "given".
    #[arg(long)]
    pub(crate) json: bool,
}

/// A seed that a recipe can hold. Negative numbers come here too, to be told the range.
fn seed(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seed) if seed <= LARGEST_SEED => Ok(seed),
        _ => Err(format!("expected an integer from 0 to {LARGEST_SEED}")),
    }
}

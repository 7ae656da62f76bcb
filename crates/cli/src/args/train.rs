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
  espalier train recipes/digits.toml --out runs/first --seed 7")]
pub(crate) struct TrainArgs {
    /// The recipe, a TOML file
    pub(crate) recipe: PathBuf,
    /// The run directory, instead of the recipe's
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The seed of all that is drawn at random, instead of the recipe's
    ///
    /// From 0 to 9223372036854775807, as in a recipe.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
}

/// Classify images with a trained network
///
/// Prints one line an image: its number from 0, the most probable label and its probability. If
/// the images come with labels, they are shown too, and the accuracy follows.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier predict runs/digits --data digits.csv
  espalier predict runs/digits --data images.npy --json")]
pub(crate) struct PredictArgs {
    /// The run directory that `espalier train` wrote
    pub(crate) run: PathBuf,
    /// The images, of pixels from 0 to 16: a .npy array, an image along its first dimension, or a
    /// .csv file, an image a line, with or without its label last
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Print one JSON document: {"predictions": [...], "accuracy": a number or null}
    ///
    /// A prediction is {"index", "label", "probability"} and, if the images come with labels, "given".
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

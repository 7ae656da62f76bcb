//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

/// TOML has no larger integers.
const LARGEST_SEED: u64 = i64::MAX as u64;

/// Train, predict with and inspect neural networks whose parameters are tied, shaped and pruned.
///
/// Results go to standard output, progress, messages and errors to standard error. The exit code is
/// 0 if all went well, 2 if the command line is wrong, and 1 otherwise.
#[derive(Debug, Parser)]
#[command(
    name = "espalier",
    version,
    after_help = "\
Example:
  espalier train recipes/digits.toml
  espalier inspect runs/digits/model.safetensors"
)]
pub(crate) struct Args {
    /// When to colour messages and progress
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Train(TrainArgs),
    Predict(PredictArgs),
    Inspect(InspectArgs),
}

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
    /// Show no progress and no messages, only results and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
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

/// Show the tensors of a safetensors file: shapes, zeros and statistics
///
/// Sparsity is the share of elements that are zero. Statistics are over the finite elements. Types
/// that are not decoded (8-bit and smaller floats, complex numbers) are left out of both; in JSON
/// the total of zeros and sparsity is 0 if nothing is decoded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier inspect runs/digits/model.safetensors
  espalier inspect model.safetensors --json")]
pub(crate) struct InspectArgs {
    /// The file, in the safetensors format
    pub(crate) file: PathBuf,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// A seed that a recipe can hold. Negative numbers come here too, to be told the range.
fn seed(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seed) if seed <= LARGEST_SEED => Ok(seed),
        _ => Err(format!("expected an integer from 0 to {LARGEST_SEED}")),
    }
}

/// Parses the arguments, the first of which is the program's name. Touches nothing else.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = Args::command().color(color_of_help(&args));
    let matches = command.try_get_matches_from_mut(args)?;
    Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// What `--color` says, found without a parser: help and errors of the parser obey it too.
fn color_of_help(args: &[OsString]) -> ColorChoice {
    let words: Vec<&str> = args
        .iter()
        .skip(1)
        .map(|word| word.to_str().unwrap_or_default())
        .take_while(|&word| word != "--")
        .collect();
    let mut choice = ColorChoice::Auto;
    for (at, word) in words.iter().enumerate() {
        let value = match word.strip_prefix("--color") {
            Some("") => words.get(at + 1).copied(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        choice = match value {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            _ => choice,
        };
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(line: &str) -> ColorChoice {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        color_of_help(&words)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_obeys_color() {
        assert_eq!(choice("espalier --help"), ColorChoice::Auto);
        assert_eq!(choice("espalier --color never"), ColorChoice::Never);
        assert_eq!(choice("espalier train --color=always"), ColorChoice::Always);
        assert_eq!(choice("espalier --colored=always"), ColorChoice::Auto);
        assert_eq!(choice("espalier inspect -- --color=never"), ColorChoice::Auto);
        assert_eq!(choice("espalier --color"), ColorChoice::Auto);
    }

    #[test]
    fn options_reach_their_fields() {
        let line = "espalier train r.toml --out d --seed 7 -q --color never";
        let args = parse(line.split(' ').map(Into::into)).unwrap();
        assert_eq!(args.color, Color::Never);
        let Command::Train(train) = args.command else {
            panic!("not train: {args:?}");
        };
        assert_eq!(train.recipe, PathBuf::from("r.toml"));
        assert_eq!(train.out, Some(PathBuf::from("d")));
        assert_eq!((train.seed, train.quiet), (Some(7), true));
    }
}

//! The command line.

mod check;
mod completions;
mod convert;
mod diff;
mod fold;
mod inspect;
mod prune;
mod report;
mod shared;
#[cfg(feature = "train")]
mod train;

use std::ffi::OsString;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use check::CheckArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use convert::ConvertArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use fold::FoldArgs;
pub(crate) use inspect::{InspectArgs, SortBy};
pub(crate) use prune::PruneArgs;
pub(crate) use report::ReportArgs;
pub(crate) use shared::{OutputArgs, ReadArgs, SelectArgs};
#[cfg(feature = "train")]
pub(crate) use train::{PredictArgs, TrainArgs};

/// Train, predict with and inspect neural networks whose parameters are tied, shaped and pruned.
///
/// Results go to standard output, progress, messages and errors to standard error. The exit code is
/// 0 if all went well, 3 if `diff` or `check` found something, 2 if the command line is wrong, and 1
/// otherwise.
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
    /// Show no progress and no messages, only results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "train")]
    Train(TrainArgs),
    #[cfg(feature = "train")]
    Predict(PredictArgs),
    Inspect(InspectArgs),
    Prune(Box<PruneArgs>),
    Convert(Box<ConvertArgs>),
    Report(ReportArgs),
    Fold(FoldArgs),
    Diff(DiffArgs),
    Check(CheckArgs),
    Completions(CompletionsArgs),
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

/// Parses the arguments, the first of which is the program's name. Touches nothing else.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = Args::command().color(color_of_help(&args));
    let matches = command.try_get_matches_from_mut(args)?;
    let args = Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    if let Command::Prune(prune) = &args.command {
        prune.check().map_err(|(kind, text)| command.error(kind, text))?;
    }
    Ok(args)
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

    #[cfg(feature = "train")]
    #[test]
    fn options_reach_their_fields() {
        use std::path::PathBuf;

        let line = "espalier train r.toml --out d --seed 7 -q --color never";
        let args = parse(line.split(' ').map(Into::into)).unwrap();
        assert_eq!(args.color, Color::Never);
        let Command::Train(train) = args.command else {
            panic!("not train: {args:?}");
        };
        assert_eq!(train.recipe, PathBuf::from("r.toml"));
        assert_eq!(train.out, Some(PathBuf::from("d")));
        assert_eq!((train.seed, args.quiet), (Some(7), true));
    }
}

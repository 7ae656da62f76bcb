//! The program `espalier`: trains the network of a recipe, predicts with a trained one, and handles
//! checkpoint files.
//!
//! Results go to standard output, progress, messages and errors to standard error. The exit code is
//! 0 if all went well, 3 if `diff` or `check` found something, 2 if the command line is wrong, and 1 otherwise.

mod args;
mod check;
mod completions;
mod convert;
#[cfg(feature = "train")]
mod describe;
mod diagnose;
mod diff;
mod error;
mod files;
mod fold;
mod hints;
mod inspect;
#[cfg(feature = "train")]
mod predict;
#[cfg(feature = "train")]
mod problems;
#[cfg(feature = "train")]
mod progress;
mod prune;
mod report;
mod terminal;
#[cfg(feature = "train")]
mod train;

use std::env;
use std::process::ExitCode;

use mimalloc::MiMalloc;

use crate::args::{Args, Command};
use crate::error::{CliError, FAILURE, FOUND};
use crate::terminal::{Console, Output};

/// Training allocates and frees many tensors a step, which the system's allocators do slowly.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let args = match args::parse(env::args_os()) {
        Ok(args) => args,
        Err(wrong) => {
            // Help and version come here too; if nobody reads them, there is nobody to tell.
            let _ = wrong.print();
            return ExitCode::from(u8::try_from(wrong.exit_code()).unwrap_or(FAILURE));
        }
    };
    let console = Console::new(args.color);
    match run(args, &console) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(FOUND),
        Err(error) => {
            terminal::to_stderr(&diagnose::text(&error, &console));
            ExitCode::from(FAILURE)
        }
    }
}

/// What a command came to that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked.
    Done,
    /// It found what it looks for, as a difference.
    Found,
}

fn run(args: Args, console: &Console) -> Result<Outcome, CliError> {
    let mut output = Output::new();
    let mut outcome = Outcome::Done;
    match args.command {
        #[cfg(feature = "train")]
        Command::Train(train) => train::run(&train, args.quiet, console, &mut output)?,
        #[cfg(feature = "train")]
        Command::Predict(predict) => predict::run(&predict, &mut output)?,
        Command::Prune(prune) => prune::run(&prune, args.quiet, console, &mut output)?,
        Command::Convert(convert) => convert::run(&convert, args.quiet, console)?,
        Command::Report(report) => report::run(&report, args.quiet, console, &mut output)?,
        Command::Fold(fold) => fold::run(&fold, args.quiet, console, &mut output)?,
        Command::Inspect(inspect) => inspect::run(&inspect, args.quiet, console, &mut output)?,
        Command::Diff(diff) => outcome = diff::run(&diff, args.quiet, console, &mut output)?,
        Command::Check(check) => outcome = check::run(&check, args.quiet, console, &mut output)?,
        Command::Completions(shell) => completions::run(&shell, &mut output),
    }
    output.finish()?;
    Ok(outcome)
}

//! The program `espalier`: trains the network of a recipe, predicts with a trained one, and shows
//! what a checkpoint holds.
//!
//! Results go to standard output, progress, messages and errors to standard error. The exit code is
//! 0 if all went well, 2 if the command line is wrong, and 1 otherwise.

mod args;
mod diagnose;
mod error;
mod hints;
mod inspect;
mod predict;
mod progress;
mod terminal;
mod train;

use std::env;
use std::process::ExitCode;

use mimalloc::MiMalloc;

use crate::args::{Args, Command};
use crate::error::{CliError, FAILURE};
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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::to_stderr(&diagnose::text(&error, &console));
            ExitCode::from(FAILURE)
        }
    }
}

fn run(args: Args, console: &Console) -> Result<(), CliError> {
    let mut output = Output::new();
    match args.command {
        Command::Train(train) => train::run(&train, console, &mut output)?,
        Command::Predict(predict) => predict::run(&predict, &mut output)?,
        Command::Inspect(inspect) => inspect::run(&inspect, console, &mut output)?,
    }
    output.finish()
}

//! `espalier completions`

use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs};
use crate::terminal::Output;

pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "espalier", &mut script);
    output.write(&String::from_utf8_lossy(&script));
}

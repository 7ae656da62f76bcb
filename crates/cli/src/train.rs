//! `espalier train`

use std::fmt::Write as _;
use std::path::Path;

use espalier_recipe::{Prepared, Recipe, RunOptions, Summary};

use crate::args::TrainArgs;
use crate::error::CliError;
use crate::files::stop_on_ctrl_c;
use crate::progress::Progress;
use crate::terminal::{Console, Output, harmless};

pub(crate) fn run(
    args: &TrainArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    let recipe = Recipe::read(&args.recipe)?;
    let prunes = recipe.prune.is_some();
    let options = RunOptions { directory: args.out.clone(), seed: args.seed };
    let stop = stop_on_ctrl_c()?;
    let prepared = Prepared::new(recipe, options)?;
    let directory = prepared.directory().to_owned();

    let (steps, epochs) = (prepared.steps(), prepared.epochs());
    let mut progress = Progress::new(quiet, console, (steps, epochs), stop, output);
    let trained = prepared.train(&mut progress);
    progress.close();
    output.write(&closing(&trained?, prunes, &directory));
    Ok(())
}

/// What the run came to, a line each.
fn closing(summary: &Summary, prunes: bool, directory: &Path) -> String {
    let mut text = String::new();
    let accuracy = &summary.accuracy;
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} {value}");
    };
    if prunes {
        line("accuracy before pruning", &per_cent(accuracy.before_pruning));
        line("accuracy after pruning", &per_cent(accuracy.after_pruning));
    } else {
        line("accuracy", &per_cent(accuracy.after_pruning));
    }
    line("sparsity", &per_cent(summary.sparsity));
    line("parameters", &summary.parameters.to_string());
    line("seconds", &format!("{:.2}", summary.seconds));
    line("seed", &summary.seed.to_string());
    // A recipe may name it, so it may hold anything.
    line("run directory", &harmless(&directory.display().to_string()));
    text
}

/// A fraction in per cent with two decimals.
pub(crate) fn per_cent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

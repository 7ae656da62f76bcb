//! `espalier train`

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use espalier_checkpoint::{WriteMode, write_atomically_with};
use espalier_files::{Detail, Selection, Silent, report};
use espalier_recipe::{Changes, Experiment, Outcome, Prepared, Recipe, RunOptions, Summary};
use espalier_report::page;

use crate::args::TrainArgs;
use crate::describe;
use crate::error::CliError;
use crate::files::{message, stop_on_ctrl_c};
use crate::progress::Progress;
use crate::terminal::{Console, Output, harmless};

/// The page in a run's directory.
const REPORT: &str = "report.html";

pub(crate) fn run(
    args: &TrainArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    let recipe = changed(Recipe::read(&args.recipe)?, args)?;
    let prunes = recipe.prune.is_some();
    let wants_report = recipe.output.report;
    let options = RunOptions {
        directory: args.out.clone(),
        seed: args.seed,
        resume: args.resume,
        dry_run: args.dry_run,
        ..RunOptions::default()
    };
    if args.dry_run {
        let described = Prepared::new(recipe, options)?.describe()?;
        output.write(&describe::text(&described, console));
        return Ok(());
    }
    let stop = stop_on_ctrl_c()?;
    let experiment = Experiment::new(recipe, options)?;
    let mut progress = Progress::new(quiet, console, stop, output);
    let trained = experiment.train(&mut progress);
    progress.close();
    let outcomes = trained?;
    if wants_report {
        for outcome in &outcomes {
            write_report(&outcome.directory)?;
            let path = outcome.directory.join(REPORT);
            message(quiet, &format!("report: {}", harmless(&path.display().to_string())));
        }
    }
    output.write(&closing(&outcomes, prunes));
    Ok(())
}

/// The recipe as the arguments want it.
fn changed(recipe: Recipe, args: &TrainArgs) -> Result<Recipe, CliError> {
    let mut recipe = recipe;
    if args.short {
        let Some(short) = recipe.short.clone() else {
            return Err(CliError::NoShort { recipe: args.recipe.clone() });
        };
        recipe = with(recipe, &short.value)?;
    }
    let own = Changes::parse(&args.set).map_err(espalier_recipe::ReadError::from)?;
    with(recipe, &own)
}

fn with(recipe: Recipe, changes: &Changes) -> Result<Recipe, CliError> {
    Ok(recipe.with_changes(changes).map_err(espalier_recipe::ReadError::from)?)
}

/// Measures the run and writes its page.
fn write_report(run: &Path) -> Result<(), CliError> {
    let all = Selection::default();
    let text = page(&report(run, None, &all, Detail::default(), &Arc::new(Silent))?)?;
    let path = run.join(REPORT);
    Ok(write_atomically_with(&path, WriteMode::Replace, |out| out.write_all(text.as_bytes()))?)
}

/// What the runs came to.
fn closing(outcomes: &[Outcome], prunes: bool) -> String {
    match outcomes {
        [only] => alone(&only.summary, prunes, &only.directory),
        several => compared(several),
    }
}

/// What a run came to, a line each.
fn alone(summary: &Summary, prunes: bool, directory: &Path) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} {value}");
    };
    match &summary.accuracy {
        Some(accuracy) if prunes => {
            line("accuracy before pruning", &per_cent(accuracy.before_pruning));
            line("accuracy after pruning", &per_cent(accuracy.after_pruning));
        }
        Some(accuracy) => line("accuracy", &per_cent(accuracy.after_pruning)),
        None => line("loss", &format!("{:.6}", summary.loss)),
    }
    line("sparsity", &per_cent(summary.sparsity));
    line("parameters", &summary.parameters.to_string());
    line("seconds", &format!("{:.2}", summary.seconds));
    line("seed", &summary.seed.to_string());
    // A recipe may name it, so it may hold anything.
    line("run directory", &harmless(&directory.display().to_string()));
    text
}

/// A row a run.
fn compared(outcomes: &[Outcome]) -> String {
    let width = outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0).max(3);
    let mut text = format!(
        "{:<width$}  {:>9}  {:>10}  {:>9}  {:>10}  {:>8}  {:>6}  {:>8}\n",
        "run", "accuracy", "test loss", "sparsity", "parameters", "trained", "epochs", "seconds"
    );
    for Outcome { name, summary, .. } in outcomes {
        let accuracy = summary
            .accuracy
            .as_ref()
            .map_or_else(|| "-".to_owned(), |accuracy| per_cent(accuracy.after_pruning));
        let _ = writeln!(
            text,
            "{name:<width$}  {accuracy:>9}  {:>10.6}  {:>9}  {:>10}  {:>8}  {:>6}  {:>8.2}",
            summary.loss,
            per_cent(summary.sparsity),
            summary.parameters,
            summary.trained,
            summary.epochs,
            summary.seconds,
        );
    }
    for Outcome { name, directory, .. } in outcomes {
        let directory = harmless(&directory.display().to_string());
        let _ = writeln!(text, "{name:<width$}  {directory}");
    }
    text
}

/// A fraction in per cent with two decimals.
pub(crate) fn per_cent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

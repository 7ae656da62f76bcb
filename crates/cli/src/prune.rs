//! `espalier prune`

use espalier_files::{PruneReport, open};
use espalier_report::{ParameterRow, parameter_table};
use serde::Serialize;

use crate::args::PruneArgs;
use crate::error::CliError;
use crate::files::{Watch, message};
use crate::terminal::{Console, Output};

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    file: String,
    output: Option<String>,
    #[serde(flatten)]
    report: &'a PruneReport,
}

pub(crate) fn run(
    args: &PruneArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    let path = args.output.as_ref().filter(|_| !args.dry_run);
    let destination = path.map(|path| args.out.destination(path)).transpose()?;
    // Before the work, not after it.
    destination.as_ref().map(|destination| destination.check()).transpose()?;
    let selection = args.select.selection()?;
    let checkpoint = open(&args.input, args.read.key.as_deref())?;
    let watch = Watch::new(quiet, console)?;
    let pruned = args.pruning().of(&checkpoint, &selection, &watch).and_then(|pruned| {
        if let Some(destination) = &destination {
            destination.write(&pruned.checkpoint, &watch)?;
        }
        Ok(pruned.report)
    });
    watch.close();
    let report = pruned?;
    if args.json {
        let document = Document {
            file: args.input.display().to_string(),
            output: path.map(|path| path.display().to_string()),
            report: &report,
        };
        output.json(&document)?;
    } else {
        output.write(&parameter_table(&rows(&report), &title(&report), console.tables));
    }
    match path {
        Some(path) => message(quiet, &format!("{} is written", path.display())),
        None => message(quiet, "nothing is written: a dry run"),
    }
    Ok(())
}

fn title(report: &PruneReport) -> String {
    let new = report.total.zeros_after - report.total.zeros_before.min(report.total.zeros_after);
    let mut title = format!("pruned: {} more zeros", espalier_report::grouped(new as u64));
    if let Some(threshold) = report.threshold {
        title.push_str(&format!(", magnitudes up to {threshold:e}"));
    }
    title
}

fn rows(report: &PruneReport) -> Vec<ParameterRow> {
    let row = |row: &espalier_files::PruneRow| ParameterRow {
        name: row.name.clone(),
        shape: row.shape.clone(),
        parameters: row.numel as u64,
        zeros: row.zeros_after as u64,
    };
    report.tensors.iter().map(row).collect()
}

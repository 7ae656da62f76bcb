//! `espalier inspect`

use std::path::Path;
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_files::{Bins, FilesError, Selection, Sort, Summary, bins, headers, inspect, open};
use espalier_report::{headers_table, histogram, table, tree};
use serde::Serialize;

use crate::args::{InspectArgs, SortBy};
use crate::error::CliError;
use crate::files::Watch;
use crate::terminal::{Console, Output, harmless};

/// Bins of a histogram.
const BINS: usize = 20;

/// What is said of a file.
#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    histograms: Vec<Bins>,
}

pub(crate) fn run(
    args: &InspectArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    let watch = Watch::new(quiet, console)?;
    let found: Result<Vec<Found>, FilesError> =
        args.files.iter().map(|file| look(args, file, &watch)).collect();
    watch.close();
    let found = found?;
    if !args.json {
        found.iter().for_each(|found| output.write(&text(args, found, console)));
        return Ok(());
    }
    match &found[..] {
        [one] => output.json(one),
        several => output.json(several),
    }
}

fn look(args: &InspectArgs, file: &Path, watch: &Arc<Watch>) -> Result<Found, FilesError> {
    let selection = args.select.selection()?;
    let checkpoint = selection.pick(&open(file, args.read.key.as_deref())?)?;
    let mut histograms = Vec::new();
    for name in &args.hist {
        for tensor in named(&checkpoint, name)? {
            histograms.push(bins(&tensor, BINS, watch)?);
        }
    }
    // Histograms are all that is shown then.
    let unread = args.headers || !histograms.is_empty() && !args.json;
    let mut summary = if unread { headers(&checkpoint) } else { inspect(&checkpoint, watch)? };
    if let Some(by) = args.sort {
        summary.sort(match by {
            SortBy::Name => Sort::Name,
            SortBy::Size => Sort::Size,
            SortBy::Sparsity => Sort::Sparsity,
        });
    }
    Ok(Found { summary, histograms })
}

/// The tensor of a name, or those that a glob matches.
fn named(checkpoint: &Checkpoint, name: &str) -> Result<Vec<NamedTensor>, FilesError> {
    match checkpoint.get(name) {
        Some(tensor) => Ok(vec![tensor.clone()]),
        None => Ok(Selection::new(&[name], &[])?.pick(checkpoint)?.into_iter().collect()),
    }
}

fn text(args: &InspectArgs, found: &Found, console: &Console) -> String {
    let Found { summary, histograms } = found;
    let style = console.tables;
    let mut text = String::new();
    if args.files.len() > 1 {
        text.push_str(&format!("{} ({})\n", harmless(&summary.file), summary.format));
    }
    if !histograms.is_empty() {
        histograms.iter().for_each(|bins| text.push_str(&histogram(bins, style)));
    } else if args.tree {
        text.push_str(&tree(summary, style));
    } else if args.headers {
        text.push_str(&headers_table(summary, style));
    } else {
        text.push_str(&table(summary, style));
    }
    text
}

//! `espalier fold`

use espalier_files::{FoldOptions, FoldSummary, fold, open};
use serde::Serialize;

use crate::args::FoldArgs;
use crate::error::CliError;
use crate::files::{Watch, listed, message, tensors};
use crate::terminal::{Console, Output};

/// Names that are listed of many.
const MOST: usize = 3;

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    file: String,
    output: Option<String>,
    /// Whether it was written.
    written: bool,
    #[serde(flatten)]
    summary: &'a FoldSummary,
}

pub(crate) fn run(
    args: &FoldArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    let destination = args.output.as_ref().map(|path| args.write.destination(path)).transpose()?;
    let selection = args.select.selection()?;
    let options = FoldOptions {
        selection,
        alpha: args.alpha,
        adapters: args.adapters.clone(),
        maps: args.maps.clone(),
    };
    if let Some(destination) = destination.as_ref().filter(|_| !args.dry_run) {
        destination.check()?;
    }
    let input = open(&args.input, args.read.key.as_deref())?;
    let folded = fold(&input, &options)?;
    let written = destination.filter(|_| !args.dry_run);
    if let Some(destination) = &written {
        let watch = Watch::new(quiet, console)?;
        let result = destination.write(&folded.checkpoint, &watch);
        watch.close();
        result?;
    }
    for line in told(&folded.summary, written.is_some()) {
        message(quiet, &line);
    }
    if args.json {
        let document = Document {
            file: args.input.display().to_string(),
            output: args.output.as_ref().map(|path| path.display().to_string()),
            written: written.is_some(),
            summary: &folded.summary,
        };
        output.json(&document)?;
    }
    Ok(())
}

/// What was done, by kind, and what was assumed of which tensors.
fn told(summary: &FoldSummary, is_written: bool) -> Vec<String> {
    let kinds: Vec<String> =
        summary.kinds().into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let copied = summary.copied;
    let mut lines = vec![match (summary.folded.len(), is_written) {
        (0, true) => format!("nothing to fold; {} copied", tensors(copied)),
        (0, false) => "nothing to fold".to_owned(),
        (count, true) => {
            format!("folded {}: {}; {copied} copied", tensors(count), kinds.join(", "))
        }
        (count, false) => format!("would fold {}: {}", tensors(count), kinds.join(", ")),
    }];
    lines.extend(summary.notes.iter().cloned());
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for tensor in &summary.folded {
        let Some(note) = &tensor.note else { continue };
        match notes.iter_mut().find(|(known, _)| known == note) {
            Some((_, names)) => names.push(&tensor.name),
            None => notes.push((note, vec![&tensor.name])),
        }
    }
    lines
        .extend(notes.into_iter().map(|(note, names)| format!("{}: {note}", listed(&names, MOST))));
    lines
}

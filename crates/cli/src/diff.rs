//! `espalier diff`

use std::path::Path;

use espalier_checkpoint::Checkpoint;
use espalier_files::{Changed, Diff, FilesError, Lone, diff, open};
use espalier_report::{Column, draw, grouped, shape, statistic};

use crate::Outcome;
use crate::args::DiffArgs;
use crate::error::CliError;
use crate::files::Watch;
use crate::terminal::{Console, Output, harmless};

pub(crate) fn run(
    args: &DiffArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<Outcome, CliError> {
    let watch = Watch::new(quiet, console)?;
    let found = compare(args, &watch);
    watch.close();
    let found = found?;
    if args.json {
        output.json(&found)?;
    } else {
        output.write(&text(&found, console));
    }
    Ok(if found.differs { Outcome::Found } else { Outcome::Done })
}

fn compare(args: &DiffArgs, watch: &std::sync::Arc<Watch>) -> Result<Diff, FilesError> {
    let selection = args.select.selection()?;
    let [a, b] = both(&args.a, &args.b, args.read.key.as_deref())?;
    let [a, b] = selection.pick_both([&a, &b])?;
    diff(&a, &b, &args.tolerance(), watch)
}

/// Opens both; a key is for those that have something to choose from, one of them at least.
fn both(a: &Path, b: &Path, key: Option<&str>) -> Result<[Checkpoint; 2], FilesError> {
    match (open(a, key), open(b, key)) {
        (Err(FilesError::NoKeys { .. }), Ok(b)) => Ok([open(a, None)?, b]),
        (Ok(a), Err(FilesError::NoKeys { .. })) => Ok([a, open(b, None)?]),
        (a, b) => Ok([a?, b?]),
    }
}

fn text(found: &Diff, console: &Console) -> String {
    let mut text = String::new();
    let lone = |sign: &str, lone: &Lone| {
        let Lone { name, dtype, shape: sizes } = lone;
        format!("{sign} {}  {dtype} {}\n", harmless(name), shape(sizes))
    };
    found.removed.iter().for_each(|tensor| text.push_str(&lone("removed", tensor)));
    found.added.iter().for_each(|tensor| text.push_str(&lone("added  ", tensor)));
    for renamed in &found.renamed {
        let (from, to) = (harmless(&renamed.from), harmless(&renamed.to));
        text.push_str(&format!("renamed {from} -> {to}\n"));
    }
    for changed in &found.changed {
        let [before, after] = &changed.dtype;
        let name = harmless(&changed.name);
        if before != after {
            text.push_str(&format!("type    {name}  {before} -> {after}\n"));
        }
        let [before, after] = changed.shape.each_ref().map(|sizes| shape(sizes));
        if before != after {
            text.push_str(&format!("shape   {name}  {before} -> {after}\n"));
        }
        if before == after && changed.changed.is_none() {
            text.push_str(&format!("bytes   {name}  differ, and are not decoded\n"));
        }
    }
    let rows: Vec<Vec<String>> =
        found.changed.iter().filter(|changed| changed.changed > Some(0)).map(row).collect();
    if !rows.is_empty() {
        let column = |heading, dispensable| Column { heading, dispensable };
        let columns = [
            column("changed", 0),
            column("values", 2),
            column("beyond", 1),
            column("max abs", 0),
            column("at", 3),
            column("relative", 0),
            column("cosine", 0),
        ];
        text.push_str(&draw(&columns, 1, &rows, console.tables));
    }
    let total = &found.total;
    let plural = |count: u64| if count == 1 { "tensor" } else { "tensors" };
    text.push_str(&format!(
        "{} {} under one name, {} equal; ",
        grouped(total.tensors),
        plural(total.tensors),
        grouped(total.equal),
    ));
    if found.differs {
        let count = total.different;
        let (tensors, differ) = (plural(count), if count == 1 { "differs" } else { "differ" });
        text.push_str(&format!("{} {tensors} {differ}", grouped(count)));
    } else {
        text.push_str("nothing differs");
        if !found.changed.is_empty() {
            text.push_str(" beyond the tolerance");
        }
    }
    if !rows.is_empty() {
        text.push_str(&format!(
            "; in all max abs {}, relative {}, cosine {}",
            statistic(total.max_abs),
            statistic(total.relative),
            cosine(total.cosine),
        ));
    }
    text.push('\n');
    text
}

fn row(changed: &Changed) -> Vec<String> {
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), grouped);
    let at = changed.at.as_ref().map(|at| {
        let at: Vec<String> = at.iter().map(ToString::to_string).collect();
        at.join(",")
    });
    let most = match changed.nonfinite {
        Some(found) if found > 0 => {
            format!("{} ({} not finite)", statistic(changed.max_abs), grouped(found))
        }
        _ => statistic(changed.max_abs),
    };
    vec![
        harmless(&changed.name),
        count(changed.changed),
        count(changed.beyond),
        most,
        at.unwrap_or_default(),
        statistic(changed.relative),
        cosine(changed.cosine),
    ]
}

/// With the digits that tell it from 1.
fn cosine(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.6}"))
}

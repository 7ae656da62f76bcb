//! `espalier report`

use std::fs;
use std::path::Path;
use std::sync::Arc;

use espalier_checkpoint::{Error, WriteMode, write_atomically_with};
use espalier_files::{Detail, Observer as _, Report, report};
use espalier_report::page;

use crate::args::ReportArgs;
use crate::error::CliError;
use crate::files::{Watch, message, tensors};
use crate::terminal::{Console, Output};

pub(crate) fn run(
    args: &ReportArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    check(&args.output, args.force)?;
    let selection = args.select.selection()?;
    let detail = Detail { side: args.singular_values, ..Detail::default() };
    let watch = Watch::new(quiet, console)?;
    let key = args.read.key.as_deref();
    let measured = report(&args.path, key, &selection, detail, &watch);
    watch.close();
    let report = measured?;
    write(args, &report, &watch)?;
    if args.json {
        output.json(&report)?;
    }
    let tensors = tensors(report.tensors.len());
    message(quiet, &format!("{}: {tensors}", args.output.display()));
    Ok(())
}

/// That the page may be written there. No checkpoint has such a name, so that none is overwritten, also through a link.
fn check(path: &Path, force: bool) -> Result<(), CliError> {
    let is_page = |path: &Path| {
        let ending = path.extension().unwrap_or_default();
        ending.eq_ignore_ascii_case("html") || ending.eq_ignore_ascii_case("htm")
    };
    let target = fs::canonicalize(path);
    if !is_page(path) || target.is_ok_and(|target| !is_page(&target)) {
        return Err(CliError::NotAPage { path: path.to_owned() });
    }
    if !force && path.symlink_metadata().is_ok() {
        return Err(Error::AlreadyExists { path: path.to_owned() }.into());
    }
    Ok(())
}

fn write(args: &ReportArgs, report: &Report, watch: &Arc<Watch>) -> Result<(), CliError> {
    let page = page(report)?;
    // What was pressed while the page was made.
    if watch.cancelled() {
        return Err(espalier_files::FilesError::Cancelled.into());
    }
    let mode = if args.force { WriteMode::Replace } else { WriteMode::CreateNew };
    Ok(write_atomically_with(&args.output, mode, |out| out.write_all(page.as_bytes()))?)
}

//! `espalier convert`

use espalier_checkpoint::KeyChange;
use espalier_files::{Converted, open};

use crate::args::ConvertArgs;
use crate::error::CliError;
use crate::files::{Watch, listed, message, tensors};
use crate::terminal::Console;

/// The most names that a message lists.
const MOST: usize = 8;

pub(crate) fn run(args: &ConvertArgs, quiet: bool, console: &Console) -> Result<(), CliError> {
    let mut destination = args.out.destination(&args.output)?;
    if let Some(bytes) = args.max_shard_size {
        destination = destination.with_shards(bytes)?;
    }
    destination.check()?;
    let selection = args.select.selection()?;
    let checkpoint = open(&args.input, args.read.key.as_deref())?;
    let converted = args.conversion().of(&checkpoint, &selection)?;
    let watch = Watch::new(quiet, console)?;
    let written = destination.write(&converted.checkpoint, &watch);
    watch.close();
    written?;
    tell(&converted, quiet);
    let tensors = tensors(converted.checkpoint.len());
    let path = args.output.display();
    message(quiet, &format!("{path} is written: {tensors}, {}", destination.format()));
    Ok(())
}

/// What one might not expect of it.
fn tell(converted: &Converted, quiet: bool) {
    let is_turned = |change: &&KeyChange| !change.turns.is_empty();
    let turned: Vec<&str> =
        converted.changes.iter().filter(is_turned).map(|change| change.to.as_str()).collect();
    if !turned.is_empty() {
        message(quiet, &format!("turned {}: {}", turned.len(), listed(&turned, MOST)));
    }
    let renamed: Vec<String> = converted
        .changes
        .iter()
        .filter(|change| change.from != change.to)
        .map(|change| format!("{} to {}", change.from, change.to))
        .collect();
    if !renamed.is_empty() {
        message(quiet, &format!("renamed {}: {}", renamed.len(), listed(&renamed, MOST)));
    }
    if !converted.left.is_empty() {
        let (count, names) = (converted.left.len(), listed(&converted.left, MOST));
        message(
            quiet,
            &format!("{count} of types that are not converted stay as they are: {names}"),
        );
    }
    let overflowed = converted.overflowed();
    let total: usize = overflowed.iter().map(|(_, count)| count).sum();
    if total > 0 {
        let each: Vec<String> =
            overflowed.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        let (values, have) = if total == 1 { ("value", "has") } else { ("values", "have") };
        let text =
            format!("warning: {total} {values} {have} become infinite: {}", listed(&each, MOST));
        message(quiet, &text);
    }
}

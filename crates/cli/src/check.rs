//! `espalier check`

use espalier_files::{Check, check, open};
use espalier_report::grouped;

use crate::Outcome;
use crate::args::CheckArgs;
use crate::error::CliError;
use crate::files::Watch;
use crate::terminal::{Console, Output, harmless};

pub(crate) fn run(
    args: &CheckArgs,
    quiet: bool,
    console: &Console,
    output: &mut Output,
) -> Result<Outcome, CliError> {
    let watch = Watch::new(quiet, console)?;
    let found = open(&args.file, args.read.key.as_deref())
        .and_then(|checkpoint| check(&checkpoint, &args.invariants(), args.tolerance, &watch));
    watch.close();
    let found = found?;
    if args.json {
        output.json(&found)?;
    } else {
        found.checks.iter().for_each(|check| output.write(&text(check, console)));
    }
    Ok(if found.holds { Outcome::Done } else { Outcome::Found })
}

/// A line on a check, and one on what is worst.
fn text(check: &Check, console: &Console) -> String {
    let word = match check.holds {
        true => console.results.green("holds "),
        false => console.results.red("broken"),
    };
    let of = if check.check == "finite" { String::new() } else { format!(" {}", check.of) };
    let mut text = format!("{word} {}{}: ", check.check, harmless(&of));
    let tensors = if check.tensors == 1 { "tensor" } else { "tensors" };
    let left_out = match check.left_out {
        0 => String::new(),
        count => format!(", {} left out", grouped(count)),
    };
    if check.holds {
        text.push_str(&format!("{} {tensors}{left_out}\n", grouped(check.tensors)));
    } else {
        let (broken, all) = (grouped(check.violations), grouped(check.tensors));
        text.push_str(&format!("{broken} of {all} {tensors}{left_out}\n"));
    }
    if let Some(worst) = &check.worst {
        let how = if check.holds { "nearest" } else { "worst" };
        text.push_str(&format!("       {how}: {}\n", harmless(&worst.says)));
    }
    text
}

//! `espalier inspect`

use espalier_checkpoint::read_safetensors;
use espalier_report::{summarize, table};

use crate::args::InspectArgs;
use crate::error::CliError;
use crate::terminal::{Console, Output};

pub(crate) fn run(
    args: &InspectArgs,
    console: &Console,
    output: &mut Output,
) -> Result<(), CliError> {
    let checkpoint = read_safetensors(&args.file)?;
    let name = args.file.display().to_string();
    let summary = summarize(&name, "safetensors", &checkpoint);
    if args.json {
        let mut json = serde_json::to_string_pretty(&summary)?;
        json.push('\n');
        output.write(&json);
    } else {
        output.write(&table(&summary, console.tables));
    }
    Ok(())
}

//! The program as its users run it.

// Helpers are not tests in the eyes of the linter.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "train")]
mod changes;
mod check;
#[cfg(unix)]
mod chromium;
mod completions;
mod conventions;
mod convert;
mod diff;
#[cfg(feature = "train")]
mod digits;
mod fold;
mod inspect;
#[cfg(all(feature = "train", unix))]
mod interrupt;
#[cfg(feature = "train")]
mod predict;
mod prune;
#[cfg(feature = "train")]
mod recipes;
mod report;
#[cfg(unix)]
mod report_browser;
#[cfg(feature = "train")]
mod resume;
#[cfg(feature = "train")]
mod streams;
#[cfg(feature = "train")]
mod train;
mod usage;
#[cfg(feature = "train")]
mod wrong_recipe;

use std::path::Path;
#[cfg(feature = "train")]
use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;

/// A recipe that is trained in an instant, with pruning after its first epoch.
#[cfg(feature = "train")]
const TINY: &str = r#"
name = "tiny"
data = { source = "digits" }
layer = [{ type = "flatten" }, { type = "linear", features = 16 }, { type = "relu" }, { type = "linear", features = 10 }]
optimizer = { type = "adam", lr = 1e-2 }
train = { epochs = 3, batch_size = 64 }
prune = { select = "1.weight", method = "l1_unstructured", scope = "layer", epochs = [1], sparsity = [0.5] }
"#;

/// The program, with nothing in its surroundings that changes what it prints.
fn espalier() -> Command {
    let mut command = Command::new(program());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_espalier")
}

/// Standard output of a run that must go well.
fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    text(&output.stdout)
}

/// Standard error of a run that must fail with this code, and print no result.
fn failure_of(command: &mut Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let errors = text(&stderr);
    assert_eq!(status.code(), Some(code), "{errors}");
    assert_eq!(text(&stdout), "");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Writes a recipe into a directory.
#[cfg(feature = "train")]
fn recipe(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("net.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The names in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

//! The command line itself.

use std::fs;

use tempfile::tempdir;

use crate::{espalier, failure_of, names, stdout_of};

/// The commands of this build.
const COMMANDS: &[&str] = &[
    #[cfg(feature = "train")]
    "train",
    #[cfg(feature = "train")]
    "predict",
    "inspect",
    "diff",
    "check",
    "completions",
];

#[test]
fn a_wrong_command_line_exits_with_2() {
    let lines: [&[&str]; 16] = [
        &[],
        &["bake"],
        &["train"],
        &["train", "net.toml", "--sed", "3"],
        &["train", "net.toml", "--seed", "-1"],
        &["train", "net.toml", "--seed", "9223372036854775808"],
        &["predict", "run"],
        &["inspect"],
        &["inspect", "a", "--color", "sometimes"],
        &["inspect", "a", "--sort", "colour"],
        &["inspect", "a", "--tree", "--hist", "w"],
        &["diff", "a"],
        &["diff", "a", "b", "--rtol", "-1"],
        &["check", "a", "--sparsity", "w=2"],
        &["check", "a", "--nm", "w=4:2"],
        &["completions", "tcsh"],
    ];
    for line in lines {
        let text = failure_of(espalier().args(line), 2);
        assert!(text.contains("espalier") || text.contains("--help"), "{line:?}: {text}");
    }
}

#[cfg(feature = "train")]
#[test]
fn a_seed_has_a_range() {
    for seed in ["-1", "-9e3", "seven", "1.5", "", "9223372036854775808"] {
        let text = failure_of(espalier().args(["train", "net.toml", "--seed", seed]), 2);
        let range = "expected an integer from 0 to 9223372036854775807";
        assert!(text.contains(&format!("'{seed}'")) || seed.is_empty(), "{seed}: {text}");
        assert!(text.contains("--seed") && text.contains(range), "{seed}: {text}");
    }
    let text = failure_of(espalier().args(["train", "net.toml", "--sed", "3"]), 2);
    assert!(text.contains("'--seed'"), "the nearest name: {text}");
}

#[test]
fn a_wrong_command_line_touches_nothing() {
    let directory = tempdir().unwrap();
    let line = ["train", "net.toml", "--out", "run", "--bogus"];
    failure_of(espalier().args(line).current_dir(directory.path()), 2);
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn every_help_has_an_example() {
    for command in COMMANDS {
        let text = stdout_of(espalier().args([*command, "--help"]));
        let example = format!("Example:\n  espalier {command} ");
        assert!(text.contains(&example), "{text}");
        assert!(text.contains("--color"), "{text}");
    }
    let text = stdout_of(espalier().arg("--help"));
    assert!(text.contains("Example:\n  espalier "), "{text}");
    for command in COMMANDS {
        assert!(text.contains(&format!("\n  {command}")), "{text}");
    }
    let version = stdout_of(espalier().arg("--version"));
    assert_eq!(version, concat!("espalier ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn color_is_obeyed() {
    let help = |color: &str| stdout_of(espalier().args(["--help", "--color", color]));
    assert!(help("always").contains("\u{1b}["));
    assert!(!help("auto").contains("\u{1b}["));

    let directory = tempdir().unwrap();
    let file = directory.path().join("a");
    fs::write(&file, "").unwrap();
    let error = |color: &str| {
        let line = ["inspect", "a", "--color", color];
        let mut command = espalier();
        command.args(line).current_dir(directory.path()).env("NO_COLOR", "1");
        failure_of(&mut command, 1)
    };
    assert!(error("always").contains("\u{1b}["));
    assert!(!error("auto").contains("\u{1b}["));
    assert!(!error("never").contains("\u{1b}["));
}

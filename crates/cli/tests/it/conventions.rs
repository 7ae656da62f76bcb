//! What holds of every command that reads files.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::tempdir;

use crate::inspect::model;
use crate::{espalier, failure_of, stdout_of};

/// A training checkpoint of two models and an optimizer, made by `tools/golden/files/several.py`.
fn several() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/several/two_models.pt")
}

/// As [`several`], with one model under a name of its own.
fn one() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/several/one_model.pt")
}

#[test]
fn of_several_state_dicts_one_must_be_chosen() {
    for command in ["inspect", "check"] {
        let text = failure_of(espalier().arg(command).arg(several()), 1);
        assert!(text.contains("holds several state dicts"), "{text}");
        assert!(text.contains("generator, critic") && text.contains("--key"), "{text}");
        assert!(!text.contains("optimizer"), "what is no model is not offered: {text}");
    }
    let text = stdout_of(espalier().args(["inspect", "--key", "critic"]).arg(several()));
    assert!(text.contains("| fc.weight "), "{text}");
    let text = stdout_of(espalier().args(["inspect", "--key", ""]).arg(several()));
    assert!(text.contains("generator.fc.weight") && text.contains("optimizer.state.0"), "{text}");
    let text = failure_of(espalier().args(["inspect", "--key", "kritic"]).arg(several()), 1);
    assert!(text.contains("kritic") && text.contains("critic"), "{text}");
    // Compared with itself, one key for both.
    stdout_of(espalier().args(["diff", "--key", "critic"]).arg(several()).arg(several()));
    failure_of(espalier().arg("diff").arg(several()).arg(several()), 1);
}

#[test]
fn the_one_that_holds_the_tensors_needs_no_key() {
    let text = stdout_of(espalier().arg("inspect").arg(one()));
    assert!(text.contains("| fc.weight ") && !text.contains("exp_avg"), "{text}");
}

#[test]
fn a_key_for_a_format_that_has_none() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let text = failure_of(espalier().args(["inspect", "--key", "model"]).arg(path), 1);
    assert!(text.contains("--key chooses in PyTorch files"), "{text}");
}

#[test]
fn a_glob_that_matches_nothing_is_answered_with_the_nearest_names() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    for line in [["inspect", "--include"], ["inspect", "--exclude"]] {
        let text = failure_of(espalier().args(line).arg("fc.wieght").arg(&path), 1);
        assert!(text.contains("`fc.wieght` matches no tensor"), "{text}");
        assert!(text.contains("the nearest names are fc.weight"), "{text}");
    }
    let text = failure_of(espalier().args(["inspect", "--include", "[a"]).arg(&path), 1);
    assert!(text.contains("`[a` is not a glob"), "{text}");
}

#[test]
fn results_are_coloured_when_asked_for() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let check = |options: &[&str], no_color: Option<&str>| {
        let mut command = espalier();
        command.arg("check").arg(&path).args(options);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        stdout_of(&mut command)
    };
    assert!(check(&["--color", "always"], Some("1")).contains("\u{1b}[32mholds"));
    for plain in [check(&[], None), check(&["--color", "never"], None), check(&[], Some("1"))] {
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }
    let json = check(&["--color", "always", "--json"], None);
    assert!(!json.contains('\u{1b}'), "{json}");
}

#[test]
fn nothing_but_the_result_is_printed() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    for line in [&["inspect"][..], &["check"], &["inspect", "--quiet"], &["check", "-q"]] {
        let output = espalier().args(line).arg(&path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line:?}");
        assert!(output.status.success() && !output.stdout.is_empty(), "{line:?}");
    }
}

#[test]
fn an_input_is_never_changed() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let before = fs::read(&path).unwrap();
    stdout_of(espalier().arg("inspect").arg(&path));
    stdout_of(espalier().arg("check").arg(&path));
    stdout_of(espalier().arg("diff").arg(&path).arg(&path));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(crate::names(directory.path()), ["model.safetensors"]);
}

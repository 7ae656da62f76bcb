//! Recipes that are wrong, as they are answered.

use std::path::Path;

use tempfile::tempdir;

use crate::{TINY, espalier, failure_of, names, recipe};

/// What `train` says of this text; it must leave the directory as it was.
fn answer(directory: &Path, text: &str) -> String {
    recipe(directory, text);
    let mut command = espalier();
    command.args(["train", "net.toml", "--out", "run"]);
    let answer = failure_of(command.current_dir(directory), 1);
    assert_eq!(names(directory), ["net.toml"]);
    assert!(answer.is_ascii(), "a pipe gets plain text: {answer}");
    answer
}

#[test]
fn each_problem_has_its_place_what_was_expected_and_the_nearest_name() {
    let directory = tempdir().unwrap();
    let text = TINY.replace("batch_size", "batch_sise").replace("\"relu\"", "\"rellu\"");
    let answer = answer(directory.path(), &text);
    for part in [
        "net.toml:4:",
        "net.toml:6:",
        "train.batch_sise: unknown key",
        "did you mean `batch_size`?",
        "did you mean `relu`?",
        "expected an integer from 1 to",
        // The line itself, with its number.
        "6 | train = { epochs = 3, batch_sise = 64 }",
        "3 problems in net.toml; nothing was written",
    ] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
}

#[test]
fn the_column_is_that_of_the_text() {
    let directory = tempdir().unwrap();
    let answer = answer(directory.path(), &TINY.replace("lr = 1e-2", "lr = \"fast\""));
    let line = TINY.lines().nth(4).unwrap();
    let column = line.find("1e-2").unwrap() + 1;
    let place = format!("net.toml:5:{column}: optimizer.lr: ");
    assert!(answer.contains(&place), "{place}: {answer}");
    assert!(answer.contains("1 problem in net.toml; nothing was written"), "{answer}");
}

#[test]
fn what_does_not_fit_the_network_is_found_before_anything_is_written() {
    let directory = tempdir().unwrap();
    let answer = answer(directory.path(), &TINY.replace("\"1.weight\"", "\"1.wieght\""));
    assert!(answer.contains("net.toml:7:"), "{answer}");
    assert!(answer.contains("1.wieght") && answer.contains("1.weight"), "{answer}");
}

#[test]
fn a_torn_file() {
    let directory = tempdir().unwrap();
    let answer = answer(directory.path(), "name = \"tiny");
    assert!(answer.contains("net.toml:1:"), "{answer}");
}

#[test]
fn an_empty_file() {
    let directory = tempdir().unwrap();
    let answer = answer(directory.path(), "");
    assert!(answer.contains("net.toml:1:1: "), "{answer}");
}

#[test]
fn a_missing_file() {
    let answer = failure_of(espalier().args(["train", "no/such.toml"]), 1);
    assert!(answer.contains("cannot read no/such.toml"), "{answer}");
    assert_eq!(answer.matches("os error 2").count(), 1, "{answer}");
}

//! `espalier train`

use std::fs;
use std::path::Path;

use espalier_checkpoint::read_safetensors;
use serde_json::Value;
use tempfile::tempdir;

use crate::{TINY, espalier, failure_of, names, recipe, stdout_of, text};

/// The files of a whole run.
const RUN: [&str; 5] =
    ["metrics.jsonl", "model.safetensors", "recipe.toml", "report.html", "summary.json"];

/// The end of a line of the closing lines, after its name.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no line {name:?} in {text}")).trim()
}

fn summary(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap()
}

#[test]
fn results_on_one_stream_and_progress_on_the_other() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let mut command = espalier();
    command.args(["train", "net.toml"]).current_dir(directory.path());
    let output = command.output().unwrap();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{errors}");

    let run = directory.path().join("runs/tiny");
    assert_eq!(names(&run), RUN);
    let summary = summary(&run);
    let per_cent = |value: &Value| format!("{:.2} %", 100.0 * value.as_f64().unwrap());
    let accuracy = &summary["accuracy"];
    assert_eq!(value(&out, "accuracy before pruning "), per_cent(&accuracy["before_pruning"]));
    assert_eq!(value(&out, "accuracy after pruning "), per_cent(&accuracy["after_pruning"]));
    assert!(accuracy["after_pruning"].as_f64().unwrap() > 0.6, "{out}");
    assert_eq!(value(&out, "sparsity "), per_cent(&summary["sparsity"]));
    assert_eq!(value(&out, "run directory "), "runs/tiny");
    let seconds = summary["seconds"].as_f64().unwrap();
    assert_eq!(value(&out, "seconds "), format!("{seconds:.2}"));
    for title in ["before training\n+", "after pruning\n+", "| 1.weight "] {
        assert!(out.contains(title), "{title}: {out}");
    }
    assert!(!out.contains("epoch"), "progress among the results: {out}");

    // Half of the first layer's weights are zero, in the table as in the file.
    let model = read_safetensors(run.join("model.safetensors")).unwrap();
    let weight = model.get("1.weight").unwrap();
    let zeros = weight.values().unwrap().filter(|&value| value == 0.0).count();
    assert_eq!(zeros, 512);
    let last = out.lines().rfind(|line| line.starts_with("| 1.weight")).unwrap();
    assert!(last.contains(" 512 ") && last.contains("50.00%"), "{last}");

    let epochs: Vec<&str> = errors.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert_eq!(epochs.len(), 3, "{errors}");
    assert!(epochs[2].starts_with("epoch 3/3  step "), "{errors}");
    assert!(errors.contains("data: digits"), "{errors}");
    assert!(!errors.contains('\u{1b}'), "{errors:?}");
}

#[test]
fn quiet_leaves_only_the_results() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let mut command = espalier();
    command.args(["train", "net.toml", "--quiet", "--out", "deep/run"]);
    let output = command.current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(value(&text(&output.stdout), "run directory "), "deep/run");
    assert_eq!(names(&directory.path().join("deep/run")), RUN);
    assert!(!directory.path().join("runs").exists());
}

#[test]
fn without_pruning_there_is_one_accuracy() {
    let directory = tempdir().unwrap();
    let text: Vec<&str> = TINY.lines().filter(|line| !line.starts_with("prune")).collect();
    recipe(directory.path(), &text.join("\n"));
    let mut command = espalier();
    command.args(["train", "net.toml", "-q"]).current_dir(directory.path());
    let out = stdout_of(&mut command);
    assert!(value(&out, "accuracy ").ends_with(" %"), "{out}");
    assert!(!out.contains("pruning"), "{out}");
    assert_eq!(value(&out, "sparsity "), "0.00 %");
}

#[test]
fn the_seed_decides_the_model() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let model = |out: &str, seed: &str| {
        let line = ["train", "net.toml", "-q", "--out", out, "--seed", seed];
        let text = stdout_of(espalier().args(line).current_dir(directory.path()));
        assert_eq!(value(&text, "seed "), seed);
        let run = directory.path().join(out);
        assert_eq!(summary(&run)["seed"].to_string(), seed);
        fs::read(run.join("model.safetensors")).unwrap()
    };
    let (first, again, other) = (model("a", "7"), model("b", "7"), model("c", "8"));
    assert!(first == again, "the same seed gives the same bytes");
    assert!(first != other, "another seed gives another model");
}

#[test]
fn a_run_directory_that_cannot_be_made() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    fs::write(directory.path().join("file"), "mine").unwrap();
    for out in ["file", "file/run"] {
        let mut command = espalier();
        command.args(["train", "net.toml", "--out", out]);
        let text = failure_of(command.current_dir(directory.path()), 1);
        assert!(text.contains(out), "{text}");
        assert!(text.contains("is not a directory"), "{text}");
    }
    assert_eq!(names(directory.path()), ["file", "net.toml"]);
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"mine");
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let thesis = directory.path().join("thesis");
    fs::create_dir(&thesis).unwrap();
    fs::write(thesis.join("summary.json"), "years of work").unwrap();
    let mut command = espalier();
    command.args(["train", "net.toml", "--out", "thesis"]);
    let text = failure_of(command.current_dir(directory.path()), 1);
    assert!(text.contains("thesis") && text.contains("summary.json"), "{text}");
    assert_eq!(fs::read(thesis.join("summary.json")).unwrap(), b"years of work");
}

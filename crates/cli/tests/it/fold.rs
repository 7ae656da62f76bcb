//! `espalier fold`

use std::fs;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
use serde_json::Value;
use tempfile::tempdir;

use crate::{espalier, failure_of, names, stdout_of, text};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../files/tests/data/fold").join(name)
}

/// A weight by weight norm, one by an orthogonal map that is not told, and a bias.
fn model(directory: &Path) -> PathBuf {
    let mut checkpoint = Checkpoint::new();
    for (name, shape, values) in [
        ("a.bias", vec![1], &[7.0][..]),
        ("a.weight_g", vec![1, 1], &[10.0]),
        ("a.weight_v", vec![1, 2], &[3.0, 4.0]),
        ("b.parametrizations.weight.original", vec![2, 2], &[0.0, 0.0, 2.0, 0.0]),
    ] {
        checkpoint.push(NamedTensor::f32(name, shape, values).unwrap()).unwrap();
    }
    let path = directory.join("model.safetensors");
    write_safetensors(&path, &checkpoint).unwrap();
    path
}

#[test]
fn a_file_of_pytorch() {
    let directory = tempdir().unwrap();
    let out = directory.path().join("out.safetensors");
    let mut command = espalier();
    command.arg("fold").arg(data("tied.pt")).arg("-o").arg(&out);
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(said, "folded 2 tensors: 2 weight_norm; 2 copied\n");
    let truth = Checkpoint::open(data("tied.folded.safetensors")).unwrap();
    let found = Checkpoint::open(&out).unwrap();
    assert_eq!(found.names().collect::<Vec<_>>(), ["a.bias", "a.weight", "b.bias", "b.weight"]);
    for tensor in &truth {
        let values = found.get(tensor.name()).unwrap().to_f32_vec().unwrap();
        for (found, expected) in values.into_iter().zip(tensor.to_f32_vec().unwrap()) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
    // It is not written over, unless that is asked for.
    let text = failure_of(&mut command, 1);
    assert!(text.contains("out.safetensors") && text.contains("exists"), "{text}");
    stdout_of(command.arg("--force"));
    // Quietly, into another format.
    let other = directory.path().join("out.npz");
    let mut command = espalier();
    command.arg("fold").arg(data("tied.pt")).arg("--quiet").arg("-o").arg(&other);
    assert!(command.output().unwrap().stderr.is_empty());
    assert_eq!(Checkpoint::open(&other).unwrap().len(), 4);
}

#[test]
fn json_lists_what_was_folded() {
    let directory = tempdir().unwrap();
    let input = model(directory.path());
    let out = directory.path().join("out.safetensors");
    let line = ["--orthogonal-map", "b.*=cayley", "--json", "-o"];
    let json = stdout_of(espalier().arg("fold").arg(&input).args(line).arg(&out));
    let document: Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["file", "output", "written", "folded", "copied", "notes"]);
    assert_eq!(document["written"], true);
    assert_eq!(document["copied"], 1);
    let folded = &document["folded"];
    assert_eq!(folded[0]["name"], "a.weight");
    assert_eq!(folded[0]["kind"], "weight_norm");
    assert_eq!(folded[0]["parts"], serde_json::json!(["a.weight_g", "a.weight_v"]));
    assert_eq!(folded[0]["note"], Value::Null);
    assert_eq!(folded[1]["kind"], "orthogonal");
    let found = Checkpoint::open(&out).unwrap();
    assert_eq!(found.get("a.weight").unwrap().to_f32_vec().unwrap(), [6.0, 8.0]);
    // Half the angle has the tangent 1: a quarter turn.
    let turn = found.get("b.weight").unwrap().to_f32_vec().unwrap();
    for (found, expected) in turn.iter().zip([0.0, -1.0, 1.0, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{turn:?}");
    }
}

#[test]
fn what_the_file_does_not_tell() {
    let directory = tempdir().unwrap();
    let input = model(directory.path());
    let out = directory.path().join("out.safetensors");
    let fold = || {
        let mut command = espalier();
        command.arg("fold").arg(&input).arg("-o").arg(&out);
        command
    };
    let text = failure_of(&mut fold(), 1);
    assert!(text.contains("b.weight") && text.contains("--orthogonal-map"), "{text}");
    assert_eq!(names(directory.path()), ["model.safetensors"]);
    // Left as it is.
    stdout_of(fold().args(["--exclude", "b.*"]));
    let found = Checkpoint::open(&out).unwrap();
    let expected = ["a.bias", "a.weight", "b.parametrizations.weight.original"];
    assert_eq!(found.names().collect::<Vec<_>>(), expected);
    fs::remove_file(&out).unwrap();
    // A glob that matches nothing, a map that is none.
    let text = failure_of(fold().args(["--orthogonal-map", "c.*=cayley"]), 1);
    assert!(text.contains("b.weight"), "{text}");
    let text = failure_of(fold().args(["--orthogonal-map", "b.*=exp"]), 2);
    assert!(text.contains("GLOB=matrix_exp"), "{text}");
    let text = failure_of(fold().args(["--include", "d.wieght"]), 1);
    assert!(text.contains("nearest"), "{text}");
    assert_eq!(names(directory.path()), ["model.safetensors"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let directory = tempdir().unwrap();
    let input = model(directory.path());
    let output = espalier()
        .arg("fold")
        .arg(&input)
        .args(["--dry-run", "--orthogonal-map", "*=householder"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = text(&output.stderr);
    assert!(said.starts_with("would fold 2 tensors: 1 orthogonal, 1 weight_norm\n"), "{said}");
    assert!(said.contains("b.weight: 2 of the 2 numbers of its diagonal"), "{said}");
    assert_eq!(names(directory.path()), ["model.safetensors"]);
    // Without it, there must be an output.
    failure_of(espalier().arg("fold").arg(&input), 2);
}

#[test]
fn an_adapter_is_merged() {
    let directory = tempdir().unwrap();
    let out = directory.path().join("merged.safetensors");
    let mut command = espalier();
    command.arg("fold").arg(data("dora/base.safetensors")).arg("--adapter").arg(data("dora"));
    let output = command.arg("-o").arg(&out).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "folded 4 tensors: 4 dora; 5 copied\n");
    assert_eq!(Checkpoint::open(&out).unwrap().len(), 9);
}

#[test]
fn nothing_to_fold() {
    let directory = tempdir().unwrap();
    let input = crate::inspect::model(directory.path());
    let out = directory.path().join("out.safetensors");
    let output = espalier().arg("fold").arg(&input).arg("-o").arg(&out).output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "nothing to fold; 2 tensors copied\n");
    assert_eq!(Checkpoint::open(&out).unwrap(), Checkpoint::open(&input).unwrap());
}

#[test]
fn help_has_an_example() {
    let text = stdout_of(espalier().args(["fold", "--help"]));
    assert!(text.contains("Example:\n  espalier fold "), "{text}");
}

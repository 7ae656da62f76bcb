//! `espalier diff`

use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, NamedTensor, write_npz, write_safetensors};
use serde_json::Value;
use tempfile::tempdir;

use crate::{espalier, failure_of, text};

/// A file with these tensors.
fn file(directory: &Path, name: &str, tensors: &[(&str, &[f32])]) -> PathBuf {
    let mut checkpoint = Checkpoint::new();
    for (name, values) in tensors {
        let tensor = NamedTensor::f32(*name, vec![values.len()], values).unwrap();
        checkpoint.push(tensor).unwrap();
    }
    let path = directory.join(name);
    match name.ends_with(".npz") {
        true => write_npz(&path, &checkpoint).unwrap(),
        false => write_safetensors(&path, &checkpoint).unwrap(),
    }
    path
}

/// The exit code and what is printed.
fn run(a: &Path, b: &Path, options: &[&str]) -> (Option<i32>, String) {
    let output = espalier().arg("diff").arg(a).arg(b).args(options).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    (output.status.code(), text(&output.stdout))
}

#[test]
fn two_formats_of_the_same_tensors() {
    let directory = tempdir().unwrap();
    let tensors: [(&str, &[f32]); 2] = [("w", &[1.0, f32::NAN]), ("b", &[0.5])];
    let a = file(directory.path(), "a.safetensors", &tensors);
    let b = file(directory.path(), "b.npz", &tensors);
    let (code, text) = run(&a, &b, &[]);
    assert_eq!((code, &*text), (Some(0), "2 tensors under one name, 2 equal; nothing differs\n"));
}

#[test]
fn every_kind_of_difference() {
    let directory = tempdir().unwrap();
    let before: [(&str, &[f32]); 4] =
        [("same", &[1.0]), ("moved", &[7.0, 8.0]), ("w", &[3.0, 4.0, 0.0]), ("gone", &[9.0])];
    let after: [(&str, &[f32]); 4] =
        [("same", &[1.0]), ("new", &[7.0, 8.0]), ("w", &[3.0, 4.0, 0.5]), ("come", &[1.0; 5])];
    let a = file(directory.path(), "a.safetensors", &before);
    let b = file(directory.path(), "b.safetensors", &after);
    let (code, text) = run(&a, &b, &[]);
    let expected = "\
removed gone  F32 1
added   come  F32 5
renamed moved -> new
+---------+--------+--------+---------+----+----------+----------+
| changed | values | beyond | max abs | at | relative |   cosine |
+================================================================+
| w       |      1 |      1 |  0.5000 |  2 |   0.1000 | 0.995037 |
+---------+--------+--------+---------+----+----------+----------+
2 tensors under one name, 1 equal; 4 tensors differ; in all max abs 0.5000, relative 0.09806, cosine 0.995227
";
    assert_eq!((code, &*text), (Some(3), expected));

    let (code, json) = run(&a, &b, &["--json", "--quiet"]);
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, Some(3));
    assert_eq!(document["differs"], true);
    assert_eq!(document["renamed"][0]["to"], "new");
    assert_eq!(document["changed"][0]["max_abs"], 0.5);
    assert_eq!(document["changed"][0]["at"], serde_json::json!([2]));
    assert_eq!(document["total"]["different"], 4);
}

#[test]
fn a_tolerance_and_a_part() {
    let directory = tempdir().unwrap();
    let a = file(directory.path(), "a.safetensors", &[("w", &[1.0]), ("b", &[1.0])]);
    let b = file(directory.path(), "b.safetensors", &[("w", &[1.0625]), ("b", &[2.0])]);
    assert_eq!(run(&a, &b, &["--include", "w", "--atol", "0.1"]).0, Some(0));
    assert_eq!(run(&a, &b, &["--include", "w", "--rtol", "0.0625"]).0, Some(0));
    assert_eq!(run(&a, &b, &["--include", "w", "--rtol", "0.06"]).0, Some(3));
    assert_eq!(run(&a, &b, &["--exclude", "b", "--atol", "1"]).0, Some(0));
    let (code, text) = run(&a, &b, &["--include", "w", "--atol", "0.1"]);
    assert!(code == Some(0) && text.contains("nothing differs beyond the tolerance"), "{text}");
    let line = ["--include", "c*"];
    let text = failure_of(espalier().arg("diff").args([&a, &b]).args(line), 1);
    assert!(text.contains("`c*` matches no tensor"), "{text}");
}

#[test]
fn a_missing_file() {
    let directory = tempdir().unwrap();
    let a = file(directory.path(), "a.safetensors", &[]);
    let text = failure_of(espalier().arg("diff").arg(a).arg("no/such.npz"), 1);
    assert!(text.contains("no/such.npz"), "{text}");
}

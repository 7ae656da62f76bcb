//! `espalier check`

use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
use serde_json::Value;
use tempfile::tempdir;

use crate::{espalier, failure_of, text};

/// A rotation, a matrix with a gap, a half empty one and a copy of it.
fn model(directory: &Path) -> PathBuf {
    let (sin, cos) = 0.5f32.sin_cos();
    let mut checkpoint = Checkpoint::new();
    let mut push = |name: &str, values: &[f32]| {
        let tensor = NamedTensor::f32(name, vec![2, values.len() / 2], values).unwrap();
        checkpoint.push(tensor).unwrap();
    };
    push("rotation", &[cos, -sin, sin, cos]);
    push("gap", &[1.0, f32::INFINITY, 2.0, 3.0]);
    push("sparse", &[0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 0.0, 4.0]);
    push("copy", &[0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 0.0, 4.0]);
    let path = directory.join("model.safetensors");
    write_safetensors(&path, &checkpoint).unwrap();
    path
}

/// The exit code and what is printed.
fn run(path: &Path, options: &[&str]) -> (Option<i32>, String) {
    let output = espalier().arg("check").arg(path).args(options).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    (output.status.code(), text(&output.stdout))
}

#[test]
fn without_a_check_all_must_be_finite() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let expected = "\
broken finite: 1 of 4 tensors
       worst: gap is inf at [0, 1]; 1 of 4 elements is not finite
";
    assert_eq!(run(&path, &[]), (Some(3), expected.to_owned()));
    assert_eq!(run(&path, &["--finite"]), (Some(3), expected.to_owned()));
}

#[test]
fn what_holds() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let line = [
        "--orthogonal",
        "rot*",
        "--sparsity",
        "sparse=0.5",
        "--nm",
        "*=2:4",
        "--tied",
        "sparse=copy",
    ];
    let (code, text) = run(&path, &line);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("holds  orthogonal rot*: 1 tensor\n"), "{text}");
    assert!(
        text.contains("sparse has 4 zeros among 8 elements, a share of 0.5000; 4 are expected"),
        "{text}"
    );
    assert!(text.contains("holds  nm *=2:4: 2 tensors, 2 left out\n"), "{text}");
    assert!(text.contains("holds  tied sparse=copy: 1 tensor\n"), "{text}");
}

#[test]
fn each_violation_has_its_worst_place() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let line = [
        "--json",
        "--orthogonal",
        "sparse",
        "--sparsity",
        "*=0.5",
        "--nm",
        "sparse=1:2",
        "--tied",
        "gap=rotation",
        "--symmetric",
        "rotation",
    ];
    let (code, json) = run(&path, &line);
    assert_eq!(code, Some(3));
    let document: Value = serde_json::from_str(&json).unwrap();
    let checks = document["checks"].as_array().unwrap();
    let worst = |at: usize| (&checks[at]["check"], &checks[at]["worst"]["position"]);
    assert_eq!(worst(0), (&"orthogonal".into(), &serde_json::json!([1, 1])));
    assert_eq!(checks[0]["worst"]["value"], 25.0);
    assert_eq!(checks[1]["violations"], 2);
    assert_eq!(worst(2), (&"nm".into(), &serde_json::json!([0, 2])));
    assert_eq!(checks[3]["holds"], false);
    assert_eq!(worst(4), (&"symmetric".into(), &serde_json::json!([1, 0])));
}

#[test]
fn a_glob_or_name_without_a_tensor() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    for (line, wanted) in [
        (["--orthogonal", "rotatoin"], "`rotatoin` matches no tensor"),
        (["--sparsity", "spars=0.5"], "`spars` matches no tensor"),
        (["--nm", "spars.*=2:4"], "`spars.*` matches no tensor"),
        (["--symmetric", "x*"], "`x*` matches no tensor"),
        (["--tied", "sparse=cpoy"], "`cpoy` matches no tensor"),
    ] {
        let text = failure_of(espalier().arg("check").arg(&path).args(line), 1);
        assert!(text.contains(wanted), "{text}");
    }
}

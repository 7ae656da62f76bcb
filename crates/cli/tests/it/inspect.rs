//! `espalier inspect`

use std::fs;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_safetensors};
use serde_json::Value;
use tempfile::tempdir;

use crate::{espalier, failure_of, stdout_of};

/// Two tensors: a half empty matrix and a vector.
pub(crate) fn model(directory: &Path) -> PathBuf {
    let mut checkpoint = Checkpoint::new();
    let weight = NamedTensor::f32("fc.weight", vec![2, 2], &[0.0, 1.0, 0.0, -1.0]).unwrap();
    let bias = NamedTensor::f32("fc.bias", vec![2], &[0.5, 1.5]).unwrap();
    checkpoint.push(weight).unwrap();
    checkpoint.push(bias).unwrap();
    let path = directory.join("model.safetensors");
    write_safetensors(&path, &checkpoint).unwrap();
    path
}

#[test]
fn table() {
    let directory = tempdir().unwrap();
    let text = stdout_of(espalier().arg("inspect").arg(model(directory.path())));
    let cells: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let headings = "name dtype shape parameters zeros sparsity mean std min max";
    assert_eq!(cells[0].join(" "), headings);
    let row = |name: &str| cells.iter().find(|row| row[0] == name).unwrap().join(" ");
    assert_eq!(row("fc.weight"), "fc.weight F32 2x2 4 2 50.00% 0 0.7071 -1.000 1.000");
    assert_eq!(row("fc.bias"), "fc.bias F32 2 2 0 0.00% 1.000 0.5000 0.5000 1.500");
    assert_eq!(row("total of 2").trim_end(), "total of 2   6 2 33.33%");
    assert!(text.is_ascii(), "a pipe gets plain text: {text}");
}

#[test]
fn json_is_one_document_with_keys_in_order() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let text = stdout_of(espalier().arg("inspect").arg(&path).arg("--json"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let keys = |value: &Value| {
        let keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.join(" ")
    };
    assert_eq!(keys(&document), "file format tensors total");
    assert_eq!(
        keys(&document["tensors"][0]),
        "name dtype shape numel bytes zeros sparsity mean std min max l2 nonfinite tied_to"
    );
    assert_eq!(keys(&document["total"]), "tensors parameters bytes zeros sparsity");
    assert_eq!(document["file"], path.display().to_string());
    assert_eq!(document["format"], "safetensors");
    assert_eq!(document["total"]["parameters"], 6);
    assert_eq!(document["total"]["zeros"], 2);
}

#[test]
fn a_missing_file() {
    let text = failure_of(espalier().args(["inspect", "no/such.safetensors"]), 1);
    assert!(text.contains("no/such.safetensors"), "{text}");
    assert_eq!(text.matches("os error 2").count(), 1, "{text}");
    assert!(text.is_ascii(), "a pipe gets plain text: {text}");
}

#[test]
fn not_a_safetensors_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    fs::write(&path, "PK\u{3}\u{4} what torch.save writes is a zip archive").unwrap();
    let text = failure_of(espalier().arg("inspect").arg(&path), 1);
    let name = path.display().to_string();
    assert!(text.contains(&name), "{text}");
    assert!(text.contains("not a valid safetensors file"), "{text}");
    let help = "help: this looks like a zip archive (PyTorch .pt or NumPy .npz); espalier inspect \
                reads safetensors files";
    assert!(text.contains(help), "{text}");

    // Damaged, but of no other format.
    fs::write(&path, b"\x80\x02\0\0\0\0\0\0{").unwrap();
    let text = failure_of(espalier().arg("inspect").arg(&path), 1);
    assert!(text.contains("not a valid safetensors file"), "{text}");
    assert!(!text.contains("looks like"), "{text}");
}

#[test]
fn values_that_are_not_finite_or_not_decoded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let mut checkpoint = Checkpoint::new();
    let values = [f32::NAN, 0.0, f32::INFINITY, 3.0];
    checkpoint.push(NamedTensor::f32("a", vec![4], &values).unwrap()).unwrap();
    let small = NamedTensor::new("b", Dtype::F8E4M3, vec![8], vec![0; 8]).unwrap();
    checkpoint.push(small).unwrap();
    write_safetensors(&path, &checkpoint).unwrap();
    let text = stdout_of(espalier().arg("inspect").arg(&path));
    let below: Vec<&str> = text.lines().filter(|line| !line.starts_with(['|', '+'])).collect();
    assert_eq!(
        below,
        [
            "not finite: a has 2 of 4 values (NaN or infinite); its statistics are over the finite \
             ones",
            "8 values of F8_E4M3 are not decoded and left out of zeros and statistics",
        ]
    );
    let text = stdout_of(espalier().arg("inspect").arg(&path).arg("--json"));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["total"]["parameters"], 12);
    assert_eq!(document["total"]["zeros"], 1);
    assert_eq!(document["total"]["sparsity"], 0.25);
    assert_eq!(document["tensors"][0]["nonfinite"], 2);
}

#[test]
fn a_directory_is_answered_with_its_files() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let text = failure_of(espalier().arg("inspect").arg(directory.path()), 1);
    assert!(text.contains("not a regular file"), "{text}");
    let help = format!("help: the directory holds {}", path.display());
    assert!(text.contains(&help), "{text}");

    fs::remove_file(path).unwrap();
    let text = failure_of(espalier().arg("inspect").arg(directory.path()), 1);
    assert!(text.contains("holds no .safetensors file"), "{text}");
}

#[test]
fn a_name_cannot_direct_the_terminal() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("\u{1b}[2Jmissing");
    let text = failure_of(espalier().arg("inspect").arg(path), 1);
    assert!(text.contains("\\u{1b}[2Jmissing"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

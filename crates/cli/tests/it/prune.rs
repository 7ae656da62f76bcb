//! `espalier prune`

use std::fs;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors, write_torch};
use serde_json::Value;
use tempfile::tempdir;

use crate::{espalier, failure_of, names, stdout_of};

fn checkpoint() -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    let tensors = [
        NamedTensor::f32("fc.weight", vec![2, 4], &[4.0, -1.0, 3.0, 2.0, 0.0, 7.0, -8.0, 5.0]),
        NamedTensor::f32("fc.bias", vec![2], &[0.5, 0.25]),
        NamedTensor::f32("head.weight", vec![1, 4], &[10.0, -20.0, 0.125, 30.0]),
    ];
    tensors.into_iter().for_each(|tensor| checkpoint.push(tensor.unwrap()).unwrap());
    checkpoint
}

fn model(directory: &Path) -> PathBuf {
    let path = directory.join("model.safetensors");
    write_safetensors(&path, &checkpoint()).unwrap();
    path
}

fn values(path: &Path, name: &str) -> Vec<f32> {
    Checkpoint::open(path).unwrap().get(name).unwrap().to_f32_vec().unwrap()
}

#[test]
fn half_of_all_goes() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let (input, output) = (model(directory), directory.join("out.safetensors"));
    let before = fs::read(&input).unwrap();
    let mut command = espalier();
    command.arg("prune").arg(&input).arg("-o").arg(&output).args(["--amount", "0.5"]);
    let result = command.output().unwrap();
    let text = String::from_utf8(result.stdout).unwrap();
    assert!(text.starts_with("pruned: 5 more zeros, magnitudes up to 4e0\n"), "{text}");
    assert!(text.is_ascii(), "a pipe gets plain text: {text}");
    let errors = String::from_utf8(result.stderr).unwrap();
    assert_eq!(errors, format!("{} is written\n", output.display()));
    assert_eq!(values(&output, "fc.weight"), [0.0, 0.0, 0.0, 0.0, 0.0, 7.0, -8.0, 5.0]);
    assert_eq!(values(&output, "head.weight"), [10.0, -20.0, 0.0, 30.0]);
    assert_eq!(values(&output, "fc.bias"), [0.5, 0.25]);
    assert_eq!(fs::read(&input).unwrap(), before);
    assert_eq!(names(directory), ["model.safetensors", "out.safetensors"]);

    // There is one now.
    let text = failure_of(&mut command, 1);
    assert!(text.contains("out.safetensors exists"), "{text}");
    stdout_of(command.args(["--force", "--quiet"]));

    // In place of the input.
    let mut command = espalier();
    command.arg("prune").arg(&input).arg("-o").arg(&input).args(["--amount", "0.5", "--force"]);
    stdout_of(&mut command);
    assert_eq!(fs::read(&input).unwrap(), fs::read(&output).unwrap());
}

#[test]
fn json_is_one_document_with_keys_in_order() {
    let directory = tempdir().unwrap();
    let input = model(directory.path());
    let run = |options: &[&str]| -> Value {
        let mut command = espalier();
        command.arg("prune").arg(&input).args(["--dry-run", "--json"]).args(options);
        serde_json::from_str(&stdout_of(&mut command)).unwrap()
    };
    let document = run(&["--amount", "6"]);
    let keys =
        |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&document), "file output tensors total threshold");
    assert_eq!(
        keys(&document["tensors"][0]),
        "name shape numel zeros_before zeros_after threshold"
    );
    assert_eq!(keys(&document["total"]), "tensors numel zeros_before zeros_after sparsity");
    assert_eq!(document["output"], Value::Null);
    assert_eq!(document["threshold"], 4.0);
    assert_eq!(document["tensors"][0]["zeros_before"], 1);
    assert_eq!(document["tensors"][0]["zeros_after"], 5);
    assert_eq!(document["total"]["zeros_after"], 6);
    assert_eq!(document["total"]["sparsity"], 0.5);
    // A dry run writes nothing.
    assert_eq!(names(directory.path()), ["model.safetensors"]);

    let layer = run(&["--amount", "0.25", "--scope", "layer"]);
    assert_eq!(layer["threshold"], Value::Null);
    assert_eq!(layer["tensors"][1]["threshold"], 0.125);
    assert_eq!(layer["tensors"][0]["zeros_after"], 2);
    let groups = run(&["--nm", "1:2"]);
    assert_eq!(groups["total"]["zeros_after"], 6);
    let channels = run(&[
        "--structured",
        "--norm",
        "2",
        "--dim",
        "0",
        "--amount",
        "1",
        "--include",
        "fc.weight",
    ]);
    assert_eq!(channels["tensors"][0]["zeros_after"], 5);
    let random = ["--amount", "5", "--method", "random", "--seed", "3"];
    assert_eq!(run(&random), run(&random));
}

#[test]
fn masks_are_kept_as_pytorch_keeps_them() {
    let directory = tempdir().unwrap();
    let input = model(directory.path());
    let output = directory.path().join("out.pt");
    let mut command = espalier();
    command.arg("prune").arg(&input).arg("-o").arg(&output).args(["--nm", "2:4", "--keep-mask"]);
    stdout_of(&mut command);
    let found = Checkpoint::open(&output).unwrap();
    let expected =
        ["fc.weight_orig", "fc.weight_mask", "fc.bias", "head.weight_orig", "head.weight_mask"];
    assert_eq!(found.names().collect::<Vec<_>>(), expected);
    assert_eq!(values(&output, "fc.weight_orig"), values(&input, "fc.weight"));
    assert_eq!(values(&output, "fc.weight_mask"), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);

    // A mask that is there is not passed over.
    let mut command = espalier();
    command.arg("prune").arg(&output).args(["--dry-run", "--amount", "0.5"]);
    let text = failure_of(&mut command, 1);
    assert!(text.contains("fc.weight_mask") && text.contains("--exclude"), "{text}");
}

#[test]
fn ties_of_a_pytorch_file_stay() {
    let directory = tempdir().unwrap();
    let (input, output) = (directory.path().join("in.pt"), directory.path().join("out.pt"));
    let embedding =
        NamedTensor::f32("embedding.weight", vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let mut tied = Checkpoint::new();
    tied.push(embedding.clone()).unwrap();
    tied.push(embedding.with_name("decoder.weight")).unwrap();
    write_torch(&input, &tied).unwrap();
    let mut command = espalier();
    command.arg("prune").arg(&input).arg("-o").arg(&output).args(["--amount", "2"]);
    stdout_of(&mut command);
    let found = Checkpoint::open(&output).unwrap();
    assert_eq!(found.ties(), [("decoder.weight", "embedding.weight")]);
    assert_eq!(values(&output, "decoder.weight"), [0.0, 0.0, 3.0, 4.0]);
}

#[test]
fn what_cannot_be_pruned_leaves_nothing() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut checkpoint = checkpoint();
    checkpoint.push(NamedTensor::f32("nan.weight", vec![1, 2], &[f32::NAN, 1.0]).unwrap()).unwrap();
    write_safetensors(directory.join("in.safetensors"), &checkpoint).unwrap();
    let run = |options: &[&str], code: i32| {
        let mut command = espalier();
        let line = ["prune", "in.safetensors", "-o", "out.safetensors"];
        failure_of(command.args(line).args(options).current_dir(directory), code)
    };
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--amount", "0.5"], 1, "\"nan.weight\": 1 of 2 values are NaN"),
        (&["--amount", "99", "--exclude", "nan.*"], 1, "99 elements cannot be pruned"),
        (&["--amount", "0.5", "--include", "fc.wieght"], 1, "fc.weight"),
        (&["--amount", "1.5"], 2, "from 0 to 1"),
        (&["--amount", "-0.5"], 2, "from 0 to 1"),
        (&["--nm", "4:2"], 2, "as 2:4"),
        (&["--nm", "2:4", "--amount", "0.5"], 2, "cannot be used with"),
        (&["--nm", "2:4", "--scope", "layer"], 2, "cannot be used with"),
        (&["--amount", "0.5", "--structured"], 2, "--dim"),
        (&["--amount", "0.5", "--structured", "--dim", "0"], 2, "--norm"),
        (
            &["--amount", "1", "--structured", "--dim", "0", "--norm", "2", "--scope", "global"],
            2,
            "norms of channels",
        ),
        (
            &["--amount", "1", "--structured", "--dim", "3", "--norm", "2", "--exclude", "nan.*"],
            1,
            "dimension 3",
        ),
        (&[], 2, "--amount"),
    ];
    for (options, code, part) in cases {
        let text = run(options, code);
        assert!(text.contains(part), "{options:?}: {text}");
        assert_eq!(names(directory), ["in.safetensors"]);
    }
    let text = failure_of(espalier().args(["prune", "in.safetensors", "--amount", "1"]), 2);
    assert!(text.contains("--output"), "{text}");
}

//! `espalier inspect`

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{
    Checkpoint, Dtype, NamedTensor, write_npz, write_safetensors, write_torch,
};
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
    assert!(text.is_ascii() && !text.contains('\u{1b}'), "a pipe gets plain text: {text}");
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
fn what_is_no_checkpoint() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let name = path.display().to_string();
    for (content, help) in [
        (&b"version https://git-lfs.github.com/spec/v1\n"[..], "git lfs pull"),
        (b"{\"hidden_size\": 768}", "configuration"),
        (b"", "empty file"),
    ] {
        fs::write(&path, content).unwrap();
        let text = failure_of(espalier().arg("inspect").arg(&path), 1);
        assert!(text.contains(&name) && text.contains("help: this looks like"), "{text}");
        assert!(text.contains(help), "{text}");
    }
    // A header that is said to be longer than it is.
    fs::write(&path, b"\x10\0\0\0\0\0\0\0{\"a\"                      ").unwrap();
    let text = failure_of(espalier().arg("inspect").arg(&path), 1);
    assert!(text.contains("not a valid safetensors file") && text.contains(&name), "{text}");
}

#[test]
fn values_that_are_not_finite_or_not_decoded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let mut checkpoint = Checkpoint::new();
    let values = [f32::NAN, 0.0, f32::INFINITY, 3.0];
    checkpoint.push(NamedTensor::f32("a", vec![4], &values).unwrap()).unwrap();
    let small = NamedTensor::new("b", Dtype::F6E2M3, vec![8], vec![0; 6]).unwrap();
    checkpoint.push(small).unwrap();
    write_safetensors(&path, &checkpoint).unwrap();
    let text = stdout_of(espalier().arg("inspect").arg(&path));
    let below: Vec<&str> = text.lines().filter(|line| !line.starts_with(['|', '+'])).collect();
    assert_eq!(
        below,
        [
            "not finite: a has 2 of 4 values (NaN or infinite); its statistics are over the finite \
             ones",
            "8 values of F6_E2M3 are not decoded and left out of zeros and statistics",
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
fn a_directory_stands_for_the_checkpoint_in_it() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let text = stdout_of(espalier().args(["inspect", "--json"]).arg(directory.path()));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["file"], path.display().to_string());

    fs::remove_file(path).unwrap();
    let text = failure_of(espalier().arg("inspect").arg(directory.path()), 1);
    assert!(text.contains("holds neither"), "{text}");
}

#[test]
fn several_files_are_an_array() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let other = directory.path().join("b.npz");
    write_npz(&other, &Checkpoint::open(&path).unwrap()).unwrap();
    let text = stdout_of(espalier().args(["inspect", "--json"]).arg(&path).arg(&other));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&document[0]["format"], &document[1]["format"]),
        (&"safetensors".into(), &"npz".into())
    );
    assert_eq!(document[0]["tensors"], document[1]["tensors"]);
    let text = stdout_of(espalier().arg("inspect").arg(&path).arg(&other));
    assert!(text.contains(&format!("{} (npz)", other.display())), "{text}");
    // One that fails lets nothing be printed.
    failure_of(espalier().args(["inspect", "--json"]).arg(&path).arg("missing"), 1);
}

#[test]
fn headers_read_no_elements() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("large.safetensors");
    let header =
        br#"{"w":{"dtype":"F32","shape":[1024,1024,1024],"data_offsets":[0,4294967296]}}    "#;
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header).unwrap();
    // Four GiB of a hole.
    file.set_len(8 + header.len() as u64 + (4 << 30)).unwrap();
    let text = stdout_of(espalier().args(["inspect", "--headers"]).arg(&path));
    assert!(text.contains("1024x1024x1024") && text.contains("4.0 GiB"), "{text}");
    let text = stdout_of(espalier().args(["inspect", "--headers", "--json"]).arg(&path));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["total"]["bytes"], 4u64 << 30);
    assert_eq!(document["tensors"][0]["zeros"], Value::Null);
}

#[test]
fn a_tree_of_modules() {
    let directory = tempdir().unwrap();
    let text = stdout_of(espalier().args(["inspect", "--tree"]).arg(model(directory.path())));
    let expected = "\
total         6  24 B  33.33%
`- fc         6  24 B  33.33%
   |- weight  4  16 B  50.00%  F32 2x2
   `- bias    2   8 B   0.00%  F32 2
";
    assert_eq!(text, expected);
}

#[test]
fn a_histogram() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let text = stdout_of(espalier().args(["inspect", "--hist", "fc.weight"]).arg(&path));
    assert_eq!(text.lines().next(), Some("fc.weight  F32 2x2: 4 values, 50.00% zero"));
    assert_eq!(text.lines().count(), 22);
    assert!(text.lines().nth(11).unwrap().ends_with("# 2"), "{text}");
    let text = stdout_of(espalier().args(["inspect", "--json", "--hist", "fc.*"]).arg(&path));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["histograms"][1]["name"], "fc.bias");
    assert_eq!(document["histograms"][0]["counts"].as_array().unwrap().len(), 20);
    assert_eq!(document["total"]["zeros"], 2);
    let text = failure_of(espalier().args(["inspect", "--hist", "fc.wieght"]).arg(&path), 1);
    assert!(text.contains("`fc.wieght` matches no tensor") && text.contains("fc.weight"), "{text}");
}

#[test]
fn an_order_and_a_part() {
    let directory = tempdir().unwrap();
    let path = model(directory.path());
    let names = |arguments: &[&str]| {
        let text = stdout_of(espalier().args(["inspect", "--json"]).args(arguments).arg(&path));
        let document: Value = serde_json::from_str(&text).unwrap();
        let tensors = document["tensors"].as_array().unwrap();
        tensors
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&["--sort", "name"]), "fc.bias fc.weight");
    assert_eq!(names(&["--sort", "size"]), "fc.weight fc.bias");
    assert_eq!(names(&["--sort", "sparsity"]), "fc.weight fc.bias");
    assert_eq!(names(&["--include", "*.bias"]), "fc.bias");
    assert_eq!(names(&["--exclude", "*.bias"]), "fc.weight");
}

#[test]
fn a_tied_tensor_counts_once() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("model.pt");
    let mut checkpoint = Checkpoint::open(model(directory.path())).unwrap();
    let tied = checkpoint.get("fc.weight").unwrap().clone().with_name("tied");
    checkpoint.push(tied).unwrap();
    write_torch(&path, &checkpoint).unwrap();
    let text = stdout_of(espalier().args(["inspect", "--json"]).arg(&path));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["format"], "torch");
    assert_eq!(document["tensors"][2]["tied_to"], "fc.weight");
    assert_eq!(document["tensors"][2]["l2"], document["tensors"][0]["l2"]);
    assert_eq!(
        (&document["total"]["tensors"], &document["total"]["parameters"]),
        (&3.into(), &6.into())
    );
}

#[test]
fn a_name_cannot_direct_the_terminal() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("\u{1b}[2Jmissing");
    let text = failure_of(espalier().arg("inspect").arg(path), 1);
    assert!(text.contains("\\u{1b}[2Jmissing"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

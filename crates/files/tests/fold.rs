//! Files of PyTorch and PEFT folded, against what their layers compute. See `tools/golden/files/fold.py`.

// Helpers are not tests in the eyes of the linter.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};
use espalier_files::{
    Destination, FilesError, FoldError, FoldOptions, Folded, Selection, Silent, fold, open,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fold").join(name)
}

/// The maps that PyTorch's files do not tell.
fn told() -> FoldOptions {
    let maps =
        ["*told_cayley*=cayley", "*told_matrix_exp*=matrix_exp", "*told_householder*=householder"];
    FoldOptions { maps: maps.map(|map| map.parse().unwrap()).into(), ..FoldOptions::default() }
}

/// That every tensor is there, in its type and shape, and near the true one, relative to its greatest value.
#[track_caller]
fn assert_is(folded: &Checkpoint, truth: &str, tolerance: f64) {
    let truth = open(data(truth), None).unwrap();
    let sorted = |checkpoint: &Checkpoint| {
        let mut names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(folded), sorted(&truth));
    for expected in &truth {
        let found = folded.get(expected.name()).unwrap();
        assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()));
        let values = expected.to_f64_vec().unwrap();
        let greatest = values.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        for (found, value) in found.to_f64_vec().unwrap().into_iter().zip(&values) {
            let off = (found - value).abs();
            assert!(off <= tolerance * greatest, "{}: {found} {value}", expected.name());
        }
    }
}

fn folded(name: &str, options: &FoldOptions) -> Folded {
    fold(&open(data(name), None).unwrap(), options).unwrap()
}

#[test]
fn every_layer_of_pytorch_in_single_precision() {
    let result = folded("torch_f32.pt", &told());
    assert_is(&result.checkpoint, "torch_f32.folded.safetensors", 1e-6);
    let of = |name: &str| result.summary.folded.iter().find(|tensor| tensor.name == name).unwrap();
    assert_eq!(of("sn_turned.weight").note, None);
    assert!(of("sn_square.weight").note.as_ref().is_some_and(|note| note.contains("dimension 0")));
    assert!(of("exp.weight").note.as_ref().is_some_and(|note| note.contains("exponential")));
    assert_eq!(of("told_matrix_exp_square.weight").note, None);
    assert!(of("householder_tall.weight").note.as_ref().is_some_and(|n| n.contains("Householder")));
    assert_eq!(of("wn_pruned.weight").kind, "mask+weight_norm");
    assert_eq!(of("pruned_exp.weight").kind, "orthogonal+mask");
    assert_eq!(of("nested.weight").kind, "spectral_norm+weight_norm");
    let parts = ["sn_old.weight_orig", "sn_old.weight_u", "sn_old.weight_v"];
    assert_eq!(of("sn_old.weight").parts, parts);
    assert_eq!(result.summary.kinds()["weight_norm"], 7);
}

#[test]
fn every_layer_of_pytorch_in_double_precision() {
    let result = folded("torch_f64.pt", &told());
    assert_is(&result.checkpoint, "torch_f64.folded.safetensors", 1e-12);
}

#[test]
fn what_is_not_told_is_told_at_once() {
    let error = fold(&open(data("torch_f32.pt"), None).unwrap(), &FoldOptions::default());
    let Err(FilesError::Fold(FoldError::Untold { tensors })) = error else { panic!("{error:?}") };
    // The exponential of a square weight with a base is assumed, so it needs no telling.
    assert_eq!(tensors.len(), 13, "{tensors:#?}");
    assert!(tensors.iter().all(|name| name.contains("told_")));
    assert!(!tensors.iter().any(|name| name.contains("square_base")));
}

#[test]
fn parts_of_what_is_left_out_stay_bit_for_bit() {
    let input = open(data("torch_f32.pt"), None).unwrap();
    let selection = Selection::new(&["wn*", "plain.*"], &["wn_old*", "wn_sn.*"]).unwrap();
    let result = fold(&input, &FoldOptions { selection, ..FoldOptions::default() }).unwrap();
    let names: Vec<&str> = result.summary.folded.iter().map(|t| t.name.as_str()).collect();
    let expected =
        ["wn_bias.bias", "wn.weight", "wn_dim1.weight", "wn_whole.weight", "wn_pruned.weight"];
    assert_eq!(names, expected);
    let kept: Vec<&NamedTensor> =
        input.iter().filter(|t| result.checkpoint.get(t.name()).is_some()).collect();
    assert_eq!(kept.len(), result.summary.copied);
    assert!(kept.iter().all(|t| result.checkpoint.get(t.name()) == Some(*t)));
    // Where the first part stood.
    let place = result.checkpoint.names().position(|name| name == "wn.weight").unwrap();
    let names: Vec<&str> = result.checkpoint.names().collect();
    assert_eq!(names[place - 1], "wn.bias");
}

#[test]
fn what_is_computed_of_tied_parts_is_tied() {
    let result = folded("tied.pt", &FoldOptions::default());
    assert_is(&result.checkpoint, "tied.folded.safetensors", 1e-6);
    assert_eq!(result.checkpoint.ties(), [("b.bias", "a.bias"), ("b.weight", "a.weight")]);
}

const ADAPTERS: [&str; 6] = ["lora", "lora_bias", "rslora", "dora", "turned", "turned_dora"];

#[test]
fn adapters_of_peft_are_merged_into_their_base() {
    for name in ADAPTERS {
        let options = FoldOptions { adapters: vec![data(name)], ..FoldOptions::default() };
        let result = folded(&format!("{name}/base.safetensors"), &options);
        assert_is(&result.checkpoint, &format!("{name}/merged.folded.safetensors"), 1e-6);
    }
}

#[test]
fn whole_states_of_peft_get_plain_names() {
    for name in ADAPTERS {
        // The configuration lies beside it.
        let result = folded(&format!("{name}/whole.pt"), &FoldOptions::default());
        assert_is(&result.checkpoint, &format!("{name}/merged.folded.safetensors"), 1e-6);
        assert!(result.summary.notes[0].contains("base_model.model."), "{:?}", result.summary);
    }
}

#[test]
fn adapters_are_merged_one_after_the_other_and_alpha_can_be_given() {
    let adapter = data("rslora/adapter_model.safetensors");
    let options = |adapters| FoldOptions { alpha: Some(4.0), adapters, ..FoldOptions::default() };
    let base = "rslora/base.safetensors";
    let once = folded(base, &options(vec![adapter.clone()])).checkpoint;
    let twice = folded(base, &options(vec![adapter.clone(), adapter]));
    let base = folded(base, &FoldOptions::default()).checkpoint;
    let of = |checkpoint: &Checkpoint| checkpoint.get("q.weight").unwrap().to_f32_vec().unwrap();
    for ((zero, one), two) in of(&base).iter().zip(of(&once)).zip(of(&twice.checkpoint)) {
        assert!((2.0 * one - zero - two).abs() < 1e-5);
    }
    let kinds: Vec<&str> = twice.summary.folded.iter().map(|t| t.kind.as_str()).collect();
    assert_eq!(kinds, ["replaced", "lora+lora", "replaced", "lora+lora"]);
}

#[test]
fn an_adapter_that_does_not_fit_is_an_error() {
    let base = open(data("lora/base.safetensors"), None).unwrap();
    let merge = |path: PathBuf| {
        fold(&base, &FoldOptions { adapters: vec![path], ..FoldOptions::default() }).unwrap_err()
    };
    let error = merge(data("turned")).to_string();
    assert!(error.contains("c_attn.weight") && error.contains("nearest names"), "{error}");
    let error = merge(data("lora/base.safetensors")).to_string();
    assert!(error.contains("lora_A"), "{error}");
    let error = merge(data("")).to_string();
    assert!(error.contains("adapter_model.safetensors"), "{error}");
    // A file of its own without a base.
    let alone =
        fold(&open(data("lora/adapter_model.safetensors"), None).unwrap(), &FoldOptions::default());
    assert!(matches!(alone, Err(FilesError::Fold(FoldError::NoBase { .. }))), "{alone:?}");
    // No configuration beside it.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("adapter_model.safetensors");
    std::fs::copy(data("lora/adapter_model.safetensors"), &path).unwrap();
    let error = merge(path);
    assert!(matches!(error, FilesError::Fold(FoldError::Alpha { .. })), "{error}");
    assert!(error.to_string().contains("--alpha"), "{error}");
}

#[test]
fn a_file_without_parts_is_written_as_it_is() {
    let base = open(data("lora/base.safetensors"), None).unwrap();
    let result = fold(&base, &FoldOptions::default()).unwrap();
    assert!(result.summary.folded.is_empty());
    assert_eq!(result.checkpoint, base);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.safetensors");
    Destination::new(&path, None).unwrap().write(&result.checkpoint, &Arc::new(Silent)).unwrap();
    let [written, read] = [&path, &data("lora/base.safetensors")].map(std::fs::read);
    assert_eq!(written.unwrap().len(), read.unwrap().len());
    assert_eq!(open(&path, None).unwrap(), base);
}

#[test]
fn halves_are_computed_in_single_precision_and_rounded_once() {
    let mut checkpoint = Checkpoint::new();
    for (name, shape) in [("fc.weight_g", vec![2, 1]), ("fc.weight_v", vec![2, 3])] {
        let values = (0..shape.iter().product::<usize>()).map(|i| 0.37 * (i as f32) - 0.6);
        let bytes = values.flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect();
        checkpoint.push(NamedTensor::new(name, Dtype::BF16, shape, bytes).unwrap()).unwrap();
    }
    let result = fold(&checkpoint, &FoldOptions::default()).unwrap();
    let weight = result.checkpoint.get("fc.weight").unwrap();
    assert_eq!((weight.dtype(), weight.shape()), (Dtype::BF16, &[2, 3][..]));
    let read = |name: &str| checkpoint.get(name).unwrap().to_f64_vec().unwrap();
    let (g, v) = (read("fc.weight_g"), read("fc.weight_v"));
    for (row, found) in weight.to_f64_vec().unwrap().chunks(3).enumerate() {
        let v = &v[row * 3..][..3];
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (found, v) in found.iter().zip(v) {
            let exact = g[row] * v / length;
            // Half a unit in the last of its eight bits, and what single precision may add.
            assert!((found - exact).abs() <= exact.abs() * (1.0 / 256.0 + 1e-6), "{found} {exact}");
        }
    }
}

//! Files that PyTorch 2.15 made (`tools/golden/files/torch_files.py`), and what it found in them.

use std::path::PathBuf;

use espalier_checkpoint::{Checkpoint, Error, Format, NamedTensor, Source, TorchFault, TorchFile};
use serde_json::Value;

pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/torch").join(name)
}

fn expected(name: &str) -> Vec<NamedTensor> {
    let all: Value =
        serde_json::from_slice(&std::fs::read(data("expected.json")).unwrap()).unwrap();
    let tensors = all[name].as_array().unwrap_or_else(|| panic!("{name}"));
    tensors.iter().map(tensor).collect()
}

fn tensor(value: &Value) -> NamedTensor {
    let dtype = espalier_checkpoint::Dtype::from_name(value["dtype"].as_str().unwrap()).unwrap();
    let shape = value["shape"].as_array().unwrap();
    let shape = shape.iter().map(|size| size.as_u64().unwrap() as usize).collect();
    let hex = value["bytes"].as_str().unwrap().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let bytes = hex.as_chunks::<2>().0.iter().map(|[a, b]| digit(*a) << 4 | digit(*b)).collect();
    NamedTensor::new(value["name"].as_str().unwrap(), dtype, shape, bytes).unwrap()
}

/// Type, shape, every bit and the order are as PyTorch says.
fn same(checkpoint: &Checkpoint, name: &str) {
    let expected = expected(name);
    let names: Vec<&str> = expected.iter().map(NamedTensor::name).collect();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), names, "{name}");
    for (found, expected) in checkpoint.iter().zip(&expected) {
        assert_eq!(found.dtype(), expected.dtype(), "{name}: {found:?}");
        assert_eq!(found.shape(), expected.shape(), "{name}: {found:?}");
        assert_eq!(found.bytes().unwrap(), expected.bytes().unwrap(), "{name}: {found:?}");
        let mut streamed = Vec::new();
        found.write_to(&mut streamed).unwrap();
        assert_eq!(streamed, *expected.bytes().unwrap(), "{name}: {found:?}");
    }
}

fn opened(name: &str) -> Checkpoint {
    let checkpoint = Checkpoint::open(data(name)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(checkpoint.origin.as_ref().unwrap().format, Format::Torch);
    assert!(checkpoint.iter().all(|tensor| !tensor.is_loaded()), "nothing is read on opening");
    checkpoint
}

#[test]
fn every_file_holds_what_pytorch_finds_in_it() {
    for name in [
        "dtypes.pt",
        "dtypes_legacy.pt",
        "views.pt",
        "views_legacy.pt",
        "protocol1.pt",
        "protocol3.pt",
        "protocol4.pt",
        "protocol5.pt",
        "protocol1_legacy.pt",
        "protocol2_legacy.pt",
        "protocol3_legacy.pt",
        "protocol4_legacy.pt",
        "protocol5_legacy.pt",
        "no_sums.pt",
        "module.pt",
        "module_legacy.pt",
        "tied.pt",
        "buried.pt",
        "two.pt",
        "script.pt",
        "parallel.pt",
        "parameters.pt",
        "training.pt",
        "training_legacy.pt",
        "tensor.pt",
        "list.pt",
        "big_endian.pt",
        "deflated.pt",
        "tar.pt",
    ] {
        let checkpoint = opened(name);
        same(&checkpoint, name);
        // From memory, and loaded at once.
        let bytes = std::fs::read(data(name)).unwrap();
        let source = Source::from_bytes(bytes, data(name));
        same(&Checkpoint::open_source(&source).unwrap().load().unwrap(), name);
    }
}

#[test]
fn every_type_is_among_them() {
    let checkpoint = opened("dtypes.pt");
    let found: std::collections::BTreeSet<_> = checkpoint.iter().map(NamedTensor::dtype).collect();
    assert_eq!(found.len(), 21, "all but F4 and both F6");
}

#[test]
fn equal_views_of_a_storage_are_tied_and_others_are_not() {
    for name in ["views.pt", "views_legacy.pt"] {
        assert_eq!(opened(name).ties(), [("alias", "base")], "{name}");
    }
    for name in ["module.pt", "module_legacy.pt", "tied.pt"] {
        let checkpoint = opened(name);
        assert_eq!(checkpoint.ties(), [("decoder.weight", "embedding.weight")], "{name}");
        let loaded = checkpoint.load().unwrap();
        assert_eq!(loaded.ties(), [("decoder.weight", "embedding.weight")], "{name}");
    }
    let parallel = opened("parallel.pt");
    assert_eq!(parallel.ties(), [("module.decoder.weight", "module.embedding.weight")]);
}

#[test]
fn of_a_training_checkpoint_the_model_is_taken_and_the_rest_can_be_chosen() {
    for name in ["training.pt", "training_legacy.pt"] {
        let model = opened(name);
        let text = |key: &str| model.metadata.get(key).map(String::as_str);
        assert_eq!(text("torch.selected"), Some("model_state_dict"));
        assert_eq!(
            (text("epoch"), text("loss"), text("name")),
            (Some("3"), Some("0.25"), Some("run 7"))
        );
        assert_eq!(text("history"), Some("[0.5, 0.25]"));
        let file = TorchFile::open(data(name)).unwrap();
        assert_eq!(
            file.inner(),
            [
                "model_state_dict",
                "optimizer_state_dict.state.0",
                "optimizer_state_dict.state.1",
                "optimizer_state_dict.state.2",
                "optimizer_state_dict.state.3"
            ]
        );
        let all = file.all().unwrap();
        same(&all, "training_all.pt");
        assert_eq!(all.metadata["optimizer_state_dict.param_groups.0.lr"], "0.001");
        assert_eq!(all.metadata["optimizer_state_dict.param_groups.0.betas"], "[0.9, 0.999]");
        same(&file.select("model_state_dict").unwrap(), "training.pt");
        let state = file.select("optimizer_state_dict.state").unwrap();
        assert_eq!(state.names().next(), Some("0.step"));
        let error = file.select("optimizer").unwrap_err();
        let Error::Torch { cause: TorchFault::NoSuchDictionary { wanted, found }, .. } = error
        else {
            panic!("{error}")
        };
        assert_eq!((wanted.as_str(), found.len()), ("optimizer", 5));
    }
}

#[test]
fn tensors_of_other_kinds_are_refused_by_name() {
    for (file, tensor, start) in [
        ("quantized.pt", "q", "quantized"),
        ("sparse.pt", "s", "sparse"),
        ("conj.pt", "c", "conjugated"),
        ("meta.pt", "m", "without data"),
    ] {
        let error = Checkpoint::open(data(file)).unwrap_err();
        let Error::Torch { cause: TorchFault::Kind { tensor: found, kind }, .. } = error else {
            panic!("{file}: {error}")
        };
        assert_eq!(found, tensor);
        assert!(kind.starts_with(start), "{file}: {kind}");
    }
}

#[test]
fn every_cut_is_an_error() {
    for name in ["protocol5.pt", "protocol2_legacy.pt", "tar.pt", "deflated.pt"] {
        let whole = std::fs::read(data(name)).unwrap();
        // Behind its three members, a tar archive holds only zeros.
        let end = if name == "tar.pt" { end_of_tar(&whole) } else { whole.len() };
        for end in 0..end {
            let source = Source::from_bytes(whole[..end].to_vec(), "cut.pt");
            let read = Checkpoint::open_source(&source).and_then(Checkpoint::load);
            // A pickle's first byte alone is an empty dictionary of Flax's.
            let flax = end == 1 && whole[0] == 0x80;
            assert!(read.is_err() || flax && read.unwrap().is_empty(), "{name} cut at {end}");
        }
    }
}

fn end_of_tar(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[test]
fn every_changed_byte_is_an_error_or_changes_no_tensor() {
    // Sums guard the pickle and the storages; what is left is padding.
    let whole = std::fs::read(data("protocol5.pt")).unwrap();
    let expected = opened("protocol5.pt").load().unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let source = Source::from_bytes(bytes, "changed.pt");
        if let Ok(read) = Checkpoint::open_source(&source).and_then(Checkpoint::load) {
            assert_eq!(read, expected, "byte {at}");
        }
    }
}

//! Checkpoints in several files: written, read back, found in a directory.

use std::fs;
use std::path::Path;

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, Format, NamedTensor, Source, WriteMode, open_shards,
    write_safetensors, write_safetensors_sharded, write_safetensors_sharded_with,
};
use proptest::prelude::*;

use crate::names;
use crate::round_trip::checkpoint;

/// A tensor of that many bytes, all of one value.
fn tensor(name: &str, size: usize, value: u8) -> NamedTensor {
    NamedTensor::new(name, Dtype::U8, vec![size], vec![value; size]).unwrap()
}

fn of(tensors: &[(&str, usize)]) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    for (value, (name, size)) in tensors.iter().enumerate() {
        checkpoint.push(tensor(name, *size, value as u8 + 1)).unwrap();
    }
    checkpoint
}

fn shards(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.ends_with(".safetensors")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_of_shards_gives_the_checkpoint_back(checkpoint in checkpoint(), limit in 0u64..200) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors.index.json");
        write_safetensors_sharded(&path, &checkpoint, limit).unwrap();
        prop_assert_eq!(&Checkpoint::read(&path).unwrap(), &checkpoint);
        for shard in shards(dir.path()) {
            let shard = Checkpoint::open(dir.path().join(shard)).unwrap();
            let sizes = shard.iter().map(|t| t.byte_len() as u64).filter(|size| *size > 0);
            prop_assert!(sizes.clone().sum::<u64>() <= limit || sizes.count() == 1);
            prop_assert_eq!(&shard.metadata, &checkpoint.metadata);
        }
        // Again, over the old, with shards of another size.
        write_safetensors_sharded(&path, &checkpoint, limit / 2).unwrap();
        prop_assert_eq!(&Checkpoint::read(&path).unwrap(), &checkpoint);
        let index = fs::read_to_string(&path).unwrap();
        prop_assert!(shards(dir.path()).iter().all(|shard| index.contains(shard.as_str())));
    }
}

#[test]
fn the_layout_is_that_of_hugging_face() {
    let dir = tempfile::tempdir().unwrap();
    let mut checkpoint = of(&[("b", 6), ("a", 4), ("large", 20), ("none", 0), ("c", 10)]);
    checkpoint.metadata.insert("format".into(), "pt".into());
    write_safetensors_sharded(dir.path().join("m"), &checkpoint, 10).unwrap();
    let all = names(dir.path());
    assert_eq!(all.len(), 4);
    assert_eq!(all[3], "m.safetensors.index.json");
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join(&all[3])).unwrap()).unwrap();
    assert_eq!(index["metadata"]["total_size"], 40);
    let map = index["weight_map"].as_object().unwrap();
    assert_eq!(map.keys().collect::<Vec<_>>(), ["b", "a", "large", "none", "c"]);
    for (tensor, number) in [("b", 1), ("a", 1), ("large", 2), ("none", 2), ("c", 3)] {
        let shard = map[tensor].as_str().unwrap();
        assert_eq!(shard, all[number - 1]);
        // Loaders that look at names know them by their end.
        assert!(shard.starts_with("m-save"), "{shard}");
        assert!(shard.ends_with(&format!("-{number:05}-of-00003.safetensors")), "{shard}");
        let library = fs::read(dir.path().join(shard)).unwrap();
        let library = safetensors::SafeTensors::deserialize(&library).unwrap();
        let expected = checkpoint.get(tensor).unwrap().bytes().unwrap();
        assert_eq!(library.tensor(tensor).unwrap().data(), &*expected);
    }
    let opened = Checkpoint::open(dir.path().join("m.safetensors.index.json")).unwrap();
    assert_eq!(opened.origin.as_ref().unwrap().format, Format::Sharded);
    assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
    assert_eq!(opened, checkpoint);
}

#[test]
fn paths_that_stand_for_the_index() {
    let checkpoint = of(&[("a", 4)]);
    for (given, index) in [
        ("", "model.safetensors.index.json"),
        ("x", "x.safetensors.index.json"),
        ("x.v2", "x.v2.safetensors.index.json"),
        ("x.safetensors", "x.safetensors.index.json"),
        ("x.safetensors.index.json", "x.safetensors.index.json"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_safetensors_sharded(dir.path().join(given), &checkpoint, 10).unwrap();
        assert_eq!(names(dir.path()).len(), 2);
        assert_eq!(Checkpoint::read(dir.path().join(index)).unwrap(), checkpoint, "{given}");
    }
}

#[test]
fn nothing_at_all_can_be_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata.insert("epoch".into(), "0".into());
    write_safetensors_sharded(dir.path(), &checkpoint, 10).unwrap();
    assert_eq!(names(dir.path()), ["model.safetensors.index.json"]);
    assert_eq!(Checkpoint::open(dir.path()).unwrap(), checkpoint);
}

#[test]
fn a_directory_stands_for_its_one_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Checkpoint::open(dir.path());
    assert!(matches!(open(), Err(Error::NoCheckpoint { .. })));
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    fs::write(dir.path().join(".hidden.safetensors"), "x").unwrap();
    assert!(matches!(open(), Err(Error::NoCheckpoint { .. })));

    let (single, sharded) = (of(&[("single", 1)]), of(&[("a", 1), ("b", 1)]));
    write_safetensors(dir.path().join("one.safetensors"), &single).unwrap();
    assert_eq!(open().unwrap(), single);
    write_safetensors(dir.path().join("two.safetensors"), &single).unwrap();
    let Err(Error::SeveralCheckpoints { found, .. }) = open() else { panic!() };
    assert_eq!(found, ["one.safetensors", "two.safetensors"]);
    // An index goes before single files, which may be its shards.
    write_safetensors_sharded(dir.path(), &sharded, 1).unwrap();
    assert_eq!(open().unwrap(), sharded);
    write_safetensors_sharded(dir.path().join("other"), &sharded, 1).unwrap();
    let Err(Error::SeveralCheckpoints { found, .. }) = open() else { panic!() };
    assert_eq!(found, ["model.safetensors.index.json", "other.safetensors.index.json"]);
}

#[test]
fn an_old_set_of_others_is_replaced_and_nothing_else_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let one = of(&[("a", 1)]);
    write_safetensors(at("m-00001-of-00001.safetensors"), &one).unwrap();
    let index = r#"{"weight_map":{"a":"m-00001-of-00001.safetensors"}}"#;
    fs::write(at("m.safetensors.index.json"), index).unwrap();
    assert_eq!(Checkpoint::open(dir.path()).unwrap(), one);

    // Not named by this index, or not as its shards are.
    let kept = [
        "m-00002-of-00002.safetensors",
        "m-save1234567-00001-of-00001.safetensors",
        "m-save12345678.safetensors",
        "m-save12345678-00001-of-00001.bin",
        "m2-00001-of-00001.safetensors",
        "m2-save12345678-00001-of-00001.safetensors",
        "notes.txt",
    ];
    for name in kept {
        fs::write(at(name), "x").unwrap();
    }
    // A save of this checkpoint by its name, and a shard of another by its index.
    fs::write(at("m-saveabcdefgh-00001-of-00001.safetensors"), "x").unwrap();
    fs::write(at("m-saveABCDEFGH-00001-of-00001.safetensors"), "x").unwrap();
    fs::write(at("m-saveabcdefgh.safetensors.index.json"), "x").unwrap();
    write_safetensors_sharded(at("m"), &of(&[("b", 1)]), 1).unwrap();
    let after = names(dir.path());
    for name in kept {
        assert!(after.iter().any(|after| after == name), "{name}");
    }
    assert!(after.contains(&"m-saveabcdefgh-00001-of-00001.safetensors".to_owned()));
    assert!(!after.contains(&"m-saveABCDEFGH-00001-of-00001.safetensors".to_owned()));
    assert!(!after.contains(&"m-00001-of-00001.safetensors".to_owned()));
    assert_eq!(after.len(), kept.len() + 4);

    // An index may name anything; that does not make it a shard.
    let index = r#"{"weight_map":{"a":"notes.txt","b":"m2-00001-of-00001.safetensors"}}"#;
    fs::write(at("m.safetensors.index.json"), index).unwrap();
    write_safetensors_sharded(at("m"), &of(&[("b", 1)]), 1).unwrap();
    assert!(at("notes.txt").exists() && at("m2-00001-of-00001.safetensors").exists());
}

#[test]
fn an_index_that_cannot_be_read_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model.safetensors.index.json"), "{\"weight_map\":").unwrap();
    assert!(Checkpoint::open(dir.path()).is_err());
    let checkpoint = of(&[("a", 1)]);
    write_safetensors_sharded(dir.path(), &checkpoint, 1).unwrap();
    assert_eq!(Checkpoint::open(dir.path()).unwrap(), checkpoint);
}

#[test]
fn an_opened_set_can_be_read_after_it_was_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (of(&[("a", 9), ("b", 9)]), of(&[("a", 3), ("c", 3)]));
    write_safetensors_sharded(dir.path(), &old, 9).unwrap();
    let opened = Checkpoint::open(dir.path()).unwrap();
    write_safetensors_sharded(dir.path(), &new, 3).unwrap();
    assert_eq!(opened.load().unwrap(), old);
    assert_eq!(Checkpoint::open(dir.path()).unwrap(), new);
}

#[test]
fn a_set_is_saved_over_itself() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = of(&[("a", 9), ("b", 9)]);
    write_safetensors_sharded(dir.path(), &checkpoint, 9).unwrap();
    // Its bytes come from the shards that are replaced.
    let lazy = Checkpoint::open(dir.path()).unwrap();
    write_safetensors_sharded(dir.path(), &lazy, 100).unwrap();
    assert_eq!(Checkpoint::open(dir.path()).unwrap(), checkpoint);
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn only_a_new_set_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let write = |value: &Checkpoint| {
        write_safetensors_sharded_with(dir.path(), value, 1, WriteMode::CreateNew)
    };
    let first = of(&[("a", 1), ("b", 1)]);
    write(&first).unwrap();
    assert!(matches!(write(&of(&[("c", 1)])), Err(Error::AlreadyExists { .. })));
    assert_eq!(Checkpoint::open(dir.path()).unwrap(), first);
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn shards_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = of(&[("a", 5), ("b", 5)]);
    write_safetensors_sharded(dir.path(), &checkpoint, 5).unwrap();
    let read = |name: &str| Source::from_bytes(fs::read(dir.path().join(name)).unwrap(), name);
    let index = read("model.safetensors.index.json");
    let opened = open_shards(&index, |name| Ok(read(name))).unwrap();
    drop(dir);
    assert_eq!(opened.load().unwrap(), checkpoint);
}

#[test]
fn metadata_of_all_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut shard = of(&[("a", 1)]);
    shard.metadata = [("format", "pt"), ("same", "1"), ("own", "a")].map(both).into();
    write_safetensors(dir.path().join("1"), &shard).unwrap();
    shard = of(&[("b", 1)]);
    shard.metadata = [("same", "1"), ("own", "b")].map(both).into();
    write_safetensors(dir.path().join("2"), &shard).unwrap();
    let index = r#"{"extra": [{}], "metadata": {"total_size": 2.5e9, "note": "n", "n": [1], "o": {}},
        "weight_map": {"b": "2", "a": "1"}}"#;
    fs::write(dir.path().join("index"), index).unwrap();
    let read = Checkpoint::read(dir.path().join("index")).unwrap();
    let expected = [("format", "pt"), ("same", "1"), ("note", "n"), ("own", "b"), ("own (1)", "a")];
    assert_eq!(read.metadata, expected.map(both).into());
    assert_eq!(read.names().collect::<Vec<_>>(), ["b", "a"]);
}

fn both((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// Made by the library of Hugging Face: see `tools/golden/files/sharded.py`.
#[test]
fn what_hugging_face_writes_is_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sharded");
    let checkpoint = Checkpoint::read(&dir).unwrap();
    let origin = checkpoint.origin.as_ref().unwrap();
    assert!(origin.path.ends_with("model.safetensors.index.json"));
    assert_eq!(checkpoint.metadata, [both(("format", "pt"))].into());
    let facts: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let facts = facts.as_object().unwrap();
    assert_eq!(checkpoint.len(), facts.len());
    for tensor in &checkpoint {
        let expected = &facts[tensor.name()];
        assert_eq!(expected["dtype"], tensor.dtype().name());
        let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
        assert_eq!(shape, tensor.shape());
        let hex: String = tensor.bytes().unwrap().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(expected["bytes"], hex, "{}", tensor.name());
    }
}

//! One set, built here, for each thing that a reader of shards must refuse.

use std::fs;
use std::path::Path;

use espalier_checkpoint::{
    Checkpoint, Error, SafetensorsFault, ShardFault as Fault, Source, open_shards,
    write_safetensors_sharded,
};

use crate::names;

/// A safetensors file with one-byte tensors of these names.
fn shard(tensors: &[&str]) -> Vec<u8> {
    let entry = |(at, name): (usize, &&str)| {
        let end = at + 1;
        format!(r#""{name}":{{"dtype":"U8","shape":[1],"data_offsets":[{at},{end}]}}"#)
    };
    let entries: Vec<String> = tensors.iter().enumerate().map(entry).collect();
    let header = format!("{{{}}}", entries.join(","));
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &vec![7; tensors.len()]].concat()
}

/// A directory with an index that has this weight map, and these files.
fn set(map: &str, files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(index_in(&dir), format!(r#"{{"weight_map":{{{map}}}}}"#)).unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn index_in(dir: &tempfile::TempDir) -> std::path::PathBuf {
    dir.path().join("m.safetensors.index.json")
}

/// The fault of a set that must be refused, after a look at the message.
fn fault_in(dir: &tempfile::TempDir) -> Fault {
    let error = Checkpoint::open(index_in(dir)).unwrap_err();
    assert!(error.to_string().starts_with(&*index_in(dir).to_string_lossy()), "{error}");
    match error {
        Error::Shards { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

/// The fault of an index in memory.
fn fault(json: impl Into<Vec<u8>>) -> Fault {
    let index = Source::from_bytes(json.into(), "dir/index.json");
    let error = open_shards(&index, |_| panic!("no shard is looked for")).unwrap_err();
    assert!(error.to_string().starts_with("dir/index.json: "), "{error}");
    match error {
        Error::Shards { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn the_fixtures_are_sound() {
    let dir = set(r#""b":"2","a":"1","c":"2""#, &[("1", shard(&["a"])), ("2", shard(&["b", "c"]))]);
    let checkpoint = Checkpoint::read(index_in(&dir)).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["b", "a", "c"]);
}

#[test]
fn a_shard_elsewhere() {
    for name in [
        "../1",
        "/etc/passwd",
        "..",
        ".",
        "",
        "sub/1",
        "sub\\\\1",
        "..\\\\1",
        "C:1",
        "1\\u0000",
        "\\u002e\\u002e/1",
        "1/",
        &"n".repeat(256),
    ] {
        let dir = set(&format!(r#""t":"{name}""#), &[("1", shard(&["t"]))]);
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/1"), shard(&["t"])).unwrap();
        let Fault::ShardName { tensor, .. } = fault_in(&dir) else { panic!("{name}") };
        assert_eq!(tensor, "t");
    }
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_shard_that_is_a_link() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("1"), shard(&["a"])).unwrap();
        let dir = set(r#""a":"1""#, &[("beside", shard(&["a"]))]);
        // Not even to a file beside it: it could be another one the next time.
        for target in [&*outside.path().join("1"), Path::new("beside"), Path::new("missing")] {
            let link = dir.path().join("1");
            let _ = fs::remove_file(&link);
            symlink(target, link).unwrap();
            assert_eq!(fault_in(&dir), Fault::Symlink { shard: "1".into() });
        }
    }

    /// The folders of a download cache: links in a snapshot, files named by their hashes beside it.
    #[test]
    fn a_download_cache() {
        let cache = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (cache.path().join("blobs"), cache.path().join("snapshots/main"));
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        let (of_index, of_shard) = ("1".repeat(40), "af09".repeat(16));
        fs::write(blobs.join(&of_index), r#"{"weight_map":{"a":"1.safetensors"}}"#).unwrap();
        fs::write(blobs.join(&of_shard), shard(&["a"])).unwrap();
        let index = snapshot.join("model.safetensors.index.json");
        let link = snapshot.join("1.safetensors");
        symlink(format!("../../blobs/{of_index}"), &index).unwrap();
        symlink(format!("../../blobs/{of_shard}"), &link).unwrap();
        assert_eq!(Checkpoint::open(&snapshot).unwrap().names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(Checkpoint::open(&index).unwrap().len(), 1);

        // Nothing is written into a cache.
        let written = write_safetensors_sharded(&index, &Checkpoint::new(), 1);
        assert!(matches!(written, Err(Error::Shards { cause: Fault::IndexName, .. })));

        // What only looks like such a link.
        fs::write(blobs.join("secret"), shard(&["a"])).unwrap();
        symlink(&of_shard, blobs.join("2".repeat(64))).unwrap();
        for target in [
            "../../blobs/secret".to_owned(),
            format!("../../blobs/{}", "2".repeat(64)),
            format!("../../blobs/{}", "3".repeat(64)),
            format!("../../blobs/../blobs/{of_shard}"),
            format!("../../../blobs/{of_shard}"),
            blobs.join(&of_shard).to_str().unwrap().to_owned(),
        ] {
            fs::remove_file(&link).unwrap();
            symlink(&target, &link).unwrap();
            let Err(Error::Shards { cause, .. }) = Checkpoint::open(&index) else {
                panic!("{target}")
            };
            assert_eq!(cause, Fault::Symlink { shard: "1.safetensors".into() }, "{target}");
        }
    }

    /// Another index that is a link stands for the one it leads to.
    #[test]
    fn an_index_that_is_a_link() {
        let dir = set(r#""a":"1""#, &[("1", shard(&["a"]))]);
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("current");
        symlink(index_in(&dir), &link).unwrap();
        assert_eq!(Checkpoint::open(&link).unwrap().len(), 1);
        // And is saved through.
        let link = elsewhere.path().join("link.json");
        symlink(index_in(&dir), &link).unwrap();
        let new = Checkpoint::read(index_in(&dir)).unwrap();
        write_safetensors_sharded(&link, &new, 1).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(elsewhere.path()), ["current", "link.json"]);
        assert_eq!(Checkpoint::open(&link).unwrap(), new);
    }
}

#[test]
fn a_missing_shard() {
    let dir = set(r#""a":"1","b":"2""#, &[("1", shard(&["a"]))]);
    assert_eq!(fault_in(&dir), Fault::MissingShard { shard: "2".into(), tensor: "b".into() });
}

#[test]
fn a_truncated_shard() {
    let whole = shard(&["b"]);
    for end in 0..whole.len() {
        let cut = whole[..end].to_vec();
        let dir = set(r#""a":"1","b":"2""#, &[("1", shard(&["a"])), ("2", cut)]);
        let error = Checkpoint::open(index_in(&dir)).unwrap_err();
        let Error::Safetensors { path, cause } = error else { panic!("{end}: {error}") };
        assert!(path.ends_with("2"), "{path:?}");
        if end + 1 == whole.len() {
            let tensor = "b".to_owned();
            assert_eq!(cause, SafetensorsFault::PastEnd { tensor, end: 1, available: 0 });
        }
    }
}

#[test]
fn a_shard_that_is_no_file() {
    let dir = set(r#""a":"1""#, &[]);
    fs::create_dir(dir.path().join("1")).unwrap();
    let error = Checkpoint::open(index_in(&dir)).unwrap_err();
    assert!(matches!(&error, Error::NotAFile { path } if path.ends_with("1")), "{error}");
}

#[test]
fn an_index_as_a_shard() {
    let dir = set(r#""a":"m.safetensors.index.json""#, &[]);
    assert_eq!(fault_in(&dir), Fault::Nested { shard: "m.safetensors.index.json".into() });
}

#[test]
fn a_tensor_that_is_absent() {
    let files = [("1", shard(&["a"])), ("2", shard(&["b"]))];
    let dir = set(r#""a":"1","b":"2","c":"2""#, &files);
    let (tensor, shard) = ("c".to_owned(), "2".to_owned());
    assert_eq!(fault_in(&dir), Fault::Absent { tensor, shard, found: None });
    // Elsewhere is absent too.
    let dir = set(r#""a":"2","b":"1""#, &files);
    let (tensor, shard, found) = ("a".to_owned(), "2".to_owned(), Some("1".to_owned()));
    assert_eq!(fault_in(&dir), Fault::Absent { tensor, shard, found });
}

#[test]
fn a_tensor_in_two_shards() {
    let files = [("1", shard(&["a", "b"])), ("2", shard(&["b"]))];
    for map in [r#""a":"1","b":"2""#, r#""b":"2","a":"1""#] {
        let Fault::Twice { tensor, first, second } = fault_in(&set(map, &files)) else { panic!() };
        let mut both = [first, second];
        both.sort();
        assert_eq!((tensor.as_str(), both), ("b", ["1".to_owned(), "2".to_owned()]));
    }
}

#[test]
fn a_tensor_that_is_not_in_the_index() {
    let dir = set(r#""a":"1""#, &[("1", shard(&["a", "b"]))]);
    assert_eq!(fault_in(&dir), Fault::Unlisted { tensor: "b".into(), shard: "1".into() });
}

#[test]
fn duplicate_keys() {
    let duplicate = |key: &str, within| Fault::DuplicateKey { key: key.to_owned(), within };
    let twice = r#"{"weight_map":{"a":"1","\u0061":"1"}}"#;
    assert_eq!(fault(twice), duplicate("a", Some("weight_map")));
    let twice = r#"{"weight_map":{},"weight_map":{}}"#;
    assert_eq!(fault(twice), duplicate("weight_map", None));
    let twice = r#"{"weight_map":{},"x":1,"x":2}"#;
    assert_eq!(fault(twice), duplicate("x", None));
    let twice = r#"{"metadata":{"total_size":1,"total_size":1},"weight_map":{}}"#;
    assert_eq!(fault(twice), duplicate("total_size", Some("metadata")));
}

#[test]
fn not_an_index() {
    assert_eq!(fault("{}"), Fault::NoWeightMap);
    assert_eq!(fault(r#"{"metadata":null}"#), Fault::NoWeightMap);
    for json in [
        "",
        "[]",
        "null",
        "{",
        "{}{}",
        r#"{"weight_map":{"a":1}}"#,
        r#"{"weight_map":[]}"#,
        r#"{"weight_map":null}"#,
        r#"{"weight_map":{"a":null}}"#,
        r#"{"metadata":1,"weight_map":{}}"#,
        r#"{"weight_map":{"a":{"b":"c"}}}"#,
    ] {
        assert!(matches!(fault(json), Fault::Json { .. }), "{json}");
    }
    assert_eq!(fault(b"{\"\xff\":1}"), Fault::NotUtf8 { position: 2 });
    let deep = format!(r#"{{"weight_map":{{}},"x":{}"#, "[".repeat(1_000_000));
    assert!(matches!(fault(deep), Fault::Json { .. }));
}

#[test]
fn floods() {
    let entries: Vec<String> = (0..1 << 17).map(|i| format!("\"{i:x}\":\"1\"")).collect();
    let json = format!("{{\"weight_map\":{{{}}}}}", entries.join(","));
    assert_eq!(fault(json), Fault::TooManyKeys { limit: 1 << 17 });
    let entries: Vec<String> = (0..10_001).map(|i| format!("\"{i:x}\":\"{i:x}\"")).collect();
    let json = format!("{{\"weight_map\":{{{}}}}}", entries.join(","));
    assert_eq!(fault(json), Fault::TooManyShards { limit: 10_000 });
    let limit = 8 << 20;
    let json = format!("{{\"weight_map\":{{\"{}\":\"1\"}}}}", "n".repeat(limit + 1));
    assert_eq!(fault(json), Fault::TextOverLimit { position: 15, limit });
}

#[test]
fn an_index_over_the_limit() {
    let dir = set(r#""a":"1""#, &[]);
    // A file with a hole: it takes no room on the disk.
    let file = fs::OpenOptions::new().write(true).open(index_in(&dir)).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let limit = 64 << 20;
    assert_eq!(fault_in(&dir), Fault::IndexOverLimit { length: limit + 1, limit });
}

#[test]
fn an_index_in_memory() {
    let index = Source::from_bytes(br#"{"weight_map":{"a":"1"}}"#.to_vec(), "index");
    let error = Checkpoint::open_source(&index).unwrap_err();
    assert!(matches!(error, Error::Shards { cause: Fault::InMemory, .. }), "{error}");
}

#[test]
fn json_of_other_kinds_is_no_index() {
    for json in ["{}", "{\"a\": 1}", "[]", "{\"weight\": {}}"] {
        let source = Source::from_bytes(json.into(), "x.json");
        let error = Checkpoint::open_source(&source).unwrap_err();
        assert!(matches!(error, Error::UnknownFormat { .. }), "{json}: {error}");
    }
}

#[test]
fn every_cut_of_an_index_is_an_error() {
    let dir = set(r#""a":"1""#, &[("1", shard(&["a"]))]);
    let whole = fs::read(index_in(&dir)).unwrap();
    for end in 0..whole.len() {
        fs::write(index_in(&dir), &whole[..end]).unwrap();
        assert!(Checkpoint::open(index_in(&dir)).is_err(), "cut at {end}");
        let cut = Source::from_bytes(whole[..end].to_vec(), "cut");
        assert!(open_shards(&cut, |_| panic!("cut at {end}")).is_err());
    }
}

#[test]
fn every_changed_byte_of_an_index_is_an_error_or_another_name() {
    let files = [("1", shard(&["a"])), ("2", shard(&["b"]))];
    let dir = set(r#""a":"1","b":"2""#, &files);
    let whole = fs::read(index_in(&dir)).unwrap();
    for at in 0..whole.len() {
        for byte in [0, b'"', b'{', b'\\', b'2', b' ', 0xff] {
            let mut changed = whole.clone();
            changed[at] = byte;
            fs::write(index_in(&dir), &changed).unwrap();
            if let Ok(checkpoint) = Checkpoint::open(index_in(&dir)) {
                assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"], "{at} {byte}");
            }
        }
    }
}

#[test]
fn what_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let fault = |name: &str, checkpoint: &Checkpoint| match write_safetensors_sharded(
        dir.path().join(name),
        checkpoint,
        1,
    )
    .unwrap_err()
    {
        Error::Shards { cause, .. } => cause,
        other => panic!("{other}"),
    };
    let one = Checkpoint::new();
    for name in ["index.json", "x.index.json", ".safetensors.index.json"] {
        assert_eq!(fault(name, &one), Fault::IndexName, "{name}");
    }
    let mut many = Checkpoint::new();
    for number in 0..10_001 {
        let tensor =
            espalier_checkpoint::NamedTensor::boolean(number.to_string(), vec![1], &[true]);
        many.push(tensor.unwrap()).unwrap();
    }
    assert_eq!(fault("m", &many), Fault::TooManyShards { limit: 10_000 });
    let missing = write_safetensors_sharded(dir.path().join("no/such/m"), &one, 1).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    assert!(names(dir.path()).is_empty());
}

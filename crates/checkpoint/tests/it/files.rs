//! What the tests of the smaller formats share: files by other libraries, and what they hold.

use std::path::PathBuf;

use espalier_checkpoint::{Checkpoint, Dtype, Error, NamedTensor, Source};
use proptest::collection::vec;
use proptest::prelude::*;

/// A file that another library wrote.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// What the library that wrote a file says it holds.
pub(crate) fn expected(name: &str) -> Checkpoint {
    let text = std::fs::read_to_string(path(&format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut checkpoint = Checkpoint::new();
    for tensor in json["tensors"].as_array().unwrap() {
        let hex = tensor[3].as_str().unwrap();
        let byte = |i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
        let bytes = (0..hex.len() / 2).map(byte).collect();
        let dtype = Dtype::from_name(tensor[1].as_str().unwrap()).unwrap();
        let shape = serde_json::from_value(tensor[2].clone()).unwrap();
        let name = tensor[0].as_str().unwrap();
        checkpoint.push(NamedTensor::new(name, dtype, shape, bytes).unwrap()).unwrap();
    }
    checkpoint.metadata = serde_json::from_value(json["metadata"].clone()).unwrap();
    checkpoint
}

/// The file holds what the library says, in that order, and reads nothing before it is asked for.
pub(crate) fn check(name: &str) -> Checkpoint {
    let opened = Checkpoint::open(path(name)).unwrap();
    assert_eq!(opened.metadata, expected(name).metadata, "{name}");
    assert_eq!(opened.names().collect::<Vec<_>>(), expected(name).names().collect::<Vec<_>>());
    for (found, wanted) in opened.iter().zip(&expected(name)) {
        assert_eq!((found.dtype(), found.shape()), (wanted.dtype(), wanted.shape()), "{found:?}");
        assert_eq!(found.bytes().unwrap(), wanted.bytes().unwrap(), "{name}: {found:?}");
        let mut streamed = Vec::new();
        found.write_to(&mut streamed).unwrap();
        assert_eq!(streamed, &*wanted.bytes().unwrap(), "{name}: {found:?}");
    }
    assert_eq!(opened, opened.clone().load().unwrap());
    opened
}

pub(crate) fn read(bytes: &[u8]) -> Result<Checkpoint, Error> {
    Checkpoint::open_source(&Source::from_bytes(bytes.to_vec(), "dir/x"))?.load()
}

/// The error of bytes that must not be read; it names the file.
pub(crate) fn refused(bytes: &[u8]) -> Error {
    let error = read(bytes).unwrap_err();
    assert!(error.to_string().starts_with("dir/x: "), "{error}");
    error
}

/// No part of a file from its start is read as if it were the whole.
pub(crate) fn check_cuts(bytes: &[u8]) {
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end}");
    }
}

/// No change of a byte makes a panic; `accept` judges what is read.
pub(crate) fn check_changes(bytes: &[u8], step: usize, accept: impl Fn(&Checkpoint) -> bool) {
    for place in (0..bytes.len()).step_by(step) {
        for change in [1, 0x80, 0xff] {
            let mut changed = bytes.to_vec();
            changed[place] ^= change;
            if let Ok(read) = read(&changed) {
                assert!(accept(&read), "byte {place} changed by {change:#x}");
            }
        }
    }
}

/// A checkpoint of tensors of these types, of rank `rank` to 4 with sizes from `size`, and any bits.
pub(crate) fn checkpoints(
    dtypes: Vec<Dtype>,
    rank: usize,
    size: usize,
    names: &'static str,
) -> impl Strategy<Value = Checkpoint> {
    let types = proptest::sample::select(dtypes);
    let tensor = (types, vec(size..4, rank..=4)).prop_flat_map(|(dtype, shape)| {
        let length = shape.iter().product::<usize>() * dtype.size_bits() / 8;
        (Just(dtype), Just(shape), vec(any::<u8>(), length))
    });
    proptest::collection::hash_map(names, tensor, 0..8).prop_map(|tensors| {
        let mut checkpoint = Checkpoint::new();
        for (name, (dtype, shape, bytes)) in tensors {
            checkpoint.push(NamedTensor::new(name, dtype, shape, bytes).unwrap()).unwrap();
        }
        checkpoint
    })
}

/// What is written to a file, as its bytes.
pub(crate) fn written(
    checkpoint: &Checkpoint,
    write: fn(PathBuf, &Checkpoint) -> Result<(), Error>,
) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("written");
    write(path.clone(), checkpoint).unwrap();
    std::fs::read(path).unwrap()
}

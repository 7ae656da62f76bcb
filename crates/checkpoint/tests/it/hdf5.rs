//! HDF5 and Keras files as h5py and Keras write them, and what is written for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, Format, Hdf5Fault as Fault, NamedTensor, Source, write_keras_weights,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Deserialize;

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5").join(name)
}

/// What `tools/golden/files/hdf5.py` says should be read.
#[derive(Deserialize)]
struct Expected {
    tensors: Vec<Tensor>,
    ties: Vec<(String, String)>,
    skipped: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    /// The names whose order is given; those before each other in the file too.
    #[serde(default)]
    ordered: Vec<String>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    hex: Option<String>,
    /// Zeros, but for these bytes.
    #[serde(default)]
    at: BTreeMap<String, u8>,
}

impl Tensor {
    fn bytes(&self) -> Vec<u8> {
        if !self.at.is_empty() {
            let mut bytes = vec![0; self.shape[0]];
            for (place, byte) in &self.at {
                bytes[place.parse::<usize>().unwrap()] = *byte;
            }
            return bytes;
        }
        let Some(hex) = &self.hex else { return self.ramp() };
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// `7 i mod 1009` as the type.
    fn ramp(&self) -> Vec<u8> {
        let values = (0..self.shape.iter().product::<usize>()).map(|i| (i * 7 % 1009) as u32);
        let encode = |value: u32| match self.dtype.as_str() {
            "U8" => vec![value as u8],
            "U16" => (value as u16).to_le_bytes().to_vec(),
            "F32" => (value as f32).to_le_bytes().to_vec(),
            "F64" => f64::from(value).to_le_bytes().to_vec(),
            "I64" => i64::from(value).to_le_bytes().to_vec(),
            other => panic!("{other}"),
        };
        values.flat_map(encode).collect()
    }
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&fs::read(data("expected.json")).unwrap()).unwrap()
}

fn cause(error: Error) -> Fault {
    match error {
        Error::Hdf5 { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

fn fault(bytes: Vec<u8>) -> Fault {
    let opened = Checkpoint::open_source(&Source::from_bytes(bytes, "x.h5"));
    cause(opened.and_then(Checkpoint::load).unwrap_err())
}

#[test]
fn what_h5py_and_keras_write_is_read() {
    let expected = expected();
    assert_eq!(expected.len(), 13);
    for (file, expected) in expected {
        let checkpoint = Checkpoint::open(data(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut names: Vec<&str> = checkpoint.names().collect();
        let mut wanted: Vec<&str> = expected.tensors.iter().map(|t| t.name.as_str()).collect();
        let listed: Vec<&str> =
            names.iter().copied().filter(|n| expected.ordered.iter().any(|o| o == n)).collect();
        assert_eq!(listed, expected.ordered, "{file}");
        names.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{file}");
        for tensor in &expected.tensors {
            let found = checkpoint.get(&tensor.name).unwrap();
            let what = format!("{file}: {}", tensor.name);
            assert_eq!(found.dtype().name(), tensor.dtype, "{what}");
            assert_eq!(found.shape(), tensor.shape, "{what}");
            assert!(!found.is_loaded(), "{what}");
            let bytes = found.bytes().unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(&*bytes, tensor.bytes(), "{what}");
            let mut streamed = Vec::new();
            found.write_to(&mut streamed).unwrap();
            assert_eq!(streamed, &*bytes, "{what}");
        }
        let mut ties = checkpoint.ties();
        ties.sort_unstable();
        let wanted: Vec<(&str, &str)> =
            expected.ties.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(ties, wanted, "{file}");
        let mut metadata = checkpoint.metadata.clone();
        let skipped = metadata.remove("hdf5.skipped").unwrap_or("{}".into());
        let skipped: BTreeMap<String, String> = serde_json::from_str(&skipped).unwrap();
        assert_eq!(skipped, expected.skipped, "{file}");
        for (key, text) in &expected.metadata {
            assert_eq!(metadata.get(key), Some(text), "{file}: {key}");
        }
        assert_eq!(metadata.len(), expected.metadata.len(), "{file}");
        // From memory it is the same.
        let bytes = Source::from_bytes(fs::read(data(&file)).unwrap(), "memory");
        assert_eq!(Checkpoint::open_source(&bytes).unwrap(), checkpoint, "{file}");
    }
}

#[test]
fn formats_are_told() {
    let of = |name| Format::of(&Source::open(data(name)).unwrap()).unwrap();
    assert_eq!(of("tiny.weights.h5"), Format::Hdf5);
    assert_eq!(of("tiny.keras"), Format::Keras);
    assert_eq!(of("deflated.keras"), Format::Keras);
}

#[test]
fn numbers_are_in_order_and_paths_are_names() {
    let checkpoint = Checkpoint::open(data("tiny.weights.h5")).unwrap();
    let names: Vec<&str> = checkpoint.names().collect();
    let optimizer: Vec<String> = (0..14).map(|i| format!("optimizer/vars/{i}")).collect();
    assert_eq!(
        names[..2],
        ["layers/batch_normalization/vars/0", "layers/batch_normalization/vars/1"]
    );
    assert_eq!(names[8..], optimizer);
    assert_eq!(checkpoint.metadata["layers/dense/vars@name"], "first");
}

#[test]
fn correct_files_that_are_refused() {
    let refused = |name: &str| {
        let opened = Checkpoint::open(data(&format!("refused/{name}.h5")));
        cause(opened.and_then(Checkpoint::load).unwrap_err())
    };
    let within = |object: &str, cause: Fault| Fault::Within {
        object: object.into(),
        cause: Box::new(cause),
    };
    let external = within("group/away", Fault::ExternalLink { file: "/etc/passwd".into() });
    assert_eq!(refused("external_link"), external);
    assert_eq!(refused("external_link_latest"), external);
    assert_eq!(refused("external_data"), within("group/raw", Fault::ExternalData));
    assert_eq!(refused("virtual"), within("whole", Fault::Virtual));
    let soft = |object, target: &str| within(object, Fault::SoftLink { target: target.into() });
    assert_eq!(refused("dangling"), soft("group/lost", "/nowhere"));
    assert_eq!(refused("soft_cycle"), soft("a", "/b"));
    assert_eq!(refused("cycle"), within("a/b/back", Fault::Cycle));
    let filter = |id, name: &str| within("x", Fault::UnknownFilter { id, name: name.into() });
    assert_eq!(refused("lzf"), filter(32000, "lzf"));
    assert_eq!(refused("scale_offset"), filter(6, "scaleoffset"));
    let found = "floats of 80 bits in 16 bytes, 15 of the exponent and 64 of the mantissa";
    assert_eq!(refused("long_double"), within("x", Fault::UnsupportedType { found: found.into() }));
    let found = "integers of 12 bits in 2 bytes";
    assert_eq!(refused("twelve_bits"), within("x", Fault::UnsupportedType { found: found.into() }));
    let huge = refused("huge");
    assert!(
        matches!(&huge, Fault::Within { object, cause } if object == "x"
            && matches!(**cause, Fault::Extent { claimed: 4398046511104, .. })),
        "{huge}"
    );
    let path = vec!["g"; 64].join("/");
    assert_eq!(refused("deep"), within(&path, Fault::TooDeep { limit: 64 }));
    let weight =
        Fault::MissingWeight { attribute: "weight_names".into(), name: "dense/kernel:0".into() };
    assert_eq!(refused("missing_weight"), within("dense", weight));
    let layer = Fault::MissingWeight { attribute: "layer_names".into(), name: "dense".into() };
    assert_eq!(refused("missing_layer"), within("/", layer));
}

/// Every type that is written, of rank 0 to 3, empty ones too.
fn written_types() -> Vec<Dtype> {
    use Dtype::*;
    vec![Bool, U8, I8, U16, I16, F16, BF16, U32, I32, F32, C32, U64, I64, F64, C64, C128]
}

fn written(checkpoint: &Checkpoint) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    write_keras_weights(&path, checkpoint).unwrap();
    fs::read(&path).unwrap()
}

fn read(bytes: &[u8]) -> Result<Checkpoint, Error> {
    Checkpoint::open_source(&Source::from_bytes(bytes.to_vec(), "x.h5"))?.load()
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let tensor = (proptest::sample::select(written_types()), vec(0usize..4, 0..=3)).prop_flat_map(
        |(dtype, shape)| {
            let bytes = shape.iter().product::<usize>() * dtype.size_bits() / 8;
            (Just(dtype), Just(shape), vec(any::<u8>(), bytes))
        },
    );
    // Leaves begin with a letter, groups with a number: none is both.
    let name = "([0-9]{1,2}/){0,3}[a-zé][^/\0]{0,6}";
    let metadata = btree_map("[a-z]{1,8}", "[^\0]{0,20}", 0..4);
    (btree_map(name, tensor, 0..8), metadata, any::<bool>()).prop_map(|(tensors, metadata, tie)| {
        let mut checkpoint = Checkpoint::new();
        for (name, (dtype, shape, bytes)) in tensors {
            checkpoint.push(NamedTensor::new(name, dtype, shape, bytes).unwrap()).unwrap();
        }
        if let (true, Some(first)) = (tie, checkpoint.iter().next().cloned()) {
            checkpoint.push(first.with_name("zz tied")).unwrap();
        }
        checkpoint.metadata = metadata;
        checkpoint
    })
}

/// The order of a file: groups have theirs, so names come grouped.
fn grouped(checkpoint: &Checkpoint) -> Vec<NamedTensor> {
    fn visit<'a>(tensors: &[(&'a str, &'a NamedTensor)], out: &mut Vec<NamedTensor>) {
        let mut done = std::collections::HashSet::new();
        for (name, tensor) in tensors {
            match name.split_once('/') {
                None => out.push((*tensor).clone()),
                Some((group, _)) if done.insert(group) => {
                    let inner: Vec<_> = tensors
                        .iter()
                        .filter_map(|(n, t)| {
                            Some((n.split_once('/').filter(|p| p.0 == group)?.1, *t))
                        })
                        .collect();
                    visit(&inner, out);
                }
                Some(_) => {}
            }
        }
    }
    let all: Vec<_> = checkpoint.iter().map(|tensor| (tensor.name(), tensor)).collect();
    let mut out = Vec::new();
    visit(&all, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_come_back_to_the_bit(checkpoint in checkpoint()) {
        let bytes = written(&checkpoint);
        let back = read(&bytes).unwrap();
        prop_assert_eq!(&back.metadata, &checkpoint.metadata);
        prop_assert_eq!(back.iter().cloned().collect::<Vec<_>>(), grouped(&checkpoint));
        prop_assert_eq!(back.ties().len(), checkpoint.ties().len());
        // Written again, it gives the same file.
        prop_assert_eq!(written(&back), bytes);
    }

    #[test]
    fn any_bytes_after_a_change_never_panic(
        file in proptest::sample::select(vec!["types.h5", "types_latest.h5", "chunks.h5", "chunks_latest.h5",
            "many_latest.h5", "keras2.h5", "tiny.keras", "deflated.keras"]),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = fs::read(data(file)).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(opened) = Checkpoint::open_source(&Source::from_bytes(bytes, "x")) {
            for tensor in &opened {
                let _ = tensor.bytes();
            }
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("a/b", vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap()).unwrap();
    checkpoint.metadata.insert("k".into(), "text".into());
    for whole in [written(&checkpoint), fs::read(data("refused/long_double.h5")).unwrap()] {
        for end in 0..whole.len() {
            let error = read(&whole[..end]).expect_err(&format!("cut at {end}"));
            assert!(matches!(error, Error::Hdf5 { .. } | Error::UnknownFormat { .. }), "{error}");
        }
    }
    for name in ["keras2.h5", "types_latest.h5", "tiny.keras", "deflated.keras"] {
        let whole = fs::read(data(name)).unwrap();
        let length = whole.len();
        for end in (0..300).chain((300..length).step_by(97)).chain(length - 300..length) {
            assert!(read(&whole[..end]).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn what_is_read_can_be_written() {
    for name in ["types.h5", "chunks_latest.h5", "tiny.weights.h5", "tiny.keras", "many.h5"] {
        let mut checkpoint = Checkpoint::open(data(name)).unwrap();
        // Two 8-bit floats have no type there.
        for float in ["own/e4m3", "own/e5m2"] {
            checkpoint.remove(float);
        }
        let back = read(&written(&checkpoint)).unwrap();
        assert_eq!(back.len(), checkpoint.len());
        assert_eq!(back.metadata, checkpoint.metadata);
        assert_eq!(back.ties(), checkpoint.ties(), "{name}");
        for tensor in &checkpoint {
            assert_eq!(back.get(tensor.name()), Some(tensor), "{name}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let refused = |tensors: &[(&str, Dtype, Vec<usize>)]| {
        let mut checkpoint = Checkpoint::new();
        for (name, dtype, shape) in tensors {
            let length = shape.iter().product::<usize>() * dtype.size_bits() / 8;
            let tensor = NamedTensor::new(*name, *dtype, shape.clone(), vec![0; length]);
            checkpoint.push(tensor.unwrap()).unwrap();
        }
        let Fault::Within { object, cause } =
            cause(write_keras_weights(&path, &checkpoint).unwrap_err())
        else {
            panic!("no name");
        };
        assert_eq!(object, tensors[tensors.len() - 1].0);
        *cause
    };
    let one = vec![1];
    let no_dtype = Fault::NoSuchDtype { dtype: Dtype::F8E4M3 };
    assert_eq!(refused(&[("x", Dtype::F8E4M3, one.clone())]), no_dtype);
    for (name, part) in [("a//b", ""), ("/a", ""), ("a/", ""), ("./a", "."), ("a\0", "a\0")] {
        let bad = Fault::BadName { name: part.into() };
        assert_eq!(refused(&[(name, Dtype::F32, one.clone())]), bad, "{name:?}");
    }
    let conflict = Fault::NameConflict;
    let pair = |a, b| refused(&[(a, Dtype::F32, one.clone()), (b, Dtype::F32, one.clone())]);
    assert_eq!(pair("a/b", "a"), conflict);
    assert_eq!(pair("a", "a/b"), conflict);
    assert_eq!(refused(&[("x", Dtype::F32, vec![1; 33])]), Fault::RankOverLimit { limit: 32 });
    let long = "x".repeat(70_000);
    let over = Fault::NameOverLimit { length: 70_000, limit: 65_000 };
    assert_eq!(refused(&[(&long, Dtype::F32, one.clone())]), over);
    let deep = format!("{}x", "a/".repeat(65));
    assert_eq!(refused(&[(&deep, Dtype::F32, one)]), Fault::TooDeep { limit: 64 });
    assert!(!path.exists());
}

#[test]
fn tensors_are_written_one_after_the_other() {
    // A lazy tensor is streamed from one file into the other.
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a.h5"), dir.path().join("b.h5"));
    let mut checkpoint = Checkpoint::new();
    let values: Vec<f32> = (0..3_000_000).map(|i| i as f32).collect();
    checkpoint.push(NamedTensor::f32("big", vec![3000, 1000], &values).unwrap()).unwrap();
    write_keras_weights(&first, &checkpoint).unwrap();
    let opened = Checkpoint::open(&first).unwrap();
    write_keras_weights(&second, &opened).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let length = fs::metadata(&first).unwrap().len();
    assert!(length < 12_000_000 + 1024, "{length}");
}

#[test]
fn not_hdf5_at_all() {
    let bytes = b"\x89HDF\r\n\x1a\n\x09 and more".to_vec();
    let version = Fault::UnknownVersion { structure: "superblock", found: 9, address: 8 };
    assert_eq!(fault(bytes), version);
}

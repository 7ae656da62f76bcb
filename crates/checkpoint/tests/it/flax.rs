//! Reading and writing Flax's msgpack.

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, FlaxFault as Fault, Format, NamedTensor, write_flax,
};
use proptest::prelude::*;

use crate::files;

fn types() -> Vec<Dtype> {
    let none = [Dtype::C32, Dtype::F4, Dtype::F6E2M3, Dtype::F6E3M2];
    Dtype::ALL.into_iter().filter(|dtype| !none.contains(dtype)).collect()
}

fn fault(bytes: &[u8]) -> Fault {
    match files::refused(bytes) {
        Error::Flax { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

/// A file with one array `w` that has this payload.
fn array(payload: &[&[u8]]) -> Vec<u8> {
    let payload = payload.concat();
    [&[0x81, 0xa1, b'w', 0xc8][..], &(payload.len() as u16).to_be_bytes(), &[1], &payload].concat()
}

#[test]
fn files_of_flax() {
    for name in ["params", "state", "chunked", "list"] {
        let opened = files::check(&format!("flax/{name}.msgpack"));
        assert_eq!(opened.origin.as_ref().unwrap().format, Format::Flax);
        if name != "state" {
            assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
        }
    }
    let kernel = "params/Dense_0/kernel";
    assert!(files::expected("flax/params.msgpack").get(kernel).is_some());
}

#[test]
fn written_as_flax_writes_it() {
    // Maps, numbers, texts and all come back to the byte; the notes are in the order of their paths, so
    // what is no array stands after the arrays of the same dictionary.
    let bytes = files::bytes("flax/params.msgpack");
    assert!(files::written(&files::read(&bytes).unwrap(), write_flax) == bytes);
    let state = files::read(&files::bytes("flax/state.msgpack")).unwrap();
    let written = files::written(&state, write_flax);
    assert_eq!(written.len(), files::bytes("flax/state.msgpack").len());
    assert_eq!(files::read(&written).unwrap(), state);
}

#[test]
fn cut_and_changed_files() {
    for name in ["params", "state", "chunked", "list"] {
        let bytes = files::bytes(&format!("flax/{name}.msgpack"));
        files::check_cuts(&bytes);
        files::check_changes(&bytes, 1, |_| true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_come_back_to_the_bit(
        // No name is the beginning of another, since all have as many parts.
        checkpoint in files::checkpoints(types(), 0, 0, "[a-c]{0,3}/[^/]{0,40}/[^/]{1,3}")
    ) {
        let bytes = files::written(&checkpoint, write_flax);
        let read = files::read(&bytes).unwrap();
        // Arrays of one dictionary come together.
        prop_assert_eq!(read.len(), checkpoint.len());
        for tensor in &checkpoint {
            prop_assert_eq!(read.get(tensor.name()), Some(tensor));
        }
        prop_assert_eq!(files::written(&read, write_flax), bytes);
    }
}

#[test]
fn notes_that_fit_no_more_are_passed_over() {
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("step", vec![2], &[1.0, 2.0]).unwrap()).unwrap();
    checkpoint.metadata.insert("flax.kind:step".into(), "int".into());
    checkpoint.metadata.insert("flax.kind:gone".into(), "int".into());
    checkpoint.metadata.insert("format".into(), "pt".into());
    let read = files::read(&files::written(&checkpoint, write_flax)).unwrap();
    assert_eq!(read.get("step"), checkpoint.get("step"));
    assert!(read.metadata.is_empty());
}

#[test]
fn depth() {
    let nested = |depth: usize| [[0x81, 0xa1, b'a'].repeat(depth), vec![0xc0]].concat();
    assert_eq!(files::read(&nested(64)).unwrap().metadata.len(), 1);
    for depth in [65, 1000, 1_000_000] {
        assert!(matches!(fault(&nested(depth)), Fault::Depth { limit: 64, .. }));
    }
    let lists = [&[0x81, 0xa1, b'a'][..], &[0x91; 1_000_000]].concat();
    assert!(matches!(fault(&lists), Fault::Depth { .. }));
}

#[test]
fn counts() {
    let limit = 1;
    let count = u64::from(u32::MAX);
    let map = [0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, b'a', 0xc0];
    assert_eq!(fault(&map), Fault::TooMany { position: 5, count, limit });
    let list = [0x81, 0xa1, b'a', 0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0];
    assert_eq!(fault(&list), Fault::TooMany { position: 8, count, limit });
    let text = [0x81, 0xa1, b'a', 0xdb, 0xff, 0xff, 0xff, 0xff, b'x'];
    assert_eq!(fault(&text), Fault::Cut { position: 8, needed: count });
    let bytes = [0x81, 0xa1, b'a', 0xc6, 0xff, 0xff, 0xff, 0xff, b'x'];
    assert_eq!(fault(&bytes), Fault::Cut { position: 8, needed: count });
    // Lists in lists, each as long as can be.
    let flood = [&[0x81, 0xa1, b'a', 0xdd, 0, 3, 0, 0][..], &[0xc0; 3 << 16]].concat();
    assert!(matches!(fault(&flood), Fault::TooMany { limit: 65_535, .. }));
    // Keys that are short in the file and long in the paths.
    let key = [&[0xda, 0x40, 0][..], &[b'k'; 0x4000]].concat();
    let many = [&[0x81][..], &key, &[0xdc, 8, 0], &[0xc0; 2048]].concat();
    assert_eq!(fault(&many), Fault::NamesOverLimit { limit: 16 << 20 });
}

#[test]
fn payloads_against_shapes() {
    let w = "w".to_owned();
    let (f32, u8) = ([&[0xa7][..], b"float32"].concat(), [&[0xa5][..], b"uint8"].concat());
    let good = array(&[&[0x93, 0x91, 2], &f32, &[0xc4, 8], &[0; 8]]);
    assert_eq!(files::read(&good).unwrap().get("w").unwrap().shape(), [2]);
    let short = array(&[&[0x93, 0x91, 3], &f32, &[0xc4, 8], &[0; 8]]);
    let (dtype, shape) = (Dtype::F32, vec![3]);
    assert_eq!(
        fault(&short),
        Fault::DataLength { path: w.clone(), dtype, shape, needed: 12, found: 8 }
    );
    let max = [&[0xcf][..], &[0xff; 8]].concat();
    let large = array(&[&[0x93, 0x92, 2], &max, &u8, &[0xc4, 0]]);
    assert!(matches!(fault(&large), Fault::ShapeOverflow { dtype: Dtype::U8, .. }));
    let rank = array(&[&[0x93, 0xdc, 0xff, 0xff], &[1; 100]]);
    assert_eq!(fault(&rank), Fault::RankOverLimit { path: w.clone(), limit: 64 });
    let negative = array(&[&[0x93, 0x91, 0xff], &u8, &[0xc4, 0]]);
    let at = |cause: &Fault| matches!(cause, Fault::Payload { path, .. } if path == "w");
    assert!(at(&fault(&negative)));
    let object = array(&[&[0x93, 0x91, 1, 0xa6], b"object", &[0xc4, 1, 0]]);
    assert_eq!(fault(&object), Fault::UnknownType { path: w, found: "object".into() });
    for payload in
        [&[0x92, 0x90][..], &[0x93, 0xc0], &[0x93, 0x90, 0xc0], &[0x93, 0x90, 0xa5, b'u']]
    {
        let cause = fault(&array(&[payload]));
        assert!(at(&cause) || matches!(cause, Fault::Cut { .. }), "{cause}");
    }
    // The extension ends before or after the array in it.
    let after = array(&[&[0x93, 0x91, 1], &u8, &[0xc4, 1, 7], &[0]]);
    assert!(at(&fault(&after)));
    let mut before = array(&[&[0x93, 0x91, 1], &u8, &[0xc4, 1, 7]]);
    before[5] -= 1;
    assert!(at(&fault(&before)));
}

#[test]
fn what_a_tree_may_not_hold() {
    // A dictionary is the outermost value, so other values are no file of this format at all.
    assert!(matches!(files::refused(&[0x91, 0xc0]), Error::UnknownFormat { .. }));
    assert!(matches!(files::refused(&[0x81, 0x01, 0xc0]), Error::UnknownFormat { .. }));
    let key = fault(&[0x82, 0xa1, b'a', 0xc0, 0x01, 0xc0]);
    assert_eq!(key, Fault::KeyNotText { path: String::new(), position: 4 });
    let twice = fault(&[0x81, 0xa1, b'm', 0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]);
    assert_eq!(twice, Fault::DuplicateKey { path: "m/a".into() });
    let collide = fault(&[0x82, 0xa3, b'a', b'/', b'b', 1, 0xa1, b'a', 0x81, 0xa1, b'b', 2]);
    assert_eq!(collide, Fault::Collision { path: "a/b".into() });
    let latin = fault(&[0x81, 0xa1, 0xff, 0xc0]);
    assert_eq!(latin, Fault::NotUtf8 { position: 2 });
    let unknown = fault(&[0x81, 0xa1, b'a', 0xc1]);
    assert_eq!(unknown, Fault::UnknownByte { byte: 0xc1, position: 3 });
    let extension = fault(&[0x81, 0xa1, b'a', 0xd4, 0xff, 0]);
    assert_eq!(extension, Fault::UnknownExtension { path: "a".into(), kind: -1 });
    let after = fault(&[0x81, 0xa1, b'a', 0xc0, 0]);
    assert_eq!(after, Fault::TrailingBytes { extra: 1 });
    assert!(files::read(&[0x80]).unwrap().is_empty());
}

#[test]
fn chunks() {
    let whole = files::bytes("flax/chunked.msgpack");
    let find = |what: &[u8]| whole.windows(what.len()).position(|found| found == what).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    // A size of the shape; the names of a size and of a chunk; the type of a chunk; the name of the chunks.
    let size = fault(&with(find(b"shape") + 8, 9));
    assert!(matches!(size, Fault::DataLength { shape, .. } if shape == [9, 3]));
    let chunks = |cause: Fault| matches!(cause, Fault::Chunks { path, .. } if path == "a");
    assert!(chunks(fault(&with(find(b"shape") + 7, b'7'))));
    assert!(chunks(fault(&with(find(b"chunks") + 8, b'7'))));
    assert!(chunks(fault(&with(find(b"chunks"), b'x'))));
    let second = find(b"float32")
        + whole[find(b"float32") + 1..].windows(7).position(|w| w == b"float32").unwrap()
        + 1;
    let mut mixed = whole.clone();
    mixed[second..second + 7].copy_from_slice(b"float64");
    assert!(matches!(fault(&mixed), Fault::DataLength { .. }));
}

#[test]
fn names_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let error = |names: &[&str]| {
        let mut checkpoint = Checkpoint::new();
        for name in names {
            checkpoint.push(NamedTensor::f32(*name, vec![0], &[]).unwrap()).unwrap();
        }
        match write_flax(dir.path().join("x"), &checkpoint).unwrap_err() {
            Error::Flax { cause, .. } => cause,
            other => panic!("{other}"),
        }
    };
    for names in [["m/a/b", "m/a"], ["m/a", "m/a/b"]] {
        assert_eq!(error(&names), Fault::ValueAndDictionary { path: "m/a".into() });
    }
    let deep = ["a"; 65].join("/");
    assert_eq!(error(&[deep.as_str()]), Fault::Depth { path: deep.clone(), limit: 64 });
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::new("w", Dtype::C32, vec![0], vec![]).unwrap()).unwrap();
    let error = write_flax(dir.path().join("x"), &checkpoint).unwrap_err();
    assert!(matches!(error, Error::Flax { cause: Fault::NoSuchDtype { .. }, .. }));
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![0], &[]).unwrap()).unwrap();
    checkpoint.metadata.insert("flax.text:w".into(), "t".into());
    let error = write_flax(dir.path().join("x"), &checkpoint).unwrap_err();
    assert!(matches!(error, Error::Flax { cause: Fault::Collision { .. }, .. }));
}

//! Reading and writing burnpack, against Burn's own crate.

use burn_pack::{Bytes, DType, Reader, Scalar, Tensor, Writer};
use espalier_checkpoint::{
    BurnpackFault as Fault, Checkpoint, Dtype, Error, Format, NamedTensor, write_burnpack,
};
use proptest::prelude::*;

use crate::files;

const TYPES: [Dtype; 13] = [
    Dtype::F64,
    Dtype::F32,
    Dtype::F16,
    Dtype::BF16,
    Dtype::I64,
    Dtype::I32,
    Dtype::I16,
    Dtype::I8,
    Dtype::U64,
    Dtype::U32,
    Dtype::U16,
    Dtype::U8,
    Dtype::Bool,
];

/// Burn's type by the name it has in files.
fn library_dtype(name: &str) -> DType {
    let name = match name {
        "Bool" | "BOOL" => r#"{"Bool":"Native"}"#.to_owned(),
        bool if bool.starts_with('{') => bool.to_owned(),
        name => format!("{name:?}"),
    };
    serde_json::from_str(&name).unwrap()
}

fn library_tensor(tensor: &NamedTensor, id: Option<u64>) -> Tensor {
    let bytes = Bytes::from_bytes_vec(tensor.bytes().unwrap().to_vec());
    let dtype = library_dtype(tensor.dtype().name());
    Tensor::new(tensor.name().to_owned(), dtype, tensor.shape().to_vec(), id, bytes)
}

/// The file that Burn's crate makes of the same tensors, each with the number of its place.
fn by_library(checkpoint: &Checkpoint) -> Vec<u8> {
    let id = |i: usize| i.is_multiple_of(2).then(|| u64::MAX - i as u64);
    let tensors = checkpoint.iter().enumerate().map(|(i, tensor)| library_tensor(tensor, id(i)));
    let writer = Writer::new(tensors.collect());
    let writer = checkpoint
        .metadata
        .iter()
        .filter(|(key, _)| !key.starts_with("burnpack."))
        .fold(writer, |writer, (key, value)| writer.with_metadata(key, value));
    writer.into_bytes().unwrap().to_vec()
}

/// The notes of those numbers.
fn numbered(mut checkpoint: Checkpoint) -> Checkpoint {
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    for (i, name) in names.into_iter().enumerate().filter(|(i, _)| i.is_multiple_of(2)) {
        let id = (u64::MAX - i as u64).to_string();
        checkpoint.metadata.insert(format!("burnpack.param_id:{name}"), id);
    }
    checkpoint
}

fn fault(bytes: &[u8]) -> Fault {
    match files::refused(bytes) {
        Error::Burnpack { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn written_to_the_byte_as_burn_writes_it(
        // Empty tensors share a place, so their order is not kept.
        checkpoint in files::checkpoints(TYPES.to_vec(), 0, 1, ".{0,40}"),
        metadata in proptest::collection::btree_map(".{0,30}", ".{0,300}", 0..4),
    ) {
        let mut checkpoint = numbered(checkpoint);
        checkpoint.metadata.extend(metadata);
        let bytes = files::written(&checkpoint, write_burnpack);
        prop_assert_eq!(&by_library(&checkpoint), &bytes);
        prop_assert_eq!(files::read(&bytes).unwrap(), checkpoint);
    }

    #[test]
    fn burn_reads_what_is_written(
        checkpoint in files::checkpoints(TYPES.to_vec(), 0, 0, ".{0,12}")
    ) {
        let bytes = files::written(&checkpoint, write_burnpack);
        let read = files::read(&bytes).unwrap();
        prop_assert_eq!(read.len(), checkpoint.len());
        let library = Reader::from_bytes(Bytes::from_bytes_vec(bytes)).unwrap();
        let tensors = library.into_tensors().unwrap();
        prop_assert_eq!(tensors.len(), checkpoint.len());
        for tensor in tensors {
            let ours = checkpoint.get(&tensor.name).unwrap();
            prop_assert_eq!(read.get(&tensor.name), Some(ours));
            prop_assert_eq!(tensor.dtype, library_dtype(ours.dtype().name()));
            prop_assert_eq!(tensor.shape.to_vec(), ours.shape());
            let bytes = tensor.into_bytes().unwrap();
            prop_assert_eq!(&bytes[..], &ours.bytes().unwrap()[..]);
        }
    }
}

/// A file of Burn's crate with a scalar of each kind and the types that have notes.
fn with_notes() -> Vec<u8> {
    let tensor = |name: &str, dtype: &str, length: usize| {
        let bytes = Bytes::from_bytes_vec((0..length).map(|i| (i % 2) as u8).collect());
        Tensor::new(name.to_owned(), library_dtype(dtype), vec![2], None, bytes)
    };
    let tensors = vec![
        tensor("flex", "Flex32", 8),
        tensor("native", "Bool", 2),
        tensor("byte", r#"{"Bool":"U8"}"#, 2),
        tensor("word", r#"{"Bool":"U32"}"#, 8),
        tensor("u32", "U32", 8),
    ];
    let scalars = [
        ("int", Scalar::Int(-3)),
        ("least", Scalar::Int(i64::MIN)),
        ("most", Scalar::UInt(u64::MAX)),
        ("half", Scalar::Float(1.5)),
        ("single", Scalar::Float(1e30f32.into())),
        ("double", Scalar::Float(0.1)),
        ("zero", Scalar::Float(-0.0)),
        ("infinite", Scalar::Float(f64::INFINITY)),
        ("nan", Scalar::Float(f64::NAN)),
        ("flag", Scalar::Bool(true)),
    ];
    let writer = Writer::new(tensors).with_metadata("producer", "burn");
    let writer =
        scalars.into_iter().fold(writer, |writer, (key, scalar)| writer.with_scalar(key, scalar));
    writer.into_bytes().unwrap().to_vec()
}

#[test]
fn what_has_no_place_leaves_a_note_and_comes_back() {
    let bytes = with_notes();
    let read = files::read(&bytes).unwrap();
    for (key, value) in [
        ("scalar:int", "Int(-3)"),
        ("scalar:least", "Int(-9223372036854775808)"),
        ("scalar:most", "UInt(18446744073709551615)"),
        ("scalar:half", "Float(0x3ff8000000000000)"),
        ("scalar:double", "Float(0x3fb999999999999a)"),
        ("scalar:zero", "Float(0x8000000000000000)"),
        ("scalar:flag", "Bool(true)"),
        ("type:flex", "Flex32"),
        ("type:byte", "Bool(U8)"),
        ("type:word", "Bool(U32)"),
    ] {
        assert_eq!(read.metadata[&format!("burnpack.{key}")], value, "{key}");
    }
    assert_eq!(read.metadata["producer"], "burn");
    assert_eq!(read.metadata.len(), 14);
    let dtypes: Vec<Dtype> = read.iter().map(NamedTensor::dtype).collect();
    assert_eq!(dtypes, [Dtype::F32, Dtype::Bool, Dtype::Bool, Dtype::U32, Dtype::U32]);
    assert!(files::written(&read, write_burnpack) == bytes);
    files::check_cuts(&bytes);
    files::check_changes(&bytes, 1, |_| true);
}

#[test]
fn a_file_on_the_disk_is_read_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.bpk");
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("b", vec![2], &[1.0, -0.0]).unwrap()).unwrap();
    checkpoint.push(NamedTensor::f32("a", vec![1], &[2.0]).unwrap()).unwrap();
    let tensors = checkpoint.iter().map(|tensor| library_tensor(tensor, None)).collect();
    Writer::new(tensors).write_to_file(&path).unwrap();
    let opened = Checkpoint::open(&path).unwrap();
    assert_eq!(opened.origin.as_ref().unwrap().format, Format::Burnpack);
    assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
    assert_eq!(opened, checkpoint);
}

#[test]
fn notes_that_say_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bpk");
    for (key, value) in [
        ("burnpack.param_id:w", "-1"),
        ("burnpack.scalar:s", "Int(x)"),
        ("burnpack.scalar:s", "Int(3"),
        ("burnpack.scalar:s", "Float(0.5)"),
        ("burnpack.scalar:s", "Text(a)"),
    ] {
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(NamedTensor::f32("w", vec![0], &[]).unwrap()).unwrap();
        checkpoint.metadata.insert(key.into(), value.into());
        let error = write_burnpack(&path, &checkpoint).unwrap_err();
        assert!(
            matches!(&error, Error::Burnpack { cause: Fault::Note { key: k, .. }, .. } if k == key),
            "{error}"
        );
    }
    for dtype in Dtype::ALL.into_iter().filter(|dtype| !TYPES.contains(dtype)) {
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(NamedTensor::new("w", dtype, vec![0], vec![]).unwrap()).unwrap();
        let error = write_burnpack(&path, &checkpoint).unwrap_err();
        let no = Fault::NoSuchDtype { tensor: "w".into(), dtype };
        assert!(matches!(error, Error::Burnpack { cause, .. } if cause == no));
    }
    assert!(!path.exists());
}

/// A file with this header and a kilobyte of data.
fn file(header: &[u8]) -> Vec<u8> {
    let length = (header.len() as u32).to_le_bytes();
    let mut bytes = [&b"NRUB\x01\x00"[..], &length, header].concat();
    bytes.resize(bytes.len().next_multiple_of(256) + 1024, 0);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&[0x78, text.len() as u8][..], text.as_bytes()].concat()
}

fn tensors(tensors: &[Vec<u8>]) -> Vec<u8> {
    let count = 0xa0 | tensors.len() as u8;
    file(&[&[0xa1][..], &text("tensors"), &[count], &tensors.concat()].concat())
}

/// The description of a tensor of bytes.
fn tensor(name: &str, dtype: &[u8], shape: &[u64], begin: u64, end: u64) -> Vec<u8> {
    let long = |number: u64| [&[0x1b][..], &number.to_be_bytes()].concat();
    let sizes: Vec<u8> = shape.iter().flat_map(|size| long(*size)).collect();
    let rank = [0x98, shape.len() as u8];
    [
        &text(name)[..],
        &[0xa3],
        &text("dtype"),
        dtype,
        &text("shape"),
        &rank,
        &sizes,
        &text("data_offsets"),
        &[0x82],
        &long(begin),
        &long(end),
    ]
    .concat()
}

#[test]
fn tensors_must_fit() {
    let (w, u8, f32) = (|| "w".to_owned(), text("U8"), text("F32"));
    let good = tensors(&[tensor("w", &u8, &[4], 0, 4)]);
    assert_eq!(files::read(&good).unwrap().len(), 1);
    let found = fault(&tensors(&[tensor("w", &f32, &[4], 0, 4)]));
    let (dtype, shape) = (Dtype::F32, vec![4]);
    let expected = Fault::DataLength { tensor: w(), dtype, shape, needed: 16, begin: 0, end: 4 };
    assert_eq!(found, expected);
    let found = fault(&tensors(&[tensor("w", &u8, &[4], 4, 0)]));
    assert!(matches!(found, Fault::DataLength { begin: 4, end: 0, .. }));
    let found = fault(&tensors(&[tensor("w", &u8, &[u64::MAX, 2], 0, 4)]));
    assert!(matches!(found, Fault::ShapeOverflow { .. }));
    let found = fault(&tensors(&[tensor("w", &u8, &[4], 1021, 1025)]));
    assert_eq!(found, Fault::PastEnd { tensor: w(), end: 1025, available: 1024 });
    let found = fault(&tensors(&[tensor("w", &u8, &[4], u64::MAX - 4, u64::MAX)]));
    assert_eq!(found, Fault::PastEnd { tensor: w(), end: u64::MAX, available: 1024 });
    let twice = [tensor("w", &u8, &[4], 0, 4), tensor("w", &u8, &[4], 4, 8)];
    assert_eq!(fault(&tensors(&twice)), Fault::DuplicateKey { key: w() });
    let over = [tensor("w", &u8, &[4], 3, 7), tensor("v", &u8, &[4], 0, 4)];
    let found = fault(&tensors(&over));
    assert_eq!(found, Fault::Overlap { tensor: w(), begin: 3, other: "v".into(), end: 4 });
    let found = fault(&tensors(&[tensor("w", &u8, &[1; 65], 0, 1)]));
    assert_eq!(found, Fault::RankOverLimit { tensor: w(), limit: 64 });
    let found = fault(&tensors(&[tensor("w", &text("F8"), &[4], 0, 4)]));
    assert_eq!(found, Fault::UnknownType { tensor: w(), found: "F8".into() });
    // An empty tensor may be anywhere.
    let empty = files::read(&tensors(&[tensor("w", &u8, &[0], 1 << 40, 1 << 40)])).unwrap();
    assert_eq!(empty.get("w").unwrap().shape(), [0]);
}

#[test]
fn a_quantized_tensor_is_listed_and_refused() {
    let scheme = [&[0xa1][..], &text("QFloat"), &[0xa1], &text("value"), &text("Q8S")].concat();
    let bytes = tensors(&[tensor("w", &scheme, &[4], 0, 8)]);
    let source = espalier_checkpoint::Source::from_bytes(bytes.clone(), "dir/x");
    let opened = Checkpoint::open_source(&source).unwrap();
    assert_eq!(opened.get("w").unwrap().shape(), [4]);
    assert_eq!(opened.metadata["burnpack.type:w"], "QFloat");
    assert_eq!(fault(&bytes), Fault::Quantized { tensor: "w".into() });
}

#[test]
fn headers() {
    assert!(matches!(fault(b"NRUB\x02\x00\0\0\0\0"), Fault::UnknownVersion { version: 2 }));
    let long = [&b"NRUB\x01\x00"[..], &u32::MAX.to_le_bytes()].concat();
    let (length, limit) = (u32::MAX.into(), 100 << 20);
    assert_eq!(fault(&long), Fault::HeaderOverLimit { length, limit });
    let cut = [&b"NRUB\x01\x00"[..], &9u32.to_le_bytes(), &[0xa0]].concat();
    assert_eq!(fault(&cut), Fault::Cut { position: 10, needed: 9 });
    let header = |cause: &Fault| matches!(cause, Fault::Header { .. });
    for bad in [&[0xa0][..], &[0x80], &[0xbf, 0xff], &[0xa1, 0x01, 0x01], &[0xa0, 0x00]] {
        let found = fault(&file(bad));
        assert!(header(&found), "{found}");
    }
    let twice = [&[0xa2][..], &text("tensors"), &[0xa0], &text("tensors"), &[0xa0]].concat();
    assert_eq!(fault(&file(&twice)), Fault::DuplicateKey { key: "tensors".into() });
    let (what, count) = ("tensors", u64::MAX);
    let flood = [&[0xa1][..], &text("tensors"), &[0xbb], &[0xff; 8], &[0; 8]].concat();
    assert_eq!(fault(&file(&flood)), Fault::TooMany { what, count, limit: 4 });
    // Parts that are not known are passed over, but not believed.
    let extra =
        |item: &[u8]| file(&[&[0xa2][..], &text("tensors"), &[0xa0], &text("x"), item].concat());
    assert!(files::read(&extra(&[0x82, 0x01, 0xc1, 0xa1, 0x61, b'k', 0xf6])).unwrap().is_empty());
    let (what, count) = ("items", u64::MAX);
    assert_eq!(
        fault(&extra(&[&[0xbb][..], &[0xff; 8]].concat())),
        Fault::TooMany { what, count, limit: 0 }
    );
    // As deep as can be: there is no stack to overflow.
    let mut deep = vec![0x81; 1 << 20];
    deep.push(0);
    assert!(files::read(&extra(&deep)).unwrap().is_empty());
    let missing = [&text("w")[..], &[0xa1], &text("dtype"), &text("U8")].concat();
    assert_eq!(
        fault(&tensors(&[missing])),
        Fault::Missing { tensor: "w".into(), missing: "shape" }
    );
    let mut latin = tensors(&[tensor("w", &text("U8"), &[4], 0, 4)]);
    let at = latin.windows(3).position(|three| three == [0x78, 1, b'w']).unwrap();
    latin[at + 2] = 0xff;
    assert_eq!(fault(&latin), Fault::NotUtf8 { position: at as u64 + 2 });
}

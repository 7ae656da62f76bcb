//! Reading and writing MXNet's `.params`.

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, Format, MxnetFault as Fault, NamedTensor, write_mxnet,
};
use proptest::prelude::*;

use crate::files;

const TYPES: [Dtype; 13] = [
    Dtype::F32,
    Dtype::F64,
    Dtype::F16,
    Dtype::U8,
    Dtype::I32,
    Dtype::I8,
    Dtype::I64,
    Dtype::Bool,
    Dtype::I16,
    Dtype::U16,
    Dtype::U32,
    Dtype::U64,
    Dtype::BF16,
];
const V1: u32 = 0xf993_fac8;
const V2: u32 = 0xf993_fac9;
const V3: u32 = 0xf993_faca;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_le_bytes()).collect()
}

fn named(names: &[&str]) -> Vec<u8> {
    let mut out = longs(&[names.len() as u64]);
    for name in names {
        out.extend(longs(&[name.len() as u64]));
        out.extend(name.as_bytes());
    }
    out
}

fn file(arrays: &[Vec<u8>], names: &[&str]) -> Vec<u8> {
    [longs(&[0x112, 0, arrays.len() as u64]), arrays.concat(), named(names)].concat()
}

/// An array of the layout V2 with these sizes and bytes.
fn array(sizes: &[u64], dtype: u32, data: &[u8]) -> Vec<u8> {
    let rank = sizes.len() as u32;
    [&words(&[V2, 0, rank])[..], &longs(sizes), &words(&[1, 0, dtype]), data].concat()
}

fn fault(bytes: &[u8]) -> Fault {
    match files::refused(bytes) {
        Error::Mxnet { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn files_of_mxnet() {
    for name in ["dict", "list", "numpy"] {
        let opened = files::check(&format!("mxnet/{name}.params"));
        assert_eq!(opened.origin.as_ref().unwrap().format, Format::Mxnet);
        assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
    }
    let sparse = fault(&files::bytes("mxnet/sparse.params"));
    assert_eq!(sparse, Fault::Sparse { array: 1, storage: 2 });
}

#[test]
fn written_as_mxnet_writes_it() {
    for name in ["mxnet/dict.params", "mxnet/numpy.params"] {
        let bytes = files::bytes(name);
        assert!(files::written(&files::read(&bytes).unwrap(), write_mxnet) == bytes, "{name}");
    }
}

#[test]
fn cut_and_changed_files() {
    for name in ["mxnet/dict.params", "mxnet/list.params", "mxnet/numpy.params"] {
        files::check_cuts(&files::bytes(name));
        files::check_changes(&files::bytes(name), 1, |_| true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn checkpoints_come_back_to_the_bit(
        plain in files::checkpoints(TYPES.to_vec(), 1, 1, ".{0,12}"),
        any in files::checkpoints(TYPES.to_vec(), 0, 0, ".{0,12}"),
    ) {
        for checkpoint in [plain, any] {
            let bytes = files::written(&checkpoint, write_mxnet);
            prop_assert_eq!(&files::read(&bytes).unwrap(), &checkpoint);
            prop_assert_eq!(files::written(&files::read(&bytes).unwrap(), write_mxnet), bytes);
        }
    }
}

#[test]
fn the_older_layouts() {
    let data = [1, 0, 2, 0, 3, 0];
    let v0 = [&words(&[2, 3, 1])[..], &words(&[1, 0, 2]), &data].concat();
    let v1 = [&words(&[V1, 2])[..], &longs(&[3, 1]), &words(&[1, 0, 2]), &data].concat();
    let bytes = file(&[v0, v1], &["arg:a", "aux:b"]);
    let read = files::read(&bytes).unwrap();
    for name in ["arg:a", "aux:b"] {
        let tensor = read.get(name).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F16, &[3, 1][..]));
        assert_eq!(tensor.bytes().unwrap()[..], data);
    }
    files::check_cuts(&bytes);
}

#[test]
fn every_type() {
    for (number, dtype) in TYPES.into_iter().enumerate() {
        let data = vec![1; dtype.size_bits() / 8];
        let read = files::read(&file(&[array(&[1], number as u32, &data)], &["w"])).unwrap();
        assert_eq!(read.get("w").unwrap().dtype(), dtype);
    }
    for found in [13, -1] {
        let bytes = file(&[array(&[1], found as u32, &[0; 8])], &["w"]);
        assert_eq!(fault(&bytes), Fault::UnknownType { array: 0, found });
    }
}

#[test]
fn counts() {
    let many = |count: u64| [longs(&[0x112, 0, count]), vec![0; 80]].concat();
    let what = "arrays";
    for count in [11, 1 << 32, u64::MAX] {
        assert_eq!(fault(&many(count)), Fault::TooMany { what, count, limit: 10 });
    }
    let one = array(&[1], 3, &[7]);
    let mut names = file(std::slice::from_ref(&one), &[]);
    let at = names.len() - 8;
    names[at..].copy_from_slice(&longs(&[1 << 60]));
    let what = "names";
    assert_eq!(fault(&names), Fault::TooMany { what, count: 1 << 60, limit: 0 });
    let two = file(std::slice::from_ref(&one), &["a", "b"]);
    assert_eq!(fault(&two), Fault::NameCount { arrays: 1, names: 2 });
    let twice = file(&[one.clone(), one.clone()], &["a", "a"]);
    assert_eq!(fault(&twice), Fault::DuplicateName { name: "a".into() });
    let numbered = files::read(&file(&[one.clone(), one.clone()], &[])).unwrap();
    assert_eq!(numbered.names().collect::<Vec<_>>(), ["0", "1"]);
    let after = [file(std::slice::from_ref(&one), &["a"]), vec![0]].concat();
    assert_eq!(fault(&after), Fault::TrailingBytes { extra: 1 });
    let mut long = file(std::slice::from_ref(&one), &["abc"]);
    let at = long.len() - 11;
    long[at..at + 8].copy_from_slice(&longs(&[1 << 40]));
    assert!(matches!(fault(&long), Fault::Cut { needed, .. } if needed == 1 << 40));
    let mut latin = file(&[one], &["a"]);
    *latin.last_mut().unwrap() = 0xff;
    assert_eq!(fault(&latin), Fault::NameNotUtf8 { array: 0 });
}

#[test]
fn shapes() {
    let with_rank = |layout: u32, rank: i32| {
        let mut array = words(&[layout]);
        if layout != V1 {
            array.extend(words(&[0]));
        }
        array.extend(rank.to_le_bytes());
        file(&[[array, vec![1; 600]].concat()], &["w"])
    };
    for layout in [V1, V2, V3] {
        for rank in [65, i32::MAX, i32::MIN, -2] {
            let expected = Fault::Rank { array: 0, found: rank.into(), limit: 64 };
            assert_eq!(fault(&with_rank(layout, rank)), expected);
        }
    }
    assert_eq!(fault(&with_rank(V3, -1)), Fault::NoShape { array: 0 });
    assert_eq!(fault(&with_rank(V2, 0)), Fault::NoShape { array: 0 });
    let found = 65;
    let oldest = file(&[words(&[found]), vec![0; 64]], &["a", "b"]);
    assert_eq!(fault(&oldest), Fault::UnknownLayout { array: 0, found });
    let unknown = file(&[array(&[3, 0], 0, &[])], &["w"]);
    assert_eq!(fault(&unknown), Fault::NoShape { array: 0 });
    let large = file(&[array(&[1 << 40, 1 << 40], 0, &[0; 8])], &["w"]);
    assert!(matches!(fault(&large), Fault::ShapeOverflow { array: 0, dtype: Dtype::F32, .. }));
    let negative = file(&[array(&[u64::MAX], 0, &[0; 8])], &["w"]);
    assert!(matches!(fault(&negative), Fault::ShapeOverflow { shape, .. } if shape == [-1]));
    let past = file(&[array(&[1 << 30], 0, &[0; 8])], &["w"]);
    assert!(matches!(fault(&past), Fault::PastEnd { needed, .. } if needed == 1 << 32));
}

#[test]
fn types_that_mxnet_has_not() {
    let dir = tempfile::tempdir().unwrap();
    for dtype in Dtype::ALL.into_iter().filter(|dtype| !TYPES.contains(dtype)) {
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(NamedTensor::new("w", dtype, vec![0], vec![]).unwrap()).unwrap();
        let error = write_mxnet(dir.path().join("w"), &checkpoint).unwrap_err();
        let no = Fault::NoSuchDtype { tensor: "w".into(), dtype };
        assert!(matches!(error, Error::Mxnet { cause, .. } if cause == no));
    }
}

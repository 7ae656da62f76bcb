//! Reading and writing npy files.

use espalier_checkpoint::{Dtype, Error, NpyFault as Fault, read_npy, read_npy_bytes, write_npy};
use proptest::prelude::*;

/// A file of version 1.0.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), data].concat()
}

fn array(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    file(&format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"), data)
}

fn fault(bytes: &[u8]) -> Fault {
    let error = read_npy_bytes(bytes, "dir/x.npy").unwrap_err();
    assert!(error.to_string().starts_with("dir/x.npy: "), "{error}");
    match error {
        Error::Npy { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn every_version() {
    let header = b"{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }";
    let data = [1, 0, 0xff, 0xff];
    for major in [2, 3] {
        let length = (header.len() as u32).to_le_bytes();
        let bytes = [&b"\x93NUMPY"[..], &[major, 0], &length, header, &data].concat();
        assert_eq!(read_npy_bytes(&bytes, "x").unwrap().to_f32_vec(), [1.0, -1.0]);
    }
    let one = array("'<i2'", "False", "(2,)", &data);
    assert_eq!(read_npy_bytes(&one, "x").unwrap().values().collect::<Vec<_>>(), [1.0, -1.0]);
    let four = [&b"\x93NUMPY\x04\x00"[..], &one[8..]].concat();
    assert_eq!(fault(&four), Fault::UnknownVersion { major: 4, minor: 0 });
}

#[test]
fn every_type_and_byte_order() {
    let cases: [(&str, &[u8], Dtype, f64); 12] = [
        ("f2", &[0x00, 0x3e], Dtype::F16, 1.5),
        ("f4", &[0, 0, 0xc0, 0x3f], Dtype::F32, 1.5),
        ("f8", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], Dtype::F64, 1.5),
        ("b1", &[1], Dtype::Bool, 1.0),
        ("u1", &[200], Dtype::U8, 200.0),
        ("i1", &[200], Dtype::I8, -56.0),
        ("u2", &[1, 2], Dtype::U16, 513.0),
        ("i2", &[1, 0x82], Dtype::I16, -32255.0),
        ("u4", &[1, 2, 0, 0], Dtype::U32, 513.0),
        ("i4", &[1, 2, 0, 0], Dtype::I32, 513.0),
        ("u8", &[1, 2, 0, 0, 0, 0, 0, 0], Dtype::U64, 513.0),
        ("i8", &[1, 2, 0, 0, 0, 0, 0, 0], Dtype::I64, 513.0),
    ];
    for (name, little, dtype, value) in cases {
        let mut big = little.to_vec();
        big.reverse();
        for (order, data) in [('<', little), ('>', &big)] {
            let bytes = array(&format!("'{order}{name}'"), "False", "()", data);
            let read = read_npy_bytes(&bytes, "x").unwrap();
            assert_eq!((read.dtype(), read.shape()), (dtype, &[][..]));
            assert_eq!(read.values().collect::<Vec<_>>(), [value], "{order}{name}");
            assert_eq!(read.bytes(), little);
        }
    }
}

#[test]
fn fortran_order_becomes_c_order() {
    // a[i][j][k] = 100 i + 10 j + k, with i fastest in the file.
    let (sizes, mut data, mut expected) = ([2u8, 3, 4], vec![], vec![]);
    for k in 0..sizes[2] {
        for j in 0..sizes[1] {
            for i in 0..sizes[0] {
                data.push(100 * i + 10 * j + k);
            }
        }
    }
    for i in 0..sizes[0] {
        for j in 0..sizes[1] {
            for k in 0..sizes[2] {
                expected.push(100 * i + 10 * j + k);
            }
        }
    }
    let read = read_npy_bytes(&array("'|u1'", "True", "(2, 1, 3, 4)", &data), "x").unwrap();
    assert_eq!((read.shape(), read.bytes()), (&[2, 1, 3, 4][..], &expected[..]));
    let empty = read_npy_bytes(&array("'|u1'", "True", "(2, 0, 3)", &[]), "x").unwrap();
    assert_eq!((empty.shape(), empty.bytes().len()), (&[2, 0, 3][..], 0));
    let vector = read_npy_bytes(&array("'|u1'", "True", "(3,)", &[1, 2, 3]), "x").unwrap();
    assert_eq!(vector.bytes(), [1, 2, 3]);
}

#[test]
fn objects_and_records_are_refused() {
    assert_eq!(fault(&array("'|O'", "False", "(1,)", b"cos\nsystem\n")), Fault::Objects);
    let records = array("[('x', '<f4'), ('y', '<f4')]", "False", "(1,)", &[0; 8]);
    assert_eq!(fault(&records), Fault::Structured);
    let complex = fault(&array("'<c8'", "False", "(1,)", &[0; 8]));
    assert_eq!(complex, Fault::Complex { dtype: Dtype::C64 });
}

#[test]
fn four_gibibytes_of_header() {
    let bytes = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes(), b"{}"].concat();
    assert_eq!(
        fault(&bytes),
        Fault::HeaderOverLimit { length: u64::from(u32::MAX), limit: 65_535 }
    );
}

#[test]
fn shapes_that_overflow() {
    for shape in
        ["(4294967296, 4294967296)", "(18446744073709551615,)", "(9223372036854775808, 2, 0)"]
    {
        let fault = fault(&array("'<f4'", "False", shape, &[0; 4]));
        assert!(
            matches!(fault, Fault::ShapeOverflow { dtype: Dtype::F32, .. }),
            "{shape}: {fault}"
        );
    }
    let fault = fault(&array("'<f4'", "False", "(18446744073709551616,)", &[0; 4]));
    assert!(matches!(fault, Fault::SizeOverflow { .. }));
}

#[test]
fn data_must_match_exactly() {
    for length in [0, 7, 9, 16] {
        let fault = fault(&array("'<f4'", "False", "(2,)", &vec![0; length]));
        assert!(
            matches!(fault, Fault::DataLength { needed: 8, found, .. } if found == length as u64)
        );
    }
}

#[test]
fn keys() {
    let missing = fault(&file("{'descr': '<f4', 'shape': ()}", &[0; 4]));
    assert_eq!(missing, Fault::MissingKey { key: "fortran_order" });
    let unknown = fault(&file("{'descr': '<f4', 'align': True}", &[0; 4]));
    assert_eq!(unknown, Fault::UnknownKey { key: "align".into() });
    let twice = fault(&file("{'descr': '<f4', 'descr': '<f8'}", &[0; 4]));
    assert_eq!(twice, Fault::DuplicateKey { key: "descr".into(), position: 17 });
    let after = fault(&file("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", &[0; 4]));
    assert_eq!(after, Fault::Header { expected: "nothing more", position: 54 });
}

#[test]
fn every_cut_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write_npy(&path, &[2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for end in 0..whole.len() {
        assert!(read_npy_bytes(&whole[..end], "cut").is_err(), "cut at {end}");
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(read_npy(&path).is_err(), "cut at {end}");
    }
}

#[test]
fn the_file_is_as_numpy_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write_npy(&path, &[1], &[1.0]).unwrap();
    let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    expected.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    expected.resize(127, b' ');
    expected.extend(b"\n\x00\x00\x80\x3f");
    assert_eq!(std::fs::read(&path).unwrap(), expected);
}

#[test]
fn arrays_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let refused = |shape: &[usize]| match write_npy(&path, shape, &[1.0]) {
        Err(Error::Npy { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&[2]), Fault::ElementCount { needed: 2, found: 1, .. }));
    assert!(matches!(refused(&[usize::MAX, 2]), Fault::ShapeOverflow { .. }));
    assert!(matches!(refused(&[1; 65]), Fault::RankOverLimit { limit: 64 }));
    assert!(!path.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arrays_come_back_to_the_bit(
        (shape, bits) in prop::collection::vec(0usize..4, 0..=4).prop_flat_map(|shape| {
            let numel = shape.iter().product::<usize>();
            (Just(shape), prop::collection::vec(any::<u32>(), numel))
        })
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let values: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
        write_npy(&path, &shape, &values).unwrap();
        let read = read_npy(&path).unwrap();
        prop_assert_eq!(read.shape(), &shape[..]);
        let back: Vec<u32> = read.to_f32_vec().iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(back, bits);
    }

    #[test]
    fn any_header_never_panics(header in "[{}()'\":,<fuib1248TrueFals desco_ndhp]{0,80}", data in any::<[u8; 4]>()) {
        let _ = read_npy_bytes(&file(&header, &data), "x");
    }
}

//! One file, built here byte by byte, for each thing that a reader must refuse.

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, NamedTensor, SafetensorsFault as Fault, read_safetensors,
    read_safetensors_bytes, read_safetensors_header, write_safetensors,
};

/// A file of that header and as many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 7);
    bytes
}

fn entry(name: &str, dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

/// The fault of bytes that must be refused, after a look at the message.
fn fault(bytes: &[u8]) -> Fault {
    let error = read_safetensors_bytes(bytes, "dir/hostile.safetensors").unwrap_err();
    assert!(error.to_string().starts_with("dir/hostile.safetensors: "), "{error}");
    match error {
        Error::Safetensors { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

fn fault_of(entries: &[String], data: usize) -> Fault {
    fault(&file(&format!("{{{}}}", entries.join(",")), data))
}

#[test]
fn the_fixtures_are_sound() {
    let header = format!("{{{},{}}}", entry("a", "F32", "[2]", 0, 8), entry("b", "U8", "[]", 8, 9));
    let checkpoint = read_safetensors_bytes(&file(&header, 9), "x").unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn under_eight_bytes() {
    for length in 0..8 {
        assert_eq!(fault(&vec![0; length]), Fault::TooShort { found: length as u64 });
    }
}

#[test]
fn header_longer_than_the_file() {
    let mut bytes = file("{}", 0);
    bytes[0] = 3;
    assert_eq!(fault(&bytes), Fault::HeaderPastEnd { length: 3, available: 2 });
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(fault(&bytes), Fault::HeaderPastEnd { length: u64::MAX, available: 2 });
}

#[test]
fn header_over_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.safetensors");
    std::fs::write(&path, 100_000_001u64.to_le_bytes()).unwrap();
    // A file with a hole: it takes no room on the disk.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(200_000_000).unwrap();
    let Error::Safetensors { cause, .. } = read_safetensors(&path).unwrap_err() else { panic!() };
    assert_eq!(cause, Fault::HeaderOverLimit { length: 100_000_001, limit: 100_000_000 });
}

#[test]
fn header_not_utf8() {
    let mut bytes = file("{\"a\":1}", 0);
    bytes[10] = 0xff;
    assert_eq!(fault(&bytes), Fault::NotUtf8 { position: 2 });
}

#[test]
fn header_not_json() {
    for header in ["{", "{\"a\"}", "{}{}", "{} x", "{\"a\":}", "{\"__metadata__\":{\"k\":1}}"] {
        assert!(matches!(fault(&file(header, 0)), Fault::Json { .. }), "{header}");
    }
    for header in ["", " {}", "[]", "null", "1"] {
        assert_eq!(fault(&file(header, 0)), Fault::NotAnObject, "{header}");
    }
}

#[test]
fn descriptions_of_the_wrong_kind_name_the_tensor() {
    let good = r#""dtype":"U8","shape":[1],"data_offsets":[0,1]"#;
    for (from, to) in [
        (r#""dtype":"U8","#, ""),
        (r#""shape":[1],"#, ""),
        (r#","data_offsets":[0,1]"#, ""),
        ("[1]", "[-1]"),
        ("[1]", "[1.0]"),
        ("[1]", "[18446744073709551616]"),
        ("[1]", "null"),
        ("[0,1]", "[0]"),
        ("[0,1]", "[0,1,2]"),
        ("[0,1]", "[0,18446744073709551616]"),
        ("\"U8\"", "8"),
    ] {
        let header = format!("{{\"the tensor\":{{{}}}}}", good.replace(from, to));
        let fault = fault(&file(&header, 1));
        let Fault::Json { tensor, .. } = &fault else { panic!("{header}: {fault}") };
        assert_eq!(tensor.as_deref(), Some("the tensor"), "{header}");
    }
    let sequence = r#"{"the tensor":["U8",[1],[0,1]]}"#;
    assert!(matches!(fault(&file(sequence, 1)), Fault::Json { .. }));
}

#[test]
fn deeply_nested_json() {
    let header = format!("{{\"a\":{{\"x\":{}", "[".repeat(1_000_000));
    assert!(matches!(fault(&file(&header, 0)), Fault::Json { .. }));
}

#[test]
fn duplicate_tensor() {
    let twice = [entry("a", "U8", "[1]", 0, 1), entry("a", "U8", "[1]", 1, 2)];
    assert_eq!(fault_of(&twice, 2), Fault::DuplicateKey { key: "a".into(), within: None });
    // The same name, spelt another way.
    let escaped = [entry("a", "U8", "[1]", 0, 1), entry("\\u0061", "U8", "[1]", 1, 2)];
    assert_eq!(fault_of(&escaped, 2), Fault::DuplicateKey { key: "a".into(), within: None });
}

#[test]
fn duplicate_keys_within() {
    let fault = |header: &str| match fault(&file(header, 1)) {
        Fault::DuplicateKey { key, within } => (key, within.unwrap_or_default()),
        other => panic!("{header}: {other}"),
    };
    let pair = |key: &str, within: &str| (key.to_owned(), within.to_owned());
    assert_eq!(fault(r#"{"__metadata__":{"k":"1","k":"2"}}"#), pair("k", "__metadata__"));
    assert_eq!(fault(r#"{"__metadata__":{},"__metadata__":{}}"#), pair("__metadata__", ""));
    let good = r#""dtype":"U8","shape":[1],"data_offsets":[0,1]"#;
    for (more, key) in [
        (r#""dtype":"U8""#, "dtype"),
        (r#""shape":[1]"#, "shape"),
        (r#""data_offsets":[0,1]"#, "data_offsets"),
        (r#""note":1,"note":2"#, "note"),
    ] {
        assert_eq!(fault(&format!("{{\"a\":{{{good},{more}}}}}")), pair(key, "a"));
    }
}

#[test]
fn overlap() {
    let entries = [entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[4]", 2, 6)];
    let tensor = "b".to_owned();
    assert_eq!(fault_of(&entries, 6), Fault::Overlap { tensor, begin: 2, previous_end: 4 });
    let same = [entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[4]", 0, 4)];
    assert!(matches!(fault_of(&same, 4), Fault::Overlap { .. }));
    let empty_within = [entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[0]", 2, 2)];
    assert!(matches!(fault_of(&empty_within, 4), Fault::Overlap { .. }));
}

#[test]
fn hole() {
    let entries = [entry("a", "U8", "[2]", 0, 2), entry("b", "U8", "[2]", 3, 5)];
    let tensor = "b".to_owned();
    assert_eq!(fault_of(&entries, 5), Fault::Hole { tensor, begin: 3, previous_end: 2 });
    let first = [entry("a", "U8", "[2]", 1, 3)];
    assert!(matches!(fault_of(&first, 3), Fault::Hole { begin: 1, previous_end: 0, .. }));
}

#[test]
fn trailing_bytes() {
    let entries = [entry("a", "U8", "[2]", 0, 2)];
    assert_eq!(fault_of(&entries, 5), Fault::TrailingBytes { extra: 3 });
    assert_eq!(fault(&file("{}", 1)), Fault::TrailingBytes { extra: 1 });
}

#[test]
fn shape_overflow() {
    let huge = u64::MAX;
    for shape in [
        format!("[{huge},2]"),
        format!("[{huge}]"),
        "[4294967296,4294967296]".to_owned(),
        format!("[{huge},{huge},0]"),
        // 2^61 elements of 64 bits: the number of bits overflows.
        "[2305843009213693952]".to_owned(),
    ] {
        let fault = fault_of(&[entry("a", "F64", &shape, 0, 8)], 8);
        assert!(matches!(&fault, Fault::ShapeOverflow { tensor, .. } if tensor == "a"), "{fault}");
    }
}

#[test]
fn offsets_not_matching_the_shape() {
    let fault = fault_of(&[entry("a", "F32", "[2]", 0, 4)], 4);
    let expected = Fault::SizeMismatch {
        tensor: "a".into(),
        dtype: Dtype::F32,
        shape: vec![2],
        needed: 8,
        found: 4,
    };
    assert_eq!(fault, expected);
    assert_eq!(fault.to_string(), "tensor \"a\": F32 [2] takes 8 bytes, its offsets hold 4");
    let reversed = fault_of(&[entry("a", "U8", "[1]", 2, 1)], 2);
    assert_eq!(reversed, Fault::ReversedOffsets { tensor: "a".into(), begin: 2, end: 1 });
}

#[test]
fn tensor_past_the_end() {
    let fault = fault_of(&[entry("a", "U8", "[9]", 0, 9)], 8);
    assert_eq!(fault, Fault::PastEnd { tensor: "a".into(), end: 9, available: 8 });
}

#[test]
fn sums_that_overflow() {
    // Each tensor is countable, and their sum with the length of the header is over 2^64.
    let step = 1u64 << 60;
    let entries: Vec<String> = (0..16u64)
        .map(|i| {
            let end = if i == 15 { u64::MAX } else { (i + 1) * step };
            entry(&format!("t{i}"), "U8", &format!("[{}]", end - i * step), i * step, end)
        })
        .collect();
    assert!(matches!(fault_of(&entries, 8), Fault::PastEnd { available: 8, .. }));
}

#[test]
fn flood_of_entries() {
    let one = |i: usize| entry(&format!("{i:x}"), "U8", "[0]", 0, 0);
    let many: Vec<String> = (0..=1 << 17).map(one).collect();
    assert_eq!(fault_of(&many, 0), Fault::TooManyKeys { limit: 1 << 17 });
    let metadata: Vec<String> = (0..1 << 17).map(|i| format!("\"{i:x}\":\"\"")).collect();
    let header = format!("{{\"__metadata__\":{{{}}}}}", metadata.join(","));
    assert_eq!(fault(&file(&header, 0)), Fault::TooManyKeys { limit: 1 << 17 });
}

#[test]
fn flood_of_dimensions() {
    let shape = |rank: usize| format!("[{}]", vec!["1"; rank].join(","));
    let bytes = file(&format!("{{{}}}", entry("a", "U8", &shape(64), 0, 1)), 1);
    assert!(read_safetensors_bytes(&bytes, "x").is_ok());
    let fault = fault_of(&[entry("a", "U8", &shape(65), 0, 1)], 1);
    assert_eq!(fault, Fault::RankOverLimit { tensor: "a".into(), limit: 64 });
}

#[test]
fn flood_of_dimensions_in_all() {
    let shape = format!("[{}]", ["1"; 64].join(","));
    let many: Vec<String> =
        (0..=1 << 13).map(|i| entry(&format!("{i:x}"), "U8", &shape, i, i + 1)).collect();
    assert_eq!(fault_of(&many, 1 << 14), Fault::TooManyDimensions { limit: 1 << 19 });
}

#[test]
fn flood_of_text() {
    let limit = 8 << 20;
    let long = "\\n".repeat(limit / 2);
    let header = format!("{{\"__metadata__\":{{\"k\":\"{long}\"}}}}");
    assert!(read_safetensors_bytes(&file(&header, 0), "x").is_ok());
    let header = header.replacen("\\n", "\\n\\n", 1);
    assert_eq!(fault(&file(&header, 0)), Fault::TextOverLimit { position: 21, limit });
}

#[test]
fn unknown_type_and_part_of_a_byte() {
    let unknown = fault_of(&[entry("a", "f32", "[1]", 0, 4)], 4);
    assert_eq!(unknown, Fault::UnknownDtype { tensor: "a".into(), found: "f32".into() });
    let part = fault_of(&[entry("a", "F4", "[3]", 0, 2)], 2);
    assert!(matches!(part, Fault::PartialByte { dtype: Dtype::F4, .. }));
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.safetensors");
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap()).unwrap();
    checkpoint.push(NamedTensor::boolean("mask", vec![3], &[true, false, true]).unwrap()).unwrap();
    checkpoint.metadata.insert("k".into(), "v".into());
    write_safetensors(&path, &checkpoint).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for end in 0..whole.len() {
        let cut = &whole[..end];
        assert!(read_safetensors_bytes(cut, "cut").is_err(), "cut at {end}");
        std::fs::write(&path, cut).unwrap();
        assert!(read_safetensors(&path).is_err(), "cut at {end}");
        assert!(read_safetensors_header(&path).is_err(), "cut at {end}");
    }
}

#[test]
fn not_a_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(read_safetensors(dir.path()), Err(Error::NotAFile { .. })));
    assert!(matches!(read_safetensors("/dev/zero"), Err(Error::NotAFile { .. })));
    let missing = read_safetensors(dir.path().join("missing")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }) && missing.to_string().contains("missing"));
}

#[test]
fn checkpoints_that_do_not_fit_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let refused = |tensor: NamedTensor| {
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(tensor).unwrap();
        match write_safetensors(&path, &checkpoint) {
            Err(Error::Safetensors { cause, .. }) => cause,
            other => panic!("{other:?}"),
        }
    };
    let reserved = NamedTensor::f32("__metadata__", vec![0], &[]).unwrap();
    assert!(matches!(refused(reserved), Fault::ReservedName { .. }));
    let deep = NamedTensor::f32("deep", vec![1; 65], &[0.0]).unwrap();
    assert!(matches!(refused(deep), Fault::RankOverLimit { .. }));
    let long = NamedTensor::f32("n".repeat((8 << 20) + 1), vec![0], &[]).unwrap();
    assert!(matches!(refused(long), Fault::TextOverLimit { .. }));
    assert!(!path.exists());
}

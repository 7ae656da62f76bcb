//! Reading GGUF.

use espalier_checkpoint::{Checkpoint, Dtype, Error, Format, GgufFault as Fault};

use crate::files;

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn file(tensors: u64, values: u64, rest: &[Vec<u8>]) -> Vec<u8> {
    let head = [&b"GGUF"[..], &3u32.to_le_bytes(), &tensors.to_le_bytes(), &values.to_le_bytes()];
    [head.concat(), rest.concat()].concat()
}

/// A value with its key and type.
fn value(key: &str, kind: u32, bytes: &[u8]) -> Vec<u8> {
    [&text(key)[..], &kind.to_le_bytes(), bytes].concat()
}

fn info(name: &str, sizes: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    let rank = (sizes.len() / 8) as u32;
    [&text(name)[..], &rank.to_le_bytes(), &sizes, &kind.to_le_bytes(), &offset.to_le_bytes()]
        .concat()
}

/// Tensors and some kilobytes of data.
fn tensors(infos: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = file(infos.len() as u64, 0, infos);
    bytes.resize(bytes.len().next_multiple_of(32) + 4096, 0);
    bytes
}

fn fault(bytes: &[u8]) -> Fault {
    match files::refused(bytes) {
        Error::Gguf { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn files_of_gguf() {
    let opened = files::check("gguf/plain.gguf");
    assert_eq!(opened.origin.as_ref().unwrap().format, Format::Gguf);
    assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
}

#[test]
fn quantized_tensors_are_listed_and_refused() {
    let opened = Checkpoint::open(files::path("gguf/quantized.gguf")).unwrap();
    assert_eq!(opened.metadata["general.alignment"], "64");
    assert_eq!(opened.get("norm.weight").unwrap().to_f32_vec().unwrap()[3..].len(), 3);
    for kind in ["Q8_0", "Q4_0"] {
        let name = format!("{kind}.weight");
        let tensor = opened.get(&name).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[2, 64][..]));
        assert_eq!(opened.metadata[&format!("gguf.type:{name}")], kind);
        let text = tensor.bytes().unwrap_err().to_string();
        assert!(text.contains(&format!("{name:?} is quantized as {kind}")), "{text}");
        assert!(matches!(
            tensor.write_to(&mut Vec::new()).unwrap_err().downcast::<Error>().unwrap(),
            Error::Gguf { cause: Fault::Quantized { .. }, .. }
        ));
    }
}

#[test]
fn every_type_that_the_library_knows() {
    let types = String::from_utf8(files::bytes("gguf/types.txt")).unwrap();
    assert!(types.lines().count() > 30);
    for line in types.lines() {
        let [name, number, block, bytes] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let [number, block, bytes]: [u64; 3] =
            [number, block, bytes].map(|number| number.parse().unwrap());
        // One block that ends where the file does, and no byte less.
        let mut whole = file(1, 0, &[info("w", &[block], number as u32, 0)]);
        whole.resize(whole.len().next_multiple_of(32) + bytes as usize, 0);
        // Its sum takes two bytes less in ggml than in its Python package; it is not kept in files.
        let whole = if name == "Q8_1" { &whole[..whole.len() - 4] } else { &whole[..] };
        let open = |bytes: &[u8]| {
            Checkpoint::open_source(&espalier_checkpoint::Source::from_bytes(bytes.to_vec(), "x"))
        };
        let opened = open(whole).unwrap();
        assert_eq!(opened.get("w").unwrap().shape(), [block as usize], "{name}");
        let cut = open(&whole[..whole.len() - 1]).unwrap_err();
        assert!(matches!(cut, Error::Gguf { cause: Fault::PastEnd { .. }, .. }), "{name}");
        if block > 1 {
            assert_eq!(opened.metadata["gguf.type:w"], name);
            let part = file(1, 0, &[info("w", &[block - 1, 2], number as u32, 0)]);
            assert!(matches!(fault(&part), Fault::PartialBlock { .. }), "{name}");
        }
    }
}

#[test]
fn cut_and_changed_files() {
    let whole = files::bytes("gguf/plain.gguf");
    files::check_cuts(&whole);
    // What fills up the last tensor means nothing, and may be missing.
    let padded = tensors(&[info("w", &[3], 24, 4064)]);
    let read = files::read(&padded).unwrap();
    for end in 0..padded.len() {
        let same = files::read(&padded[..end]).ok().map(|cut| cut == read);
        assert_eq!(same, (end >= padded.len() - 29).then_some(true), "cut at {end}");
    }
    files::check_changes(&whole, 1, |_| true);
    files::check_changes(&files::bytes("gguf/quantized.gguf"), 1, |_| true);
}

#[test]
fn versions() {
    let version = |bytes: [u8; 4]| [&b"GGUF"[..], &bytes, &[0; 16]].concat();
    for known in [2u32, 3] {
        assert!(files::read(&version(known.to_le_bytes())).unwrap().is_empty());
        assert_eq!(fault(&version(known.to_be_bytes())), Fault::BigEndian);
    }
    for unknown in [0u32, 1, 4] {
        let found = fault(&version(unknown.to_le_bytes()));
        assert_eq!(found, Fault::UnknownVersion { version: unknown });
    }
}

#[test]
fn counts_and_lengths() {
    let limit = 4;
    for count in [5, 1 << 40, u64::MAX] {
        let found = fault(&file(count, 0, &[vec![0; 100]]));
        assert_eq!(found, Fault::TooMany { what: "tensors", count, limit });
        let found = fault(&file(0, count.max(8), &[vec![0; 100]]));
        let (count, limit) = (count.max(8), 7);
        assert_eq!(found, Fault::TooMany { what: "values", count, limit });
    }
    let long = [&u64::MAX.to_le_bytes()[..], &[0; 30]].concat();
    let needed = u64::MAX;
    assert_eq!(
        fault(&file(1, 0, std::slice::from_ref(&long))),
        Fault::Cut { position: 32, needed }
    );
    assert_eq!(fault(&file(0, 1, &[long])), Fault::Cut { position: 32, needed });
    let array = |kind: u32, count: u64, rest: &[u8]| {
        let bytes = [&kind.to_le_bytes()[..], &count.to_le_bytes(), rest].concat();
        file(0, 1, &[value("k", 9, &bytes)])
    };
    let what = "values in an array";
    let found = fault(&array(4, 1 << 62, &[0; 8]));
    assert_eq!(found, Fault::TooMany { what, count: 1 << 62, limit: 2 });
    // Texts of an array that is not kept are passed over, not believed.
    let found = fault(&array(8, 65, &[&[0; 64 * 8][..], &[0xff; 8]].concat()));
    assert!(matches!(found, Fault::Cut { needed: u64::MAX, .. }));
    assert_eq!(fault(&array(9, 1, &[0; 40])), Fault::NestedArrays { key: "k".into() });
    assert_eq!(
        fault(&array(13, 1, &[0; 40])),
        Fault::UnknownValueType { key: "k".into(), found: 13 }
    );
    let found = fault(&file(0, 1, &[value("k", 13, &[0; 8])]));
    assert_eq!(found, Fault::UnknownValueType { key: "k".into(), found: 13 });
    let twice = [value("k", 0, &[1]), value("k", 0, &[1])];
    assert_eq!(fault(&file(0, 2, &twice)), Fault::DuplicateKey { key: "k".into() });
    let mut latin = value("k", 0, &[1]);
    latin[8] = 0xff;
    assert_eq!(fault(&file(0, 1, &[latin])), Fault::NotUtf8 { position: 32 });
}

#[test]
fn alignments() {
    for (kind, bytes, found) in [
        (4, &0u32.to_le_bytes()[..], "0"),
        (4, &4u32.to_le_bytes(), "4"),
        (4, &24u32.to_le_bytes(), "24"),
        (4, &u32::MAX.to_le_bytes(), "4294967295"),
        (10, &32u64.to_le_bytes(), "32"),
        (8, &text("32"), "32"),
    ] {
        let found = Fault::Alignment { found: found.into() };
        assert_eq!(fault(&file(0, 1, &[value("general.alignment", kind, bytes)])), found);
    }
}

#[test]
fn tensors_must_fit() {
    let w = || "w".to_owned();
    let rank = fault(&tensors(&[info("w", &[1; 65], 0, 0)]));
    assert_eq!(rank, Fault::RankOverLimit { tensor: w(), found: 65, limit: 64 });
    for sizes in [vec![1 << 32, 1 << 32], vec![u64::MAX], vec![0, 1 << 40, 1 << 40]] {
        let found = fault(&tensors(&[info("w", &sizes, 0, 0)]));
        assert!(matches!(found, Fault::ShapeOverflow { .. }), "{found}");
    }
    let unknown = fault(&tensors(&[info("w", &[1], 4, 0)]));
    assert_eq!(unknown, Fault::UnknownType { tensor: w(), found: 4 });
    let found = fault(&tensors(&[info("w", &[1], 0, 31)]));
    assert_eq!(found, Fault::Misaligned { tensor: w(), offset: 31, alignment: 32 });
    let available = 4096;
    let found = fault(&tensors(&[info("w", &[1], 0, 4096)]));
    assert_eq!(found, Fault::PastEnd { tensor: w(), end: 4100, available });
    let found = fault(&tensors(&[info("w", &[1], 0, u64::MAX - 31)]));
    assert_eq!(found, Fault::PastEnd { tensor: w(), end: u64::MAX - 27, available });
    let found = fault(&tensors(&[info("w", &[1], 0, 0), info("w", &[1], 0, 32)]));
    assert_eq!(found, Fault::DuplicateTensor { tensor: w() });
    let found = fault(&tensors(&[info("v", &[9], 0, 0), info("w", &[1], 0, 32)]));
    assert_eq!(found, Fault::Overlap { tensor: w(), begin: 32, other: "v".into(), end: 36 });
    let empty = files::read(&file(1, 0, &[info("w", &[0, 3], 0, 64)])).unwrap();
    assert_eq!(empty.get("w").unwrap().shape(), [3, 0]);
}

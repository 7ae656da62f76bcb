//! Reading and writing npz files, and npy files as checkpoints.

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, Format, NamedTensor, NpyFault, NpzFault, Source, ZipFault,
    write_npy_tensor, write_npz, write_npz_compressed,
};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;

use crate::files;

const TYPES: [Dtype; 14] = [
    Dtype::Bool,
    Dtype::U8,
    Dtype::I8,
    Dtype::U16,
    Dtype::I16,
    Dtype::U32,
    Dtype::I32,
    Dtype::U64,
    Dtype::I64,
    Dtype::F16,
    Dtype::F32,
    Dtype::F64,
    Dtype::C64,
    Dtype::C128,
];

#[test]
fn files_of_numpy() {
    for name in ["stored", "deflated", "streamed", "none"] {
        let opened = files::check(&format!("npz/{name}.npz"));
        assert_eq!(opened.origin.as_ref().unwrap().format, Format::Npz);
        assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
    }
    for name in ["big_fortran", "c16.c", "scalar", "empty", "version2"] {
        let opened = files::check(&format!("npz/{name}.npy"));
        assert!(opened.iter().all(|tensor| !tensor.is_loaded()));
    }
}

#[test]
fn cut_and_changed_files() {
    for name in ["npz/streamed.npz", "npz/none.npz", "npz/c16.c.npy"] {
        files::check_cuts(&files::bytes(name));
    }
    // Every byte of an array counts for the checksum, every other one is in two places or says nothing.
    for (name, step) in [("npz/streamed.npz", 1), ("npz/deflated.npz", 13), ("npz/stored.npz", 97)]
    {
        let bytes = files::bytes(name);
        let whole = files::read(&bytes).unwrap();
        files::check_changes(&bytes, step, |read| *read == whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn checkpoints_come_back_to_the_bit(
        checkpoint in files::checkpoints(TYPES.to_vec(), 0, 0, ".{0,12}")
    ) {
        for write in [write_npz, write_npz_compressed] {
            let bytes = files::written(&checkpoint, write);
            prop_assert_eq!(&files::read(&bytes).unwrap(), &checkpoint);
            prop_assert_eq!(files::written(&files::read(&bytes).unwrap(), write), bytes);
        }
        for tensor in &checkpoint {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.npy");
            write_npy_tensor(&path, tensor).unwrap();
            let read = Checkpoint::open(&path).unwrap();
            prop_assert_eq!(read.get("x").unwrap(), &tensor.clone().with_name("x"));
        }
    }
}

#[test]
fn bits_are_kept() {
    let values = [f32::from_bits(0x7fa0_1234), f32::from_bits(0xffc0_0001), -0.0, f32::INFINITY];
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![4], &values).unwrap()).unwrap();
    assert_eq!(files::read(&files::written(&checkpoint, write_npz)).unwrap(), checkpoint);
}

#[test]
fn types_that_numpy_has_not() {
    let dir = tempfile::tempdir().unwrap();
    for dtype in Dtype::ALL.into_iter().filter(|dtype| !TYPES.contains(dtype)) {
        let tensor = NamedTensor::new("w", dtype, vec![0], vec![]).unwrap();
        let no = NpyFault::NoSuchDtype { tensor: "w".into(), dtype };
        let npy = write_npy_tensor(dir.path().join("w.npy"), &tensor).unwrap_err();
        assert!(matches!(npy, Error::Npy { cause, .. } if cause == no));
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(tensor).unwrap();
        let npz = write_npz(dir.path().join("w.npz"), &checkpoint).unwrap_err();
        let no = NpzFault::Member { member: "w.npy".into(), cause: no };
        assert!(matches!(npz, Error::Npz { cause, .. } if cause == no));
    }
    let long = "n".repeat(65_532);
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32(long, vec![0], &[]).unwrap()).unwrap();
    let error = write_npz(dir.path().join("w.npz"), &checkpoint).unwrap_err();
    assert!(matches!(
        error,
        Error::Npz { cause: NpzFault::NameTooLong { length: 65_532, .. }, .. }
    ));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// A member as the directory and its own header have it.
#[derive(Clone)]
struct Entry {
    name: &'static str,
    own_name: &'static str,
    flags: u16,
    method: u16,
    checksum: u32,
    size: u32,
    data: Vec<u8>,
    /// Where its header is, if not where it is put.
    header: Option<u32>,
}

fn npy(values: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},)}}", values.len());
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), values].concat()
}

fn stored(name: &'static str, data: Vec<u8>) -> Entry {
    let (checksum, size) = (crc32fast::hash(&data), data.len() as u32);
    Entry { name, own_name: name, flags: 0, method: 0, checksum, size, data, header: None }
}

fn deflated(name: &'static str, data: &[u8]) -> Entry {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, data).unwrap();
    let packed = encoder.finish().unwrap();
    Entry { method: 8, data: packed, ..stored(name, data.to_vec()) }
}

fn common(entry: &Entry, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for half in [20, entry.flags, entry.method, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    for word in [entry.checksum, entry.data.len() as u32, entry.size] {
        out.extend(word.to_le_bytes());
    }
    out.extend((name.len() as u16).to_le_bytes());
    out.extend([0, 0]);
    out
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let header = entry.header.unwrap_or(out.len() as u32);
        directory
            .extend([&b"PK\x01\x02\x14\x00"[..], &common(entry, entry.name), &[0; 10]].concat());
        directory.extend(header.to_le_bytes());
        directory.extend(entry.name.as_bytes());
        if entry.header.is_none() {
            out.extend([b"PK\x03\x04", &common(entry, entry.own_name)[..]].concat());
            out.extend(entry.own_name.as_bytes());
            out.extend(&entry.data);
        }
    }
    let (count, start) = ((entries.len() as u16).to_le_bytes(), (out.len() as u32).to_le_bytes());
    let length = (directory.len() as u32).to_le_bytes();
    out.extend(directory);
    [&out[..], b"PK\x05\x06", &[0; 4], &count, &count, &length, &start, &[0; 2]].concat()
}

fn fault(bytes: &[u8]) -> ZipFault {
    match files::refused(bytes) {
        Error::Zip { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn the_archives_made_here_are_read() {
    let bytes = archive(&[stored("a.npy", npy(&[1, 2])), deflated("b.npy", &npy(&[0; 5000]))]);
    let read = files::read(&bytes).unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(read.get("b").unwrap().bytes().unwrap()[..], [0; 5000]);
    files::check_cuts(&bytes);
    // A comment that looks like an end is none.
    let mut comment = archive(&[stored("a.npy", npy(&[1, 2]))]);
    let at = comment.len() - 2;
    comment.splice(at.., [&22u16.to_le_bytes()[..], b"PK\x05\x06", &[9; 18]].concat());
    assert_eq!(files::read(&comment).unwrap().len(), 1);
}

#[test]
fn bombs() {
    // More comes out than the directory says.
    let mut more = deflated("a.npy", &[npy(&[0; 50]), vec![0; 1 << 20]].concat());
    more.size = npy(&[0; 50]).len() as u32;
    let claimed = u64::from(more.size);
    let found = fault(&archive(&[more]));
    assert!(matches!(found, ZipFault::Length { claimed: c, .. } if c == claimed), "{found}");
    // The directory says more than can come out.
    let mut claim = deflated("a.npy", &npy(&[0; 50]));
    claim.size = u32::MAX - 1;
    let found = fault(&archive(&[claim]));
    assert!(matches!(found, ZipFault::Sizes { .. }), "{found}");
    // It could come out, and does not: 200 MB of a file of 300 kB, and no memory is taken for them.
    let mut data = npy(&[]);
    let at = data.windows(4).position(|four| four == b"(0,)").unwrap();
    data.splice(at..at + 4, *b"(200000000,)");
    let header = (u16::from_le_bytes([data[8], data[9]]) + 8).to_le_bytes();
    data[8..10].copy_from_slice(&header);
    let mut promise = deflated("a.npy", &data);
    promise.size = data.len() as u32 + 200_000_000;
    promise.data.resize(300_000, 0);
    let found = fault(&archive(&[promise]));
    assert!(matches!(found, ZipFault::Length { found: 0..1000, .. }), "{found}");
}

#[test]
fn honest_zeros_are_no_bomb() {
    let bytes = archive(&[deflated("a.npy", &npy(&vec![0; 100 << 20]))]);
    assert!(bytes.len() < 200_000);
    let opened = Checkpoint::open_source(&Source::from_bytes(bytes, "zeros")).unwrap();
    assert!(opened.get("a").unwrap().bytes().unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn duplicates_and_overlaps() {
    let (a, b) = (stored("a.npy", npy(&[1])), stored("b.npy", npy(&[2])));
    let twice = fault(&archive(&[a.clone(), b.clone(), a.clone()]));
    assert_eq!(twice, ZipFault::Duplicate { member: "a.npy".into() });
    // One header for two entries.
    let alias = Entry { name: "b.npy", header: Some(0), ..a.clone() };
    let found = fault(&archive(&[a.clone(), alias]));
    let what = "the name";
    assert_eq!(found, ZipFault::Contradiction { member: "b.npy".into(), what });
    // A whole member within the data of another.
    let inner = archive(std::slice::from_ref(&b));
    let end = inner.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let outer = stored("a.npy", npy(&inner[..end]));
    let start = 30 + 5 + outer.data.len() - end;
    let found = fault(&archive(&[outer, Entry { header: Some(start as u32), ..b }]));
    assert!(
        matches!(&found, ZipFault::Overlap { member, begin, .. } if member == "b.npy" && *begin == start as u64),
        "{found}"
    );
}

#[test]
fn checksums_and_sizes() {
    for entry in [stored("a.npy", npy(&[1, 2, 3])), deflated("a.npy", &npy(&[1, 2, 3]))] {
        let bytes = archive(&[Entry { checksum: entry.checksum ^ 1, ..entry.clone() }]);
        // What it holds is listed; that it is damaged shows when it is read.
        let opened = Checkpoint::open_source(&Source::from_bytes(bytes.clone(), "x")).unwrap();
        assert!(matches!(
            opened.get("a").unwrap().write_to(&mut Vec::new()),
            Err(e) if e.to_string().contains("checksum")
        ));
        assert!(matches!(fault(&bytes), ZipFault::Checksum { .. }));
    }
    let entry = stored("a.npy", npy(&[1, 2, 3]));
    let longer = Entry { size: entry.size + 1, ..entry };
    assert!(matches!(fault(&archive(&[longer])), ZipFault::Sizes { .. }));
    let entry = deflated("a.npy", &npy(&[1, 2, 3]));
    let mut damaged = entry.clone();
    damaged.data[3] ^= 0x55;
    let found = fault(&archive(&[damaged]));
    assert!(matches!(found, ZipFault::Damaged { .. } | ZipFault::Checksum { .. }), "{found}");
    let mut trailing = entry;
    trailing.data.extend([0; 7]);
    assert_eq!(
        fault(&archive(&[trailing])),
        ZipFault::AfterData { member: "a.npy".into(), extra: 7 }
    );
}

#[test]
fn what_members_may_not_be() {
    let entry = stored("a.npy", npy(&[1]));
    for flags in [1, 1 << 6, 1 << 13] {
        let found = fault(&archive(&[Entry { flags, ..entry.clone() }]));
        assert_eq!(found, ZipFault::Encrypted { member: "a.npy".into() });
    }
    let found = fault(&archive(&[Entry { method: 12, ..entry.clone() }]));
    assert_eq!(found, ZipFault::Method { member: "a.npy".into(), method: 12 });
    let found = fault(&archive(&[Entry { own_name: "b.npy", ..entry.clone() }]));
    let what = "the name";
    assert_eq!(found, ZipFault::Contradiction { member: "a.npy".into(), what });
    let error = files::refused(&archive(&[entry.clone(), stored("notes.txt", vec![1])]));
    let no = NpzFault::NotAnArray { member: "notes.txt".into() };
    assert!(matches!(error, Error::Npz { cause, .. } if cause == no));
    let error = files::refused(&archive(&[stored("notes.txt", vec![1])]));
    assert!(matches!(error, Error::UnknownFormat { .. }));
    let text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}";
    let length = (text.len() as u16).to_le_bytes();
    let objects = [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), b"cos\nsystem\n"].concat();
    let error = files::refused(&archive(&[stored("a.npy", objects)]));
    let no = NpzFault::Member { member: "a.npy".into(), cause: NpyFault::Objects };
    assert!(matches!(error, Error::Npz { cause, .. } if cause == no));
}

#[test]
fn directories() {
    let whole = archive(&[stored("a.npy", npy(&[1]))]);
    let end = whole.len() - 22;
    let start = whole.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let with = |at: usize, value: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    assert_eq!(fault(&whole[..end]), ZipFault::NoDirectory);
    // The count, twice.
    let none = fault(&with(end + 8, &[0, 0, 0, 0]));
    assert_eq!(none, ZipFault::MemberCount { claimed: 0, found: 1 });
    let many = fault(&with(end + 8, &[0xff, 0xff, 0xff, 0xff]));
    assert_eq!(many, ZipFault::MemberCount { claimed: 65_535, found: 1 });
    assert_eq!(fault(&with(end + 8, &[2, 0])), ZipFault::SeveralParts);
    assert!(matches!(fault(&with(end + 16, &[0, 0])), ZipFault::DirectoryPlace { .. }));
    assert!(matches!(fault(&with(start, b"QK")), ZipFault::Signature { .. }));
    // Where the header of the member is.
    let past = fault(&with(start + 42, &u32::MAX.to_le_bytes()[..3]));
    assert!(matches!(past, ZipFault::PastDirectory { .. }), "{past}");
    assert!(matches!(fault(&with(start + 42, &[1])), ZipFault::Signature { .. }));
    let wide = fault(&with(start + 42, &u32::MAX.to_le_bytes()));
    assert!(matches!(wide, ZipFault::Contradiction { .. }), "{wide}");
    // Its length, in both places.
    let mut long = with(start + 20, &0x00ff_ffffu32.to_le_bytes());
    long[start + 24..start + 28].copy_from_slice(&0x00ff_ffffu32.to_le_bytes());
    assert!(matches!(fault(&long), ZipFault::PastDirectory { .. }));
    let mut name = with(start + 46, &[0xff]);
    name[30] = 0xff;
    assert_eq!(fault(&name), ZipFault::NameNotUtf8 { position: start as u64 });
    // A flood of members that are not there.
    let flood = [&b"PK\x05\x06"[..], &[0; 4], &[0xfe, 0xff, 0xfe, 0xff], &[0; 10]].concat();
    assert_eq!(fault(&flood), ZipFault::MemberCount { claimed: 65_534, found: 0 });
}

#[test]
fn the_long_record() {
    let whole = archive(&[stored("a.npy", npy(&[1]))]);
    let end = whole.len() - 22;
    let start = whole.windows(4).position(|four| four == b"PK\x01\x02").unwrap() as u64;
    let long = |count: u64, length: u64, start: u64| {
        let mut out = whole[..end].to_vec();
        let at = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, length, start].iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(at.to_le_bytes());
        out.extend([1, 0, 0, 0]);
        let mut short = whole[end..].to_vec();
        short[8..20].fill(0xff);
        out.extend(short);
        out
    };
    let length = end as u64 - start;
    assert_eq!(files::read(&long(1, length, start)).unwrap().len(), 1);
    let found = fault(&long(u64::MAX, length, start));
    assert_eq!(found, ZipFault::MemberCount { claimed: u64::MAX, found: 1 });
    let found = fault(&long(1, u64::MAX, start));
    assert!(matches!(found, ZipFault::DirectoryPlace { .. }), "{found}");
    let mut differs = long(1, length, start);
    let at = differs.len() - 22 + 8;
    differs[at..at + 4].copy_from_slice(&[2, 0, 2, 0]);
    let what = "number of members";
    assert_eq!(fault(&differs), ZipFault::TwoDirectories { what, short: 2, long: 1 });
    files::check_cuts(&long(1, length, start));
}

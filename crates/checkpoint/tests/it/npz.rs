//! Reading and writing npz files, and npy files as checkpoints.

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, Format, NamedTensor, NpyFault, NpzFault, Source, ZipFault,
    write_npy_tensor, write_npz, write_npz_compressed,
};
use proptest::prelude::*;

use crate::files;
use crate::zips::{Member, large, zip};

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

fn npy(values: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},)}}", values.len());
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), values].concat()
}

fn fault(bytes: &[u8]) -> ZipFault {
    match files::refused(bytes) {
        Error::Zip { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn the_archives_made_here_are_read() {
    let members =
        [Member::new("a.npy", &npy(&[1, 2])), Member::deflated("b.npy", &npy(&[0; 5000]))];
    for bytes in [zip(&members), large(&members)] {
        let read = files::read(&bytes).unwrap();
        assert_eq!(read.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read.get("b").unwrap().bytes().unwrap()[..], [0; 5000]);
        files::check_cuts(&bytes);
    }
}

#[test]
fn bombs() {
    // More comes out than the directory says.
    let said = npy(&[0; 50]).len() as u32;
    let mut more = Member::deflated("a.npy", &[npy(&[0; 50]), vec![0; 1 << 20]].concat());
    (more.size, more.header_size) = (said, said);
    let found = fault(&zip(&[more]));
    assert!(
        matches!(found, ZipFault::Length { needed, .. } if needed == u64::from(said)),
        "{found}"
    );
    // It could come out, and does not: 200 MB of a file of 300 kB, and no memory is taken for them.
    let mut data = npy(&[]);
    let at = data.windows(4).position(|four| four == b"(0,)").unwrap();
    data.splice(at..at + 4, *b"(200000000,)");
    let header = (u16::from_le_bytes([data[8], data[9]]) + 8).to_le_bytes();
    data[8..10].copy_from_slice(&header);
    let mut promise = Member::deflated("a.npy", &data);
    promise.size = data.len() as u32 + 200_000_000;
    promise.header_size = promise.size;
    promise.bytes.resize(300_000, 0);
    let found = fault(&zip(&[promise]));
    assert!(matches!(found, ZipFault::Length { found: 0..1000, .. }), "{found}");
}

#[test]
fn honest_zeros_are_no_bomb() {
    let bytes = zip(&[Member::deflated("a.npy", &npy(&vec![0; 100 << 20]))]);
    assert!(bytes.len() < 200_000);
    let opened = Checkpoint::open_source(&Source::from_bytes(bytes, "zeros")).unwrap();
    let zeros = opened.get("a").unwrap();
    assert!(zeros.bytes().unwrap().iter().all(|byte| *byte == 0));
    let mut count = 0;
    let all_zero = |piece: &[u8]| {
        count += piece.len();
        assert!(piece.len() < 8 << 20 && piece.iter().all(|byte| *byte == 0));
        Ok(())
    };
    zeros.stream(all_zero).unwrap();
    assert_eq!(count, 100 << 20);
}

#[test]
fn sums() {
    for member in
        [Member::new("a.npy", &npy(&[1, 2, 3])), Member::deflated("a.npy", &npy(&[1, 2, 3]))]
    {
        // 0 is a sum like others, not one that was left out.
        for crc in [member.crc ^ 1, 0] {
            let bytes = zip(&[Member { crc, ..member.clone() }]);
            // What it holds is listed; that it is damaged shows when it is read.
            let opened = Checkpoint::open_source(&Source::from_bytes(bytes.clone(), "x")).unwrap();
            let streamed = opened.get("a").unwrap().write_to(&mut Vec::new());
            assert!(streamed.unwrap_err().to_string().contains("CRC-32"));
            assert!(matches!(fault(&bytes), ZipFault::Crc { expected, .. } if expected == crc));
        }
    }
}

#[test]
fn what_members_may_not_be() {
    let array = || Member::new("a.npy", &npy(&[1]));
    let twice = fault(&zip(&[array(), Member::new("b.npy", &npy(&[2])), array()]));
    assert_eq!(twice, ZipFault::Duplicate { name: "a.npy".into() });
    let error = files::refused(&zip(&[array(), Member::new("notes.txt", &[1])]));
    let no = NpzFault::NotAnArray { member: "notes.txt".into() };
    assert!(matches!(error, Error::Npz { cause, .. } if cause == no));
    let error = files::refused(&zip(&[Member::new("notes.txt", &[1])]));
    assert!(matches!(error, Error::UnknownFormat { .. }));
    let text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}";
    let length = (text.len() as u16).to_le_bytes();
    let objects = [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), b"cos\nsystem\n"].concat();
    let error = files::refused(&zip(&[Member::new("a.npy", &objects)]));
    let no = NpzFault::Member { member: "a.npy".into(), cause: NpyFault::Objects };
    assert!(matches!(error, Error::Npz { cause, .. } if cause == no));
}

#[test]
fn more_arrays_than_any_checkpoint_has() {
    let members: Vec<Member> =
        (0..=1 << 17).map(|i| Member::new(&format!("{i:x}.npy"), b"")).collect();
    let no = NpzFault::TooManyTensors { count: (1 << 17) + 1, limit: 1 << 17 };
    let error = files::refused(&large(&members));
    assert!(matches!(error, Error::Npz { cause, .. } if cause == no));
}

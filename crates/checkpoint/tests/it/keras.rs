//! `.keras` files: zips that must be refused, and those that must not.

use std::fs;

use espalier_checkpoint::{
    Checkpoint, Error, Format, KerasFault as Fault, NamedTensor, Source, ZipFault,
    write_keras_weights,
};

use crate::hdf5::data;
use crate::zips::{Member, large, zip};

fn weights() -> Vec<u8> {
    fs::read(data("tiny.weights.h5")).unwrap()
}

/// The members that Keras writes.
fn members() -> Vec<Member> {
    vec![
        Member::new("metadata.json", b"{}"),
        Member::new("config.json", b"{\"a\": 1}"),
        Member::new("model.weights.h5", &weights()),
    ]
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint, Error> {
    Checkpoint::open_source(&Source::from_bytes(bytes, "x.keras"))
}

fn cause(error: Error) -> Fault {
    match error {
        Error::Keras { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

fn fault(members: &[Member]) -> Fault {
    cause(open(zip(members)).unwrap_err())
}

fn zip_cause(error: Error) -> ZipFault {
    match error {
        Error::Zip { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

fn zip_fault(members: &[Member]) -> ZipFault {
    zip_cause(open(zip(members)).unwrap_err())
}

#[test]
fn zips_of_all_kinds_are_read() {
    let weights = Checkpoint::open(data("tiny.weights.h5")).unwrap();
    let mut packed = members();
    packed[1] = Member::deflated("config.json", b"{\"a\": 1}");
    packed[2] = Member::deflated("model.weights.h5", &self::weights());
    packed.push(Member::new("assets/words.txt", b"one\ntwo"));
    for members in [members(), packed] {
        for bytes in [zip(&members), large(&members)] {
            let checkpoint = open(bytes).unwrap();
            assert_eq!(checkpoint.origin.as_ref().unwrap().format, Format::Keras);
            assert_eq!(checkpoint.metadata["config.json"], "{\"a\": 1}");
            assert_eq!(checkpoint.len(), weights.len());
            for tensor in &weights {
                assert_eq!(checkpoint.get(tensor.name()), Some(tensor));
            }
        }
    }
}

#[test]
fn large_weights_are_decompressed_out_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.weights.h5");
    let values: Vec<f32> = (0..9_000_000).map(|i| (i % 5000) as f32).collect();
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![9_000_000], &values).unwrap()).unwrap();
    write_keras_weights(&path, &checkpoint).unwrap();
    let mut members = members();
    members[2] = Member::deflated("model.weights.h5", &fs::read(&path).unwrap());
    let opened = open(zip(&members)).unwrap();
    assert_eq!(opened.get("w"), checkpoint.get("w"));
}

#[test]
fn bombs() {
    // 80 MiB of zeros, a thousandth of it in the file.
    let mut bomb = members();
    bomb[2] = Member::deflated("model.weights.h5", &vec![0; 80 << 20]);
    let limit = 128 * bomb[2].bytes.len() as u64 + (32 << 20);
    let member = "model.weights.h5";
    assert_eq!(fault(&bomb), Fault::TooLarge { member, claimed: 80 << 20, limit });
    // The same, saying that it is short.
    (bomb[2].size, bomb[2].header_size) = (1000, 1000);
    let found = zip_fault(&bomb);
    assert!(matches!(found, ZipFault::Length { needed: 1000, found: 1001.., .. }), "{found}");
    let mut long = members();
    long[1] = Member::deflated("config.json", &vec![b' '; 17 << 20]);
    let member = "config.json";
    assert_eq!(fault(&long), Fault::TooLarge { member, claimed: 17 << 20, limit: 16 << 20 });
}

#[test]
fn lengths_and_checksums_must_be_right() {
    let name = || "model.weights.h5".to_owned();
    // Compressed weights are read at once.
    let mut packed = members();
    packed[2] = Member::deflated("model.weights.h5", &weights());
    packed[2].crc ^= 1;
    assert!(matches!(zip_fault(&packed), ZipFault::Crc { .. }));
    packed[2].crc ^= 1;
    let (needed, found) = (packed[2].size as u64 + 1, packed[2].size as u64);
    (packed[2].size, packed[2].header_size) = (needed as u32, needed as u32);
    assert_eq!(zip_fault(&packed), ZipFault::Length { name: name(), needed, found });
    let half = packed[2].bytes.len() / 2;
    packed[2].bytes.truncate(half);
    assert_eq!(zip_fault(&packed), ZipFault::Damaged { name: name() });
    // Others when the first bytes are asked for, and then each time.
    let mut plain = members();
    plain[2].crc ^= 1;
    let opened = open(zip(&plain)).unwrap();
    for tensor in opened.iter().chain(&opened) {
        assert!(matches!(zip_cause(tensor.bytes().unwrap_err()), ZipFault::Crc { .. }));
        let streamed = tensor.stream(|_| Ok(()));
        assert!(matches!(zip_cause(streamed.unwrap_err()), ZipFault::Crc { .. }));
    }
    let mut text = members();
    text[1].crc ^= 1;
    assert!(matches!(zip_fault(&text), ZipFault::Crc { name, .. } if name == "config.json"));
}

#[test]
fn members_that_are_missing_or_no_text() {
    for (place, member) in
        ["metadata.json", "config.json", "model.weights.h5"].into_iter().enumerate()
    {
        let mut less = members();
        less.remove(place);
        assert_eq!(fault(&less), Fault::MissingMember { member });
    }
    let mut bytes = members();
    bytes[1] = Member::new("config.json", b"\xff");
    assert_eq!(fault(&bytes), Fault::NotUtf8 { member: "config.json" });
    let twice = [members(), members()].concat();
    assert!(matches!(zip_fault(&twice), ZipFault::Duplicate { .. }));
}

#[test]
fn a_zip_that_is_cut() {
    let whole = zip(&members());
    for end in [100, 30_000.min(whole.len() - 23), whole.len() - 1] {
        assert_eq!(zip_cause(open(whole[..end].to_vec()).unwrap_err()), ZipFault::NoEnd, "{end}");
    }
    // Something cut out of the middle: the directory is not where it should be.
    let gap = [&whole[..1000], &whole[1100..]].concat();
    assert!(matches!(zip_cause(open(gap).unwrap_err()), ZipFault::End { .. }));
}

#[test]
fn faults_of_the_weights_name_the_zip() {
    let mut wrong = members();
    wrong[2] = Member::new("model.weights.h5", b"not HDF5 at all");
    let error = open(zip(&wrong)).unwrap_err();
    assert!(
        matches!(&error, Error::Hdf5 { path, .. } if path.to_str() == Some("x.keras")),
        "{error}"
    );
}

//! `.keras` files: zips that must be refused, and those that must not.

use std::fs;
use std::io::Write;

use espalier_checkpoint::{
    Checkpoint, Error, Format, KerasFault as Fault, NamedTensor, Source, write_keras_weights,
};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use crate::hdf5::data;

/// A member of a zip, with whatever it claims.
#[derive(Clone)]
struct Member {
    name: String,
    /// The name in its own header.
    header_name: String,
    flags: u16,
    method: u16,
    crc: u32,
    packed: Vec<u8>,
    length: u64,
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn stored(name: &str, bytes: &[u8]) -> Member {
    let (name, header_name) = (name.to_owned(), name.to_owned());
    let (crc, packed, length) = (crc(bytes), bytes.to_vec(), bytes.len() as u64);
    Member { name, header_name, flags: 0, method: 0, crc, packed, length }
}

fn deflated(name: &str, bytes: &[u8]) -> Member {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    Member { method: 8, packed: encoder.finish().unwrap(), ..stored(name, bytes) }
}

/// A zip of these; with `large`, lengths and places have 64 bits.
fn zip(members: &[Member], large: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let start = out.len() as u64;
        let head = |out: &mut Vec<u8>, packed: u32, length: u32| {
            for number in [member.flags, member.method, 0, 0] {
                out.extend(number.to_le_bytes());
            }
            for number in [member.crc, packed, length] {
                out.extend(number.to_le_bytes());
            }
        };
        out.extend(b"PK\x03\x04\x14\0");
        head(&mut out, member.packed.len() as u32, member.length as u32);
        out.extend((member.header_name.len() as u16).to_le_bytes());
        out.extend([0, 0]);
        out.extend(member.header_name.as_bytes());
        out.extend(&member.packed);

        let (packed, length) = (member.packed.len() as u64, member.length);
        let mut extra = Vec::new();
        let mut short = |number: u64| {
            if large {
                extra.extend(number.to_le_bytes());
                u32::MAX
            } else {
                number as u32
            }
        };
        // In the order of the format: length, packed, place.
        let (length, packed, start) = (short(length), short(packed), short(start));
        if large {
            extra = [&[1, 0, extra.len() as u8, 0][..], &extra].concat();
        }
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        head(&mut directory, packed, length);
        directory.extend((member.name.len() as u16).to_le_bytes());
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(member.name.as_bytes());
        directory.extend(extra);
    }
    let (start, count, size) = (out.len() as u64, members.len() as u64, directory.len() as u64);
    out.extend(directory);
    if large {
        let there = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([0; 12]);
        for number in [count, count, size, start] {
            out.extend(number.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(there.to_le_bytes());
        out.extend([1, 0, 0, 0]);
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    let (count, size, start) = if large {
        (u16::MAX, u32::MAX, u32::MAX)
    } else {
        (count as u16, size as u32, start as u32)
    };
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn weights() -> Vec<u8> {
    fs::read(data("tiny.weights.h5")).unwrap()
}

/// The members that Keras writes.
fn members() -> Vec<Member> {
    vec![
        stored("metadata.json", b"{}"),
        stored("config.json", b"{\"a\": 1}"),
        stored("model.weights.h5", &weights()),
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
    cause(open(zip(members, false)).unwrap_err())
}

#[test]
fn zips_of_all_kinds_are_read() {
    let weights = Checkpoint::open(data("tiny.weights.h5")).unwrap();
    let mut packed = members();
    packed[1] = deflated("config.json", b"{\"a\": 1}");
    packed[2] = deflated("model.weights.h5", &self::weights());
    packed.push(stored("assets/words.txt", b"one\ntwo"));
    for members in [members(), packed] {
        for large in [false, true] {
            let checkpoint = open(zip(&members, large)).unwrap();
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
    members[2] = deflated("model.weights.h5", &fs::read(&path).unwrap());
    let opened = open(zip(&members, false)).unwrap();
    assert_eq!(opened.get("w"), checkpoint.get("w"));
}

#[test]
fn bombs() {
    // 80 MiB of zeros, a thousandth of it in the file.
    let mut bomb = members();
    bomb[2] = deflated("model.weights.h5", &vec![0; 80 << 20]);
    let limit = 128 * bomb[2].packed.len() as u64 + (32 << 20);
    let member = "model.weights.h5".to_owned();
    assert_eq!(fault(&bomb), Fault::TooLarge { member, claimed: 80 << 20, limit });
    // The same, saying that it is short.
    bomb[2].length = 1000;
    let member = "model.weights.h5".to_owned();
    assert_eq!(fault(&bomb), Fault::Length { member, expected: 1000 });
    let mut long = members();
    long[1] = deflated("config.json", &vec![b' '; 17 << 20]);
    let member = "config.json".to_owned();
    assert_eq!(fault(&long), Fault::TooLarge { member, claimed: 17 << 20, limit: 16 << 20 });
}

#[test]
fn lengths_and_checksums_must_be_right() {
    let member = || "model.weights.h5".to_owned();
    // Compressed weights are read at once.
    let mut packed = members();
    packed[2] = deflated("model.weights.h5", &weights());
    packed[2].crc ^= 1;
    assert_eq!(fault(&packed), Fault::Checksum { member: member() });
    packed[2].crc ^= 1;
    packed[2].length += 1;
    let expected = packed[2].length;
    assert_eq!(fault(&packed), Fault::Length { member: member(), expected });
    packed[2].length -= 1;
    let half = packed[2].packed.len() / 2;
    packed[2].packed.truncate(half);
    let expected = packed[2].length;
    assert_eq!(fault(&packed), Fault::Length { member: member(), expected });
    // Others when the first bytes are asked for, and then each time.
    let mut plain = members();
    plain[2].crc ^= 1;
    let opened = open(zip(&plain, false)).unwrap();
    for tensor in opened.iter().chain(&opened) {
        assert_eq!(cause(tensor.bytes().unwrap_err()), Fault::Checksum { member: member() });
        let streamed = tensor.stream(|_| Ok(()));
        assert_eq!(cause(streamed.unwrap_err()), Fault::Checksum { member: member() });
    }
    let mut plain = members();
    plain[2].length += 1;
    let expected = plain[2].length;
    assert_eq!(fault(&plain), Fault::Length { member: member(), expected });
    let mut text = members();
    text[1].crc ^= 1;
    assert_eq!(fault(&text), Fault::Checksum { member: "config.json".into() });
}

#[test]
fn directories_that_lie() {
    let mut twice = members();
    twice.push(twice[2].clone());
    let member = "model.weights.h5".to_owned();
    assert_eq!(fault(&twice), Fault::DuplicateMember { member });
    for (place, member) in
        ["metadata.json", "config.json", "model.weights.h5"].into_iter().enumerate()
    {
        let mut less = members();
        less.remove(place);
        assert_eq!(fault(&less), Fault::MissingMember { member });
    }
    let mut locked = members();
    locked[1].flags = 1;
    assert_eq!(fault(&locked), Fault::Encrypted { member: "config.json".into() });
    let mut other = members();
    other[1].method = 12;
    assert_eq!(fault(&other), Fault::UnknownMethod { member: "config.json".into(), method: 12 });
    let mut named = members();
    named[1].header_name = "config.jsom".into();
    assert_eq!(fault(&named), Fault::HeaderMismatch { member: "config.json".into() });
    let mut bytes = members();
    bytes[1] = stored("config.json", b"\xff");
    assert_eq!(fault(&bytes), Fault::NotUtf8 { member: "config.json".into() });
    let flood: Vec<Member> = (0..16_385).map(|i| stored(&format!("assets/{i}"), b"")).collect();
    assert_eq!(fault(&flood), Fault::TooManyMembers { found: 16_385, limit: 16_384 });

    // A second entry for the bytes of the first, whose header agrees: the place is at byte 42 of an entry.
    let mut shared = members();
    shared[1].header_name = "metadata.json".into();
    let bytes = zip(&shared, false);
    let whole = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let second = whole + 46 + "metadata.json".len();
    let mut overlap = bytes;
    // The first member grows over the second one's header.
    overlap[whole + 20..whole + 24].copy_from_slice(&60u32.to_le_bytes());
    overlap[whole + 24..whole + 28].copy_from_slice(&60u32.to_le_bytes());
    let name = second + 46;
    assert_eq!(&overlap[name..name + 11], b"config.json");
    let start = 30 + "metadata.json".len() + 2 + 30;
    overlap[start..start + 13].copy_from_slice(b"config.json{\"");
    overlap[start - 4..start - 2].copy_from_slice(&11u16.to_le_bytes());
    let (member, other) = ("metadata.json".into(), "config.json".into());
    assert_eq!(cause(open(overlap).unwrap_err()), Fault::Overlap { member, other });
}

#[test]
fn a_zip_that_is_cut() {
    let whole = zip(&members(), false);
    for end in [100, 30_000.min(whole.len() - 23), whole.len() - 1] {
        assert_eq!(cause(open(whole[..end].to_vec()).unwrap_err()), Fault::NoDirectory, "{end}");
    }
    // Something cut out of the middle: the directory is not where it should be.
    let gap = [&whole[..1000], &whole[1100..]].concat();
    let fault = cause(open(gap).unwrap_err());
    assert!(matches!(fault, Fault::Damaged { structure: "end of the directory", .. }), "{fault}");
}

#[test]
fn faults_of_the_weights_name_the_zip() {
    let mut wrong = members();
    wrong[2] = stored("model.weights.h5", b"not HDF5 at all");
    let error = open(zip(&wrong, false)).unwrap_err();
    assert!(
        matches!(&error, Error::Hdf5 { path, .. } if path.to_str() == Some("x.keras")),
        "{error}"
    );
}

//! HDF5 files that must be refused, made byte by byte.

use std::fs;

use espalier_checkpoint::{Checkpoint, Dtype, Error, Hdf5Fault as Fault, Source};

use crate::hdf5::data;
use crate::hdf5s::{
    LAYOUT, LINK, Messages, TYPE, bytes_of, chunked, contiguous, dataset, deflate, file, leaf,
    link, space,
};

const FILL: u16 = 5;
const ATTRIBUTE: u16 = 12;
const CONTINUATION: u16 = 16;

fn open(bytes: Vec<u8>) -> Result<Checkpoint, Error> {
    Checkpoint::open_source(&Source::from_bytes(bytes, "x.h5"))
}

fn cause(result: Result<Checkpoint, Error>) -> Fault {
    match result {
        Err(Error::Hdf5 { path, cause }) => {
            assert_eq!(path.to_str(), Some("x.h5"));
            cause
        }
        other => panic!("{other:?}"),
    }
}

/// The fault on opening, which is one of that object.
fn fault_of(object: &str, bytes: Vec<u8>) -> Fault {
    unwrapped(object, cause(open(bytes)))
}

/// The fault on reading what opens well.
fn read_fault(object: &str, bytes: Vec<u8>) -> Fault {
    unwrapped(object, cause(open(bytes).expect("opens").load()))
}

fn unwrapped(object: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Within { object: found, cause } if found == object => *cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_made_here_is_read() {
    let bytes = dataset(|at| vec![space(&[3]), bytes_of(1), contiguous(at, 3)], b"abc");
    let checkpoint = open(bytes).unwrap();
    let x = checkpoint.get("x").unwrap();
    assert_eq!((x.dtype(), &x.bytes().unwrap()[..]), (Dtype::U8, &b"abc"[..]));
}

#[test]
fn a_type_without_size() {
    let of_size = |size| dataset(|at| vec![space(&[3]), bytes_of(size), contiguous(at, 0)], b"abc");
    assert_eq!(fault_of("x", of_size(0)), Fault::ElementSize { found: 0 });
    let found = "integers of 8 bits in 4294967295 bytes".to_owned();
    assert_eq!(fault_of("x", of_size(u32::MAX)), Fault::UnsupportedType { found });
    // As an element of an array, and a text.
    let array = |rank: u8, size: u32| {
        let base = [0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
        let body = [&[0x3a, 0, 0, 0][..], &size.to_le_bytes(), &[rank, 2, 0, 0, 0], &base].concat();
        dataset(|at| vec![space(&[3]), (TYPE, body.clone()), contiguous(at, 3)], b"abc")
    };
    assert_eq!(fault_of("x", array(1, 0)), Fault::ElementSize { found: 0 });
    assert_eq!(fault_of("x", array(1, 3)), Fault::ElementSize { found: 3 });
    let text = (TYPE, vec![0x13, 0, 0, 0, 0, 0, 0, 0]);
    let bytes = dataset(|at| vec![space(&[3]), text.clone(), contiguous(at, 3)], b"abc");
    assert_eq!(fault_of("x", bytes), Fault::ElementSize { found: 0 });
}

#[test]
fn types_within_types_have_an_end() {
    // An array of one array of one array, and so on.
    let mut body = vec![0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
    for _ in 0..20 {
        body = [&[0x3a, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0][..], &body].concat();
    }
    let bytes = dataset(|at| vec![space(&[3]), (TYPE, body.clone()), contiguous(at, 3)], b"abc");
    let fault = fault_of("x", bytes);
    assert!(matches!(fault, Fault::Damaged { structure: "datatype", .. }), "{fault}");
}

#[test]
fn extents_that_are_too_large() {
    let of = |sizes: &[u64], length| {
        dataset(|at| vec![space(sizes), bytes_of(1), contiguous(at, length)], b"abc")
    };
    assert_eq!(fault_of("x", of(&[4], 3)), Fault::DataLength { needed: 4, found: 3 });
    let overflow = Fault::ShapeOverflow { dtype: Dtype::U8, shape: vec![1 << 33, 1 << 33] };
    assert_eq!(fault_of("x", of(&[1 << 33, 1 << 33], 3)), overflow);
    let long = of(&[1 << 40], 1 << 40);
    let end = long.len() as u64;
    let outside =
        Fault::OutOfFile { structure: "elements", address: end - 3, length: 1 << 40, end };
    assert_eq!(fault_of("x", long), outside);
    assert_eq!(fault_of("x", of(&[1; 65], 1)), Fault::RankOverLimit { limit: 64 });
}

#[test]
fn datasets_without_elements_have_a_limit_together() {
    // Never written, each of 40 MiB.
    let one = || vec![space(&[40 << 20]), bytes_of(1), contiguous(u64::MAX, 0)];
    let two = file(|at| vec![vec![link(b"x", at[1]), link(b"y", at[2])], one(), one()], b"");
    let limit = 1032 * two.len() as u64 + (64 << 20);
    assert_eq!(fault_of("y", two), Fault::Extent { claimed: 80 << 20, limit });
    // Two links to one are one.
    let tied = file(|at| vec![vec![link(b"x", at[1]), link(b"y", at[1])], one()], b"");
    assert_eq!(open(tied).unwrap().ties(), [("y", "x")]);
}

#[test]
fn a_chunk_bomb() {
    // Some bytes claim a chunk of 16 MiB, more than they can give.
    let size = 16 << 20;
    let of = |stored: u32| {
        let tree = |at: u64| leaf(&[(0, at, stored)]);
        let length = tree(0).len() as u64;
        let make = |node: &[u8]| {
            let behind = [node, &vec![0x78; 20_000][..]].concat();
            let sizes = [u64::from(size)];
            dataset(|at| vec![space(&sizes), bytes_of(1), chunked(at, &[size]), deflate()], &behind)
        };
        let start = make(&tree(0)).len() as u64 - 20_000;
        assert_eq!(tree(start).len() as u64, length);
        make(&tree(start))
    };
    let bomb = Fault::ChunkLength { at: vec![0], stored: 20, needed: u64::from(size) };
    assert_eq!(read_fault("x", of(20)), bomb);
    // Enough of them, but not a stream.
    let content = Fault::ChunkContent { at: vec![0], filter: "deflate" };
    assert_eq!(read_fault("x", of(20_000)), content);
    let fault = read_fault("x", of(20_001));
    assert!(
        matches!(fault, Fault::OutOfFile { structure: "chunk", length: 20_001, .. }),
        "{fault}"
    );
}

#[test]
fn compressed_twice() {
    let (kind, mut body) = deflate();
    body = [&body[..], &body[2..]].concat();
    body[1] = 2;
    let node = leaf(&[]);
    let bytes = dataset(
        |at| vec![space(&[4]), bytes_of(1), chunked(at, &[2]), (kind, body.clone())],
        &node,
    );
    let feature = "two compressions of one dataset";
    assert_eq!(fault_of("x", bytes), Fault::Unsupported { feature });
}

#[test]
fn chunks_that_lie() {
    let of = |sizes: &[u64], chunk: &[u32], node: Vec<u8>| {
        dataset(|at| vec![space(sizes), bytes_of(1), chunked(at, chunk)], &node)
    };
    // Without filters a chunk has its bytes exactly.
    let short = of(&[4], &[2], leaf(&[(0, 0, 1)]));
    assert_eq!(read_fault("x", short), Fault::ChunkLength { at: vec![0], stored: 1, needed: 2 });
    let twice = of(&[4], &[2], leaf(&[(2, 0, 2), (2, 8, 2)]));
    assert_eq!(read_fault("x", twice), Fault::ChunkPlace { at: vec![2] });
    let outside = of(&[4], &[2], leaf(&[(4, 0, 2)]));
    assert_eq!(read_fault("x", outside), Fault::ChunkPlace { at: vec![4] });
    let between = of(&[4], &[2], leaf(&[(1, 0, 2)]));
    assert_eq!(read_fault("x", between), Fault::ChunkPlace { at: vec![1] });
    let shape = |chunk: &[u64]| Fault::ChunkShape { chunk: chunk.to_vec(), shape: vec![4] };
    assert_eq!(fault_of("x", of(&[4], &[0], leaf(&[]))), shape(&[0]));
    assert_eq!(fault_of("x", of(&[4], &[2, 2], leaf(&[]))), shape(&[2, 2]));
    // A chunk that is not there is zeros.
    let part = open(of(&[4], &[2], leaf(&[(2, 1, 2)]))).unwrap();
    assert_eq!(part.get("x").unwrap().bytes().unwrap()[..], [0, 0, b'H', b'D']);
}

#[test]
fn a_tree_that_leads_back_to_itself() {
    let tree = |at: u64| {
        let mut node = leaf(&[(0, at, 2)]);
        // A level above leaves, whose only child is it.
        node[5] = 1;
        node
    };
    let make = |node: &[u8]| dataset(|at| vec![space(&[4]), bytes_of(1), chunked(at, &[2])], node);
    let at = (make(&tree(0)).len() - tree(0).len()) as u64;
    let expected = "levels that count down";
    let fault = Fault::Damaged { structure: "B-tree", address: at, expected };
    assert_eq!(read_fault("x", make(&tree(at))), fault);
}

#[test]
fn a_header_that_leads_back_to_itself() {
    let root = |at: &[u64]| {
        let there = [(at[0] + 16).to_le_bytes(), 24u64.to_le_bytes()].concat();
        vec![vec![(CONTINUATION, there)]]
    };
    let expected = "parts that do not lead back to it";
    let fault = Fault::Damaged { structure: "object header", address: 112, expected };
    assert_eq!(fault_of("/", file(root, b"")), fault);
}

#[test]
fn groups_in_each_other_many_times() {
    // Each of 60 groups is twice in the one before: 2^60 paths.
    let doubled = file(
        |at| {
            let pair = |place: usize| vec![link(b"a", at[place + 1]), link(b"b", at[place + 1])];
            let mut objects: Vec<Messages> = (0..60).map(pair).collect();
            objects.push(vec![space(&[]), bytes_of(1), contiguous(u64::MAX, 0)]);
            objects
        },
        b"",
    );
    let Fault::Within { cause, .. } = cause(open(doubled)) else { panic!("no name") };
    assert!(matches!(
        *cause,
        Fault::TooManyObjects { limit: 131_072 } | Fault::TooMuchStructure { .. }
    ));
}

#[test]
fn links_with_names_that_are_none() {
    for name in [&b""[..], b".", b"a/b", b"\xff", b"a\0b"] {
        let root = |at: &[u64]| vec![vec![link(name, at[1])], vec![space(&[]), bytes_of(1)]];
        let name = String::from_utf8_lossy(name).into_owned();
        assert_eq!(fault_of("/", file(root, b"")), Fault::BadName { name });
    }
    let twice = |at: &[u64]| vec![vec![link(b"x", at[1]), link(b"x", at[1])], vec![]];
    assert_eq!(fault_of("/", file(twice, b"")), Fault::DuplicateName { name: "x".into() });
    let unknown = |_: &[u64]| vec![vec![(LINK, vec![1, 8, 70, 1, b'x', 0, 0])]];
    assert_eq!(fault_of("x", file(unknown, b"")), Fault::UnknownLink { kind: 70 });
    let far = |_: &[u64]| vec![vec![link(b"x", 1 << 50)]];
    let fault = fault_of("x", file(far, b""));
    assert!(matches!(fault, Fault::OutOfFile { structure: "object header", .. }), "{fault}");
}

#[test]
fn datasets_that_lack_something() {
    let of = |messages: Messages| dataset(|_| messages.clone(), b"abc");
    let missing = |bytes: Vec<u8>| match fault_of("x", bytes) {
        Fault::Damaged { expected, .. } => expected,
        other => panic!("{other}"),
    };
    let nowhere = || contiguous(u64::MAX, 0);
    assert_eq!(missing(of(vec![space(&[]), nowhere()])), "a type");
    assert_eq!(missing(of(vec![bytes_of(1), nowhere()])), "a dataspace");
    assert_eq!(missing(of(vec![space(&[])])), "links, or a type and a layout");
    let fill = (FILL, vec![3, 0x20, 2, 0, 0, 0, 1, 1]);
    let bytes = of(vec![space(&[]), bytes_of(1), nowhere(), fill]);
    assert_eq!(missing(bytes), "a fill value of the size of an element");
    let bytes = of(vec![space(&[]), bytes_of(1), (LAYOUT, vec![4, 3])]);
    assert_eq!(fault_of("x", bytes), Fault::Virtual);
    let bytes = of(vec![space(&[]), bytes_of(1), (LAYOUT, vec![9, 1])]);
    let fault = fault_of("x", bytes);
    assert!(
        matches!(fault, Fault::UnknownVersion { structure: "layout", found: 9, .. }),
        "{fault}"
    );
}

#[test]
fn a_flood_of_one_long_text() {
    // A list of 2000 texts that all are the same 100 000 bytes of a heap.
    let long = 100_000u64;
    let mut heap = b"GCOL\x01\0\0\0".to_vec();
    heap.extend((16 + 16 + long).to_le_bytes());
    heap.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    heap.extend(long.to_le_bytes());
    heap.resize(heap.len() + long as usize, b'x');
    let root = |at: &[u64]| {
        let mut body = vec![1, 0, 2, 0, 20, 0, 16, 0];
        body.extend(b"t\0\0\0\0\0\0\0");
        body.extend([
            0x19, 1, 1, 0, 16, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0,
        ]);
        body.extend([1, 1, 0, 0, 0, 0, 0, 0]);
        body.extend(2000u64.to_le_bytes());
        for _ in 0..2000 {
            body.extend((long as u32).to_le_bytes());
            body.extend(at.get(1).copied().unwrap_or(0).to_le_bytes());
            body.extend([1, 0, 0, 0]);
        }
        vec![vec![(ATTRIBUTE, body)]]
    };
    let fault = fault_of("/", file(root, &heap));
    assert!(matches!(fault, Fault::TooMuchStructure { .. }), "{fault}");
}

#[test]
fn a_wrong_checksum() {
    let whole = fs::read(data("types_latest.h5")).unwrap();
    let header = whole.windows(4).position(|four| four == b"OHDR").unwrap();
    let mut damaged = whole;
    damaged[header + 20] ^= 1;
    let fault = fault_of("/", damaged);
    let expected = Fault::Checksum { structure: "object header", address: header as u64 };
    assert_eq!(fault, expected);
}

#[test]
fn a_file_that_is_cut() {
    let whole = fs::read(data("tiny.weights.h5")).unwrap();
    let found = whole.len() as u64 - 1;
    let cut = whole[..whole.len() - 1].to_vec();
    assert_eq!(cause(open(cut)), Fault::Cut { needed: found + 1, found });
}

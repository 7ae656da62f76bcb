//! Zip archives that two readers could understand in two ways, or that blow up.

use espalier_checkpoint::{Checkpoint, Error, Source, ZipFault as Fault};

use crate::files;
use crate::zips::{Member, archive, large, zip};

fn read(bytes: Vec<u8>) -> Result<Checkpoint, Error> {
    Checkpoint::open_source(&Source::from_bytes(bytes, "dir/hostile.pt"))?.load()
}

fn fault(bytes: Vec<u8>) -> Fault {
    let error = read(bytes).unwrap_err();
    assert!(error.to_string().starts_with("dir/hostile.pt: "), "{error}");
    match error {
        Error::Zip { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

/// A state dict `w` of four bytes in storage `0`.
const PICKLE: &[u8] = b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage\
    ctorch\nByteStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0K\x04\x85K\x01\x85\x89}tRs.";

fn members() -> [Member; 2] {
    [Member::new("m/data.pkl", PICKLE), Member::new("m/data/0", b"abcd")]
}

fn with(change: impl FnOnce(&mut [Member; 2])) -> Vec<u8> {
    let mut members = members();
    change(&mut members);
    zip(&members)
}

#[test]
fn the_fixtures_are_sound() {
    for file in [
        zip(&members()),
        zip(&[Member::deflated("m/data.pkl", PICKLE), Member::deflated("m/data/0", b"abcd")]),
        zip(&[Member::new("data.pkl", PICKLE), Member::new("data/0", b"abcd")]),
        large(&members()),
    ] {
        let tensor = read(file).unwrap().remove("w").unwrap();
        assert_eq!(tensor.bytes().unwrap()[..], *b"abcd");
    }
}

#[test]
fn a_directory_that_is_cut_or_not_one() {
    let (whole, directory) = archive(&members());
    assert_eq!(fault(whole[..whole.len() - 1].to_vec()), Fault::NoEnd);
    assert_eq!(fault(whole[..directory].to_vec()), Fault::NoEnd);
    let end = whole.len() - 22;
    let short = [&whole[..end - 1], &whole[end..]].concat();
    assert!(matches!(fault(short), Fault::End { .. }));
    let mut count = whole.clone();
    (count[end + 8], count[end + 10]) = (3, 3);
    let expected = Fault::Entry { entry: 2, what: "the directory ends before it" };
    assert_eq!(fault(count), expected);
    let mut count = whole.clone();
    (count[end + 8], count[end + 10]) = (1, 1);
    let expected = Fault::Entry { entry: 1, what: "the directory goes on behind the last" };
    assert_eq!(fault(count), expected);
    let mut signature = whole.clone();
    signature[directory] = b'Q';
    assert!(matches!(fault(signature), Fault::Entry { entry: 0, .. }));
    let mut disk = whole.clone();
    disk[end + 4] = 1;
    assert!(matches!(fault(disk), Fault::End { .. }));
    let mut far = whole;
    far[end + 19] = 0x7f;
    assert!(matches!(fault(far), Fault::End { .. }));
}

#[test]
fn more_members_than_any_checkpoint_has() {
    // The record for large archives holds any number.
    let mut file = large(&members());
    let record = file.len() - 22 - 20 - 56;
    let many = [1u64 << 40; 2].map(u64::to_le_bytes);
    file[record + 24..record + 40].copy_from_slice(many.as_flattened());
    assert_eq!(fault(file.clone()), Fault::TooManyMembers { found: 1 << 40, limit: 1 << 18 });
    // Where the small record says a number, it must be the same.
    let at = file.len() - 14;
    file[at..at + 4].copy_from_slice(&[2, 0, 2, 0]);
    assert!(matches!(fault(file), Fault::End { .. }));
    // A flood of members that are not there.
    let flood = [&b"PK\x05\x06"[..], &[0; 4], &[0xfe, 0xff, 0xfe, 0xff], &[0; 10]].concat();
    let expected = Fault::Entry { entry: 0, what: "the directory ends before it" };
    assert_eq!(fault(flood), expected);
}

#[test]
fn the_record_for_large_archives() {
    let whole = large(&members());
    files::check_cuts(&whole);
    let record = whole.len() - 22 - 20 - 56;
    let with = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] = byte;
        fault(file)
    };
    for disk in [16, 20, 56 + 4, 56 + 16] {
        let expected = Fault::End { what: "it is one of several disks" };
        assert_eq!(with(record + disk, 2), expected, "{disk}");
    }
    // Signature, length and place of it; number, length and start of the directory.
    for place in [0, 4, 56 + 8, 24, 40, 48] {
        let found = with(record + place, 9);
        assert!(matches!(found, Fault::End { .. }), "{place}: {found}");
    }
    // The field of the first entry that should hold the numbers is of another kind.
    let entry = whole.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let expected = Fault::Entry { entry: 0, what: "its extra field is cut" };
    assert_eq!(with(entry + 46 + "m/data.pkl".len(), 2), expected);
}

#[test]
fn a_comment_that_looks_like_an_end() {
    let mut file = zip(&members());
    let at = file.len() - 2;
    file.splice(at.., [&22u16.to_le_bytes()[..], b"PK\x05\x06", &[9; 18]].concat());
    assert_eq!(read(file).unwrap().len(), 1);
}

#[test]
fn entries_that_are_no_entries() {
    let (whole, directory) = archive(&members());
    let mut file = whole.clone();
    // Names that are not UTF-8, in both places.
    (file[directory + 46], file[30]) = (0xff, 0xff);
    assert_eq!(fault(file), Fault::Entry { entry: 0, what: "its name is not UTF-8" });
    let mut file = whole;
    file[directory + 34] = 1;
    assert_eq!(fault(file), Fault::Entry { entry: 0, what: "it is on another disk" });
}

#[test]
fn two_members_of_one_name() {
    let twice = zip(&[&members()[..], &[Member::new("m/data/0", b"efgh")]].concat());
    assert_eq!(fault(twice), Fault::Duplicate { name: "m/data/0".into() });
    let twice = zip(&[&members()[..], &[Member::new("m/data.pkl", b"}.")]].concat());
    assert_eq!(fault(twice), Fault::Duplicate { name: "m/data.pkl".into() });
}

#[test]
fn members_that_share_bytes() {
    // One header for two names is found by the name; so the second is within the bytes of the first.
    let inner = zip(&[Member::new("m/data/0", b"abcd")]);
    let outer = Member::new("m/data.pkl", &[PICKLE, &inner[..42]].concat());
    let at = 30 + outer.name.len() + PICKLE.len();
    let mut second = Member::new("m/data/0", b"abcd");
    second.header = Some(at as u32);
    let file = zip(&[outer, second]);
    let expected = Fault::Overlap { name: "m/data.pkl".into(), other: "m/data/0".into() };
    assert_eq!(fault(file), expected);
    let shared = with(|members| members[1].header = Some(0));
    assert!(matches!(fault(shared), Fault::Header { what: "another name", .. }));
}

#[test]
fn members_behind_the_directory() {
    let mut far = members();
    far[1].header = Some(1 << 30);
    let (file, directory) = archive(&far);
    let end = (1 << 30) + 30;
    let expected = Fault::PastEnd { name: "m/data/0".into(), end, limit: directory as u64 };
    assert_eq!(fault(file), expected);
    // Longer than the file.
    let (mut file, directory) = archive(&members());
    let entry = directory + 46 + 10;
    file[entry + 20..entry + 28].copy_from_slice(&[0, 0, 0, 0x10, 0, 0, 0, 0x10]);
    let local = file.windows(8).position(|w| w == b"m/data/0").unwrap() - 30;
    file[local + 18..local + 26].copy_from_slice(&[0, 0, 0, 0x10, 0, 0, 0, 0x10]);
    assert!(matches!(fault(file), Fault::PastEnd { name, .. } if name == "m/data/0"));
}

#[test]
fn headers_that_disagree_with_the_directory() {
    let name = "m/data/0".to_owned();
    let differs = |what| Fault::Header { name: name.clone(), what };
    let file = with(|members| members[1].header_name = "m/data/1".into());
    assert_eq!(fault(file), differs("another name"));
    let file = with(|members| members[1].header_method = 8);
    assert_eq!(fault(file), differs("another method"));
    let file = with(|members| members[1].header_size = 5);
    assert_eq!(fault(file), differs("another length"));
    let (mut file, _) = archive(&members());
    let local = file.windows(8).position(|w| w == b"m/data/0").unwrap() - 30;
    file[local + 14] ^= 1;
    assert_eq!(fault(file.clone()), differs("another sum"));
    // Sum and lengths behind the bytes: what stands in front of them is then 0 or the same.
    let entry = file.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    (file[local + 6], file[entry + 8]) = (8, 8);
    assert_eq!(fault(file.clone()), differs("another sum"));
    file[local + 14..local + 26].fill(0);
    assert_eq!(read(file).unwrap().len(), 1);
    let file = with(|members| {
        members[1].size = 5;
        members[1].header_size = 5;
    });
    assert_eq!(fault(file), Fault::Sizes { name, size: 5, packed: 4 });
}

#[test]
fn sums_and_lengths_that_are_wrong() {
    let sum = crc32fast::hash(b"abcd");
    let file = with(|members| members[1].crc ^= 1);
    let expected = Fault::Crc { name: "m/data/0".into(), expected: sum ^ 1, found: sum };
    assert_eq!(fault(file), expected);
    let file = with(|members| members[0].crc ^= 1);
    assert!(matches!(fault(file), Fault::Crc { name, .. } if name == "m/data.pkl"));
    for size in [3, 5] {
        let mut wrong = Member::deflated("m/data/0", b"abcd");
        (wrong.size, wrong.header_size) = (size, size);
        let pickle = PICKLE.to_vec();
        let file = zip(&[Member::new("m/data.pkl", &pickle), wrong]);
        // The pickle says four, so it does not come to inflating.
        let error = read(file).unwrap_err();
        assert!(matches!(error, Error::Torch { .. }), "{error}");
        let mut wrong = Member::deflated("m/data.pkl", PICKLE);
        (wrong.size, wrong.header_size) = (wrong.size - 4 + size, wrong.size - 4 + size);
        let found = fault(zip(&[wrong]));
        assert!(matches!(found, Fault::Length { .. }), "{found}");
    }
    let mut broken = Member::deflated("m/data.pkl", PICKLE);
    broken.bytes[0] = 0xff;
    assert_eq!(fault(zip(&[broken])), Fault::Damaged { name: "m/data.pkl".into() });
    // Bytes behind the end of the compressed ones.
    let mut longer = Member::deflated("m/data.pkl", PICKLE);
    longer.bytes.extend([0; 7]);
    assert_eq!(fault(zip(&[longer])), Fault::AfterData { name: "m/data.pkl".into(), extra: 7 });
    let mut cut = Member::deflated("m/data.pkl", PICKLE);
    cut.bytes.truncate(20);
    assert_eq!(fault(zip(&[cut])), Fault::Damaged { name: "m/data.pkl".into() });
}

#[test]
fn a_part_of_a_storage_is_not_read_before_the_whole_is_held_against_its_sum() {
    let part = [&PICKLE[..PICKLE.len() - 14], b"K\x02K\x02\x85K\x01\x85\x89}tRs."].concat();
    let of = |crc| {
        let mut storage = Member::new("m/data/0", b"abcd");
        storage.crc ^= crc;
        zip(&[Member::new("m/data.pkl", &part), storage])
    };
    assert_eq!(read(of(0)).unwrap().get("w").unwrap().bytes().unwrap()[..], *b"cd");
    assert!(matches!(fault(of(1)), Fault::Crc { .. }));
}

#[test]
fn encrypted_and_other_methods() {
    for flags in [1, 0x41, 0x2000] {
        let file = with(|members| members[1].flags = flags);
        assert_eq!(fault(file), Fault::Encrypted { name: "m/data/0".into() });
    }
    let file = with(|members| members[1].method = 12);
    assert_eq!(fault(file), Fault::Method { name: "m/data/0".into(), method: 12 });
}

#[test]
fn a_member_that_blows_up() {
    // More than can come out.
    let mut bomb = Member::deflated("m/data.pkl", &vec![0; 1 << 20]);
    let packed = bomb.bytes.len() as u64;
    (bomb.size, bomb.header_size) = (1 << 30, 1 << 30);
    let expected = Fault::Sizes { name: "m/data.pkl".into(), size: 1 << 30, packed };
    assert_eq!(fault(zip(&[bomb.clone()])), expected);
    // What could is refused before a byte is inflated, for the pickle must be read as a whole.
    bomb.bytes.resize(2 << 20, 0);
    let file = zip(&[bomb]);
    let limit = 2 * file.len() as u64 + (64 << 20);
    let expected = Fault::Inflates { name: "m/data.pkl".into(), size: 1 << 30, limit };
    assert_eq!(fault(file), expected);
    // One that says it is small is not inflated further than it says.
    let mut liar = Member::deflated("m/data.pkl", &vec![0; 1 << 24]);
    (liar.size, liar.header_size) = (100, 100);
    assert!(matches!(fault(zip(&[liar])), Fault::Length { needed: 100, found: 101.., .. }));
}

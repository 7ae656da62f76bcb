//! The directory of a zip file, held against the members and the length of the file.
//!
//! Layout after PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.5. Libraries pass over duplicates, overlaps
//! and contradictions, or take the last of two; here they are faults.

use std::collections::HashSet;

use super::cursor::{Cursor, Stop};
pub use super::zip_fault::ZipFault;
use super::{MAX_NAMES, MAX_TENSORS};
use crate::error::Error;
use crate::source::Source;

/// What a zip file begins with, if it has members.
pub(crate) const MAGIC: &[u8; 4] = b"PK\x03\x04";
/// What a zip file without members begins with: the end.
pub(crate) const MAGIC_EMPTY: &[u8; 4] = b"PK\x05\x06";

const ENTRY: u32 = u32::from_le_bytes(*b"PK\x01\x02");
const LOCAL: u32 = u32::from_le_bytes(*MAGIC);
const END64: u32 = u32::from_le_bytes(*b"PK\x06\x06");
const LOCATOR: u32 = u32::from_le_bytes(*b"PK\x06\x07");

/// The length of the record at the end, without its comment.
const END_BYTES: u64 = 22;
/// The length of the pointer to the long record.
const LOCATOR_BYTES: u64 = 20;
/// The length of the long record, without extensions.
const END64_BYTES: u64 = 56;
/// The shortest entry of the directory.
const ENTRY_BYTES: u64 = 46;
/// The number of the extra field that holds 64-bit sizes.
const ZIP64: u16 = 1;
/// No deflated byte becomes more than this many.
const MAX_RATIO: u64 = 1032;

type Result<T> = std::result::Result<T, Stop<ZipFault>>;

/// How the bytes of a member are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

/// A member of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) method: Method,
    /// The CRC-32 of its bytes.
    pub(crate) checksum: u32,
    /// The bytes as they are read.
    pub(crate) size: u64,
    /// The bytes in the file.
    pub(crate) packed: u64,
    /// Where its header begins.
    header: u64,
    /// Where its bytes begin.
    pub(crate) start: u64,
}

impl Member {
    /// Where its bytes end. That it does not overflow is checked when it is made.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.packed
    }
}

/// Whether a file begins as a zip file does.
pub(crate) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || head.starts_with(MAGIC_EMPTY)
}

/// The members in the order of the directory.
pub(crate) fn read(source: &Source) -> std::result::Result<Vec<Member>, Error> {
    members(source).map_err(|stop| {
        stop.into_error(|cause| Error::Zip { path: source.path().to_path_buf(), cause })
    })
}

fn members(source: &Source) -> Result<Vec<Member>> {
    let Place { start, end, count } = find(source)?;
    let room = (end - start) / ENTRY_BYTES;
    if count > room {
        return Err(Stop::Fault(ZipFault::MemberCount { claimed: count, found: room }));
    }
    if count > MAX_TENSORS as u64 {
        return Err(Stop::Fault(ZipFault::TooManyMembers { count, limit: MAX_TENSORS }));
    }
    let mut cursor = Cursor::new(source, start..end);
    let mut members = Vec::with_capacity(count as usize);
    let mut names = 0;
    for _ in 0..count {
        let mut member = entry(&mut cursor)?;
        names += member.name.len();
        if names > MAX_NAMES {
            return Err(Stop::Fault(ZipFault::NamesOverLimit { limit: MAX_NAMES }));
        }
        place(source, &mut member, start)?;
        members.push(member);
    }
    if cursor.left() > 0 {
        // Something is there that the count leaves out.
        return Err(Stop::Fault(ZipFault::MemberCount { claimed: count, found: count + 1 }));
    }
    check_apart(&members).map_err(Stop::Fault)?;
    Ok(members)
}

/// Every name once, every byte in one member at most.
fn check_apart(members: &[Member]) -> std::result::Result<(), ZipFault> {
    let mut names = HashSet::with_capacity(members.len());
    if let Some(twice) = members.iter().find(|member| !names.insert(member.name.as_str())) {
        return Err(ZipFault::Duplicate { member: twice.name.clone() });
    }
    let mut by_place: Vec<&Member> = members.iter().collect();
    by_place.sort_by_key(|member| (member.header, member.end()));
    for pair in by_place.windows(2) {
        let (other, member) = (pair[0], pair[1]);
        if member.header < other.end() {
            return Err(ZipFault::Overlap {
                member: member.name.clone(),
                begin: member.header,
                other: other.name.clone(),
                end: other.end(),
            });
        }
    }
    Ok(())
}

/// Where the directory is, and how many entries it has.
struct Place {
    start: u64,
    end: u64,
    count: u64,
}

/// Finds the directory by the record at the end, and the long record before it if there is one.
fn find(source: &Source) -> Result<Place> {
    let length = source.len();
    let tail_start = length.saturating_sub(END_BYTES + u64::from(u16::MAX));
    let tail = source.read(tail_start..length)?;
    // The comment after the record may hold anything, but it ends where the file does.
    let ends_file = |at: &usize| {
        tail[*at..].starts_with(MAGIC_EMPTY) && {
            let comment = [tail[at + 20], tail[at + 21]];
            at + END_BYTES as usize + usize::from(u16::from_le_bytes(comment)) == tail.len()
        }
    };
    let last = tail.len().checked_sub(END_BYTES as usize);
    let Some(at) = last.and_then(|last| (0..=last).rev().find(ends_file)) else {
        return Err(Stop::Fault(ZipFault::NoDirectory));
    };
    let end = tail_start + at as u64;

    let mut record = Cursor::new(source, end + 4..length);
    let (disk, directory_disk) = (record.u16()?, record.u16()?);
    let (on_disk, count) = (record.u16()?, record.u16()?);
    let (size, start) = (record.u32()?, record.u32()?);
    let short = [u64::from(count), u64::from(size), u64::from(start)];
    let parts = |here: u64, first: u64, on: u64, all: u64| here != 0 || first != 0 || on != all;
    if let Some(locator) = end.checked_sub(LOCATOR_BYTES) {
        let mut cursor = Cursor::new(source, locator..end);
        if cursor.u32()? == LOCATOR {
            let (_, at, disks) = (cursor.u32()?, cursor.u64()?, cursor.u32()?);
            let long = long_record(source, at, locator)?;
            if disks > 1 {
                return Err(Stop::Fault(ZipFault::SeveralParts));
            }
            // What does not fit the short record is all ones there.
            let full = [u64::from(u16::MAX), u64::from(u32::MAX), u64::from(u32::MAX)];
            for (i, what) in ["number of members", "length", "start"].into_iter().enumerate() {
                if short[i] != long[i] && short[i] != full[i] {
                    let (short, long) = (short[i], long[i]);
                    return Err(Stop::Fault(ZipFault::TwoDirectories { what, short, long }));
                }
            }
            return ends_at(long, at);
        }
    }
    if parts(disk.into(), directory_disk.into(), on_disk.into(), count.into()) {
        return Err(Stop::Fault(ZipFault::SeveralParts));
    }
    ends_at(short, end)
}

/// Number of members, length and start, as the long record has them.
fn long_record(source: &Source, at: u64, limit: u64) -> Result<[u64; 3]> {
    if at.checked_add(END64_BYTES).is_none_or(|end| end > limit) {
        return Err(Stop::Fault(ZipFault::Cut { position: at, needed: END64_BYTES }));
    }
    let mut cursor = Cursor::new(source, at..limit);
    if cursor.u32()? != END64 {
        let expected = "the long record of the directory";
        return Err(Stop::Fault(ZipFault::Signature { expected, position: at }));
    }
    // Length of the record, versions.
    cursor.skip(8 + 2 + 2)?;
    let (disk, directory_disk) = (cursor.u32()?, cursor.u32()?);
    let (on_disk, count) = (cursor.u64()?, cursor.u64()?);
    if disk != 0 || directory_disk != 0 || on_disk != count {
        return Err(Stop::Fault(ZipFault::SeveralParts));
    }
    let (size, start) = (cursor.u64()?, cursor.u64()?);
    Ok([count, size, start])
}

/// The directory ends where the records after it begin.
fn ends_at([count, size, start]: [u64; 3], found: u64) -> Result<Place> {
    let end = start.saturating_add(size);
    if end != found {
        return Err(Stop::Fault(ZipFault::DirectoryPlace { start, end, found }));
    }
    Ok(Place { start, end, count })
}

/// One entry of the directory. Where its bytes begin is not known yet.
fn entry(cursor: &mut Cursor<'_, ZipFault>) -> Result<Member> {
    let position = cursor.position();
    if cursor.u32()? != ENTRY {
        let expected = "an entry of the directory";
        return Err(Stop::Fault(ZipFault::Signature { expected, position }));
    }
    // Versions made by and needed.
    cursor.skip(4)?;
    let (flags, method) = (cursor.u16()?, cursor.u16()?);
    // Time and date.
    cursor.skip(4)?;
    let checksum = cursor.u32()?;
    let (packed, size) = (cursor.u32()?, cursor.u32()?);
    let (name, extra, comment) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    let disk = cursor.u16()?;
    // Attributes, inside and outside.
    cursor.skip(6)?;
    let header = cursor.u32()?;
    let name = cursor.bytes(name.into())?;
    let name =
        String::from_utf8(name).map_err(|_| Stop::Fault(ZipFault::NameNotUtf8 { position }))?;
    let extra = cursor.bytes(extra.into())?;
    cursor.skip(comment.into())?;

    let long = |sizes: &mut [(u32, &mut u64)]| widen(&extra, sizes);
    let (mut size64, mut packed64, mut header64) = (size.into(), packed.into(), header.into());
    if !long(&mut [(size, &mut size64), (packed, &mut packed64), (header, &mut header64)]) {
        let what = "the 64-bit sizes, which are missing";
        return Err(Stop::Fault(ZipFault::Contradiction { member: name, what }));
    }
    // Encrypted, encrypted strongly, directory encrypted.
    if flags & (1 | 1 << 6 | 1 << 13) != 0 {
        return Err(Stop::Fault(ZipFault::Encrypted { member: name }));
    }
    if disk != 0 {
        return Err(Stop::Fault(ZipFault::SeveralParts));
    }
    let (size, packed) = (size64, packed64);
    let (method, possible) = match method {
        0 => (Method::Stored, size == packed),
        8 => (Method::Deflated, size / MAX_RATIO <= packed),
        _ => return Err(Stop::Fault(ZipFault::Method { member: name, method })),
    };
    if !possible {
        return Err(Stop::Fault(ZipFault::Sizes { member: name, size, packed }));
    }
    Ok(Member { name, method, checksum, size, packed, header: header64, start: 0 })
}

/// Takes the numbers that are all ones from the extra field for 64-bit sizes, where they come in this
/// order. Whether they are all there.
fn widen(extra: &[u8], numbers: &mut [(u32, &mut u64)]) -> bool {
    let mut field = &[][..];
    let mut rest = extra;
    while let [a, b, c, d, after @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*c, *d])).min(after.len());
        let (content, next) = after.split_at(length);
        if u16::from_le_bytes([*a, *b]) == ZIP64 {
            field = content;
            break;
        }
        rest = next;
    }
    for (short, long) in numbers.iter_mut().filter(|(short, _)| *short == u32::MAX) {
        debug_assert_eq!(*short, u32::MAX);
        let Some((number, next)) = field.split_first_chunk() else { return false };
        **long = u64::from_le_bytes(*number);
        field = next;
    }
    true
}

/// Finds where a member's bytes begin, by the header before them, and holds that against the entry.
fn place(source: &Source, member: &mut Member, directory: u64) -> Result<()> {
    let header = member.header;
    let past = |member: &Member, end| {
        let member = member.name.clone();
        Stop::Fault(ZipFault::PastDirectory { member, end, limit: directory })
    };
    if header.checked_add(30).is_none_or(|end| end > directory) {
        return Err(past(member, header.saturating_add(30)));
    }
    let mut cursor = Cursor::new(source, header..directory);
    if cursor.u32()? != LOCAL {
        let expected = "the header of a member";
        return Err(Stop::Fault(ZipFault::Signature { expected, position: header }));
    }
    cursor.skip(2)?;
    let (flags, method) = (cursor.u16()?, cursor.u16()?);
    cursor.skip(4)?;
    let checksum = cursor.u32()?;
    let (packed, size) = (cursor.u32()?, cursor.u32()?);
    let (name, extra) = (cursor.u16()?, cursor.u16()?);
    let name = cursor.bytes(name.into())?;
    let extra = cursor.bytes(extra.into())?;
    member.start = cursor.position();
    if member.start.checked_add(member.packed).is_none_or(|end| end > directory) {
        return Err(past(member, member.start.saturating_add(member.packed)));
    }

    let (mut size64, mut packed64) = (size.into(), packed.into());
    let whole = widen(&extra, &mut [(size, &mut size64), (packed, &mut packed64)]);
    let expected = if member.method == Method::Stored { 0 } else { 8 };
    // What was not known when the header was written is zero there, and stands after the data.
    let late = flags & 1 << 3 != 0;
    let checks = [
        ("the name", name == member.name.as_bytes()),
        ("the method", method == expected),
        ("encryption", flags & 1 == 0),
        ("the checksum", checksum == member.checksum || late && checksum == 0),
        ("the size", late || whole && size64 == member.size && packed64 == member.packed),
    ];
    match checks.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => {
            let member = member.name.clone();
            Err(Stop::Fault(ZipFault::Contradiction { member, what }))
        }
        None => Ok(()),
    }
}

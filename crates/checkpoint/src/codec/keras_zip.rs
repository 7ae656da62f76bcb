//! The directory of a zip file, held against the members that it tells of.

use std::collections::HashSet;
use std::ops::Range;

use super::keras_fault::KerasFault;
use crate::error::Error;
use crate::source::Source;

/// The most members: Keras writes three, and one for each asset.
const MAX_MEMBERS: u64 = 16_384;

/// The end of the directory, without the comment behind it.
const END: u64 = 22;

/// The longest comment.
const MAX_COMMENT: u64 = 65_535;

/// What leads to the end of a directory with numbers of 64 bits.
const LOCATOR: u64 = 20;

/// How a member is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

/// A member of a zip.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) crc: u32,
    /// The bytes of the member, compressed as they are.
    pub(super) range: Range<u64>,
    /// The bytes that come out.
    pub(super) length: u64,
    header: u64,
}

/// The number of `N` bytes at a place, little-endian.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut eight = [0; 8];
    eight.get_mut(..N)?.copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    Some(u64::from_le_bytes(eight))
}

/// Reads the directory. Nothing in it is twice, encrypted, outside of the file or shares bytes.
pub(super) fn members(source: &Source) -> Result<Vec<Member>, Error> {
    let fault = |cause| Error::Keras { path: source.path().to_path_buf(), cause };
    let (directory, count) = find_directory(source)?;
    if count > MAX_MEMBERS {
        return Err(fault(KerasFault::TooManyMembers { found: count, limit: MAX_MEMBERS }));
    }
    let start = directory.start;
    let bytes = source.read(directory)?;
    let mut members = Vec::new();
    let mut rest = &bytes[..];
    for _ in 0..count {
        let address = start + (bytes.len() - rest.len()) as u64;
        let (member, length) = entry(rest, address).map_err(fault)?;
        rest = &rest[length..];
        members.push(member);
    }
    if !rest.is_empty() {
        let address = start + (bytes.len() - rest.len()) as u64;
        let expected = "an end after its last member";
        return Err(fault(KerasFault::Damaged { structure: "directory", address, expected }));
    }
    let mut names = HashSet::new();
    if let Some(twice) = members.iter().find(|member| !names.insert(member.name.as_str())) {
        return Err(fault(KerasFault::DuplicateMember { member: twice.name.clone() }));
    }
    for member in &mut members {
        locate(source, member, start)?;
    }
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by_key(|member| member.header);
    for pair in order.windows(2) {
        if pair[0].range.end > pair[1].header {
            let (member, other) = (pair[0].name.clone(), pair[1].name.clone());
            return Err(fault(KerasFault::Overlap { member, other }));
        }
    }
    Ok(members)
}

/// Where the directory is, and the number of its members.
fn find_directory(source: &Source) -> Result<(Range<u64>, u64), Error> {
    let fault = |cause| Error::Keras { path: source.path().to_path_buf(), cause };
    let missing = || fault(KerasFault::NoDirectory);
    let length = source.len();
    let tail = source.read(length.saturating_sub(END + MAX_COMMENT)..length)?;
    let tail_start = length - tail.len() as u64;
    // The last place that has the signature and a comment up to the end of the file.
    let is_end = |at: &usize| {
        let comment = number::<2>(&tail, at + 20);
        tail[*at..].starts_with(b"PK\x05\x06")
            && comment.is_some_and(|comment| at + 22 + comment as usize == tail.len())
    };
    let at = (0..tail.len().saturating_sub(END as usize - 1)).rev().find(is_end);
    let at = at.ok_or_else(missing)?;
    let end = tail_start + at as u64;
    let parts =
        (number::<2>(&tail, at + 10), number::<4>(&tail, at + 12), number::<4>(&tail, at + 16));
    let (Some(mut count), Some(mut size), Some(mut start)) = parts else { return Err(missing()) };
    let mut limit = end;
    if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
        let address = end.checked_sub(LOCATOR).ok_or_else(missing)?;
        let locator = source.read(address..end)?;
        if locator.starts_with(b"PK\x06\x07") {
            let damaged = |address, expected| {
                fault(KerasFault::Damaged { structure: "end of the directory", address, expected })
            };
            let there = number::<8>(&locator, 8).filter(|&there| there <= address);
            let there = there.ok_or_else(|| damaged(address, "an address before it"))?;
            let bytes = source.read(there..address.min(there.saturating_add(56)))?;
            let parts = (number::<8>(&bytes, 32), number::<8>(&bytes, 40), number::<8>(&bytes, 48));
            let (true, (Some(a), Some(b), Some(c))) = (bytes.starts_with(b"PK\x06\x06"), parts)
            else {
                return Err(damaged(there, "its signature and lengths"));
            };
            (count, size, start, limit) = (a, b, c, there);
        }
    }
    let directory = start.checked_add(size).filter(|&end| end == limit).map(|end| start..end);
    let expected = "a directory that ends where its end begins";
    let misplaced =
        KerasFault::Damaged { structure: "end of the directory", address: end, expected };
    Ok((directory.ok_or_else(|| fault(misplaced))?, count))
}

/// Reads an entry of the directory, and tells its length.
fn entry(bytes: &[u8], address: u64) -> Result<(Member, usize), KerasFault> {
    let damaged =
        |expected| KerasFault::Damaged { structure: "entry of the directory", address, expected };
    let field = |value: Option<u64>| value.ok_or_else(|| damaged("its signature and lengths"));
    if !bytes.starts_with(b"PK\x01\x02") {
        return Err(damaged("its signature and lengths"));
    }
    let flags = field(number::<2>(bytes, 8))?;
    let method = field(number::<2>(bytes, 10))? as u16;
    let crc = field(number::<4>(bytes, 16))? as u32;
    let mut packed = field(number::<4>(bytes, 20))?;
    let mut length = field(number::<4>(bytes, 24))?;
    let name_length = field(number::<2>(bytes, 28))? as usize;
    let extra_length = field(number::<2>(bytes, 30))? as usize;
    let comment_length = field(number::<2>(bytes, 32))? as usize;
    let mut header = field(number::<4>(bytes, 42))?;
    let whole = 46 + name_length + extra_length + comment_length;
    if bytes.len() < whole {
        return Err(damaged("its signature and lengths"));
    }
    let name = String::from_utf8_lossy(&bytes[46..46 + name_length]).into_owned();
    // Numbers that do not fit are in a part of their own, in this order.
    let mut extra = &bytes[46 + name_length..46 + name_length + extra_length];
    while let (Some(kind), Some(size)) = (number::<2>(extra, 0), number::<2>(extra, 2)) {
        let end = 4 + size as usize;
        let body = extra.get(4..end).ok_or_else(|| damaged("parts within its length"))?;
        if kind == 1 {
            let mut at = 0;
            for value in [&mut length, &mut packed, &mut header] {
                if *value == 0xffff_ffff {
                    *value = field(number::<8>(body, at))?;
                    at += 8;
                }
            }
        }
        extra = &extra[end..];
    }
    if flags & 1 != 0 {
        return Err(KerasFault::Encrypted { member: name });
    }
    let method = match method {
        0 => Method::Stored,
        8 => Method::Deflated,
        method => return Err(KerasFault::UnknownMethod { member: name, method }),
    };
    if method == Method::Stored && packed != length {
        return Err(KerasFault::Length { member: name, expected: length });
    }
    // Until its header is read, the range begins at nothing and has the right length.
    Ok((Member { name, method, crc, range: 0..packed, length, header }, whole))
}

/// Reads the header of a member, which must agree with the directory, and finds its bytes.
fn locate(source: &Source, member: &mut Member, end: u64) -> Result<(), Error> {
    let fault = |cause| Error::Keras { path: source.path().to_path_buf(), cause };
    let mismatch = || fault(KerasFault::HeaderMismatch { member: member.name.clone() });
    let names = member.header.checked_add(30).filter(|&names| names <= end).ok_or_else(mismatch)?;
    let bytes = source.read(member.header..names)?;
    let method = match member.method {
        Method::Stored => 0,
        Method::Deflated => 8,
    };
    let lengths = number::<2>(&bytes, 26).zip(number::<2>(&bytes, 28));
    let (name_length, extra_length) = lengths.ok_or_else(mismatch)?;
    let start = names + name_length + extra_length;
    let range = start.checked_add(member.range.end).filter(|&last| last <= end);
    let range = start..range.ok_or_else(mismatch)?;
    let name = source.read(names..names + name_length)?;
    let agrees = bytes.starts_with(b"PK\x03\x04")
        && number::<2>(&bytes, 8) == Some(method)
        && String::from_utf8_lossy(&name) == member.name;
    if !agrees {
        return Err(mismatch());
    }
    member.range = range;
    Ok(())
}

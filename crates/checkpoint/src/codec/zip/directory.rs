//! The directory of an archive, and the header in front of each member.

use super::{Member, ZipFault};
use crate::error::{Action, Error};
use crate::source::Source;

/// The most members: twice the tensors of the largest checkpoint that is read.
const MAX_MEMBERS: u64 = 1 << 18;

/// The longest directory, in bytes.
const MAX_DIRECTORY: u64 = 64 << 20;

/// No compressed byte becomes more than this many.
const MAX_RATIO: u64 = 1032;

const END: u64 = 22;
const LOCATOR: u64 = 20;
const END_64: u64 = 56;
const ENTRY: usize = 46;
const HEADER: usize = 30;

/// Stands in a field whose value is in the extra field.
const ELSEWHERE: u64 = u32::MAX as u64;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Where the directory is and how many entries it has.
struct End {
    count: u64,
    start: u64,
    length: u64,
}

/// The members in the order of the directory, each where its header says.
pub(super) fn read(source: &Source) -> Result<Vec<Member>, Error> {
    let fault = |cause| Error::Zip { path: source.path().to_path_buf(), cause };
    let end = find_end(source)?;
    if end.count > MAX_MEMBERS {
        let cause = ZipFault::TooManyMembers { found: end.count, limit: MAX_MEMBERS };
        return Err(fault(cause));
    }
    if end.length > MAX_DIRECTORY {
        let cause = ZipFault::DirectoryOverLimit { length: end.length, limit: MAX_DIRECTORY };
        return Err(fault(cause));
    }
    let bytes = source.read(end.start..end.start + end.length)?;
    let mut members = entries(&bytes, end.count).map_err(fault)?;
    drop(bytes);
    for member in &mut members {
        member.start = data_start(source, member, end.start)?;
    }
    apart(&members, end.start).map_err(fault)?;
    members.retain(|member| !member.name.ends_with('/'));
    Ok(members)
}

/// The last record of the file, and its larger form if there is one.
fn find_end(source: &Source) -> Result<End, Error> {
    let fault = |cause| Error::Zip { path: source.path().to_path_buf(), cause };
    let unsound = |what| fault(ZipFault::End { what });
    let length = source.len();
    let tail_start = length.saturating_sub(END + u64::from(u16::MAX));
    let tail = source.read(tail_start..length)?;
    // The record ends with a comment, which ends the file.
    let last = tail.len().checked_sub(END as usize).ok_or_else(|| fault(ZipFault::NoEnd))?;
    let is_end = |at: &usize| {
        tail[*at..].starts_with(b"PK\x05\x06")
            && *at + END as usize + usize::from(u16_at(&tail, at + 20)) == tail.len()
    };
    let at = (0..=last).rev().find(is_end).ok_or_else(|| fault(ZipFault::NoEnd))?;
    let record = &tail[at..];
    if u16_at(record, 4) != 0 || u16_at(record, 6) != 0 {
        return Err(unsound("it is one of several disks"));
    }
    let small = [
        u64::from(u16_at(record, 8)),
        u64::from(u16_at(record, 10)),
        u64::from(u32_at(record, 12)),
        u64::from(u32_at(record, 16)),
    ];
    let mut values = small;
    let mut end_at = tail_start + at as u64;
    if let Some(locator_at) = end_at.checked_sub(LOCATOR) {
        let locator = source.read(locator_at..end_at)?;
        if locator.starts_with(b"PK\x06\x07") {
            let large_at = u64_at(&locator, 8);
            if locator_at.checked_sub(END_64) != Some(large_at) {
                return Err(unsound("the record for large archives is not in front of it"));
            }
            let large = source.read(large_at..locator_at)?;
            if !large.starts_with(b"PK\x06\x06") || u64_at(&large, 4) != END_64 - 12 {
                return Err(unsound("the record for large archives is not one"));
            }
            let disks = [u32_at(&large, 16), u32_at(&large, 20), u32_at(&locator, 4)];
            if disks != [0; 3] || u32_at(&locator, 16) > 1 {
                return Err(unsound("it is one of several disks"));
            }
            values = [24, 32, 40, 48].map(|at| u64_at(&large, at));
            let full = [0xffff, 0xffff, ELSEWHERE, ELSEWHERE];
            let differ = |i: usize| small[i] != full[i] && small[i] != values[i];
            if (0..4).any(differ) {
                return Err(unsound("it and the record for large archives contradict each other"));
            }
            end_at = large_at;
        }
    }
    let [here, count, length, start] = values;
    if here != count {
        return Err(unsound("it is one of several disks"));
    }
    if start.checked_add(length) != Some(end_at) {
        return Err(unsound("the directory is not in front of it"));
    }
    Ok(End { count, start, length })
}

/// The entries of the directory. Where the bytes start is not known yet.
fn entries(bytes: &[u8], count: u64) -> Result<Vec<Member>, ZipFault> {
    let mut members = Vec::new();
    let mut at = 0;
    for entry in 0..count as usize {
        let unsound = |what| ZipFault::Entry { entry, what };
        let fixed = bytes.get(at..at + ENTRY).ok_or(unsound("the directory ends before it"))?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Err(unsound("it does not begin as an entry does"));
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
        let name_at = at + ENTRY;
        at = name_at + lengths.iter().sum::<usize>();
        let variable = bytes.get(name_at..at).ok_or(unsound("the directory ends within it"))?;
        let (name, rest) = variable.split_at(lengths[0]);
        let extra = &rest[..lengths[1]];
        let name = std::str::from_utf8(name).map_err(|_| unsound("its name is not UTF-8"))?;
        if u16_at(fixed, 8) & 0x2041 != 0 {
            return Err(ZipFault::Encrypted { name: name.to_owned() });
        }
        if u16_at(fixed, 34) != 0 {
            return Err(unsound("it is on another disk"));
        }
        let method = u16_at(fixed, 10);
        if method != 0 && method != 8 {
            return Err(ZipFault::Method { name: name.to_owned(), method });
        }
        let mut sizes = [24, 20, 42].map(|at| u64::from(u32_at(fixed, at)));
        large_fields(extra, &mut sizes).ok_or(unsound("its extra field is cut"))?;
        let [size, packed, header] = sizes;
        let possible = if method == 0 { size == packed } else { size / MAX_RATIO <= packed };
        if !possible {
            return Err(ZipFault::Sizes { name: name.to_owned(), size, packed });
        }
        let (name, crc) = (name.into(), u32_at(fixed, 16));
        members.push(Member { name, deflated: method == 8, crc, size, packed, header, start: 0 });
    }
    if at != bytes.len() {
        let what = "the directory goes on behind the last";
        return Err(ZipFault::Entry { entry: members.len(), what });
    }
    Ok(members)
}

/// Takes fields that are too large for their place from the extra field of zip64.
fn large_fields(mut extra: &[u8], fields: &mut [u64]) -> Option<()> {
    if fields.iter().all(|field| *field != ELSEWHERE) {
        return Some(());
    }
    loop {
        let length = usize::from(u16_at(extra.get(..4)?, 2));
        let body = extra.get(4..4 + length)?;
        if u16_at(extra, 0) == 1 {
            let missing = fields.iter_mut().filter(|field| **field == ELSEWHERE);
            for (index, field) in missing.enumerate() {
                body.get(8 * index..8 * index + 8)?;
                *field = u64_at(body, 8 * index);
            }
            return Some(());
        }
        extra = &extra[4 + length..];
    }
}

/// Where the bytes of a member start: behind its header, which must say what the directory says.
fn data_start(source: &Source, member: &Member, limit: u64) -> Result<u64, Error> {
    let fault = |cause| Error::Zip { path: source.path().to_path_buf(), cause };
    let name = || member.name.to_string();
    let differs = |what| fault(ZipFault::Header { name: name(), what });
    let past_end = |end| fault(ZipFault::PastEnd { name: name(), end, limit });
    let ends = |at: u64, length: u64| {
        let end = at.saturating_add(length);
        if end > limit { Err(past_end(end)) } else { Ok(end) }
    };
    let name_at = ends(member.header, HEADER as u64)?;
    // The name is most likely as long as the directory says, and can be read at once.
    let guess = ends(name_at, member.name.len() as u64)?;
    let mut bytes = [0; 256];
    let length = (guess - member.header) as usize;
    let spill;
    let bytes = if length <= bytes.len() {
        source
            .fill(member.header, &mut bytes[..length])
            .map_err(|e| Error::io(source.path(), Action::Read, e))?;
        &bytes[..length]
    } else {
        spill = source.read(member.header..guess)?;
        &spill
    };
    if !bytes.starts_with(super::MAGIC) {
        return Err(differs("there is none"));
    }
    let name_length = usize::from(u16_at(bytes, 26));
    if name_length != member.name.len() || &bytes[HEADER..] != member.name.as_bytes() {
        return Err(differs("another name"));
    }
    let extra_length = u64::from(u16_at(bytes, 28));
    let start = ends(guess, extra_length)?;
    if u16_at(bytes, 8) != if member.deflated { 8 } else { 0 } {
        return Err(differs("another method"));
    }
    let flags = u16_at(bytes, 6);
    if flags & 0x2041 != 0 {
        return Err(fault(ZipFault::Encrypted { name: name() }));
    }
    // With the flag, sum and lengths are behind the bytes.
    let sum = u32_at(bytes, 14);
    if flags & 8 != 0 && sum != 0 && sum != member.crc {
        return Err(differs("another sum"));
    }
    if flags & 8 == 0 {
        let mut sizes = [22, 18].map(|at| u64::from(u32_at(bytes, at)));
        let extra = source.read(guess..start)?;
        large_fields(&extra, &mut sizes).ok_or_else(|| differs("its extra field is cut"))?;
        if sizes != [member.size, member.packed] {
            return Err(differs("another length"));
        }
        if sum != member.crc {
            return Err(differs("another sum"));
        }
    }
    ends(start, member.packed)?;
    Ok(start)
}

/// Refuses members that share bytes.
fn apart(members: &[Member], limit: u64) -> Result<(), ZipFault> {
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by_key(|member| member.header);
    for [first, second] in order.array_windows() {
        if first.start + first.packed > second.header {
            let (name, other) = (first.name.to_string(), second.name.to_string());
            return Err(ZipFault::Overlap { name, other });
        }
    }
    match order.last() {
        Some(last) if last.start + last.packed > limit => {
            let end = last.start + last.packed;
            Err(ZipFault::PastEnd { name: last.name.to_string(), end, limit })
        }
        _ => Ok(()),
    }
}

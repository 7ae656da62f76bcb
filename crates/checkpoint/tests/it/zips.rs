//! Archives made by hand, as sound or as unsound as wanted.

/// A member, and what its headers say of it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    /// The length when inflated, as the directory gives it.
    pub(crate) size: u32,
    /// Where the directory says the header is, if elsewhere.
    pub(crate) header: Option<u32>,
    /// The name in the header in front of the bytes.
    pub(crate) header_name: String,
    pub(crate) header_method: u16,
    pub(crate) header_size: u32,
}

impl Member {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        let size = bytes.len() as u32;
        Self {
            name: name.into(),
            bytes: bytes.into(),
            method: 0,
            flags: 0,
            crc: crc32fast::hash(bytes),
            size,
            header: None,
            header_name: name.into(),
            header_method: 0,
            header_size: size,
        }
    }

    pub(crate) fn deflated(name: &str, bytes: &[u8]) -> Self {
        use std::io::Write;
        let mut packer =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).unwrap();
        let packed = packer.finish().unwrap();
        let plain = Self::new(name, bytes);
        Self { bytes: packed, method: 8, header_method: 8, ..plain }
    }
}

/// The archive and the place of its directory.
pub(crate) fn archive(members: &[Member]) -> (Vec<u8>, usize) {
    build(members, false)
}

pub(crate) fn zip(members: &[Member]) -> Vec<u8> {
    archive(members).0
}

/// The same with lengths and places of 64 bits in the directory.
pub(crate) fn large(members: &[Member]) -> Vec<u8> {
    build(members, true).0
}

fn build(members: &[Member], large: bool) -> (Vec<u8>, usize) {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = member.header.unwrap_or(file.len() as u32);
        let packed = member.bytes.len() as u32;
        file.extend(b"PK\x03\x04\x14\0");
        file.extend(
            [member.flags, member.header_method, 0, 0].map(u16::to_le_bytes).as_flattened(),
        );
        file.extend([member.crc, packed, member.header_size].map(u32::to_le_bytes).as_flattened());
        file.extend((member.header_name.len() as u16).to_le_bytes());
        file.extend([0; 2]);
        file.extend(member.header_name.as_bytes());
        file.extend(&member.bytes);
        let (mut numbers, mut extra) = ([packed, member.size, at], Vec::new());
        if large {
            // In this order.
            let long = [member.size, packed, at].map(u64::from).map(u64::to_le_bytes);
            extra = [&[1, 0, 24, 0], long.as_flattened()].concat();
            numbers = [u32::MAX; 3];
        }
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend([member.flags, member.method, 0, 0].map(u16::to_le_bytes).as_flattened());
        directory.extend([member.crc, numbers[0], numbers[1]].map(u32::to_le_bytes).as_flattened());
        directory.extend((member.name.len() as u16).to_le_bytes());
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(numbers[2].to_le_bytes());
        directory.extend(member.name.as_bytes());
        directory.extend(extra);
    }
    let start = file.len();
    let (mut length, mut count) = (directory.len() as u32, members.len() as u16);
    let mut place = start as u32;
    file.extend(directory);
    if large {
        let end = file.len() as u64;
        file.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        let values = [members.len() as u64, members.len() as u64, length.into(), place.into()];
        file.extend(values.map(u64::to_le_bytes).as_flattened());
        file.extend(b"PK\x06\x07\0\0\0\0");
        file.extend(end.to_le_bytes());
        file.extend([1, 0, 0, 0]);
        (length, count, place) = (u32::MAX, u16::MAX, u32::MAX);
    }
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].map(u16::to_le_bytes).as_flattened());
    file.extend([length, place].map(u32::to_le_bytes).as_flattened());
    file.extend([0; 2]);
    (file, start)
}

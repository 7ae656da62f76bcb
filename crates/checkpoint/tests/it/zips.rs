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
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend([member.flags, member.method, 0, 0].map(u16::to_le_bytes).as_flattened());
        directory.extend([member.crc, packed, member.size].map(u32::to_le_bytes).as_flattened());
        directory.extend((member.name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(at.to_le_bytes());
        directory.extend(member.name.as_bytes());
    }
    let start = file.len();
    let (length, count) = (directory.len() as u32, members.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].map(u16::to_le_bytes).as_flattened());
    file.extend([length, start as u32].map(u32::to_le_bytes).as_flattened());
    file.extend([0; 2]);
    (file, start)
}

pub(crate) fn zip(members: &[Member]) -> Vec<u8> {
    archive(members).0
}

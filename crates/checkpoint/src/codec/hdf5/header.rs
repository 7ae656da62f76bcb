//! Object headers: the messages that describe a group, a dataset or a type.

use std::collections::{HashSet, VecDeque};

use super::cursor::Cursor;
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::{File, check};

pub(super) const DATASPACE: u16 = 0x01;
pub(super) const LINK_INFO: u16 = 0x02;
pub(super) const DATATYPE: u16 = 0x03;
pub(super) const OLD_FILL: u16 = 0x04;
pub(super) const FILL: u16 = 0x05;
pub(super) const LINK: u16 = 0x06;
pub(super) const EXTERNAL: u16 = 0x07;
pub(super) const LAYOUT: u16 = 0x08;
pub(super) const GROUP_INFO: u16 = 0x0a;
pub(super) const FILTERS: u16 = 0x0b;
pub(super) const ATTRIBUTE: u16 = 0x0c;
const CONTINUATION: u16 = 0x10;
pub(super) const SYMBOL_TABLE: u16 = 0x11;
pub(super) const ATTRIBUTE_INFO: u16 = 0x15;

/// The kinds that are kept; others say nothing of what is read.
const KEPT: [u16; 13] = [
    DATASPACE,
    LINK_INFO,
    DATATYPE,
    OLD_FILL,
    FILL,
    LINK,
    EXTERNAL,
    LAYOUT,
    GROUP_INFO,
    FILTERS,
    ATTRIBUTE,
    SYMBOL_TABLE,
    ATTRIBUTE_INFO,
];

/// The most messages of one object: each link and each attribute of a group can be one.
const MAX_MESSAGES: usize = 200_000;

/// The longest prefix of a header: version 2 with everything that is optional.
const PREFIX: u64 = 34;

/// A message of an object header.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    /// Whether the body only says where the message is.
    shared: bool,
    pub(super) body: Vec<u8>,
    address: u64,
}

/// The messages of an object, in the order of the file.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) messages: Vec<Message>,
    pub(super) address: u64,
}

impl Header {
    /// The first message of a kind.
    pub(super) fn find(&self, kind: u16) -> Option<&Message> {
        self.messages.iter().find(|message| message.kind == kind)
    }

    pub(super) fn has(&self, kind: u16) -> bool {
        self.find(kind).is_some()
    }

    /// The body of the first message of a kind, wherever it is kept.
    pub(super) fn body(&self, file: &File, kind: u16) -> Result<Option<Body>, Failure> {
        self.find(kind).map(|message| message.resolve(file)).transpose()
    }
}

/// The body of a message, and where it is in the file.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) address: u64,
}

impl Body {
    pub(super) fn cursor<'a>(&'a self, file: &File, structure: &'static str) -> Cursor<'a> {
        file.cursor(&self.bytes, structure, self.address)
    }
}

impl Message {
    /// The body; that of the message pointed to, where objects share it.
    pub(super) fn resolve(&self, file: &File) -> Result<Body, Failure> {
        if !self.shared {
            return Ok(Body { bytes: self.body.clone(), address: self.address });
        }
        let mut cursor = file.cursor(&self.body, "shared message", self.address);
        let there = shared_address(&mut cursor)?;
        let header = read(file, there)?;
        match header.find(self.kind) {
            Some(Message { shared: false, body, address, .. }) => {
                Ok(Body { bytes: body.clone(), address: *address })
            }
            _ => Err(cursor.damaged("a message of its kind at its address").into()),
        }
    }

    pub(super) fn cursor<'a>(&'a self, file: &File, structure: &'static str) -> Cursor<'a> {
        file.cursor(&self.body, structure, self.address)
    }
}

/// The address of the object that a shared message is in.
pub(super) fn shared_address(cursor: &mut Cursor<'_>) -> Result<u64, Hdf5Fault> {
    let version = cursor.version(&[1, 2, 3])?;
    let kind = cursor.u8()?;
    if version == 1 {
        cursor.skip(6)?;
    }
    if version == 3 && kind == 1 {
        return Err(Hdf5Fault::Unsupported { feature: "a heap of shared messages" });
    }
    cursor.address_of("an address")
}

/// Reads the header of the object at an address.
pub(super) fn read(file: &File, address: u64) -> Result<Header, Failure> {
    let prefix = file.read_up_to("object header", address, PREFIX)?;
    if prefix.starts_with(b"OHDR") {
        return read_new(file, address, &prefix);
    }
    let mut cursor = file.cursor(&prefix, "object header", address);
    cursor.version(&[1])?;
    // The number of messages counts those of no use too, and some writers get it wrong.
    cursor.skip(7)?;
    let size = u64::from(cursor.u32()?);
    let mut chunks = Chunks::new(address + 16, size);
    let mut messages = Vec::new();
    while let Some((at, length)) = chunks.next()? {
        let bytes = file.read("object header", at, length)?;
        let mut cursor = file.cursor(&bytes, "object header", at);
        // What is too short for a message fills up.
        while cursor.left() >= 8 {
            let (kind, size) = (cursor.u16()?, cursor.u16()?);
            let flags = cursor.u8()?;
            cursor.skip(3)?;
            take(file, &mut cursor, kind, size, flags, &mut chunks, &mut messages)?;
        }
    }
    Ok(Header { messages, address })
}

/// Version 2: with signatures and checksums.
fn read_new(file: &File, address: u64, prefix: &[u8]) -> Result<Header, Failure> {
    let mut cursor = file.cursor(prefix, "object header", address);
    cursor.signature(b"OHDR")?;
    cursor.version(&[2])?;
    let flags = cursor.u8()?;
    // Four times, and when attributes move to a heap.
    cursor.skip(if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 })?;
    let size = cursor.uint(1 << (flags & 3))?;
    let start = cursor.at() as u64;
    let whole = size.checked_add(start + 4);
    let whole = whole.ok_or_else(|| cursor.damaged("a size that fits the file"))?;
    let mut chunks = Chunks::new(address, whole);
    let mut messages = Vec::new();
    while let Some((at, length)) = chunks.next()? {
        let bytes = file.read("object header", at, length)?;
        let mut cursor = file.cursor(&bytes, "object header", at);
        if at == address {
            cursor.skip(start as usize)?;
        } else {
            cursor.signature(b"OCHK")?;
        }
        let Some(checked) = bytes.len().checked_sub(4) else {
            return Err(cursor.damaged("a checksum").into());
        };
        let found = file.cursor(&bytes[checked..], "object header", at).u32()?;
        check(&bytes[..checked], found, "object header", at)?;
        let least = if flags & 4 != 0 { 6 } else { 4 };
        // A gap that is too short for a message comes before the checksum.
        while cursor.left() >= least + 4 {
            let kind = u16::from(cursor.u8()?);
            let size = cursor.u16()?;
            let message_flags = cursor.u8()?;
            cursor.skip(least - 4)?;
            if usize::from(size) + 4 > cursor.left() {
                return Err(cursor.damaged("messages that end before it does").into());
            }
            take(file, &mut cursor, kind, size, message_flags, &mut chunks, &mut messages)?;
        }
    }
    Ok(Header { messages, address })
}

/// Keeps a message, or follows it where it tells of a further chunk.
fn take(
    file: &File,
    cursor: &mut Cursor<'_>,
    kind: u16,
    size: u16,
    flags: u8,
    chunks: &mut Chunks,
    messages: &mut Vec<Message>,
) -> Result<(), Hdf5Fault> {
    let address = cursor.address() + cursor.at() as u64;
    let body = cursor.bytes(size.into())?;
    if kind == CONTINUATION {
        let mut cursor = file.cursor(body, "continuation", address);
        let at = cursor.address_of("an address")?;
        chunks.rest.push_back((at, cursor.length()?));
    } else if KEPT.contains(&kind) {
        if messages.len() == MAX_MESSAGES {
            return Err(Hdf5Fault::TooManyObjects { limit: MAX_MESSAGES });
        }
        messages.push(Message { kind, shared: flags & 2 != 0, body: body.to_vec(), address });
    }
    Ok(())
}

/// The chunks of a header that are to be read, each once.
struct Chunks {
    rest: VecDeque<(u64, u64)>,
    seen: HashSet<u64>,
}

impl Chunks {
    fn new(address: u64, length: u64) -> Self {
        Self { rest: VecDeque::from([(address, length)]), seen: HashSet::new() }
    }

    fn next(&mut self) -> Result<Option<(u64, u64)>, Hdf5Fault> {
        let Some((address, length)) = self.rest.pop_front() else { return Ok(None) };
        if !self.seen.insert(address) {
            let expected = "parts that do not lead back to it";
            return Err(Hdf5Fault::Damaged { structure: "object header", address, expected });
        }
        Ok(Some((address, length)))
    }
}

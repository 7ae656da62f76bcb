//! The tree of values in a msgpack file, with the places of its arrays.
//!
//! After the msgpack specification and `flax/serialization.py`.

use std::collections::HashSet;
use std::ops::Range;

use super::cursor::{Cursor, Stop};
use super::flax_fault::FlaxFault;
use super::{MAX_NAMES, MAX_RANK};
use crate::dtype::{Dtype, checked_numel};
use crate::source::Source;

/// The deepest nesting that is read or written.
pub(crate) const MAX_DEPTH: usize = 64;

/// The most values, dictionaries among them, of a file. Numbers of a few bytes become tensors here, so they
/// are fewer than in other formats.
pub(crate) const MAX_NODES: usize = 1 << 16;

/// The key that marks an array in chunks; its other keys.
pub(crate) const CHUNKED: &str = "__msgpack_chunked_array__";
pub(crate) const SHAPE: &str = "shape";
pub(crate) const CHUNKS: &str = "chunks";

/// The kinds of extensions.
pub(crate) const ARRAY: i8 = 1;
pub(crate) const COMPLEX: i8 = 2;
pub(crate) const SCALAR: i8 = 3;

/// The types by the names that numpy and ml_dtypes give them.
pub(crate) const TYPES: [(&str, Dtype); 20] = [
    ("bool", Dtype::Bool),
    ("uint8", Dtype::U8),
    ("int8", Dtype::I8),
    ("uint16", Dtype::U16),
    ("int16", Dtype::I16),
    ("uint32", Dtype::U32),
    ("int32", Dtype::I32),
    ("uint64", Dtype::U64),
    ("int64", Dtype::I64),
    ("float16", Dtype::F16),
    ("bfloat16", Dtype::BF16),
    ("float32", Dtype::F32),
    ("float64", Dtype::F64),
    ("complex64", Dtype::C64),
    ("complex128", Dtype::C128),
    ("float8_e4m3fn", Dtype::F8E4M3),
    ("float8_e5m2", Dtype::F8E5M2),
    ("float8_e8m0fnu", Dtype::F8E8M0),
    ("float8_e4m3fnuz", Dtype::F8E4M3Fnuz),
    ("float8_e5m2fnuz", Dtype::F8E5M2Fnuz),
];

pub(crate) type Result<T> = std::result::Result<T, Stop<FlaxFault>>;

/// A value.
pub(crate) enum Node {
    Map(Vec<(String, Node)>),
    Array(Array),
    /// A number or truth value of Python's: type, kind and bytes.
    Number(Dtype, &'static str, Vec<u8>),
    Text(String),
    Bytes(Range<u64>),
    None,
}

/// An array and where its bytes are.
pub(crate) struct Array {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) pieces: Vec<Range<u64>>,
    /// Whether it is a scalar of numpy's rather than an array.
    pub(crate) scalar: bool,
}

/// Reads the whole file but for the bytes of arrays.
pub(crate) fn read(source: &Source) -> Result<Node> {
    let cursor = Cursor::new(source, 0..source.len());
    let mut parse = Parse { cursor, path: Vec::new(), nodes: 0, names: 0 };
    let root = parse.value()?;
    let Node::Map(_) = root else { return Err(Stop::Fault(FlaxFault::NotADictionary)) };
    match parse.cursor.left() {
        0 => Ok(root),
        extra => Err(Stop::Fault(FlaxFault::TrailingBytes { extra })),
    }
}

struct Parse<'a> {
    cursor: Cursor<'a, FlaxFault>,
    /// The keys that lead to what is being read.
    path: Vec<String>,
    nodes: usize,
    /// Bytes of names and texts that are kept.
    names: usize,
}

impl Parse<'_> {
    fn path(&self) -> String {
        self.path.join("/")
    }

    fn payload<T>(&self, expected: &'static str) -> Result<T> {
        let position = self.cursor.position();
        Err(Stop::Fault(FlaxFault::Payload { path: self.path(), expected, position }))
    }

    /// Any value. The depth is bounded by that of maps and lists.
    fn value(&mut self) -> Result<Node> {
        let position = self.cursor.position();
        let byte = self.cursor.u8()?;
        let number = |dtype, kind, bytes: &[u8]| Ok(Node::Number(dtype, kind, bytes.to_vec()));
        let int = |value: i64| Ok(Node::Number(Dtype::I64, "int", value.to_le_bytes().to_vec()));
        match byte {
            0x00..=0x7f => int(byte.into()),
            0xe0..=0xff => int(i64::from(byte.cast_signed())),
            0x80..=0x8f => self.map((byte & 15).into()),
            0xde => self.big(2).and_then(|count| self.map(count)),
            0xdf => self.big(4).and_then(|count| self.map(count)),
            0x90..=0x9f => self.list((byte & 15).into()),
            0xdc => self.big(2).and_then(|count| self.list(count)),
            0xdd => self.big(4).and_then(|count| self.list(count)),
            0xa0..=0xbf | 0xd9..=0xdb => {
                let length = self.text_length(byte)?;
                Ok(Node::Text(self.text(length)?))
            }
            0xc0 => Ok(Node::None),
            0xc2 | 0xc3 => number(Dtype::Bool, "bool", &[byte & 1]),
            0xc4..=0xc6 => {
                let length = self.big(1 << (byte - 0xc4))?;
                Ok(Node::Bytes(self.cursor.skip(length)?))
            }
            0xc7..=0xc9 => {
                let length = self.big(1 << (byte - 0xc7))?;
                self.extension(length)
            }
            0xd4..=0xd8 => self.extension(1 << (byte - 0xd4)),
            0xca => number(Dtype::F32, "float", &(self.big(4)? as u32).to_le_bytes()),
            0xcb => number(Dtype::F64, "float", &self.big(8)?.to_le_bytes()),
            0xcc..=0xce => int(self.big(1 << (byte - 0xcc))? as i64),
            0xcf => {
                let value = self.big(8)?;
                let dtype = if i64::try_from(value).is_ok() { Dtype::I64 } else { Dtype::U64 };
                number(dtype, "int", &value.to_le_bytes())
            }
            0xd0 => int(self.big(1)? as i8 as i64),
            0xd1 => int(self.big(2)? as i16 as i64),
            0xd2 => int(self.big(4)? as i32 as i64),
            0xd3 => int(self.big(8)?.cast_signed()),
            0xc1 => Err(Stop::Fault(FlaxFault::UnknownByte { byte, position })),
        }
    }

    fn big(&mut self, width: usize) -> Result<u64> {
        self.cursor.big(width)
    }

    /// The length of a text that begins with this byte.
    fn text_length(&mut self, byte: u8) -> Result<u64> {
        match byte {
            0xd9 => self.big(1),
            0xda => self.big(2),
            0xdb => self.big(4),
            _ => Ok((byte & 31).into()),
        }
    }

    fn text(&mut self, length: u64) -> Result<String> {
        let position = self.cursor.position();
        if length > self.cursor.left() {
            return Err(Stop::Fault(FlaxFault::Cut { position, needed: length }));
        }
        if length > (MAX_NAMES - self.names) as u64 {
            return Err(Stop::Fault(FlaxFault::NamesOverLimit { limit: MAX_NAMES }));
        }
        self.names += length as usize;
        String::from_utf8(self.cursor.bytes(length)?)
            .map_err(|_| Stop::Fault(FlaxFault::NotUtf8 { position }))
    }

    /// Refuses more values than there can be, of at least `least` bytes each.
    fn count(&mut self, count: u64, least: u64) -> Result<()> {
        let limit = (self.cursor.left() / least).min((MAX_NODES - self.nodes) as u64);
        if count > limit {
            let position = self.cursor.position();
            return Err(Stop::Fault(FlaxFault::TooMany { position, count, limit }));
        }
        self.nodes += count as usize;
        if self.path.len() == MAX_DEPTH {
            return Err(Stop::Fault(FlaxFault::Depth { path: self.path(), limit: MAX_DEPTH }));
        }
        Ok(())
    }

    /// The value of a key; gives both back.
    fn child(&mut self, key: String) -> Result<(String, Node)> {
        self.path.push(key);
        let value = self.value()?;
        Ok((self.path.pop().unwrap_or_default(), value))
    }

    fn map(&mut self, count: u64) -> Result<Node> {
        self.count(count, 2)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let position = self.cursor.position();
            let byte = self.cursor.u8()?;
            let (0xa0..=0xbf | 0xd9..=0xdb) = byte else {
                return Err(Stop::Fault(FlaxFault::KeyNotText { path: self.path(), position }));
            };
            let length = self.text_length(byte)?;
            let key = self.text(length)?;
            entries.push(self.child(key)?);
        }
        let mut keys = HashSet::with_capacity(entries.len());
        if let Some((key, _)) = entries.iter().find(|(key, _)| !keys.insert(key.as_str())) {
            let mut path = self.path.clone();
            path.push(key.clone());
            return Err(Stop::Fault(FlaxFault::DuplicateKey { path: path.join("/") }));
        }
        if keys.contains(CHUNKED) {
            return self.join(entries);
        }
        Ok(Node::Map(entries))
    }

    /// A list, which Flax keeps as a map from "0", "1", and so on.
    fn list(&mut self, count: u64) -> Result<Node> {
        self.count(count, 1)?;
        let entries = (0..count).map(|index| self.child(index.to_string()));
        Ok(Node::Map(entries.collect::<Result<_>>()?))
    }

    fn extension(&mut self, length: u64) -> Result<Node> {
        let kind = i8::from_le_bytes(self.cursor.array()?);
        let start = self.cursor.position();
        if length > self.cursor.left() {
            return Err(Stop::Fault(FlaxFault::Cut { position: start, needed: length }));
        }
        let node = match kind {
            ARRAY | SCALAR => Node::Array(self.array(kind == SCALAR)?),
            COMPLEX => {
                if self.cursor.u8()? != 0x92 {
                    return self.payload("two numbers");
                }
                let mut bytes = Vec::with_capacity(16);
                for _ in 0..2 {
                    if self.cursor.u8()? != 0xcb {
                        return self.payload("a double");
                    }
                    bytes.extend(self.big(8)?.to_le_bytes());
                }
                Node::Number(Dtype::C128, "complex", bytes)
            }
            kind => {
                return Err(Stop::Fault(FlaxFault::UnknownExtension { path: self.path(), kind }));
            }
        };
        if self.cursor.position() != start + length {
            return self.payload("the end of the array");
        }
        Ok(node)
    }

    /// Shape, name of the type, bytes.
    fn array(&mut self, scalar: bool) -> Result<Array> {
        if self.cursor.u8()? != 0x93 {
            return self.payload("shape, type and bytes");
        }
        let rank = match self.cursor.u8()? {
            byte @ 0x90..=0x9f => u64::from(byte & 15),
            0xdc => self.big(2)?,
            _ => return self.payload("a list of sizes"),
        };
        if rank > MAX_RANK as u64 {
            let (path, limit) = (self.path(), MAX_RANK);
            return Err(Stop::Fault(FlaxFault::RankOverLimit { path, limit }));
        }
        let mut shape = Vec::with_capacity(rank as usize);
        for _ in 0..rank {
            let size = match self.cursor.u8()? {
                byte @ 0..=0x7f => u64::from(byte),
                byte @ 0xcc..=0xcf => self.big(1 << (byte - 0xcc))?,
                _ => return self.payload("a size of zero or more"),
            };
            let Ok(size) = usize::try_from(size) else { return self.payload("a size that fits") };
            shape.push(size);
        }
        let length = match self.cursor.u8()? {
            byte @ (0xa0..=0xbf | 0xd9..=0xdb) => self.text_length(byte)?,
            0xc4 => self.big(1)?,
            _ => return self.payload("the name of a type"),
        };
        if length > 64 {
            return self.payload("the short name of a type");
        }
        let name = self.cursor.bytes(length)?;
        let known = TYPES.iter().find(|(known, _)| known.as_bytes() == name);
        let Some(&(_, dtype)) = known else {
            let found = String::from_utf8_lossy(&name).into_owned();
            return Err(Stop::Fault(FlaxFault::UnknownType { path: self.path(), found }));
        };
        let length = match self.cursor.u8()? {
            byte @ 0xc4..=0xc6 => self.big(1 << (byte - 0xc4))?,
            byte @ (0xa0..=0xbf | 0xd9..=0xdb) => self.text_length(byte)?,
            _ => return self.payload("the bytes of the elements"),
        };
        let range = self.cursor.skip(length)?;
        self.check(Array { dtype, shape, pieces: vec![range], scalar })
    }

    /// Holds the bytes of an array against type and shape.
    fn check(&self, array: Array) -> Result<Array> {
        let (dtype, path) = (array.dtype, || self.path());
        let needed = checked_numel(&array.shape).and_then(|numel| dtype.byte_len(numel).ok());
        let Some(needed) = needed else {
            let (path, shape) = (path(), array.shape);
            return Err(Stop::Fault(FlaxFault::ShapeOverflow { path, dtype, shape }));
        };
        let (needed, found) = (needed as u64, array.pieces.iter().map(|p| p.end - p.start).sum());
        if needed != found {
            let (path, shape) = (path(), array.shape);
            let fault = FlaxFault::DataLength { path, dtype, shape, needed, found };
            return Err(Stop::Fault(fault));
        }
        Ok(array)
    }

    /// Puts an array together that is kept as a map of shape and chunks.
    fn join(&self, entries: Vec<(String, Node)>) -> Result<Node> {
        let wrong = |reason| Err(Stop::Fault(FlaxFault::Chunks { path: self.path(), reason }));
        let (mut shape, mut pieces, mut dtype) = (None, None, None);
        for (key, node) in entries {
            match (key.as_str(), node) {
                (CHUNKED, _) => {}
                (SHAPE, Node::Map(sizes)) => {
                    let mut list = Vec::with_capacity(sizes.len().min(MAX_RANK));
                    for (index, (key, size)) in sizes.into_iter().enumerate() {
                        let size = match size {
                            Node::Number(Dtype::I64, _, bytes) => bytes.try_into().ok(),
                            _ => None,
                        };
                        let size = size.and_then(|b| usize::try_from(i64::from_le_bytes(b)).ok());
                        let (Some(size), true) = (size, key == index.to_string()) else {
                            return wrong("the shape is no list of sizes");
                        };
                        if list.len() == MAX_RANK {
                            let (path, limit) = (self.path(), MAX_RANK);
                            return Err(Stop::Fault(FlaxFault::RankOverLimit { path, limit }));
                        }
                        list.push(size);
                    }
                    shape = Some(list);
                }
                (CHUNKS, Node::Map(chunks)) => {
                    let mut list = Vec::with_capacity(chunks.len());
                    for (index, (key, chunk)) in chunks.into_iter().enumerate() {
                        let (Node::Array(mut chunk), true) = (chunk, key == index.to_string())
                        else {
                            return wrong("the chunks are no list of arrays");
                        };
                        if chunk.shape.len() != 1
                            || *dtype.get_or_insert(chunk.dtype) != chunk.dtype
                        {
                            return wrong("the chunks are no vectors of one type");
                        }
                        list.append(&mut chunk.pieces);
                    }
                    pieces = Some(list);
                }
                _ => return wrong("it has something else than a shape and chunks"),
            }
        }
        let (Some(shape), Some(pieces), Some(dtype)) = (shape, pieces, dtype) else {
            return wrong("shape or chunks are missing");
        };
        Ok(Node::Array(self.check(Array { dtype, shape, pieces, scalar: false })?))
    }
}

//! The header of a burnpack file: the parts of CBOR (RFC 8949) that Burn writes, and no more.

use std::collections::{BTreeMap, HashSet};

use half::f16;

use super::burnpack::{PARAM_ID, SCALAR, TYPE};
use super::burnpack_fault::BurnpackFault;
use super::cursor::{Cursor, Stop};
use super::{MAX_NAMES, MAX_RANK};
use crate::dtype::Dtype;

/// The most tensors that Burn reads, and with it this; and the most of other values.
pub(crate) const MAX_TENSORS: u64 = 100_000;

/// The types by the names that Burn gives them. A truth value is kept in one of three ways.
pub(crate) const TYPES: [(&str, Dtype); 12] = [
    ("F64", Dtype::F64),
    ("F32", Dtype::F32),
    ("F16", Dtype::F16),
    ("BF16", Dtype::BF16),
    ("I64", Dtype::I64),
    ("I32", Dtype::I32),
    ("I16", Dtype::I16),
    ("I8", Dtype::I8),
    ("U64", Dtype::U64),
    ("U32", Dtype::U32),
    ("U16", Dtype::U16),
    ("U8", Dtype::U8),
];

pub(crate) type Result<T> = std::result::Result<T, Stop<BurnpackFault>>;

/// A tensor as the header describes it; places from the start of the data.
pub(crate) struct Info {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) quantized: bool,
    pub(crate) shape: Vec<usize>,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// The types of CBOR's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Unsigned(u64),
    /// The number is -1 less this.
    Negative(u64),
    Bytes(u64),
    Text(u64),
    List(u64),
    Map(u64),
    Tag,
    /// A number by its bits, as a double.
    Float(u64),
    Bool(bool),
    Null,
    Other,
}

/// Reads tensors and texts; what else Burn keeps there becomes notes in the texts.
pub(crate) struct Parse<'a> {
    cursor: Cursor<'a, BurnpackFault>,
    /// Bytes of names and texts that are kept.
    names: usize,
    pub(crate) tensors: Vec<Info>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl<'a> Parse<'a> {
    /// Reads the header, which is all that the cursor has.
    pub(crate) fn read(cursor: Cursor<'a, BurnpackFault>) -> Result<Self> {
        let mut parse = Self { cursor, names: 0, tensors: Vec::new(), metadata: BTreeMap::new() };
        let mut seen = HashSet::new();
        for _ in 0..parse.map("a map of tensors and metadata", "parts")? {
            let key = parse.text("the name of a part")?;
            match key.as_str() {
                "tensors" => parse.tensors()?,
                "metadata" => parse.texts()?,
                "scalars" => parse.scalars()?,
                _ => parse.skip()?,
            }
            if !seen.insert(key.clone()) {
                return Err(Stop::Fault(BurnpackFault::DuplicateKey { key }));
            }
        }
        if !seen.contains("tensors") {
            return parse.unexpected("a part called tensors");
        }
        if parse.cursor.left() > 0 {
            return parse.unexpected("nothing more");
        }
        Ok(parse)
    }

    fn unexpected<T>(&self, expected: &'static str) -> Result<T> {
        let position = self.cursor.position();
        Err(Stop::Fault(BurnpackFault::Header { expected, position }))
    }

    /// The head of the next item.
    fn item(&mut self) -> Result<Item> {
        let byte = self.cursor.u8()?;
        let number = match byte & 31 {
            small @ 0..=23 => u64::from(small),
            sized @ 24..=27 => self.cursor.big(1 << (sized - 24))?,
            _ => return self.unexpected("an item of known length"),
        };
        Ok(match (byte >> 5, byte & 31) {
            (0, _) => Item::Unsigned(number),
            (1, _) => Item::Negative(number),
            (2, _) => Item::Bytes(number),
            (3, _) => Item::Text(number),
            (4, _) => Item::List(number),
            (5, _) => Item::Map(number),
            (6, _) => Item::Tag,
            (_, 20 | 21) => Item::Bool(number == 21),
            (_, 22) => Item::Null,
            (_, 25) => Item::Float(f16::from_bits(number as u16).to_f64().to_bits()),
            (_, 26) => Item::Float(f64::from(f32::from_bits(number as u32)).to_bits()),
            (_, 27) => Item::Float(number),
            _ => Item::Other,
        })
    }

    /// Passes over an item and all that is in it.
    fn skip(&mut self) -> Result<()> {
        let item = self.item()?;
        self.skip_rest(item)
    }

    fn skip_rest(&mut self, item: Item) -> Result<()> {
        let mut pending = 0u64;
        let mut item = Some(item);
        while let Some(this) = item.take() {
            let within = match this {
                Item::Bytes(length) | Item::Text(length) => {
                    self.cursor.skip(length)?;
                    0
                }
                Item::List(count) => count,
                Item::Map(count) => count.saturating_mul(2),
                Item::Tag => 1,
                _ => 0,
            };
            // Each item has a byte at least.
            pending = pending.saturating_add(within);
            if pending > self.cursor.left() {
                let (count, limit) = (pending, self.cursor.left());
                return Err(Stop::Fault(BurnpackFault::TooMany { what: "items", count, limit }));
            }
            if pending > 0 {
                pending -= 1;
                item = Some(self.item()?);
            }
        }
        Ok(())
    }

    /// The number of entries of a map, which have two bytes each at least.
    fn map(&mut self, expected: &'static str, what: &'static str) -> Result<u64> {
        let Item::Map(count) = self.item()? else { return self.unexpected(expected) };
        let limit = (self.cursor.left() / 2).min(MAX_TENSORS);
        if count > limit {
            return Err(Stop::Fault(BurnpackFault::TooMany { what, count, limit }));
        }
        Ok(count)
    }

    fn text(&mut self, expected: &'static str) -> Result<String> {
        let Item::Text(length) = self.item()? else { return self.unexpected(expected) };
        self.text_of(length)
    }

    fn text_of(&mut self, length: u64) -> Result<String> {
        let position = self.cursor.position();
        if length > self.cursor.left() {
            return Err(Stop::Fault(BurnpackFault::Cut { position, needed: length }));
        }
        if length > (MAX_NAMES - self.names) as u64 {
            return Err(Stop::Fault(BurnpackFault::NamesOverLimit { limit: MAX_NAMES }));
        }
        self.names += length as usize;
        String::from_utf8(self.cursor.bytes(length)?)
            .map_err(|_| Stop::Fault(BurnpackFault::NotUtf8 { position }))
    }

    fn unsigned(&mut self, expected: &'static str) -> Result<u64> {
        match self.item()? {
            Item::Unsigned(number) => Ok(number),
            _ => self.unexpected(expected),
        }
    }

    fn note(&mut self, key: String, value: String) -> Result<()> {
        if self.metadata.contains_key(&key) {
            return Err(Stop::Fault(BurnpackFault::DuplicateKey { key }));
        }
        self.metadata.insert(key, value);
        Ok(())
    }

    fn texts(&mut self) -> Result<()> {
        for _ in 0..self.map("a map of texts", "texts")? {
            let (key, value) = (self.text("a key")?, self.text("a text")?);
            self.note(key, value)?;
        }
        Ok(())
    }

    fn scalars(&mut self) -> Result<()> {
        for _ in 0..self.map("a map of scalars", "scalars")? {
            let key = self.text("the name of a scalar")?;
            if self.map("a kind of scalar", "kinds of one scalar")? != 1 {
                return self.unexpected("one kind of scalar");
            }
            let kind = self.text("the kind of a scalar")?;
            let value = match (kind.as_str(), self.item()?) {
                ("Int", Item::Unsigned(number)) if i64::try_from(number).is_ok() => {
                    number.to_string()
                }
                ("Int", Item::Negative(less)) if i64::try_from(less).is_ok() => {
                    (-1 - i128::from(less)).to_string()
                }
                ("UInt", Item::Unsigned(number)) => number.to_string(),
                // The bits, since not every NaN comes back from a text.
                ("Float", Item::Float(bits)) => format!("{bits:#018x}"),
                ("Bool", Item::Bool(value)) => value.to_string(),
                _ => return self.unexpected("an Int, UInt, Float or Bool"),
            };
            self.note(format!("{SCALAR}{key}"), format!("{kind}({value})"))?;
        }
        Ok(())
    }

    fn tensors(&mut self) -> Result<()> {
        let count = self.map("a map of tensors", "tensors")?;
        let mut names = HashSet::new();
        for _ in 0..count {
            let name = self.text("the name of a tensor")?;
            if !names.insert(name.clone()) {
                return Err(Stop::Fault(BurnpackFault::DuplicateKey { key: name }));
            }
            let info = self.info(name)?;
            self.tensors.push(info);
        }
        Ok(())
    }

    fn info(&mut self, name: String) -> Result<Info> {
        let (mut dtype, mut shape, mut offsets, mut id) = (None, None, None, None);
        for _ in 0..self.map("the description of a tensor", "parts of one tensor")? {
            let key = self.text("a part of a description")?;
            let twice = match key.as_str() {
                "dtype" => dtype.replace(self.dtype(&name)?).is_some(),
                "shape" => shape.replace(self.shape(&name)?).is_some(),
                "data_offsets" => offsets.replace(self.offsets()?).is_some(),
                "param_id" => id.replace(self.param_id()?).is_some(),
                _ => {
                    self.skip()?;
                    false
                }
            };
            if twice {
                return Err(Stop::Fault(BurnpackFault::DuplicateKey { key }));
            }
        }
        let missing = |missing| {
            let tensor = name.clone();
            Stop::Fault(BurnpackFault::Missing { tensor, missing })
        };
        let (dtype, quantized) = dtype.ok_or_else(|| missing("dtype"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        let (begin, end) = offsets.ok_or_else(|| missing("data_offsets"))?;
        if let Some(Some(id)) = id {
            self.note(format!("{PARAM_ID}{name}"), id.to_string())?;
        }
        Ok(Info { name, dtype, quantized, shape, begin, end })
    }

    /// The type, and whether it is packed in blocks. What has no type of its own here leaves a note.
    fn dtype(&mut self, name: &str) -> Result<(Dtype, bool)> {
        let unknown = |found: String| {
            let tensor = name.to_owned();
            Err(Stop::Fault(BurnpackFault::UnknownType { tensor, found }))
        };
        let note = format!("{TYPE}{name}");
        match self.item()? {
            Item::Text(length) => {
                let found = self.text_of(length)?;
                if found == "Flex32" {
                    self.note(note, found)?;
                    return Ok((Dtype::F32, false));
                }
                match TYPES.iter().find(|(known, _)| *known == found) {
                    Some(&(_, dtype)) => Ok((dtype, false)),
                    None => unknown(found),
                }
            }
            Item::Map(1) => {
                let found = self.text("a type")?;
                match found.as_str() {
                    "Bool" => {
                        let store = self.text("how truth values are kept")?;
                        let dtype = match store.as_str() {
                            "Native" => return Ok((Dtype::Bool, false)),
                            "U8" => Dtype::Bool,
                            "U32" => Dtype::U32,
                            _ => return unknown(format!("Bool({store})")),
                        };
                        self.note(note, format!("Bool({store})"))?;
                        Ok((dtype, false))
                    }
                    "QFloat" => {
                        self.skip()?;
                        self.note(note, found)?;
                        Ok((Dtype::F32, true))
                    }
                    _ => unknown(found),
                }
            }
            _ => self.unexpected("a type"),
        }
    }

    fn shape(&mut self, name: &str) -> Result<Vec<usize>> {
        let Item::List(rank) = self.item()? else { return self.unexpected("a list of sizes") };
        if rank > MAX_RANK as u64 {
            let (tensor, limit) = (name.to_owned(), MAX_RANK);
            return Err(Stop::Fault(BurnpackFault::RankOverLimit { tensor, limit }));
        }
        let size = |_| {
            let size = self.unsigned("a size of zero or more")?;
            usize::try_from(size).or_else(|_| self.unexpected("a size that fits"))
        };
        (0..rank).map(size).collect()
    }

    fn offsets(&mut self) -> Result<(u64, u64)> {
        if self.item()? != Item::List(2) {
            return self.unexpected("begin and end of a tensor");
        }
        Ok((self.unsigned("the begin of a tensor")?, self.unsigned("the end of a tensor")?))
    }

    fn param_id(&mut self) -> Result<Option<u64>> {
        match self.item()? {
            Item::Null => Ok(None),
            Item::Unsigned(id) => Ok(Some(id)),
            _ => self.unexpected("the number of a parameter"),
        }
    }
}

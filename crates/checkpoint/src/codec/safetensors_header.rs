//! The JSON header of a safetensors file: parsed strictly, then held against the file's length.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::MAX_RANK;
use super::safetensors_fault::SafetensorsFault;
use crate::dtype::{ByteLenFault, Dtype, checked_numel};

/// The key that holds the metadata instead of a tensor.
pub(crate) const METADATA_KEY: &str = "__metadata__";

/// The most keys of a header: more than the largest models have tensors. With the two limits below it
/// keeps the memory of a header made only to fill it under twice its length and 64 MiB.
pub(crate) const MAX_KEYS: usize = 1 << 17;

/// The most dimensions of all tensors together, four for each key.
const MAX_DIMENSIONS: usize = 4 * MAX_KEYS;

/// The longest name or text, in bytes of the header.
pub(super) const MAX_TEXT: usize = 8 << 20;

/// A tensor as the header describes it; offsets from the end of the header.
#[derive(Debug)]
pub(crate) struct RawTensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// Tensors in the order of the header, and metadata.
#[derive(Debug, Default)]
pub(crate) struct RawHeader {
    pub(crate) tensors: Vec<RawTensor>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Parses a header. Refuses what cannot be seen in the result: duplicate keys, unknown types, floods.
pub(crate) fn parse(header: &[u8]) -> Result<RawHeader, SafetensorsFault> {
    let text = std::str::from_utf8(header)
        .map_err(|e| SafetensorsFault::NotUtf8 { position: e.valid_up_to() })?;
    if !text.starts_with('{') {
        return Err(SafetensorsFault::NotAnObject);
    }
    if let Some(position) = overlong_text(header) {
        return Err(SafetensorsFault::TextOverLimit { position, limit: MAX_TEXT });
    }
    let mut parse = Parse::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let end = parse.deserialize(&mut json).and_then(|()| json.end());
    if let Err(e) = end {
        // A fault of the format is carried past the parser, which can only hold a text.
        let json = SafetensorsFault::Json { tensor: parse.current, reason: e.to_string() };
        return Err(parse.fault.unwrap_or(json));
    }
    let raw = parse.header;
    let mut names = HashSet::with_capacity(raw.tensors.len());
    if let Some(twice) = raw.tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
        return Err(SafetensorsFault::DuplicateKey { key: twice.name.clone(), within: None });
    }
    Ok(raw)
}

/// Where a text longer than [`MAX_TEXT`] begins, to be refused before the parser makes copies of it.
pub(super) fn overlong_text(json: &[u8]) -> Option<usize> {
    let mut start = None;
    let mut escaped = false;
    for (at, &byte) in json.iter().enumerate() {
        let Some(position) = start else {
            start = (byte == b'"').then_some(at);
            continue;
        };
        if byte == b'"' && !escaped {
            start = None;
        } else if at - position > MAX_TEXT {
            return Some(position);
        } else {
            escaped = byte == b'\\' && !escaped;
        }
    }
    None
}

/// Puts the tensors into the order of the file and holds them against the bytes of data it has:
/// every size right, every byte in exactly one tensor. Empty tensors at the same offset keep the
/// order of the header.
pub(crate) fn arrange(tensors: &mut [RawTensor], available: u64) -> Result<(), SafetensorsFault> {
    for tensor in tensors.iter() {
        check_one(tensor, available)?;
    }
    tensors.sort_by_key(|tensor| (tensor.begin, tensor.end));
    let mut previous_end = 0;
    for RawTensor { name, begin, end, .. } in tensors.iter() {
        let (tensor, begin) = (name.clone(), *begin);
        if begin < previous_end {
            return Err(SafetensorsFault::Overlap { tensor, begin, previous_end });
        }
        if begin > previous_end {
            return Err(SafetensorsFault::Hole { tensor, begin, previous_end });
        }
        previous_end = *end;
    }
    if previous_end < available {
        return Err(SafetensorsFault::TrailingBytes { extra: available - previous_end });
    }
    Ok(())
}

fn check_one(raw: &RawTensor, available: u64) -> Result<(), SafetensorsFault> {
    let (dtype, begin, end) = (raw.dtype, raw.begin, raw.end);
    let (tensor, shape) = (|| raw.name.clone(), || raw.shape.clone());
    if raw.shape.len() > MAX_RANK {
        return Err(SafetensorsFault::RankOverLimit { tensor: tensor(), limit: MAX_RANK });
    }
    let needed = match checked_numel(&raw.shape).map(|numel| dtype.byte_len(numel)) {
        Some(Ok(needed)) => needed as u64,
        Some(Err(ByteLenFault::PartialByte)) => {
            return Err(SafetensorsFault::PartialByte { tensor: tensor(), dtype, shape: shape() });
        }
        None | Some(Err(ByteLenFault::Overflow)) => {
            return Err(SafetensorsFault::ShapeOverflow {
                tensor: tensor(),
                dtype,
                shape: shape(),
            });
        }
    };
    if end < begin {
        return Err(SafetensorsFault::ReversedOffsets { tensor: tensor(), begin, end });
    }
    if end - begin != needed {
        let (tensor, shape, found) = (tensor(), shape(), end - begin);
        return Err(SafetensorsFault::SizeMismatch { tensor, dtype, shape, needed, found });
    }
    if end > available {
        return Err(SafetensorsFault::PastEnd { tensor: tensor(), end, available });
    }
    Ok(())
}

/// The description of a tensor in the library that defines the format, to be written as it writes it.
pub(crate) fn info(raw: &RawTensor) -> Result<TensorInfo, SafetensorsFault> {
    let offset = |at: u64| usize::try_from(at).map_err(unwritable);
    let Some(dtype) = library_dtype(raw.dtype) else {
        let (tensor, dtype) = (raw.name.clone(), raw.dtype);
        return Err(SafetensorsFault::NoSuchDtype { tensor, dtype });
    };
    Ok(TensorInfo {
        dtype,
        shape: raw.shape.clone(),
        data_offsets: (offset(raw.begin)?, offset(raw.end)?),
    })
}

fn unwritable(e: impl fmt::Display) -> SafetensorsFault {
    SafetensorsFault::Unwritable { reason: e.to_string() }
}

/// The type's name in the library, if the format has it.
fn library_dtype(dtype: Dtype) -> Option<safetensors::Dtype> {
    use safetensors::Dtype as L;
    Some(match dtype {
        Dtype::Bool => L::BOOL,
        Dtype::F4 => L::F4,
        Dtype::F6E2M3 => L::F6_E2M3,
        Dtype::F6E3M2 => L::F6_E3M2,
        Dtype::U8 => L::U8,
        Dtype::I8 => L::I8,
        Dtype::F8E5M2 => L::F8_E5M2,
        Dtype::F8E4M3 => L::F8_E4M3,
        Dtype::F8E8M0 => L::F8_E8M0,
        Dtype::F8E4M3Fnuz => L::F8_E4M3FNUZ,
        Dtype::F8E5M2Fnuz => L::F8_E5M2FNUZ,
        Dtype::I16 => L::I16,
        Dtype::U16 => L::U16,
        Dtype::F16 => L::F16,
        Dtype::BF16 => L::BF16,
        Dtype::I32 => L::I32,
        Dtype::U32 => L::U32,
        Dtype::F32 => L::F32,
        Dtype::C64 => L::C64,
        Dtype::F64 => L::F64,
        Dtype::I64 => L::I64,
        Dtype::U64 => L::U64,
        Dtype::C32 | Dtype::C128 => return None,
    })
}

/// The parser's state; itself the seed and visitor of the outermost object.
#[derive(Default)]
struct Parse {
    header: RawHeader,
    keys: usize,
    dimensions: usize,
    /// What is being read, for the error.
    current: Option<String>,
    fault: Option<SafetensorsFault>,
}

impl Parse {
    /// Keeps a fault and gives the error that stops the parser.
    fn stop<E: serde::de::Error>(&mut self, fault: SafetensorsFault) -> E {
        let error = E::custom(&fault);
        self.fault = Some(fault);
        error
    }

    fn duplicate<E: serde::de::Error>(&mut self, key: &str) -> E {
        let within = self.current.clone();
        self.stop(SafetensorsFault::DuplicateKey { key: key.to_owned(), within })
    }

    fn count_key<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.keys += 1;
        if self.keys > MAX_KEYS {
            return Err(self.stop(SafetensorsFault::TooManyKeys { limit: MAX_KEYS }));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Parse {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Parse {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            self.count_key()?;
            if name == METADATA_KEY {
                if has_metadata {
                    return Err(self.duplicate(METADATA_KEY));
                }
                has_metadata = true;
                self.current = Some(name);
                map.next_value_seed(MetadataSeed(self))?;
            } else {
                self.current = Some(name);
                let (dtype, shape, (begin, end)) = map.next_value_seed(TensorSeed(self))?;
                // Taken back rather than cloned: names may be most of the file.
                let name = self.current.take().unwrap_or_default();
                self.header.tensors.push(RawTensor { name, dtype, shape, begin, end });
            }
            self.current = None;
        }
        Ok(())
    }
}

struct MetadataSeed<'a>(&'a mut Parse);

impl<'de> DeserializeSeed<'de> for MetadataSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for MetadataSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts by key")
    }

    // The library takes `null` for no metadata.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let parse = self.0;
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            parse.count_key()?;
            match parse.header.metadata.entry(key) {
                Entry::Vacant(vacant) => vacant.insert(value),
                Entry::Occupied(occupied) => {
                    let key = occupied.key().clone();
                    return Err(parse.duplicate(&key));
                }
            };
        }
        Ok(())
    }
}

struct TensorSeed<'a>(&'a mut Parse);

impl<'de> DeserializeSeed<'de> for TensorSeed<'_> {
    type Value = (Dtype, Vec<usize>, (u64, u64));

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TensorSeed<'_> {
    type Value = (Dtype, Vec<usize>, (u64, u64));

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let parse = self.0;
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        // The library passes over keys it does not know, and so does this; but not over two of them.
        let mut others = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let twice = match key.as_str() {
                "dtype" => {
                    let found = map.next_value::<String>()?;
                    let known = Dtype::from_name(&found);
                    let Some(known) = known.filter(|known| library_dtype(*known).is_some()) else {
                        let tensor = parse.current.clone().unwrap_or_default();
                        return Err(parse.stop(SafetensorsFault::UnknownDtype { tensor, found }));
                    };
                    dtype.replace(known).is_some()
                }
                "shape" => shape.replace(map.next_value_seed(ShapeSeed(parse))?).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<(u64, u64)>()?).is_some(),
                _ => {
                    parse.count_key()?;
                    map.next_value::<IgnoredAny>()?;
                    !others.insert(key.clone())
                }
            };
            if twice {
                return Err(parse.duplicate(&key));
            }
        }
        let missing = A::Error::missing_field;
        Ok((
            dtype.ok_or_else(|| missing("dtype"))?,
            shape.ok_or_else(|| missing("shape"))?,
            offsets.ok_or_else(|| missing("data_offsets"))?,
        ))
    }
}

struct ShapeSeed<'a>(&'a mut Parse);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Vec<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<usize>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of sizes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<usize>, A::Error> {
        let mut shape = Vec::new();
        while let Some(size) = sequence.next_element()? {
            if shape.len() == MAX_RANK {
                let tensor = self.0.current.clone().unwrap_or_default();
                let fault = SafetensorsFault::RankOverLimit { tensor, limit: MAX_RANK };
                return Err(self.0.stop(fault));
            }
            self.0.dimensions += 1;
            if self.0.dimensions > MAX_DIMENSIONS {
                let fault = SafetensorsFault::TooManyDimensions { limit: MAX_DIMENSIONS };
                return Err(self.0.stop(fault));
            }
            shape.push(size);
        }
        // Kept for long, and often a quarter full.
        shape.shrink_to_fit();
        Ok(shape)
    }
}

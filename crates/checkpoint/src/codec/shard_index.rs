//! The index of a checkpoint in several files: parsed strictly, and written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::{SerializeMap, Serializer};

use super::safetensors_header::{MAX_KEYS, MAX_TEXT, overlong_text};
use super::shard_fault::ShardFault;

/// The longest index, in bytes: some hundred for each of the most keys.
pub(super) const MAX_INDEX: u64 = 64 << 20;

/// The most shards: more than systems let a process open.
pub(super) const MAX_SHARDS: usize = 10_000;

/// The key under which the sizes of all tensors are added up. It is not read.
pub(super) const TOTAL_SIZE: &str = "total_size";

const METADATA: &str = "metadata";
const WEIGHT_MAP: &str = "weight_map";

/// What an index says, in its order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Index {
    /// The names of the files, in the order in which they first stand there. Each is a plain file name.
    pub(super) shards: Vec<String>,
    /// The tensors, each with the place of its file.
    pub(super) tensors: Vec<(String, usize)>,
    /// The metadata that is text.
    pub(super) metadata: BTreeMap<String, String>,
}

impl Index {
    /// The first tensor in a shard.
    pub(super) fn first_in(&self, shard: usize) -> &str {
        self.tensors.iter().find(|tensor| tensor.1 == shard).map_or("", |tensor| &tensor.0)
    }
}

/// Parses an index. Refuses what cannot be seen in the result: duplicate keys, floods.
pub(super) fn parse(json: &[u8]) -> Result<Index, ShardFault> {
    let text =
        std::str::from_utf8(json).map_err(|e| ShardFault::NotUtf8 { position: e.valid_up_to() })?;
    if let Some(position) = overlong_text(json) {
        return Err(ShardFault::TextOverLimit { position, limit: MAX_TEXT });
    }
    let mut parse = Parse::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let end = parse.deserialize(&mut json).and_then(|()| json.end());
    if let Err(e) = end {
        // A fault of the format is carried past the parser, which can only hold a text.
        return Err(parse.fault.unwrap_or(ShardFault::Json { reason: e.to_string() }));
    }
    if !parse.has_weight_map {
        return Err(ShardFault::NoWeightMap);
    }
    let mut index = parse.index;
    let texts = parse.metadata.into_iter().filter(|(key, _)| key != TOTAL_SIZE);
    index.metadata = texts.filter_map(|(key, text)| Some((key, text?))).collect();
    let mut names = HashSet::with_capacity(index.tensors.len());
    match index.tensors.iter().find(|tensor| !names.insert(tensor.0.as_str())) {
        Some((key, _)) => {
            Err(ShardFault::DuplicateKey { key: key.clone(), within: Some(WEIGHT_MAP) })
        }
        None => Ok(index),
    }
}

/// The index as Hugging Face writes it: the sum of sizes, and the file of each tensor. Metadata is written
/// here too, where it is found if there are no tensors.
pub(super) fn encode(index: &Index, total_size: u64) -> Result<Vec<u8>, ShardFault> {
    let unwritable = |e: serde_json::Error| ShardFault::Unwritable { reason: e.to_string() };
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::pretty(&mut json);
    let mut map = serializer.serialize_map(None).map_err(unwritable)?;
    map.serialize_entry(METADATA, &Metadata(&index.metadata, total_size)).map_err(unwritable)?;
    map.serialize_entry(WEIGHT_MAP, &WeightMap(index)).map_err(unwritable)?;
    map.end().map_err(unwritable)?;
    json.push(b'\n');
    if json.len() as u64 > MAX_INDEX {
        let length = json.len() as u64;
        return Err(ShardFault::IndexOverLimit { length, limit: MAX_INDEX });
    }
    // What is written must be accepted when it is read: the reader's limits are in its parser.
    parse(&json)?;
    Ok(json)
}

struct Metadata<'a>(&'a BTreeMap<String, String>, u64);

impl serde::Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(TOTAL_SIZE, &self.1)?;
        for (key, value) in self.0.iter().filter(|(key, _)| *key != TOTAL_SIZE) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

struct WeightMap<'a>(&'a Index);

impl serde::Serialize for WeightMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Index { shards, tensors, .. } = self.0;
        serializer.collect_map(tensors.iter().map(|(name, shard)| (name, shards.get(*shard))))
    }
}

/// Whether a shard may be called so: the name of a file and no way to another directory, on any system.
fn is_plain(name: &str) -> bool {
    let strange = |letter: char| matches!(letter, '/' | '\\' | ':') || letter.is_control();
    !name.is_empty() && name != "." && name != ".." && name.len() <= 255 && !name.contains(strange)
}

/// The parser's state; itself the seed and visitor of the outermost object.
#[derive(Default)]
struct Parse {
    index: Index,
    places: HashMap<String, usize>,
    /// With nothing for what is no text.
    metadata: BTreeMap<String, Option<String>>,
    keys: usize,
    has_weight_map: bool,
    fault: Option<ShardFault>,
}

impl Parse {
    /// Keeps a fault and gives the error that stops the parser.
    fn stop<E: serde::de::Error>(&mut self, fault: ShardFault) -> E {
        let error = E::custom(&fault);
        self.fault = Some(fault);
        error
    }

    fn count_key<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.keys += 1;
        if self.keys > MAX_KEYS {
            return Err(self.stop(ShardFault::TooManyKeys { limit: MAX_KEYS }));
        }
        Ok(())
    }

    /// The place of a shard, which is a new one if it is not known.
    fn place<E: serde::de::Error>(&mut self, tensor: &str, shard: String) -> Result<usize, E> {
        if let Some(place) = self.places.get(&shard) {
            return Ok(*place);
        }
        if !is_plain(&shard) {
            let tensor = tensor.to_owned();
            return Err(self.stop(ShardFault::ShardName { tensor, shard }));
        }
        let place = self.index.shards.len();
        if place == MAX_SHARDS {
            return Err(self.stop(ShardFault::TooManyShards { limit: MAX_SHARDS }));
        }
        self.index.shards.push(shard.clone());
        self.places.insert(shard, place);
        Ok(place)
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
        f.write_str("an object with weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Keys that are not known are passed over; but not two of them.
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.count_key()?;
            if seen.contains(&key) {
                return Err(self.stop(ShardFault::DuplicateKey { key, within: None }));
            }
            match key.as_str() {
                METADATA => map.next_value_seed(MetadataSeed(self))?,
                WEIGHT_MAP => {
                    self.has_weight_map = true;
                    map.next_value_seed(WeightMapSeed(self))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            seen.insert(key);
        }
        Ok(())
    }
}

struct WeightMapSeed<'a>(&'a mut Parse);

impl<'de> DeserializeSeed<'de> for WeightMapSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WeightMapSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of file names by tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let parse = self.0;
        while let Some((tensor, shard)) = map.next_entry::<String, String>()? {
            parse.count_key()?;
            let place = parse.place(&tensor, shard)?;
            parse.index.tensors.push((tensor, place));
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
        f.write_str("an object of metadata")
    }

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
        while let Some((key, MaybeText(text))) = map.next_entry::<String, MaybeText>()? {
            parse.count_key()?;
            if parse.metadata.contains_key(&key) {
                let fault = ShardFault::DuplicateKey { key, within: Some(METADATA) };
                return Err(parse.stop(fault));
            }
            parse.metadata.insert(key, text);
        }
        Ok(())
    }
}

/// A text; or something else, which is passed over.
struct MaybeText(Option<String>);

impl<'de> Deserialize<'de> for MaybeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaybeText(None))
    }
}

impl<'de> Visitor<'de> for MaybeText {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self, E> {
        Ok(Self(Some(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

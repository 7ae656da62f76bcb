//! The GGUF format, read only: a header of values by key, the tensors' descriptions, their bytes.
//!
//! Layout after the specification in ggml's docs/gguf.md, versions 2 and 3.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::cursor::{Cursor, Stop};
pub use super::gguf_fault::GgufFault;
use super::gguf_types::{Kind, kind};
use super::{MAX_NAMES, MAX_RANK, MAX_TENSORS};
use crate::checkpoint::Checkpoint;
use crate::data::{FileRange, Provider};
use crate::dtype::Dtype;
use crate::error::Error;
use crate::source::Source;
use crate::tensor::NamedTensor;

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";

/// The key of the alignment of the data, and its value where it is missing.
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

/// Arrays of more values than this, vocabularies most of all, become a note of their length.
const MAX_LISTED: u64 = 64;

/// In the metadata: the type of a quantized tensor, by its name.
const TYPE_KEY: &str = "gguf.type:";

type Result<T> = std::result::Result<T, Stop<GgufFault>>;

/// The tensors in the order of the file.
///
/// Shapes are turned: GGUF counts from the innermost dimension. A quantized tensor is listed as F32, which
/// it would become, and its bytes are refused.
pub(crate) fn open(source: &Source) -> std::result::Result<Checkpoint, Error> {
    read(source).map_err(|stop| {
        stop.into_error(|cause| Error::Gguf { path: source.path().to_path_buf(), cause })
    })
}

fn read(source: &Source) -> Result<Checkpoint> {
    let mut file = File { cursor: Cursor::new(source, 0..source.len()), names: 0 };
    if &file.cursor.array::<4>()? != MAGIC {
        return Err(Stop::Fault(GgufFault::NotGguf));
    }
    match file.cursor.u32()? {
        2 | 3 => {}
        version if matches!(version.swap_bytes(), 2 | 3) => {
            return Err(Stop::Fault(GgufFault::BigEndian));
        }
        version => return Err(Stop::Fault(GgufFault::UnknownVersion { version })),
    }
    let (tensors, values) = (file.cursor.u64()?, file.cursor.u64()?);
    // Name, dimensions, type, offset; key, type, value.
    file.check_count("tensors", tensors, 8 + 4 + 4 + 8)?;
    file.check_count("values", values, 8 + 4 + 1)?;
    let (mut metadata, alignment) = file.values(values)?;
    let mut infos = Vec::with_capacity(tensors as usize);
    for _ in 0..tensors {
        infos.push(file.info(alignment)?);
    }
    let start = file.cursor.position().next_multiple_of(alignment);
    let available = source.len().saturating_sub(start);
    check_apart(&infos, available).map_err(Stop::Fault)?;

    let mut checkpoint = Checkpoint::new();
    for Info { name, kind, shape, begin, end } in infos {
        let (dtype, provider): (_, Arc<dyn Provider>) = match kind {
            Kind::Plain(dtype) => {
                // An empty tensor may begin where the file has ended.
                let range = if begin == end { 0..0 } else { start + begin..start + end };
                (dtype, Arc::new(FileRange { source: source.clone(), range }))
            }
            Kind::Blocks { name: kind, .. } => {
                metadata.insert(format!("{TYPE_KEY}{name}"), kind.to_owned());
                let quantized = Quantized { source: source.clone(), tensor: name.clone(), kind };
                (Dtype::F32, Arc::new(quantized))
            }
        };
        checkpoint.push(NamedTensor::lazy(name, dtype, shape, provider)?)?;
    }
    checkpoint.metadata = metadata;
    Ok(checkpoint)
}

/// A tensor whose bytes are not read.
#[derive(Debug)]
struct Quantized {
    source: Source,
    tensor: String,
    kind: &'static str,
}

impl Provider for Quantized {
    fn read(&self) -> std::result::Result<Vec<u8>, Error> {
        let cause = GgufFault::Quantized { tensor: self.tensor.clone(), kind: self.kind };
        Err(Error::Gguf { path: self.source.path().to_path_buf(), cause })
    }
}

/// A tensor as it is described; places from the start of the data.
struct Info {
    name: String,
    kind: Kind,
    shape: Vec<usize>,
    begin: u64,
    end: u64,
}

/// Every name once, everything within the file, every byte in one tensor at most.
fn check_apart(infos: &[Info], available: u64) -> std::result::Result<(), GgufFault> {
    let mut names = HashSet::with_capacity(infos.len());
    for Info { name, begin, end, .. } in infos {
        if !names.insert(name.as_str()) {
            return Err(GgufFault::DuplicateTensor { tensor: name.clone() });
        }
        if *end > available && begin < end {
            return Err(GgufFault::PastEnd { tensor: name.clone(), end: *end, available });
        }
    }
    let mut by_place: Vec<&Info> = infos.iter().filter(|info| info.begin < info.end).collect();
    by_place.sort_by_key(|info| (info.begin, info.end));
    for pair in by_place.windows(2) {
        let (other, info) = (pair[0], pair[1]);
        if info.begin < other.end {
            return Err(GgufFault::Overlap {
                tensor: info.name.clone(),
                begin: info.begin,
                other: other.name.clone(),
                end: other.end,
            });
        }
    }
    Ok(())
}

struct File<'a> {
    cursor: Cursor<'a, GgufFault>,
    /// Bytes of names and texts that are kept.
    names: usize,
}

impl File<'_> {
    /// Refuses a number of things that take at least `least` bytes each.
    fn check_count(&self, what: &'static str, count: u64, least: u64) -> Result<()> {
        let limit = (self.cursor.left() / least).min(MAX_TENSORS as u64);
        if count > limit {
            return Err(Stop::Fault(GgufFault::TooMany { what, count, limit }));
        }
        Ok(())
    }

    /// A text that is kept.
    fn text(&mut self) -> Result<String> {
        let length = self.cursor.u64()?;
        let position = self.cursor.position();
        if length > self.cursor.left() {
            return Err(Stop::Fault(GgufFault::Cut { position, needed: length }));
        }
        if length > (MAX_NAMES - self.names) as u64 {
            return Err(Stop::Fault(GgufFault::NamesOverLimit { limit: MAX_NAMES }));
        }
        self.names += length as usize;
        let bytes = self.cursor.bytes(length)?;
        String::from_utf8(bytes).map_err(|_| Stop::Fault(GgufFault::NotUtf8 { position }))
    }

    /// The values as texts by key, and the alignment.
    fn values(&mut self, count: u64) -> Result<(BTreeMap<String, String>, u64)> {
        let mut values = BTreeMap::new();
        let mut alignment = DEFAULT_ALIGNMENT;
        for _ in 0..count {
            let key = self.text()?;
            let number = self.cursor.u32()?;
            let value = match number {
                9 => self.list(&key)?,
                number => self.value(&key, number)?,
            };
            if key == ALIGNMENT_KEY {
                let given = value.parse().ok().filter(|_| number == 4);
                let given = given
                    .filter(|given: &u64| given.is_power_of_two() && (8..=1 << 20).contains(given));
                let found = || Stop::Fault(GgufFault::Alignment { found: value.clone() });
                alignment = given.ok_or_else(found)?;
            }
            if values.contains_key(&key) {
                return Err(Stop::Fault(GgufFault::DuplicateKey { key }));
            }
            values.insert(key, value);
        }
        Ok((values, alignment))
    }

    /// One value as a text.
    fn value(&mut self, key: &str, number: u32) -> Result<String> {
        let cursor = &mut self.cursor;
        Ok(match number {
            0 => cursor.u8()?.to_string(),
            1 => i8::from_le_bytes(cursor.array()?).to_string(),
            2 => cursor.u16()?.to_string(),
            3 => i16::from_le_bytes(cursor.array()?).to_string(),
            4 => cursor.u32()?.to_string(),
            5 => cursor.i32()?.to_string(),
            6 => f32::from_le_bytes(cursor.array()?).to_string(),
            7 => (cursor.u8()? != 0).to_string(),
            8 => self.text()?,
            9 => return Err(Stop::Fault(GgufFault::NestedArrays { key: key.to_owned() })),
            10 => cursor.u64()?.to_string(),
            11 => cursor.i64()?.to_string(),
            12 => f64::from_le_bytes(cursor.array()?).to_string(),
            found => {
                return Err(Stop::Fault(GgufFault::UnknownValueType {
                    key: key.to_owned(),
                    found,
                }));
            }
        })
    }

    /// An array as a text: its values, or how many there are.
    fn list(&mut self, key: &str) -> Result<String> {
        let number = self.cursor.u32()?;
        let count = self.cursor.u64()?;
        let width = match number {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => return Err(Stop::Fault(GgufFault::NestedArrays { key: key.to_owned() })),
            found => {
                return Err(Stop::Fault(GgufFault::UnknownValueType {
                    key: key.to_owned(),
                    found,
                }));
            }
        };
        let limit = self.cursor.left() / width;
        if count > limit {
            return Err(Stop::Fault(GgufFault::TooMany {
                what: "values in an array",
                count,
                limit,
            }));
        }
        if count <= MAX_LISTED {
            let values = (0..count).map(|_| {
                let value = self.value(key, number)?;
                Ok(if number == 8 { format!("{value:?}") } else { value })
            });
            return Ok(format!("[{}]", values.collect::<Result<Vec<_>>>()?.join(", ")));
        }
        if number == 8 {
            for _ in 0..count {
                let length = self.cursor.u64()?;
                self.cursor.skip(length)?;
            }
        } else {
            self.cursor.skip(count * width)?;
        }
        Ok(format!("[{count} values]"))
    }

    /// The description of one tensor.
    fn info(&mut self, alignment: u64) -> Result<Info> {
        let name = self.text()?;
        let rank = self.cursor.u32()?;
        if rank as usize > MAX_RANK {
            let (tensor, found) = (name, rank);
            return Err(Stop::Fault(GgufFault::RankOverLimit { tensor, found, limit: MAX_RANK }));
        }
        let mut sizes = Vec::with_capacity(rank as usize);
        for _ in 0..rank {
            sizes.push(self.cursor.u64()?);
        }
        let row = sizes.first().copied().unwrap_or(1);
        sizes.reverse();
        let number = self.cursor.u32()?;
        let begin = self.cursor.u64()?;
        let Some(kind) = kind(number) else {
            let (tensor, found) = (name, number);
            return Err(Stop::Fault(GgufFault::UnknownType { tensor, found }));
        };
        let (elements, bytes) = match kind {
            Kind::Plain(dtype) => (1, dtype.size_bits() as u64 / 8),
            Kind::Blocks { elements, bytes, .. } => (elements, bytes),
        };
        if let Kind::Blocks { name: kind, elements: block, .. } = kind
            && row % block != 0
        {
            let tensor = name;
            return Err(Stop::Fault(GgufFault::PartialBlock { tensor, kind, row, block }));
        }
        // As many bits as the elements would have as F64 must be countable, whatever the type.
        let count = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let count = count.filter(|count| count.checked_mul(64).is_some());
        let shape: Option<Vec<usize>> =
            sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
        let (Some(count), Some(shape)) = (count, shape) else {
            let (tensor, shape) = (name, sizes);
            return Err(Stop::Fault(GgufFault::ShapeOverflow { tensor, shape }));
        };
        if begin % alignment != 0 {
            let (tensor, offset) = (name, begin);
            return Err(Stop::Fault(GgufFault::Misaligned { tensor, offset, alignment }));
        }
        // No larger than 64 bits for each element.
        let end = begin.saturating_add(count / elements * bytes);
        Ok(Info { name, kind, shape, begin, end })
    }
}

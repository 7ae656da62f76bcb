//! From what a pickle says of a tensor to bytes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::fault::TorchFault;
use super::globals::Element;
use super::value::{Graph, Node, TensorRef};
use crate::codec::MAX_RANK;
use crate::codec::strided;
use crate::codec::zip::Record;
use crate::data::Provider;
use crate::dtype::{Dtype, checked_numel};
use crate::error::{Action, Error};
use crate::tensor::NamedTensor;

/// Up to here a tensor may be larger than its storage, in bytes: some buffers are one row, repeated.
const MAX_EXPANSION: usize = 1 << 20;

/// What all tensors may take beside twice the length of the file, in bytes.
const ALLOWANCE: u64 = 64 << 20;

/// The storages of a file by their keys.
pub(super) type Records = HashMap<Vec<u8>, Arc<Record>>;

/// The elements of a tensor within a storage.
#[derive(Debug)]
struct View {
    record: Arc<Record>,
    /// In bytes from the start of the storage.
    offset: u64,
    byte_len: u64,
    shape: Vec<usize>,
    /// In elements; empty for C order.
    strides: Vec<usize>,
    width: usize,
    /// The width of the numbers whose bytes are reversed, if they are.
    swap: Option<usize>,
}

impl View {
    fn swap(&self, bytes: &mut [u8]) {
        if let Some(part) = self.swap.filter(|part| *part > 1) {
            bytes.chunks_exact_mut(part).for_each(<[u8]>::reverse);
        }
    }
}

impl Provider for View {
    fn read(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = if self.strides.is_empty() {
            self.record.read_part(self.offset..self.offset + self.byte_len)?
        } else {
            let span = strided::span(&self.shape, &self.strides).unwrap_or(0) * self.width;
            let spread = self.record.read_part(self.offset..self.offset + span as u64)?;
            strided::gather(&spread, &self.shape, &self.strides, self.width)
        };
        self.swap(&mut bytes);
        Ok(bytes)
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        let taken = |e| Error::from_io("the destination".as_ref(), Action::Write, e);
        if !self.strides.is_empty() || (0, self.byte_len) != (self.offset, self.record.len()) {
            return take(&self.read()?).map_err(taken);
        }
        self.record.stream(&mut |piece| {
            self.swap(piece);
            take(piece).map_err(taken)
        })
    }
}

/// Two tensors with equal keys are one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    key: Vec<u8>,
    offset: u64,
    dtype: Dtype,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// A storage, or a part of one.
struct Place<'a> {
    key: &'a [u8],
    record: &'a Arc<Record>,
    /// The first byte that counts.
    base: u64,
    /// How many of the tensor's elements there are from there on.
    stored: u64,
}

/// Makes tensors of descriptions, each once.
pub(super) struct Tensors<'a> {
    graph: &'a Graph,
    records: &'a Records,
    big_endian: bool,
    made: HashMap<Same, NamedTensor>,
    bytes: u64,
    limit: u64,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        records: &'a Records,
        big_endian: bool,
        file_length: u64,
    ) -> Self {
        let limit = file_length.saturating_mul(2).saturating_add(ALLOWANCE);
        Self { graph, records, big_endian, made: HashMap::new(), bytes: 0, limit }
    }

    /// The tensor of a description, held against its storage.
    pub(super) fn make(&mut self, name: &str, of: &TensorRef) -> Result<NamedTensor, TorchFault> {
        let tensor = || name.to_owned();
        if let Some(kind) = of.unread {
            return Err(TorchFault::Kind { tensor: tensor(), kind });
        }
        let dtype = match of.element {
            Element::Plain(dtype) => dtype,
            Element::Untyped => Dtype::U8,
            Element::Other((found, _)) => {
                return Err(TorchFault::UnsupportedType { tensor: tensor(), found });
            }
        };
        let width = dtype.size_bits() / 8;
        let shape = self.numbers(name, of.size, "size")?;
        let mut strides = self.numbers(name, of.stride, "step")?;
        if shape.len() != strides.len() {
            let (sizes, strides) = (shape.len(), strides.len());
            return Err(TorchFault::Rank { tensor: tensor(), sizes, strides });
        }
        let offset = natural(name, "offset", of.offset)?;
        let overflow = || TorchFault::Overflow { tensor: tensor() };
        let numel = checked_numel(&shape).ok_or_else(overflow)?;
        let byte_len = dtype.byte_len(numel).map_err(|_| overflow())?;
        let Place { key, record, base, stored } = self.storage(name, of, width)?;
        let span = strided::span(&shape, &strides).ok_or_else(overflow)?;
        let end = (span as u64).checked_add(offset as u64).ok_or_else(overflow)?;
        if end > stored && numel > 0 {
            return Err(TorchFault::PastEnd { tensor: tensor(), needed: end, found: stored });
        }
        if numel as u64 > stored && byte_len > MAX_EXPANSION {
            let (numel, tensor) = (numel as u64, tensor());
            return Err(TorchFault::Expansion { tensor, numel, stored });
        }
        // An empty tensor may have any offset.
        let offset = if numel == 0 { 0 } else { base + offset as u64 * width as u64 };
        if strided::is_contiguous(&shape, &strides) {
            strides = Vec::new();
        }
        let same = Same { key: key.to_vec(), offset, dtype, shape, strides };
        if let Some(made) = self.made.get(&same) {
            return Ok(made.clone().with_name(name));
        }
        self.bytes = self.bytes.saturating_add(byte_len as u64);
        if self.bytes > self.limit {
            return Err(TorchFault::TotalOverLimit { limit: self.limit });
        }
        let view = View {
            record: record.clone(),
            offset,
            byte_len: byte_len as u64,
            shape: same.shape.clone(),
            strides: same.strides.clone(),
            width,
            swap: self.big_endian.then_some(dtype.part_bytes()),
        };
        let made = NamedTensor::lazy(name, dtype, same.shape.clone(), Arc::new(view))
            .map_err(|_| overflow())?;
        self.made.insert(same, made.clone());
        Ok(made)
    }

    /// The storage of a tensor.
    fn storage(&self, name: &str, of: &TensorRef, width: usize) -> Result<Place<'a>, TorchFault> {
        let tensor = || name.to_owned();
        let storage = self.graph.storages.get(of.storage as usize);
        let key = storage.and_then(|storage| match self.graph.node(storage.key) {
            Node::Text(blob) | Node::Bytes(blob) => Some(self.graph.bytes(blob)),
            _ => None,
        });
        let (storage, key) = storage
            .zip(key)
            .ok_or_else(|| TorchFault::MissingStorage { tensor: tensor(), key: String::new() })?;
        let record = self.records.get(key).ok_or_else(|| {
            let key = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
            TorchFault::MissingStorage { tensor: tensor(), key }
        })?;
        let numel = natural(name, "number of stored elements", storage.numel)? as u64;
        let (of_storage, found) = (storage.element.width() as u64, record.len());
        // A storage of bytes that are no multiple of the element has some left over.
        if found / of_storage != numel {
            let (claimed, width) = (storage.numel, of_storage as usize);
            return Err(TorchFault::StorageCount { tensor: tensor(), claimed, width, found });
        }
        let Some((first, length)) = storage.view.as_deref().copied() else {
            return Ok(Place { key, record, base: 0, stored: found / width as u64 });
        };
        let first = natural(name, "offset", first)? as u64;
        let length = natural(name, "size", length)? as u64;
        let end = first.checked_add(length).filter(|end| *end <= numel).ok_or_else(|| {
            let needed = first.saturating_add(length);
            TorchFault::PastEnd { tensor: tensor(), needed, found: numel }
        })?;
        // Both are within the file, so that nothing overflows.
        let bytes = (end - first) * of_storage;
        Ok(Place { key, record, base: first * of_storage, stored: bytes / width as u64 })
    }

    fn numbers(
        &self,
        name: &str,
        of: super::value::Id,
        what: &'static str,
    ) -> Result<Vec<usize>, TorchFault> {
        let numbers = self.graph.ints(of).into_iter().flatten();
        if self.graph.ints(of).is_some_and(|numbers| numbers.len() > MAX_RANK) {
            let fault = TorchFault::RankOverLimit { tensor: name.to_owned(), limit: MAX_RANK };
            return Err(fault);
        }
        numbers.map(|number| natural(name, what, number)).collect()
    }
}

/// A number that is not negative.
fn natural(name: &str, what: &'static str, value: i64) -> Result<usize, TorchFault> {
    if value < 0 {
        let fault = TorchFault::Negative { tensor: name.to_owned(), what, value };
        return Err(fault);
    }
    usize::try_from(value).map_err(|_| TorchFault::Overflow { tensor: name.to_owned() })
}

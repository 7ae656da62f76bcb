//! The format before PyTorch 1.6: pickles one after the other, then the storages. Numbers are little-endian
//! whatever the machine was.

use std::collections::HashMap;
use std::sync::Arc;

use super::TorchFile;
use super::fault::TorchFault;
use super::globals::Element;
use super::machine::{Machine, References};
use super::storage::Records;
use super::value::{Graph, Id, Node};
use crate::codec::zip::Record;
use crate::error::{Action, Error};
use crate::source::Source;

/// The number 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The same as the oldest protocols write it.
const DIGITS: &[u8] = b"119547037146038801333356";

const PROTOCOL: i64 = 1001;

/// Whether a file begins with a pickle of the magic number, by any protocol.
pub(super) fn is_legacy(head: &[u8]) -> bool {
    let begins_as_pickle = matches!(head, [0x80, 0..=5, ..] | [b'L', ..]);
    let start = &head[..head.len().min(40)];
    let holds = |bytes: &[u8]| start.windows(bytes.len()).any(|window| window == bytes);
    begins_as_pickle && (holds(MAGIC) || holds(DIGITS))
}

pub(super) fn open(source: &Source) -> Result<TorchFile, Error> {
    let mut machine = Machine::new(source, source.len());
    machine.seek(0, source.len());
    let magic = machine.load()?;
    let is_magic = match machine.graph.node(magic) {
        Node::Long(blob) => machine.graph.bytes(blob) == MAGIC,
        _ => false,
    };
    if !is_magic {
        return Err(machine.fault(TorchFault::Preamble { what: "magic number" }));
    }
    let protocol = machine.load()?;
    if machine.graph.int(protocol) != Some(PROTOCOL) {
        return Err(machine.fault(TorchFault::Preamble { what: "protocol number 1001" }));
    }
    let system = machine.load()?;
    if machine.graph.dict(system).is_none() {
        return Err(machine.fault(TorchFault::Preamble { what: "description of the machine" }));
    }
    machine.references = References::Storages;
    let root = machine.load()?;
    machine.references = References::None;
    let keys = machine.load()?;
    let records = records(&machine, keys, source)?;
    let (source, length, graph) = (source.clone(), source.len(), machine.graph);
    Ok(TorchFile { source, length, graph, root, records, big_endian: false })
}

fn key_bytes(graph: &Graph, id: Id) -> Option<&[u8]> {
    match graph.node(id) {
        Node::Text(blob) | Node::Bytes(blob) => Some(graph.bytes(blob)),
        _ => None,
    }
}

/// Where the storages are, that follow in the order of their keys: each a number of elements, then the elements.
fn records(machine: &Machine, keys: Id, source: &Source) -> Result<Records, Error> {
    let graph = &machine.graph;
    let mut described: HashMap<&[u8], (Element, i64)> = HashMap::new();
    for storage in &graph.storages {
        if let Some(key) = key_bytes(graph, storage.key) {
            described.entry(key).or_insert((storage.element, storage.numel));
        }
    }
    let no_keys = || machine.fault(TorchFault::Preamble { what: "list of storages" });
    let Node::List(keys) = graph.node(keys) else { return Err(no_keys()) };
    let mut records = Records::new();
    let mut at = machine.tell();
    for key in keys {
        let key = key_bytes(graph, *key).ok_or_else(no_keys)?;
        let (element, numel) = described.get(key).copied().ok_or_else(no_keys)?;
        let start = read_count(source, at, key, numel)?;
        let needed = (numel.max(0) as u64).saturating_mul(element.width() as u64);
        let found = source.len().saturating_sub(start);
        if needed > found {
            return Err(machine.fault(TorchFault::StorageLength {
                key: shown(key),
                needed,
                found,
            }));
        }
        at = start + needed;
        let record = Arc::new(Record::plain(source, start..at));
        if records.insert(key.to_vec(), record).is_some() {
            return Err(no_keys());
        }
    }
    Ok(records)
}

fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned()
}

/// Reads the number of elements in front of a storage, which must be as the pickle says. Gives the place behind.
fn read_count(source: &Source, at: u64, key: &[u8], numel: i64) -> Result<u64, Error> {
    let fault = |cause| Error::Torch { path: source.path().to_path_buf(), cause };
    let left = source.len().saturating_sub(at);
    if left < 8 {
        let key = shown(key);
        return Err(fault(TorchFault::StorageLength { key, needed: 8, found: left }));
    }
    let mut bytes = [0; 8];
    source.fill(at, &mut bytes).map_err(|e| Error::io(source.path(), Action::Read, e))?;
    let count = i64::from_le_bytes(bytes);
    if count != numel {
        let (key, needed, found) = (shown(key), numel.max(0) as u64, count.max(0) as u64);
        return Err(fault(TorchFault::StorageLength { key, needed, found }));
    }
    Ok(at + 8)
}

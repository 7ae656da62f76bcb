//! The oldest format: a tar archive with the members `storages`, `tensors` and `pickle`. The first two hold
//! pickles with plain bytes between them; the third refers to what they hold by numbers.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::TorchFile;
use super::fault::TorchFault;
use super::globals::Known;
use super::machine::{Machine, References};
use super::storage::Records;
use super::value::{Blob, Id, Node, StorageRef};
use crate::codec::MAX_RANK;
use crate::codec::zip::Record;
use crate::error::{Action, Error};
use crate::source::Source;

const BLOCK: u64 = 512;

const NAMES: [&str; 3] = ["storages", "tensors", "pickle"];

/// The most members: those of a checkpoint, folders and the like.
const MAX_MEMBERS: usize = 64;

fn name_of(header: &[u8]) -> &[u8] {
    let name = header.get(..100).unwrap_or_default();
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Whether a file begins as a tar archive whose first member is one of these.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let is_tar = head.get(257..262) == Some(b"ustar");
    is_tar && NAMES.iter().any(|name| name.as_bytes() == name_of(head))
}

pub(super) fn open(source: &Source) -> Result<TorchFile, Error> {
    let [storages, tensors, pickle] = members(source)?;
    let mut machine = Machine::new(source, source.len());
    let mut table = HashMap::new();
    let records = read_storages(&mut machine, storages, source, &mut table)?;
    read_tensors(&mut machine, tensors, source, &mut table)?;
    machine.references = References::Table(table);
    machine.seek(pickle.start, pickle.end);
    let root = machine.load_whole()?;
    let (source, length, graph) = (source.clone(), source.len(), machine.graph);
    Ok(TorchFile { source, length, graph, root, records, big_endian: false })
}

/// A number in octal digits.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    u64::from_str_radix(text, 8).ok()
}

/// Where the three members are.
fn members(source: &Source) -> Result<[Range<u64>; 3], Error> {
    let mut found: [Option<Range<u64>>; 3] = [const { None }; 3];
    let mut at = 0;
    for member in 0.. {
        let unsound = |what| {
            let cause = TorchFault::Tar { member, what };
            Error::Torch { path: source.path().to_path_buf(), cause }
        };
        if member >= MAX_MEMBERS {
            return Err(unsound("there are too many"));
        }
        if at + BLOCK > source.len() {
            break;
        }
        let header = source.read(at..at + BLOCK)?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        // The sum is over the header with blanks in its own place.
        let sum = |range: Range<usize>| header[range].iter().map(|b| u64::from(*b)).sum::<u64>();
        if octal(&header[148..156]) != Some(sum(0..148) + 8 * 32 + sum(156..512)) {
            return Err(unsound("its header is damaged"));
        }
        let size = octal(&header[124..136]).ok_or_else(|| unsound("it has no length"))?;
        let start = at + BLOCK;
        let end = start.checked_add(size).filter(|end| *end <= source.len());
        let end = end.ok_or_else(|| unsound("it is longer than the file: the file is cut"))?;
        match header[156] {
            b'0' | 0 => {
                let name = name_of(&header);
                let place = NAMES.iter().position(|known| known.as_bytes() == name);
                if let Some(place) = place
                    && found[place].replace(start..end).is_some()
                {
                    return Err(unsound("there are two of its name"));
                }
            }
            b'5' if size == 0 => {}
            b'S' => return Err(unsound("it has holes (GNU sparse), which no checkpoint has")),
            _ => return Err(unsound("it is neither a file nor a folder")),
        }
        at = end.next_multiple_of(BLOCK);
    }
    match found {
        [Some(storages), Some(tensors), Some(pickle)] => Ok([storages, tensors, pickle]),
        _ => {
            let what = "one of `storages`, `tensors` and `pickle` is missing: the file is cut";
            let cause = TorchFault::Tar { member: 0, what };
            Err(Error::Torch { path: source.path().to_path_buf(), cause })
        }
    }
}

/// A number in place of a reference: whole, or its digits.
fn number(machine: &Machine, id: Id) -> Result<i64, Error> {
    let graph = &machine.graph;
    let value = graph.int(id).or_else(|| graph.text(id)?.parse().ok());
    value.ok_or_else(|| machine.fault(TorchFault::Reference { position: machine.position() }))
}

/// The next pickle, as a tuple or list of so many values.
fn values<const N: usize>(machine: &mut Machine) -> Result<[Id; N], Error> {
    let id = machine.load()?;
    row(machine, id)
}

fn row<const N: usize>(machine: &Machine, id: Id) -> Result<[Id; N], Error> {
    let items = match machine.graph.node(id) {
        Node::Tuple(items) | Node::List(items) => items.as_slice(),
        _ => &[],
    };
    let items = items.try_into();
    items.map_err(|_| machine.fault(TorchFault::Reference { position: machine.position() }))
}

fn read_storages(
    machine: &mut Machine,
    member: Range<u64>,
    source: &Source,
    table: &mut HashMap<i64, Id>,
) -> Result<Records, Error> {
    let mut records = Records::new();
    machine.seek(member.start, member.end);
    let count = machine.load()?;
    for _ in 0..number(machine, count)?.max(0) {
        let [key, _location, class] = values(machine)?;
        let Node::Known(Known::Storage(element)) = *machine.graph.node(class) else {
            return Err(machine.fault(TorchFault::Reference { position: machine.position() }));
        };
        let key = number(machine, key)?;
        let text = key.to_string();
        let at = machine.tell();
        let numel = read_long(source, at..member.end, text.as_bytes())?;
        let needed = (numel.max(0) as u64).saturating_mul(element.width() as u64);
        let start = at + 8;
        let found = member.end - start;
        if needed > found {
            return Err(machine.fault(TorchFault::StorageLength { key: text, needed, found }));
        }
        machine.seek(start + needed, member.end);
        let record = Arc::new(Record::plain(source, start..start + needed));
        records.insert(text.clone().into_bytes(), record);
        let text = machine.add(Node::Text(Blob::Own(text.into_bytes().into())))?;
        let storage = machine.storage(StorageRef { key: text, element, numel, view: None })?;
        table.insert(key, storage);
    }
    let views = machine.load()?;
    let Node::List(views) = machine.graph.node(views) else {
        return Err(machine.fault(TorchFault::Reference { position: machine.position() }));
    };
    for view in views.clone() {
        let [target, root, offset, numel] = row(machine, view)?;
        let (target, root) = (number(machine, target)?, number(machine, root)?);
        let (offset, numel) = (number(machine, offset)?, number(machine, numel)?);
        let storage = table.get(&root).map(|id| machine.graph.node(*id));
        let Some(Node::Storage(place)) = storage else {
            return Err(machine.fault(TorchFault::Reference { position: machine.position() }));
        };
        let mut part = machine.graph.storages[*place as usize].clone();
        part.view = Some(Box::new((offset, numel)));
        let part = machine.storage(part)?;
        table.insert(target, part);
    }
    Ok(records)
}

fn read_long(source: &Source, range: Range<u64>, key: &[u8]) -> Result<i64, Error> {
    let mut bytes = [0; 8];
    let found = range.end.saturating_sub(range.start);
    if found < 8 {
        let key = String::from_utf8_lossy(key).into_owned();
        let cause = TorchFault::StorageLength { key, needed: 8, found };
        return Err(Error::Torch { path: source.path().to_path_buf(), cause });
    }
    source.fill(range.start, &mut bytes).map_err(|e| Error::io(source.path(), Action::Read, e))?;
    Ok(i64::from_le_bytes(bytes))
}

fn read_tensors(
    machine: &mut Machine,
    member: Range<u64>,
    source: &Source,
    table: &mut HashMap<i64, Id>,
) -> Result<(), Error> {
    machine.seek(member.start, member.end);
    let count = machine.load()?;
    for _ in 0..number(machine, count)?.max(0) {
        let [key, storage, class] = values(machine)?;
        let (key, storage) = (number(machine, key)?, number(machine, storage)?);
        let reference = || machine.fault(TorchFault::Reference { position: machine.position() });
        let storage = table.get(&storage).copied().ok_or_else(reference)?;
        // The upper half of the rank is not used.
        let mut at = machine.tell();
        let mut next = || {
            let value = read_long(source, at..member.end, b"tensors")?;
            at += 8;
            Ok::<i64, Error>(value)
        };
        let rank = next()? as u32 as usize;
        if rank > MAX_RANK {
            let (tensor, limit) = (key.to_string(), MAX_RANK);
            return Err(machine.fault(TorchFault::RankOverLimit { tensor, limit }));
        }
        let mut numbers = Vec::with_capacity(2 * rank + 1);
        for _ in 0..2 * rank + 1 {
            numbers.push(next()?);
        }
        machine.seek(at, member.end);
        let offset = machine.add(Node::Int(numbers[2 * rank]))?;
        let mut tuple = |numbers: &[i64]| {
            let items: Result<Vec<Id>, Error> =
                numbers.iter().map(|number| machine.add(Node::Int(*number))).collect();
            machine.add(Node::Tuple(items?))
        };
        let (size, stride) = (tuple(&numbers[..rank])?, tuple(&numbers[rank..2 * rank])?);
        let tensor = machine.tensor(class, [storage, offset, size, stride], None)?;
        let tensor = machine.add(Node::Tensor(tensor))?;
        table.insert(key, tensor);
    }
    Ok(())
}

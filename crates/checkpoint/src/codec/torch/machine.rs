//! The pickle machine: reads operations and records what they would have made. It calls nothing.

use std::collections::HashMap;

use super::fault::TorchFault;
use super::value::{Blob, Dict, Graph, Id, Node, Object};
use crate::error::{Action, Error};
use crate::source::Source;

/// The longest pickle, in bytes.
const MAX_PICKLE: u64 = 256 << 20;

/// The most values waiting, and the most opened containers.
const MAX_STACK: usize = 1 << 20;
pub(super) const MAX_MARKS: usize = 4096;

/// What values, and a pickle that was compressed, may take beside the length of the file, in bytes. With the values
/// that wait, and while their number grows, it is less than 64 MiB.
const ALLOWANCE: u64 = 56 << 20;

/// Read from the file at once.
const CHUNK: u64 = 64 << 10;

/// What a value, a place in a container, a memo, a memo out of order, and an allocation take, roughly.
pub(super) const NODE: u64 = 40;
pub(super) const ITEM: u64 = 8;
pub(super) const MEMO: u64 = 8;
pub(super) const FAR_MEMO: u64 = 32;
pub(super) const ALLOCATION: u64 = 16;

/// A memo whose number is further from those before goes into a map.
pub(super) const FAR: usize = 1024;

/// Of a value that is not there.
pub(super) const ABSENT: Id = Id::MAX;

/// What references in a pickle mean.
#[derive(Debug)]
pub(super) enum References {
    /// Nothing: there should be none.
    None,
    /// Tuples that describe storages.
    Storages,
    /// Numbers of values made before.
    Table(HashMap<i64, Id>),
}

/// Reads pickles one after the other from places in a file.
pub(super) struct Machine {
    source: Source,
    pub(super) graph: Graph,
    pub(super) references: References,
    /// Where reading goes on in the file, and where it ends.
    next: u64,
    end: u64,
    /// The place in the pool, and of the operation that runs.
    at: usize,
    operation: usize,
    /// What a place in the pool is to be added to for a place in the file.
    shift: i64,
    pub(super) opcode: u8,
    pub(super) stack: Vec<Id>,
    pub(super) marks: Vec<usize>,
    /// Values by their numbers, which most often go up by one; the others; and how many there are.
    pub(super) memo: Vec<Id>,
    pub(super) far: HashMap<u32, Id>,
    pub(super) memos: u32,
}

impl Machine {
    /// A machine that reads nothing yet. `length` is that of the file, which bounds what it keeps.
    pub(super) fn new(source: &Source, length: u64) -> Self {
        Self {
            source: source.clone(),
            graph: Graph::new(length.saturating_add(ALLOWANCE)),
            references: References::None,
            next: 0,
            end: 0,
            at: 0,
            operation: 0,
            shift: 0,
            opcode: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            far: HashMap::new(),
            memos: 0,
        }
    }

    /// Goes on with a pickle that is in memory, instead of the file. Positions are those in it.
    pub(super) fn adopt(&mut self, pickle: Vec<u8>) -> Result<(), Error> {
        if pickle.len() as u64 > MAX_PICKLE {
            return Err(self.fault(TorchFault::PickleOverLimit { limit: MAX_PICKLE }));
        }
        // The limit is made for pickles that are no longer than the file.
        self.spend((pickle.len() as u64).saturating_sub(self.source.len()))?;
        self.graph.pool = pickle;
        (self.at, self.next, self.end, self.shift) = (0, 0, 0, 0);
        Ok(())
    }

    /// Goes on at a place in the file.
    pub(super) fn seek(&mut self, start: u64, end: u64) {
        self.at = self.graph.pool.len();
        (self.next, self.end) = (start, end);
        self.shift = start as i64 - self.at as i64;
    }

    /// The place in the file behind what was read.
    pub(super) fn tell(&self) -> u64 {
        self.place(self.at)
    }

    fn place(&self, at: usize) -> u64 {
        (at as i64 + self.shift) as u64
    }

    /// The place of the operation that runs.
    pub(super) fn position(&self) -> u64 {
        self.place(self.operation)
    }

    /// The whole length that remains, read or not.
    pub(super) fn left(&self) -> u64 {
        (self.graph.pool.len() - self.at) as u64 + (self.end - self.next)
    }

    pub(super) fn fault(&self, cause: TorchFault) -> Error {
        Error::Torch { path: self.source.path().to_path_buf(), cause }
    }

    pub(super) fn malformed(&self, expected: &'static str) -> Error {
        self.fault(TorchFault::Malformed { expected, position: self.position() })
    }

    /// Counts memory against the limit.
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        let (spent, limit) = &mut self.graph.spent;
        *spent = spent.saturating_add(bytes);
        if spent > limit {
            let limit = *limit;
            return Err(self.fault(TorchFault::TooLarge { limit }));
        }
        Ok(())
    }

    /// Sees to it that the next `length` bytes are in the pool.
    fn need(&mut self, length: u64) -> Result<(), Error> {
        let ready = (self.graph.pool.len() - self.at) as u64;
        if length <= ready {
            return Ok(());
        }
        let left = self.left();
        if length > left {
            let position = self.position();
            return Err(self.fault(TorchFault::Length { length, left, position }));
        }
        let start = self.graph.pool.len();
        // An eighth more at a time: little is copied, and little is kept for nothing.
        let wanted = (length - ready).max(CHUNK).max(start as u64 / 8);
        let more = wanted.min(self.end - self.next);
        if start as u64 + more > MAX_PICKLE {
            return Err(self.fault(TorchFault::PickleOverLimit { limit: MAX_PICKLE }));
        }
        let reserved = self.graph.pool.try_reserve_exact(more as usize);
        reserved.map_err(|_| self.fault(TorchFault::PickleOverLimit { limit: start as u64 }))?;
        self.graph.pool.resize(start + more as usize, 0);
        self.source
            .fill(self.next, &mut self.graph.pool[start..])
            .map_err(|e| Error::io(self.source.path(), Action::Read, e))?;
        self.next += more;
        Ok(())
    }

    /// The next bytes, as a part of the pool.
    pub(super) fn take(&mut self, length: u64) -> Result<Blob, Error> {
        self.need(length)?;
        let start = self.at;
        self.at += length as usize;
        // The pool is shorter than what a u32 holds.
        Ok(Blob::Part { start: start as u32, length: length as u32 })
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.need(N as u64)?;
        let bytes = self.graph.pool[self.at..].first_chunk().copied().unwrap_or([0; N]);
        self.at += N;
        Ok(bytes)
    }

    /// The bytes up to the end of the line, without it.
    pub(super) fn line(&mut self) -> Result<Blob, Error> {
        let start = self.at;
        loop {
            if let Some(length) = self.graph.pool[self.at..].iter().position(|byte| *byte == b'\n')
            {
                let end = self.at + length;
                self.at = end + 1;
                return Ok(Blob::Part { start: start as u32, length: (end - start) as u32 });
            }
            // What was searched is not searched again.
            self.at = self.graph.pool.len();
            if self.next == self.end {
                return Err(self.malformed("a line"));
            }
            self.need(1)?;
        }
    }

    pub(super) fn push(&mut self, node: Node) -> Result<(), Error> {
        let id = self.add(node)?;
        self.push_id(id)
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Id, Error> {
        if let Node::Int(value) = node
            && let Some(id) = Graph::small(value)
        {
            return Ok(id);
        }
        // What is in a box takes that too.
        let boxed = match node {
            Node::Dict(_) => size_of::<Dict>(),
            Node::Object(_) => size_of::<Object>(),
            Node::Class(_) => size_of::<(Blob, Blob)>(),
            _ => 0,
        };
        self.spend(NODE + boxed as u64)?;
        self.graph.nodes.push(node);
        Ok((self.graph.nodes.len() - 1) as Id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), Error> {
        if self.stack.len() >= MAX_STACK {
            return Err(self.fault(TorchFault::TooDeep { limit: MAX_STACK }));
        }
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn underflow(&self) -> Error {
        self.fault(TorchFault::Underflow { opcode: self.opcode, position: self.position() })
    }

    /// The last value; never one from before the last mark.
    pub(super) fn pop(&mut self) -> Result<Id, Error> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.underflow());
        }
        self.stack.pop().ok_or_else(|| self.underflow())
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, Error> {
        let mark = self.marks.pop().ok_or_else(|| self.underflow())?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn top(&self) -> Result<Id, Error> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack[floor..].last().copied().ok_or_else(|| self.underflow())
    }

    pub(super) fn target(&self, id: Id) -> Error {
        let target = match self.graph.node(id) {
            Node::Dict(_) => "a dictionary",
            Node::List(_) => "a list",
            Node::Set(_) => "a set",
            Node::Object(_) => "an object",
            Node::Tensor(_) | Node::Storage(_) => "a tensor or storage",
            Node::Known(_) | Node::Class(_) => "a class or function",
            _ => "a value that cannot be changed",
        };
        let (opcode, position) = (self.opcode, self.position());
        self.fault(TorchFault::Target { opcode, target, position })
    }

    /// Reads one pickle and gives its value.
    pub(super) fn load(&mut self) -> Result<Id, Error> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        self.far.clear();
        self.memos = 0;
        loop {
            self.operation = self.at;
            if self.left() == 0 {
                return Err(self.fault(TorchFault::NoStop { position: self.position() }));
            }
            let [opcode] = self.array()?;
            self.opcode = opcode;
            if opcode == b'.' {
                // Nothing but the value is left.
                let value = self.pop()?;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return Err(self.malformed("the end of every value that was begun"));
                }
                return Ok(value);
            }
            self.operate(opcode)?;
        }
    }

    /// As a pickle that ends with its file.
    pub(super) fn load_whole(&mut self) -> Result<Id, Error> {
        let value = self.load()?;
        if self.left() > 0 {
            return Err(self.fault(TorchFault::AfterStop { position: self.tell() }));
        }
        Ok(value)
    }
}

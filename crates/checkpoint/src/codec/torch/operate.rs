//! The operations of the pickle machine.

use std::str::FromStr;

use super::fault::TorchFault;
use super::globals::{self, Known};
use super::machine::{ABSENT, ALLOCATION, FAR, FAR_MEMO, ITEM, MAX_MARKS, MEMO, Machine, NODE};
use super::value::{self, Blob, EMPTY_TUPLE, FALSE, Id, NONE, Node, Object, TRUE};
use crate::error::Error;

impl Machine {
    /// Runs one operation other than `STOP`.
    pub(super) fn operate(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            // PROTO; what follows tells itself what it is.
            0x80 => self.array::<1>().map(drop),
            // FRAME: a hint for readers that buffer.
            0x95 => self.array::<8>().map(drop),
            b'(' => {
                if self.marks.len() >= MAX_MARKS {
                    return Err(self.fault(TorchFault::TooDeep { limit: MAX_MARKS }));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => {
                // POP takes a mark away where it is last.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                self.pop().map(drop)
            }
            b'1' => self.pop_mark().map(drop),
            b'2' => self.top().and_then(|id| self.push_id(id)),
            b'N' => self.push_id(NONE),
            0x88 => self.push_id(TRUE),
            0x89 => self.push_id(FALSE),
            b'I' | b'L' | b'F' | b'S' | b'V' => self.text_value(opcode),
            b'J' => self.array().and_then(|b| self.push(Node::Int(i32::from_le_bytes(b).into()))),
            b'K' => self.array().and_then(|[b]| self.push(Node::Int(b.into()))),
            b'M' => self.array().and_then(|b| self.push(Node::Int(u16::from_le_bytes(b).into()))),
            0x8a | 0x8b => self.long(),
            b'G' => self.array().and_then(|b| self.push(Node::Float(f64::from_be_bytes(b)))),
            b'X' | 0x8c | 0x8d | b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => self.blob(opcode),
            b')' => self.push_id(EMPTY_TUPLE),
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Box::default())),
            0x8f => self.push(Node::Set(Vec::new())),
            0x85..=0x87 => {
                let mut items = vec![NONE; usize::from(opcode - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.tuple(items)
            }
            b't' => self.pop_mark().and_then(|items| self.tuple(items)),
            b'l' => {
                let items = self.pop_mark()?;
                self.spend(items.len() as u64 * ITEM)?;
                self.push(Node::List(items))
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(Box::default()))?;
                self.set_items(&items)
            }
            0x91 => {
                let items = self.pop_mark()?;
                self.spend(items.len() as u64 * ITEM)?;
                self.push(Node::Set(items))
            }
            b'a' => self.pop().and_then(|item| self.append(&[item])),
            b'e' => self.pop_mark().and_then(|items| self.append(&items)),
            0x90 => {
                let items = self.pop_mark()?;
                self.spend(items.len() as u64 * ITEM)?;
                let set = self.top()?;
                match self.graph.nodes.get_mut(set as usize) {
                    Some(Node::Set(members)) => members.extend(items),
                    _ => return Err(self.target(set)),
                }
                Ok(())
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])
            }
            b'u' => self.pop_mark().and_then(|items| self.set_items(&items)),
            b'p' | b'q' | b'r' | 0x94 => self.put(opcode),
            b'g' | b'h' | b'j' => self.get(opcode),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = self.global(module, name)?;
                self.push_id(global)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let blob = |id| match self.graph.node(id) {
                    Node::Text(blob) => Some(blob.clone()),
                    _ => None,
                };
                let (Some(module), Some(name)) = (blob(module), blob(name)) else {
                    return Err(self.malformed("the texts of a module and a name"));
                };
                let global = self.global(module, name)?;
                self.push_id(global)
            }
            b'i' | b'o' => {
                let mut items;
                let class = if opcode == b'i' {
                    let (module, name) = (self.line()?, self.line()?);
                    items = self.pop_mark()?;
                    self.global(module, name)?
                } else {
                    items = self.pop_mark()?;
                    if items.is_empty() {
                        return Err(self.underflow());
                    }
                    items.remove(0)
                };
                self.tuple(items)?;
                let args = self.pop()?;
                let made = self.make(class, args)?;
                self.push_id(made)
            }
            b'R' => {
                let (args, callee) = (self.pop()?, self.pop()?);
                let made = self.call(callee, args)?;
                self.push_id(made)
            }
            0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                let made = self.make(class, args)?;
                self.push_id(made)
            }
            0x92 => {
                let (_keywords, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                let made = self.make(class, args)?;
                self.push_id(made)
            }
            b'b' => {
                let state = self.pop()?;
                let id = self.pop()?;
                let built = self.build(id, state)?;
                self.push_id(built)
            }
            b'P' => {
                let id = self.line_number("a reference")?;
                let id = self.add(Node::Int(id))?;
                let found = self.refer(id)?;
                self.push_id(found)
            }
            b'Q' => {
                let id = self.pop()?;
                let found = self.refer(id)?;
                self.push_id(found)
            }
            _ => {
                let position = self.position();
                Err(self.fault(TorchFault::Opcode { opcode, position }))
            }
        }
    }

    fn tuple(&mut self, items: Vec<Id>) -> Result<(), Error> {
        if items.is_empty() {
            return self.push_id(EMPTY_TUPLE);
        }
        self.spend(ALLOCATION + 4 * items.len() as u64)?;
        self.push(Node::Tuple(items))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), Error> {
        self.spend(items.len() as u64 * ITEM)?;
        let list = self.top()?;
        match self.graph.nodes.get_mut(list as usize) {
            Some(Node::List(members)) => members.extend(items),
            Some(Node::Object(object)) => object.items.extend(items),
            _ => return Err(self.target(list)),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Error> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.underflow());
        }
        self.spend(items.len() as u64 * ITEM)?;
        let target = self.top()?;
        let pairs = pairs.iter().map(|[key, value]| (*key, *value));
        match self.graph.nodes.get_mut(target as usize) {
            Some(Node::Dict(dict)) => dict.entries.extend(pairs),
            Some(Node::Object(object)) => object.entries.extend(pairs),
            _ => return Err(self.target(target)),
        }
        Ok(())
    }

    /// A decimal number that a line holds.
    fn line_number<T: FromStr>(&mut self, expected: &'static str) -> Result<T, Error> {
        let line = self.line()?;
        let text = std::str::from_utf8(self.graph.bytes(&line)).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| self.malformed(expected))
    }

    fn put(&mut self, opcode: u8) -> Result<(), Error> {
        let index = match opcode {
            b'p' => self.line_number("a number")?,
            b'q' => u32::from(self.array::<1>()?[0]),
            b'r' => u32::from_le_bytes(self.array()?),
            _ => self.memos,
        };
        let value = self.top()?;
        let place = index as usize;
        let new = if place < self.memo.len() + FAR {
            if place >= self.memo.len() {
                self.spend(MEMO * (place + 1 - self.memo.len()) as u64)?;
                self.memo.resize(place + 1, ABSENT);
            }
            std::mem::replace(&mut self.memo[place], value) == ABSENT
        } else {
            self.spend(FAR_MEMO)?;
            self.far.insert(index, value).is_none()
        };
        self.memos += u32::from(new);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Result<(), Error> {
        let index = match opcode {
            b'g' => self.line_number("a number")?,
            b'h' => u32::from(self.array::<1>()?[0]),
            _ => u32::from_le_bytes(self.array()?),
        };
        let near = self.memo.get(index as usize).copied().filter(|id| *id != ABSENT);
        let Some(value) = near.or_else(|| self.far.get(&index).copied()) else {
            let (index, position) = (index.into(), self.position());
            return Err(self.fault(TorchFault::DanglingMemo { index, position }));
        };
        self.push_id(value)
    }

    /// LONG1 and LONG4.
    fn long(&mut self) -> Result<(), Error> {
        let length = if self.opcode == 0x8a {
            u32::from(self.array::<1>()?[0])
        } else {
            u32::from_le_bytes(self.array()?)
        };
        let blob = self.take(length.into())?;
        let bytes = self.graph.bytes(&blob);
        if bytes.len() > 8 {
            return self.push(Node::Long(blob));
        }
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(wide)))
    }

    /// Texts and bytes that are preceded by their length.
    fn blob(&mut self, opcode: u8) -> Result<(), Error> {
        let length = match opcode {
            0x8c | b'U' | b'C' => self.array::<1>()?[0].into(),
            b'X' | b'T' | b'B' => u32::from_le_bytes(self.array()?).into(),
            _ => u64::from_le_bytes(self.array()?),
        };
        let blob = self.take(length)?;
        let is_text = std::str::from_utf8(self.graph.bytes(&blob)).is_ok();
        match opcode {
            b'B' | b'C' | 0x8e | 0x96 => self.push(Node::Bytes(blob)),
            // A text of Python 2 may be either.
            b'T' | b'U' if !is_text => self.push(Node::Bytes(blob)),
            _ if !is_text => Err(self.malformed("a text in UTF-8")),
            _ => self.push(Node::Text(blob)),
        }
    }

    /// Values that old protocols write as a line of text.
    fn text_value(&mut self, opcode: u8) -> Result<(), Error> {
        let line = self.line()?;
        let bytes = self.graph.bytes(&line);
        let node = match opcode {
            b'I' | b'L' if bytes == b"01" => Some(Node::Bool(true)),
            b'I' | b'L' if bytes == b"00" => Some(Node::Bool(false)),
            b'I' | b'L' => {
                let digits = std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches('L'));
                match digits.map(str::parse::<i64>) {
                    Some(Ok(value)) => Some(Node::Int(value)),
                    _ => super::text::long(bytes).map(|long| Node::Long(Blob::Own(long))),
                }
            }
            b'F' => {
                let text = std::str::from_utf8(bytes).ok();
                text.and_then(|text| text.parse().ok()).map(Node::Float)
            }
            b'V' => super::text::unicode(bytes).map(|text| Node::Text(Blob::Own(text))),
            _ => super::text::quoted(bytes).map(|bytes| {
                let is_text = std::str::from_utf8(&bytes).is_ok();
                if is_text { Node::Text(Blob::Own(bytes)) } else { Node::Bytes(Blob::Own(bytes)) }
            }),
        };
        let length = bytes.len() as u64;
        let node = node.ok_or_else(|| self.malformed("a value in text"))?;
        self.spend(2 * length)?;
        self.push(node)
    }

    /// What a global is here: known, a mere name, or refused.
    fn global(&mut self, module: Blob, name: Blob) -> Result<Id, Error> {
        let (of, called) = (self.graph.bytes(&module), self.graph.bytes(&name));
        let (Ok(of), Ok(called)) = (std::str::from_utf8(of), std::str::from_utf8(called)) else {
            return Err(self.malformed("the texts of a module and a name"));
        };
        if let Some(known) = globals::known(of, called) {
            self.spend(NODE)?;
            let id = self.add(Node::Known(known))?;
            self.graph.known.push((id, module, name));
            return Ok(id);
        }
        if globals::is_forbidden(of, called) {
            let global = value::global_name(of.as_bytes(), called.as_bytes());
            let position = self.position();
            return Err(self.fault(TorchFault::Forbidden { global, position }));
        }
        self.add(Node::Class(Box::new((module, name))))
    }

    /// What `BUILD` leaves of a value and its state.
    fn build(&mut self, id: Id, state: Id) -> Result<Id, Error> {
        let class = match self.graph.nodes.get_mut(id as usize) {
            Some(Node::Dict(dict)) => {
                dict.state = Some(state);
                return Ok(id);
            }
            Some(Node::Object(object)) => {
                object.state = Some(state);
                object.class
            }
            // A parameter says whether it is trained; a tensor has nothing else.
            Some(Node::Tensor(_)) => return Ok(id),
            _ => return Err(self.target(id)),
        };
        let is_tensor = matches!(self.graph.node(class), Node::Known(Known::TensorClass));
        match self.graph.tuple(state) {
            Some(parts) if is_tensor && parts.len() >= 4 => {
                let parts = [parts[0], parts[1], parts[2], parts[3]];
                let tensor = self.tensor(class, parts, None)?;
                // Whoever refers to the empty tensor means this one.
                self.graph.nodes[id as usize] = Node::Tensor(tensor);
                Ok(id)
            }
            _ => Ok(id),
        }
    }

    /// An object of a class that is a mere name.
    pub(super) fn object(&mut self, class: Id, args: Id) -> Result<Id, Error> {
        let (items, entries) = (Vec::new(), Vec::new());
        self.add(Node::Object(Box::new(Object { class, args, state: None, items, entries })))
    }
}

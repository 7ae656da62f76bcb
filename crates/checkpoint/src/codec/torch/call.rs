//! What calls in a pickle would have made. Only what PyTorch itself writes is understood; a class that is not
//! known gives an object that keeps its arguments, and everything else is refused.

use super::fault::TorchFault;
use super::globals::{self, Element, Known};
use super::machine::{Machine, References};
use super::value::{Blob, Id, Node, StorageRef, TensorRef};
use crate::error::Error;

/// How often one function may be wrapped in another.
const MAX_WRAPPED: usize = 16;

impl Machine {
    fn arguments(&self, callee: Id) -> Error {
        let global = self.graph.global_name(callee);
        self.fault(TorchFault::Arguments { global, position: self.position() })
    }

    fn known(&self, id: Id) -> Option<Known> {
        match self.graph.node(id) {
            Node::Known(known) => Some(*known),
            _ => None,
        }
    }

    fn argument(&self, callee: Id, args: Id, index: usize) -> Result<Id, Error> {
        let found = self.graph.tuple(args).and_then(|args| args.get(index));
        found.copied().ok_or_else(|| self.arguments(callee))
    }

    /// `REDUCE`: a call.
    pub(super) fn call(&mut self, callee: Id, args: Id) -> Result<Id, Error> {
        let known = match self.graph.node(callee) {
            Node::Known(known) => *known,
            Node::Class(class) => {
                let name = std::str::from_utf8(self.graph.bytes(&class.1)).unwrap_or_default();
                if globals::is_class(name) {
                    return self.object(callee, args);
                }
                return Err(self.refused(callee));
            }
            _ => return Err(self.refused(callee)),
        };
        match known {
            Known::FromType => self.unwrapped(callee, args),
            Known::Reconstructor => {
                let class = self.argument(callee, args, 0)?;
                self.make(class, args)
            }
            Known::NewObject => {
                let class = self.argument(callee, args, 0)?;
                let rest = self.graph.tuple(args).unwrap_or_default().get(1..).unwrap_or_default();
                let rest = rest.to_vec();
                self.spend(8 * rest.len() as u64)?;
                let args = self.add(Node::Tuple(rest))?;
                self.make(class, args)
            }
            Known::Rebuild | Known::RebuildTyped => {
                let count = if known == Known::Rebuild { 4 } else { 7 };
                let parts = self.graph.tuple(args).ok_or_else(|| self.arguments(callee))?;
                let (Some(first), true) = (parts.first_chunk(), parts.len() >= count) else {
                    return Err(self.arguments(callee));
                };
                let (first, bits) = (*first, parts.get(if count == 4 { 6 } else { 7 }).copied());
                let element = if known == Known::RebuildTyped {
                    match self.known(self.argument(callee, args, 6)?) {
                        Some(Known::Type(element)) => Some(element),
                        _ => return Err(self.arguments(callee)),
                    }
                } else {
                    None
                };
                let tensor = self.tensor(callee, first, element)?;
                let is_set = |key| {
                    let value = bits.and_then(|bits| self.graph.entry(bits, key));
                    value.is_some_and(|value| matches!(self.graph.node(value), Node::Bool(true)))
                };
                if is_set("conj") || is_set("neg") {
                    self.graph.tensors[tensor as usize].unread = Some(globals::VIEW_BITS);
                }
                self.add(Node::Tensor(tensor))
            }
            Known::Unread(kind) => {
                self.graph.tuple(args).ok_or_else(|| self.arguments(callee))?;
                self.unread(args, kind)
            }
            _ => self.make(callee, args),
        }
    }

    fn refused(&self, callee: Id) -> Error {
        let global = self.graph.global_name(callee);
        self.fault(TorchFault::Call { global, position: self.position() })
    }

    /// A call that carries the class and attributes of the tensor beside it.
    fn unwrapped(&mut self, mut callee: Id, mut args: Id) -> Result<Id, Error> {
        for _ in 0..MAX_WRAPPED {
            let inner = self.argument(callee, args, 0)?;
            args = self.argument(callee, args, 2)?;
            callee = inner;
            match self.known(callee) {
                Some(Known::FromType) => {}
                Some(Known::Rebuild | Known::RebuildTyped | Known::Same | Known::Unread(_)) => {
                    return self.call(callee, args);
                }
                _ => return Err(self.refused(callee)),
            }
        }
        Err(self.fault(TorchFault::TooDeep { limit: MAX_WRAPPED }))
    }

    /// Makes what a class makes of its arguments, also for `NEWOBJ` and the like.
    pub(super) fn make(&mut self, class: Id, args: Id) -> Result<Id, Error> {
        let known = match self.graph.node(class) {
            Node::Known(known) => *known,
            Node::Class(_) => return self.object(class, args),
            _ => return Err(self.refused(class)),
        };
        let parts = self.graph.tuple(args).ok_or_else(|| self.arguments(class))?;
        let (first, count) = (parts.first().copied(), parts.len() as u64);
        match known {
            Known::Same => {
                let first = first.filter(|id| {
                    let node = self.graph.node(*id);
                    // A parameter may also be made empty and filled by its state.
                    matches!(node, Node::Tensor(_) | Node::Object(_))
                });
                first.ok_or_else(|| self.arguments(class))
            }
            Known::Dict => {
                let dict = self.add(Node::Dict(Box::default()))?;
                first.map_or(Ok(dict), |from| self.fill(class, dict, from))
            }
            Known::DefaultDict => self.add(Node::Dict(Box::default())),
            Known::List | Known::Tuple | Known::Set => {
                let items = match first.map(|first| self.graph.node(first)) {
                    None => Vec::new(),
                    Some(Node::List(items) | Node::Tuple(items) | Node::Set(items)) => {
                        items.clone()
                    }
                    Some(_) => return Err(self.arguments(class)),
                };
                self.spend(16 * items.len() as u64)?;
                self.add(match known {
                    Known::List => Node::List(items),
                    Known::Tuple => Node::Tuple(items),
                    _ => Node::Set(items),
                })
            }
            Known::Bytes => match first {
                None => self.add(Node::Bytes(Blob::Own(Box::default()))),
                Some(id) if matches!(self.graph.node(id), Node::Bytes(_)) => Ok(id),
                // Of a text in Latin letters, in old protocols.
                Some(id) => self.encoded(class, id),
            },
            Known::Encode => self.encoded(class, self.argument(class, args, 0)?),
            Known::TensorClass | Known::Value | Known::NumpyType => {
                self.spend(8 * count)?;
                self.object(class, args)
            }
            Known::NumpyScalar => self.number(class, args),
            _ => Err(self.refused(class)),
        }
    }

    /// Puts the pairs of a list, or the entries of a dictionary, into a new dictionary.
    fn fill(&mut self, class: Id, dict: Id, from: Id) -> Result<Id, Error> {
        let entries = match self.graph.node(from) {
            Node::Dict(other) => other.entries.clone(),
            Node::List(pairs) | Node::Tuple(pairs) => {
                let pair = |id: &Id| match self.graph.node(*id) {
                    Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => {
                        Some((pair[0], pair[1]))
                    }
                    _ => None,
                };
                let pairs: Option<Vec<_>> = pairs.iter().map(pair).collect();
                pairs.ok_or_else(|| self.arguments(class))?
            }
            // `_reconstructor(OrderedDict, dict, ...)` names the class first.
            Node::Known(_) => return Ok(dict),
            _ => return Err(self.arguments(class)),
        };
        self.spend(32 * entries.len() as u64)?;
        if let Some(Node::Dict(dict)) = self.graph.nodes.get_mut(dict as usize) {
            dict.entries = entries;
        }
        Ok(dict)
    }

    /// Bytes from a text whose letters are their values.
    fn encoded(&mut self, callee: Id, text: Id) -> Result<Id, Error> {
        let text = self.graph.text(text).ok_or_else(|| self.arguments(callee))?;
        let bytes: Option<Vec<u8>> =
            text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let bytes = bytes.ok_or_else(|| self.arguments(callee))?;
        self.spend(bytes.len() as u64)?;
        self.add(Node::Bytes(Blob::Own(bytes.into())))
    }

    /// A number of numpy's, if its type is a plain one; an object otherwise.
    fn number(&mut self, callee: Id, args: Id) -> Result<Id, Error> {
        let (of, bytes) = (self.argument(callee, args, 0)?, self.argument(callee, args, 1)?);
        let node = || {
            let Node::Object(of) = self.graph.node(of) else { return None };
            let Node::Bytes(bytes) = self.graph.node(bytes) else { return None };
            let bytes = self.graph.bytes(bytes);
            let code = self.graph.text(*self.graph.tuple(of.args)?.first()?)?;
            let order = self.graph.text(*self.graph.tuple(of.state?)?.get(1)?)?;
            let mut wide = [0; 8];
            wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
            if order == ">" {
                wide[..bytes.len()].reverse();
            }
            let value = u64::from_le_bytes(wide);
            let signed = |bits: u32| ((value << (64 - bits)) as i64) >> (64 - bits);
            match (code, bytes.len()) {
                ("f8", 8) => Some(Node::Float(f64::from_bits(value))),
                ("f4", 4) => Some(Node::Float(f32::from_bits(value as u32).into())),
                ("i8", 8) | ("i4", 4) | ("i2", 2) | ("i1", 1) => {
                    Some(Node::Int(signed(8 * bytes.len() as u32)))
                }
                ("u8", 8) | ("u4", 4) | ("u2", 2) | ("u1", 1) => {
                    i64::try_from(value).ok().map(Node::Int)
                }
                ("b1", 1) => Some(Node::Bool(value != 0)),
                _ => None,
            }
        };
        match node() {
            Some(node) => self.add(node),
            None => self.object(callee, args),
        }
    }

    /// A tensor of a storage, an offset, sizes and steps.
    pub(super) fn tensor(
        &mut self,
        callee: Id,
        [storage, offset, size, stride]: [Id; 4],
        element: Option<Element>,
    ) -> Result<u32, Error> {
        let graph = &self.graph;
        let offset = graph.int(offset);
        let numbers = graph.ints(size).is_some() && graph.ints(stride).is_some();
        let (Node::Storage(storage), Some(offset), true) = (graph.node(storage), offset, numbers)
        else {
            return Err(self.arguments(callee));
        };
        let storage = *storage;
        let of_storage = graph.storages[storage as usize].element;
        let element = element.unwrap_or(of_storage);
        self.spend(size_of::<TensorRef>() as u64)?;
        let tensor = TensorRef { storage, element, offset, size, stride, unread: None };
        self.graph.tensors.push(tensor);
        Ok((self.graph.tensors.len() - 1) as u32)
    }

    /// A tensor that is there but not read.
    fn unread(&mut self, args: Id, kind: &'static str) -> Result<Id, Error> {
        self.spend(size_of::<TensorRef>() as u64)?;
        let element = Element::Untyped;
        let (storage, offset, size, stride) = (u32::MAX, 0, args, args);
        let tensor = TensorRef { storage, element, offset, size, stride, unread: Some(kind) };
        self.graph.tensors.push(tensor);
        self.add(Node::Tensor((self.graph.tensors.len() - 1) as u32))
    }

    /// What a reference stands for.
    pub(super) fn refer(&mut self, id: Id) -> Result<Id, Error> {
        let refused = || self.fault(TorchFault::Reference { position: self.position() });
        if let References::Table(table) = &self.references {
            // A class, with its source, which is of no interest.
            if let Some([class, ..]) = self.graph.tuple(id) {
                return match self.graph.node(*class) {
                    Node::Known(_) | Node::Class(_) => Ok(*class),
                    _ => Err(refused()),
                };
            }
            let key = self.graph.int(id).or_else(|| self.graph.text(id)?.parse().ok());
            return key.and_then(|key| table.get(&key).copied()).ok_or_else(refused);
        }
        let (References::Storages, Some(parts)) = (&self.references, self.graph.tuple(id)) else {
            return Err(refused());
        };
        let text = |id: Id| match self.graph.node(id) {
            Node::Text(blob) | Node::Bytes(blob) => Some(self.graph.bytes(blob)),
            _ => None,
        };
        match parts.first().and_then(|kind| text(*kind)) {
            Some(b"module") if parts.len() >= 2 => {
                let class = parts[1];
                match self.graph.node(class) {
                    Node::Known(_) | Node::Class(_) => Ok(class),
                    _ => Err(refused()),
                }
            }
            Some(b"storage") if parts.len() >= 5 => {
                let (class, key, numel) = (parts[1], parts[2], self.graph.int(parts[4]));
                let view = match parts.get(5).map(|view| self.graph.node(*view)) {
                    None | Some(Node::None) => None,
                    Some(Node::Tuple(view)) if view.len() == 3 => {
                        match (self.graph.int(view[1]), self.graph.int(view[2])) {
                            (Some(offset), Some(length)) => Some(Box::new((offset, length))),
                            _ => return Err(refused()),
                        }
                    }
                    Some(_) => return Err(refused()),
                };
                let (Some(Known::Storage(element)), Some(numel), Some(_)) =
                    (self.known(class), numel, text(key))
                else {
                    return Err(refused());
                };
                self.storage(StorageRef { key, element, numel, view })
            }
            _ => Err(refused()),
        }
    }

    /// Adds a storage.
    pub(super) fn storage(&mut self, storage: StorageRef) -> Result<Id, Error> {
        self.spend(size_of::<StorageRef>() as u64)?;
        self.graph.storages.push(storage);
        self.add(Node::Storage((self.graph.storages.len() - 1) as u32))
    }
}

//! The values of a pickle, in one list, so that nothing about them needs recursion.

use super::globals::{Element, Known};

/// The place of a value in the list.
pub(super) type Id = u32;

/// Text or bytes: a part of the pickle, or made from it.
#[derive(Debug, Clone)]
pub(super) enum Blob {
    Part { start: u32, length: u32 },
    Own(Box<[u8]>),
}

/// A value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Little-endian, in two's complement, of more than eight bytes.
    Long(Blob),
    Float(f64),
    /// UTF-8.
    Text(Blob),
    Bytes(Blob),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    Dict(Box<Dict>),
    Known(Known),
    /// A global that is only a name here.
    Class(Box<(Blob, Blob)>),
    /// A place in the list of storages.
    Storage(u32),
    /// A place in the list of tensors.
    Tensor(u32),
    Object(Box<Object>),
}

/// A dictionary in the order of its making. A key that is set twice is there twice.
#[derive(Debug, Default)]
pub(super) struct Dict {
    pub(super) entries: Vec<(Id, Id)>,
    /// Its attributes, such as the versions that a state dict carries.
    pub(super) state: Option<Id>,
}

/// What a class would have made.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) class: Id,
    pub(super) args: Id,
    pub(super) state: Option<Id>,
    /// What was put into it, if it is a list or dictionary of its own kind.
    pub(super) items: Vec<Id>,
    pub(super) entries: Vec<(Id, Id)>,
}

/// A storage, as the pickle refers to it.
#[derive(Debug, Clone)]
pub(super) struct StorageRef {
    /// A text, or a number in the oldest format.
    pub(super) key: Id,
    pub(super) element: Element,
    pub(super) numel: i64,
    /// First element and number of elements of a part of the storage.
    pub(super) view: Option<Box<(i64, i64)>>,
}

/// A tensor, as the pickle describes it. Nothing is checked yet but that there are numbers.
#[derive(Debug, Clone)]
pub(super) struct TensorRef {
    pub(super) storage: u32,
    pub(super) element: Element,
    pub(super) offset: i64,
    /// Tuples of numbers.
    pub(super) size: Id,
    pub(super) stride: Id,
    /// Why it is not read.
    pub(super) unread: Option<&'static str>,
}

/// All values of a file, and the bytes that texts are parts of.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) storages: Vec<StorageRef>,
    pub(super) tensors: Vec<TensorRef>,
    pub(super) pool: Vec<u8>,
    /// The memory that values take, roughly, and what they and all that is made of them may.
    pub(super) spent: (u64, u64),
    /// The names of the globals that are known, for errors.
    pub(super) known: Vec<(Id, Blob, Blob)>,
}

/// Small numbers and constants are made once.
pub(super) const NONE: Id = 0;
pub(super) const TRUE: Id = 1;
pub(super) const FALSE: Id = 2;
pub(super) const EMPTY_TUPLE: Id = 3;
const ZERO: Id = 4;

impl Graph {
    pub(super) fn new(limit: u64) -> Self {
        let mut nodes = vec![Node::None, Node::Bool(true), Node::Bool(false), Node::Tuple(vec![])];
        nodes.extend((0..256).map(Node::Int));
        Self { nodes, spent: (0, limit), ..Self::default() }
    }

    /// The value that is there once for a small number.
    pub(super) fn small(value: i64) -> Option<Id> {
        u8::try_from(value).ok().map(|value| ZERO + Id::from(value))
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    pub(super) fn bytes<'a>(&'a self, blob: &'a Blob) -> &'a [u8] {
        match blob {
            Blob::Part { start, length } => {
                let start = *start as usize;
                self.pool.get(start..start + *length as usize).unwrap_or_default()
            }
            Blob::Own(bytes) => bytes,
        }
    }

    /// The text of a value, if it is one.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(blob) => std::str::from_utf8(self.bytes(blob)).ok(),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&Dict> {
        match self.node(id) {
            Node::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// The value under a key of text in a dictionary.
    pub(super) fn entry(&self, id: Id, key: &str) -> Option<Id> {
        let entries = &self.dict(id)?.entries;
        entries.iter().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// Whether a value is a tuple or list of whole numbers.
    pub(super) fn ints(&self, id: Id) -> Option<impl ExactSizeIterator<Item = i64>> {
        let (Node::Tuple(items) | Node::List(items)) = self.node(id) else { return None };
        items.iter().all(|item| self.int(*item).is_some()).then_some(())?;
        Some(items.iter().map(|item| self.int(*item).unwrap_or_default()))
    }

    /// The name of a global, with its module, cut where it is very long.
    pub(super) fn global_name(&self, id: Id) -> String {
        match self.node(id) {
            Node::Class(class) => global_name(self.bytes(&class.0), self.bytes(&class.1)),
            Node::Known(_) => {
                let named = self.known.iter().find(|(known, ..)| *known == id);
                named.map_or_else(String::new, |(_, module, name)| {
                    global_name(self.bytes(module), self.bytes(name))
                })
            }
            _ => "a value that is no global".to_owned(),
        }
    }
}

/// Module and name as one, cut where it is very long.
pub(super) fn global_name(module: &[u8], name: &[u8]) -> String {
    let cut = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    format!("{}.{}", cut(module), cut(name))
}

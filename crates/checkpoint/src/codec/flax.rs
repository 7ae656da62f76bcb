//! Flax's msgpack files: dictionaries of dictionaries of arrays.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::MAX_NAMES;
use super::cursor::Stop;
pub use super::flax_fault::FlaxFault;
use super::flax_tree::{self, Array, Node, Result};
pub use super::flax_write::write_flax;
use crate::checkpoint::Checkpoint;
use crate::data::{FileRange, Provider};
use crate::dtype::Dtype;
use crate::error::Error;
use crate::source::Source;
use crate::tensor::NamedTensor;

/// In the metadata, before the path of a value: what it is, if it is no array.
pub(crate) const KIND: &str = "flax.kind:";
/// Before the path of a text: the text.
pub(crate) const TEXT: &str = "flax.text:";
/// Before the path of nothing: `none`, or `empty` for a dictionary without keys.
pub(crate) const NODE: &str = "flax.node:";
/// Before the path of a key that has slashes: the number of names between and around them.
pub(crate) const KEY: &str = "flax.key:";

/// Whether a file begins with a dictionary whose first key is a text.
pub(crate) fn is_flax(head: &[u8], length: u64) -> bool {
    let text = |byte: Option<&u8>| matches!(byte, Some(0xa0..=0xbf | 0xd9..=0xdb));
    match head.first() {
        Some(0x80) => length == 1,
        Some(0x81..=0x8f) => text(head.get(1)),
        Some(0xde) => text(head.get(3)),
        Some(0xdf) => text(head.get(5)),
        _ => false,
    }
}

/// The arrays in the order of the file, named by their keys, joined by `/`.
///
/// Numbers and truth values of Python's become tensors of rank 0, texts and what is none go into the
/// metadata, all under a key that tells the writer what they were.
pub(crate) fn open(source: &Source) -> std::result::Result<Checkpoint, Error> {
    read(source).map_err(|stop| {
        stop.into_error(|cause| Error::Flax { path: source.path().to_path_buf(), cause })
    })
}

fn read(source: &Source) -> Result<Checkpoint> {
    let root = flax_tree::read(source)?;
    let mut flatten = Flatten {
        source,
        checkpoint: Checkpoint::new(),
        path: String::new(),
        names: 0,
        slashes: has_slashes(&root),
        seen: HashSet::new(),
    };
    // An empty dictionary is an empty checkpoint.
    if let Node::Map(entries) = root {
        flatten.entries(entries, true)?;
    }
    Ok(flatten.checkpoint)
}

/// Whether a key has a slash, so that paths may be ambiguous.
fn has_slashes(node: &Node) -> bool {
    let Node::Map(entries) = node else { return false };
    entries.iter().any(|(key, node)| key.contains('/') || has_slashes(node))
}

struct Flatten<'a> {
    source: &'a Source,
    checkpoint: Checkpoint,
    path: String,
    /// Bytes of all paths.
    names: usize,
    slashes: bool,
    /// Every path, if there may be two alike.
    seen: HashSet<String>,
}

impl Flatten<'_> {
    /// The depth is bounded by that of the tree.
    fn entries(&mut self, entries: Vec<(String, Node)>, outermost: bool) -> Result<()> {
        for (key, node) in entries {
            let parent = self.path.len();
            if !outermost {
                self.path.push('/');
            }
            self.path.push_str(&key);
            self.names += self.path.len();
            if self.names > MAX_NAMES {
                return Err(Stop::Fault(FlaxFault::NamesOverLimit { limit: MAX_NAMES }));
            }
            if self.slashes && !self.seen.insert(self.path.clone()) {
                return Err(Stop::Fault(FlaxFault::Collision { path: self.path.clone() }));
            }
            if key.contains('/') {
                self.note(KEY, key.split('/').count().to_string());
            }
            self.node(node)?;
            self.path.truncate(parent);
        }
        Ok(())
    }

    fn node(&mut self, node: Node) -> Result<()> {
        match node {
            Node::Map(entries) if entries.is_empty() => self.note(NODE, "empty".to_owned()),
            Node::Map(entries) => self.entries(entries, false)?,
            Node::None => self.note(NODE, "none".to_owned()),
            Node::Text(text) => self.note(TEXT, text),
            Node::Number(dtype, kind, bytes) => {
                self.note(KIND, kind.to_owned());
                self.push(NamedTensor::new(self.path.as_str(), dtype, vec![], bytes)?)?;
            }
            Node::Bytes(range) => {
                self.note(KIND, "bytes".to_owned());
                let length = (range.end - range.start) as usize;
                self.lazy(Dtype::U8, vec![length], vec![range])?;
            }
            Node::Array(Array { dtype, shape, pieces, scalar }) => {
                if scalar {
                    self.note(KIND, "scalar".to_owned());
                }
                self.lazy(dtype, shape, pieces)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, what: &str, value: String) {
        self.checkpoint.metadata.insert(format!("{what}{}", self.path), value);
    }

    fn lazy(&mut self, dtype: Dtype, shape: Vec<usize>, mut pieces: Vec<Range<u64>>) -> Result<()> {
        let source = self.source.clone();
        let provider: Arc<dyn Provider> = match pieces.pop() {
            Some(range) if pieces.is_empty() => Arc::new(FileRange { source, range }),
            last => {
                pieces.extend(last);
                let range = |range| FileRange { source: source.clone(), range };
                Arc::new(Pieces(pieces.into_iter().map(range).collect()))
            }
        };
        self.push(NamedTensor::lazy(self.path.as_str(), dtype, shape, provider)?)
    }

    fn push(&mut self, tensor: NamedTensor) -> Result<()> {
        Ok(self.checkpoint.push(tensor)?)
    }
}

/// Several ranges of a file, one after the other.
#[derive(Debug)]
struct Pieces(Vec<FileRange>);

impl Provider for Pieces {
    fn read(&self) -> std::result::Result<Vec<u8>, Error> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(Vec::new()) };
        let mut bytes = first.read()?;
        for piece in rest {
            bytes.append(&mut piece.read()?);
        }
        Ok(bytes)
    }

    fn stream(
        &self,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> std::result::Result<(), Error> {
        self.0.iter().try_for_each(|piece| piece.stream(take))
    }
}

//! Writes HDF5 files: superblock 2, headers of version 2, links in the headers in order, elements at the end.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::file::MAGIC;
use super::header::{ATTRIBUTE, DATASPACE, DATATYPE, FILL, GROUP_INFO, LAYOUT, LINK, LINK_INFO};
use super::lookup3::checksum;
use super::write_tree::{Node, Tree};
use super::write_types;
use crate::atomic::{WriteSeek, write_atomically};
use crate::checkpoint::Checkpoint;
use crate::error::Error;

/// The bytes of the superblock.
const SUPERBLOCK: u64 = 48;

/// Elements begin at multiples of this.
const ALIGNMENT: u64 = 64;

/// The smallest heap, and the most objects in one.
const HEAP: usize = 4096;
const HEAP_OBJECTS: usize = 65_000;

/// How often a dataset is linked to, where that is not once.
const LINKS: u16 = 0x16;

/// Writes an HDF5 file that h5py and Keras read, atomically (see [`write_atomically`]).
///
/// Parts of a name between slashes become groups: weights named as in a `.weights.h5` file
/// (`layers/dense/vars/0`) make a file that `model.load_weights` takes. Tied tensors are stored once, with a link
/// under each name. Metadata becomes text attributes, of the group where a key is `group@name`, of the root
/// otherwise. Equal checkpoints give equal bytes. Tensors that are not in memory are read one after the other
/// as they are written.
///
/// # Errors
///
/// [`Error::Hdf5`] if the checkpoint does not fit the format: a type other than those of h5py (integers,
/// F16, BF16 as Keras marks it, F32, F64, complex numbers, truth values), a name with an empty part or a zero, a
/// tensor named as the group of another, more than 32 dimensions, 131 072 names in a group or 64 levels. Otherwise
/// as [`write_atomically`], and what keeps a tensor from being read.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_keras_weights};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.weights.h5");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("layers/dense/vars/0", vec![2, 1], &[1.0, 2.0])?)?;
/// checkpoint.push(NamedTensor::f32("layers/dense/vars/1", vec![1], &[0.5])?)?;
/// checkpoint.metadata.insert("layers/dense/vars@name".into(), "dense".into());
/// write_keras_weights(&path, &checkpoint)?;
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_keras_weights(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<(), Error> {
    let path = path.as_ref();
    let tree =
        Tree::new(checkpoint).map_err(|cause| Error::Hdf5 { path: path.to_path_buf(), cause })?;
    let texts = Texts::new(&tree);

    // Addresses do not change the length of a header, so a first turn tells where everything is.
    let none = vec![0; tree.nodes.len()];
    let mut end = SUPERBLOCK;
    let mut place = |length: u64, alignment: u64| {
        let start = end.next_multiple_of(alignment);
        end = start + length;
        start
    };
    let headers: Vec<u64> = tree
        .nodes
        .iter()
        .map(|node| place(header(node, &none, 0, &texts, &[0]).len() as u64, 8))
        .collect();
    let heaps: Vec<u64> = texts.heaps().iter().map(|heap| place(heap.len() as u64, 8)).collect();
    let data: Vec<u64> = tree
        .nodes
        .iter()
        .map(|node| match node {
            Node::Dataset { tensor, .. } if tensor.byte_len() > 0 => {
                place(tensor.byte_len() as u64, ALIGNMENT)
            }
            _ => u64::MAX,
        })
        .collect();

    write_atomically(path, |out| {
        let mut out = Counted { out, at: 0 };
        out.write_at(0, &superblock(end, headers[0]))?;
        for (node, (&at, &data)) in tree.nodes.iter().zip(headers.iter().zip(&data)) {
            out.write_at(at, &header(node, &headers, data, &texts, &heaps))?;
        }
        for (heap, &at) in texts.heaps().iter().zip(&heaps) {
            out.write_at(at, heap)?;
        }
        for (node, &at) in tree.nodes.iter().zip(&data) {
            if let Node::Dataset { tensor, .. } = node
                && at != u64::MAX
            {
                out.write_at(at, &[])?;
                tensor.write_to(out.out)?;
                out.at += tensor.byte_len() as u64;
            }
        }
        Ok(())
    })
}

/// Writes one thing after the other, with zeros between.
struct Counted<'a> {
    out: &'a mut dyn WriteSeek,
    at: u64,
}

impl Counted<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let gap = at - self.at;
        self.out.write_all(&[0; ALIGNMENT as usize][..gap as usize])?;
        self.out.write_all(bytes)?;
        self.at = at + bytes.len() as u64;
        Ok(())
    }
}

fn superblock(end: u64, root: u64) -> Vec<u8> {
    // Version, addresses and lengths of eight bytes, no flags; no base, no extension.
    let mut bytes = [&MAGIC[..], &[2, 8, 8, 0]].concat();
    for address in [0, u64::MAX, end, root] {
        bytes.extend(address.to_le_bytes());
    }
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// A header with the messages of a node.
fn header(
    node: &Node<'_>,
    headers: &[u64],
    data: u64,
    texts: &Texts<'_>,
    heaps: &[u64],
) -> Vec<u8> {
    let mut messages = Vec::new();
    match node {
        Node::Group { links, .. } => {
            // The order of creation is kept and indexed; there are no heap and no trees.
            let last = (links.len() as u64).to_le_bytes();
            let info = [&[0, 3][..], &last, &[0xff; 24]].concat();
            message(&mut messages, LINK_INFO, &info);
            message(&mut messages, GROUP_INFO, &[0, 0]);
            for (order, (name, place)) in (0u64..).zip(links) {
                message(&mut messages, LINK, &link(name, order, headers[*place]));
            }
        }
        Node::Dataset { tensor, datatype, links } => {
            let shape = tensor.shape();
            let mut space = vec![2, shape.len() as u8, 0, u8::from(!shape.is_empty())];
            space.extend(shape.iter().flat_map(|&size| (size as u64).to_le_bytes()));
            message(&mut messages, DATASPACE, &space);
            message(&mut messages, DATATYPE, datatype);
            // Space when it is needed, the default value if there is none.
            message(&mut messages, FILL, &[3, 0x0a]);
            let length = (tensor.byte_len() as u64).to_le_bytes();
            let layout = [&[3, 1][..], &data.to_le_bytes(), &length].concat();
            message(&mut messages, LAYOUT, &layout);
            if *links > 1 {
                let count = [&[0][..], &links.to_le_bytes()].concat();
                message(&mut messages, LINKS, &count);
            }
        }
    }
    for (name, text) in node.texts() {
        message(&mut messages, ATTRIBUTE, &texts.attribute(name, text, heaps));
    }
    // Version 2; the length of the messages has four bytes.
    let length = (messages.len() as u32).to_le_bytes();
    let mut bytes = [&b"OHDR\x02\x02"[..], &length, &messages].concat();
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

fn message(messages: &mut Vec<u8>, kind: u16, body: &[u8]) {
    messages.push(kind as u8);
    messages.extend((body.len() as u16).to_le_bytes());
    messages.push(0);
    messages.extend(body);
}

/// A link with its order, a name that is UTF-8 and has a length of two bytes.
fn link(name: &str, order: u64, address: u64) -> Vec<u8> {
    let mut bytes = vec![1, 0x15];
    bytes.extend(order.to_le_bytes());
    bytes.push(1);
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(address.to_le_bytes());
    bytes
}

/// The texts of attributes, each once, and the heaps that they are in.
struct Texts<'a> {
    places: HashMap<&'a str, (usize, u32)>,
    heaps: Vec<Vec<u8>>,
}

impl<'a> Texts<'a> {
    fn new(tree: &'a Tree<'_>) -> Self {
        let mut texts = Self { places: HashMap::new(), heaps: Vec::new() };
        for (_, text) in tree.nodes.iter().flat_map(Node::texts) {
            // An empty text is one without a place.
            if !text.is_empty() && !texts.places.contains_key(text) {
                let number = texts.places.len();
                let place = (number / HEAP_OBJECTS, (number % HEAP_OBJECTS) as u32 + 1);
                texts.places.insert(text, place);
                if place.0 == texts.heaps.len() {
                    texts.heaps.push(b"GCOL\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec());
                }
                let heap = &mut texts.heaps[place.0];
                heap.extend((place.1 as u16).to_le_bytes());
                heap.extend([0; 6]);
                heap.extend((text.len() as u64).to_le_bytes());
                heap.extend(text.as_bytes());
                heap.resize(heap.len().next_multiple_of(8), 0);
            }
        }
        texts.heaps.iter_mut().for_each(close_heap);
        texts
    }

    fn heaps(&self) -> &[Vec<u8>] {
        &self.heaps
    }

    fn attribute(&self, name: &str, text: &str, heaps: &[u64]) -> Vec<u8> {
        let kind = write_types::heap_text();
        let scalar = [2, 0, 0, 0];
        let name = [name.as_bytes(), &[0]].concat();
        let mut bytes = vec![3, 0];
        for part in [&name[..], &kind, &scalar] {
            bytes.extend((part.len() as u16).to_le_bytes());
        }
        // The name is UTF-8.
        bytes.push(1);
        bytes.extend([&name[..], &kind, &scalar].concat());
        let (heap, number) = self.places.get(text).copied().unwrap_or_default();
        let address = if text.is_empty() { 0 } else { heaps.get(heap).copied().unwrap_or(0) };
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(address.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes
    }
}

/// Tells the heap its length, which has a least value; what is left is free.
fn close_heap(heap: &mut Vec<u8>) {
    let used = heap.len();
    let length = HEAP.max(used);
    heap[8..16].copy_from_slice(&(length as u64).to_le_bytes());
    heap.resize(length, 0);
    // Free space that has no room for its own head is not told of.
    if length - used >= 16 {
        heap[used + 8..used + 16].copy_from_slice(&((length - used) as u64).to_le_bytes());
    }
}

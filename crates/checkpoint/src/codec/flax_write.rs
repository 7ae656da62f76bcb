//! Writing Flax's msgpack files.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use super::MAX_RANK;
use super::flax::{KEY, KIND, NODE, TEXT};
use super::flax_fault::FlaxFault;
use super::flax_tree::{
    ARRAY, CHUNKED, CHUNKS, COMPLEX, MAX_DEPTH, MAX_NODES, SCALAR, SHAPE, TYPES,
};
use crate::atomic::write_atomically;
use crate::checkpoint::Checkpoint;
use crate::dtype::Dtype;
use crate::error::Error;
use crate::tensor::NamedTensor;

/// Arrays of more bytes are written in chunks of so many, as Flax does it.
const CHUNK: u64 = 1 << 30;

/// The longest text or name that the format can hold, in bytes.
const MAX_TEXT: u64 = u32::MAX as u64;

type Result<T> = std::result::Result<T, FlaxFault>;

/// Writes the tensors as Flax's `to_bytes` does, atomically (see [`write_atomically`]).
///
/// Names are cut at each `/` into the keys of nested dictionaries. What was no array when a file of Flax's
/// was read becomes what it was: the reader leaves notes in the metadata, `flax.kind:NAME` for numbers
/// (`int`, `float`, `bool`, `complex`), scalars of numpy's (`scalar`) and `bytes`, `flax.text:NAME` for
/// texts, `flax.node:NAME` for `none` and `empty` dictionaries, and `flax.key:NAME` for keys that have
/// slashes themselves. So a file that Flax wrote comes back to the byte, as long as it held no lists. Other
/// metadata is not written; tied tensors are written twice.
///
/// # Errors
///
/// [`Error::Flax`] if a tensor has a type that Flax has not (`C32`, floats below 8 bits), more than 64
/// dimensions, or a name of more than 64 parts; if there are more than 65 536 values, or a name is also the beginning of another one. What keeps
/// a tensor from being read, and as [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_flax};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("flax_model.msgpack");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("params/Dense_0/kernel", vec![1, 2], &[0.5, -0.5])?)?;
/// write_flax(&path, &checkpoint)?;
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_flax(
    path: impl AsRef<Path>,
    checkpoint: &Checkpoint,
) -> std::result::Result<(), Error> {
    write_in_chunks(path.as_ref(), checkpoint, CHUNK)
}

fn write_in_chunks(
    path: &Path,
    checkpoint: &Checkpoint,
    chunk: u64,
) -> std::result::Result<(), Error> {
    let tree =
        Tree::of(checkpoint).map_err(|cause| Error::Flax { path: path.to_path_buf(), cause })?;
    write_atomically(path, |mut out| tree.write(0, chunk, &mut out))
}

/// A value to write.
enum Leaf<'a> {
    Tensor(&'a NamedTensor, Option<&'a str>),
    Text(&'a str),
    None,
    Empty,
}

/// A dictionary or a value.
#[derive(Default)]
struct Branch<'a> {
    children: Vec<(&'a str, usize)>,
    leaf: Option<Leaf<'a>>,
}

/// Dictionaries and values by number; 0 is the outermost.
struct Tree<'a> {
    branches: Vec<Branch<'a>>,
    /// The number of the child of a dictionary; for look-ups only.
    numbers: HashMap<(usize, &'a str), usize>,
}

impl<'a> Tree<'a> {
    fn of(checkpoint: &'a Checkpoint) -> Result<Self> {
        let mut tree = Self { branches: vec![Branch::default()], numbers: HashMap::new() };
        let metadata = &checkpoint.metadata;
        let joined: HashMap<&str, usize> = metadata
            .iter()
            .filter_map(|(key, parts)| Some((key.strip_prefix(KEY)?, parts.parse().ok()?)))
            .collect();
        for tensor in checkpoint {
            check(tensor)?;
            let kind = metadata.get(&format!("{KIND}{}", tensor.name())).map(String::as_str);
            tree.insert(tensor.name(), &joined, Leaf::Tensor(tensor, kind))?;
        }
        for (key, value) in metadata {
            if let Some(path) = key.strip_prefix(TEXT) {
                check_length(path, value.len() as u64)?;
                tree.insert(path, &joined, Leaf::Text(value))?;
            } else if let Some(path) = key.strip_prefix(NODE) {
                let leaf = if value == "none" { Leaf::None } else { Leaf::Empty };
                tree.insert(path, &joined, leaf)?;
            }
        }
        let count = tree.branches.len() as u64 - 1;
        if count > MAX_NODES as u64 {
            return Err(FlaxFault::TooMany { position: 0, count, limit: MAX_NODES as u64 });
        }
        let both = |branch: &Branch<'_>| branch.leaf.is_some() && !branch.children.is_empty();
        match tree.branches.iter().position(both) {
            Some(number) => Err(FlaxFault::ValueAndDictionary { path: tree.path(number) }),
            None => Ok(tree),
        }
    }

    /// Cuts a path into keys and puts the leaf at its end.
    fn insert(
        &mut self,
        path: &'a str,
        joined: &HashMap<&str, usize>,
        leaf: Leaf<'a>,
    ) -> Result<()> {
        check_length(path, path.len() as u64)?;
        let (mut branch, mut start, mut depth) = (0, 0, 0);
        loop {
            let end = key_end(path, start, joined);
            let key = &path[start..end];
            depth += 1;
            if depth > MAX_DEPTH {
                let path = path.to_owned();
                return Err(FlaxFault::Depth { path, limit: MAX_DEPTH });
            }
            let next = self.branches.len();
            let number = *self.numbers.entry((branch, key)).or_insert(next);
            if number == next {
                self.branches[branch].children.push((key, next));
                self.branches.push(Branch::default());
            }
            branch = number;
            if end == path.len() {
                break;
            }
            start = end + 1;
        }
        if self.branches[branch].leaf.replace(leaf).is_some() {
            return Err(FlaxFault::Collision { path: path.to_owned() });
        }
        Ok(())
    }

    /// The path of a branch, for an error.
    fn path(&self, number: usize) -> String {
        let mut keys = Vec::new();
        let mut at = number;
        while at != 0 {
            // A parent comes before its children.
            let parent = self.branches[..at]
                .iter()
                .enumerate()
                .find_map(|(i, b)| Some((i, b.children.iter().find(|(_, child)| *child == at)?.0)));
            let Some((parent, key)) = parent else { break };
            keys.push(key);
            at = parent;
        }
        keys.reverse();
        keys.join("/")
    }

    /// Writes a branch. The depth is bounded by that of the paths.
    fn write(&self, number: usize, chunk: u64, out: &mut impl Write) -> io::Result<()> {
        let branch = &self.branches[number];
        match &branch.leaf {
            None => {
                map(out, branch.children.len())?;
                for (key, child) in &branch.children {
                    text(out, key)?;
                    self.write(*child, chunk, out)?;
                }
                Ok(())
            }
            Some(Leaf::Text(value)) => text(out, value),
            Some(Leaf::None) => out.write_all(&[0xc0]),
            Some(Leaf::Empty) => map(out, 0),
            Some(Leaf::Tensor(value, kind)) => tensor(value, *kind, chunk, out),
        }
    }
}

/// Where the key that begins at `start` ends: at the next slash, unless it is known to have some.
fn key_end(path: &str, start: usize, joined: &HashMap<&str, usize>) -> usize {
    let ends = || {
        let slashes = path[start..].match_indices('/').map(|(at, _)| start + at);
        slashes.chain([path.len()])
    };
    if !joined.is_empty() {
        let known = ends()
            .enumerate()
            .find(|(i, end)| *i > 0 && joined.get(&path[..*end]) == Some(&(i + 1)));
        if let Some((_, end)) = known {
            return end;
        }
    }
    ends().next().unwrap_or(path.len())
}

fn type_name(dtype: Dtype) -> Option<&'static str> {
    TYPES.iter().find(|(_, known)| *known == dtype).map(|(name, _)| *name)
}

fn check(tensor: &NamedTensor) -> Result<()> {
    let (name, dtype) = (|| tensor.name().to_owned(), tensor.dtype());
    if type_name(dtype).is_none() {
        return Err(FlaxFault::NoSuchDtype { tensor: name(), dtype });
    }
    if tensor.shape().len() > MAX_RANK {
        return Err(FlaxFault::RankOverLimit { path: name(), limit: MAX_RANK });
    }
    Ok(())
}

fn check_length(path: &str, length: u64) -> Result<()> {
    if length > MAX_TEXT {
        return Err(FlaxFault::TooLong { path: path.to_owned(), length, limit: MAX_TEXT });
    }
    Ok(())
}

/// Writes a tensor as what it was, or as an array if it is that no more.
fn tensor(
    tensor: &NamedTensor,
    kind: Option<&str>,
    chunk: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let is_scalar = tensor.shape().is_empty();
    let bytes = || tensor.bytes().map_err(io::Error::other);
    match (kind, tensor.dtype()) {
        (Some("int"), Dtype::I64) if is_scalar => {
            let value = i64::from_le_bytes(element(&bytes()?));
            out.write_all(&signed(value))
        }
        (Some("int"), Dtype::U64) if is_scalar => {
            out.write_all(&unsigned(u64::from_le_bytes(element(&bytes()?))))
        }
        (Some("float"), Dtype::F32) if is_scalar => {
            out.write_all(&[0xca])?;
            out.write_all(&u32::from_le_bytes(element(&bytes()?)).to_be_bytes())
        }
        (Some("float"), Dtype::F64) if is_scalar => {
            out.write_all(&[0xcb])?;
            out.write_all(&u64::from_le_bytes(element(&bytes()?)).to_be_bytes())
        }
        (Some("bool"), Dtype::Bool) if is_scalar => {
            out.write_all(&[0xc2 + u8::from(*bytes()? != [0])])
        }
        (Some("complex"), Dtype::C128) if is_scalar => {
            let mut payload = vec![0x92];
            for part in bytes()?.chunks_exact(8) {
                payload.push(0xcb);
                payload.extend(part.iter().rev());
            }
            extension(out, COMPLEX, payload.len() as u64)?;
            out.write_all(&payload)
        }
        (Some("bytes"), Dtype::U8)
            if tensor.shape().len() == 1 && tensor.byte_len() as u64 <= MAX_TEXT =>
        {
            out.write_all(&binary(tensor.byte_len() as u64))?;
            tensor.write_to(out)
        }
        (Some("scalar"), _) if is_scalar => array(tensor, SCALAR, out),
        _ if tensor.byte_len() as u64 > chunk => chunks(tensor, chunk, out),
        _ => array(tensor, ARRAY, out),
    }
}

/// The bytes of a scalar. They always are as many as its type takes; were it not so, it would be zero.
fn element<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn array(tensor: &NamedTensor, kind: i8, out: &mut impl Write) -> io::Result<()> {
    array_head(tensor.dtype(), tensor.shape(), kind, tensor.byte_len() as u64, out)?;
    tensor.write_to(out)
}

/// What stands before the elements of an array of `length` bytes.
fn array_head(
    dtype: Dtype,
    shape: &[usize],
    kind: i8,
    length: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut head = vec![0x93];
    match shape.len() {
        rank @ 0..=15 => head.push(0x90 | rank as u8),
        rank => head.extend([0xdc, 0, rank as u8]),
    }
    head.extend(shape.iter().flat_map(|&size| unsigned(size as u64)));
    text(&mut head, type_name(dtype).unwrap_or_default())?;
    head.extend(binary(length));
    extension(out, kind, head.len() as u64 + length)?;
    out.write_all(&head)
}

/// Writes a tensor as a dictionary of its shape and of vectors of at most `chunk` bytes.
fn chunks(tensor: &NamedTensor, chunk: u64, out: &mut impl Write) -> io::Result<()> {
    let width = tensor.dtype().size_bits() as u64 / 8;
    let full = (chunk / width).max(1) * width;
    let total = tensor.byte_len() as u64;
    map(out, 3)?;
    text(out, CHUNKED)?;
    out.write_all(&[0xc3])?;
    text(out, SHAPE)?;
    map(out, tensor.shape().len())?;
    for (axis, &size) in tensor.shape().iter().enumerate() {
        text(out, &axis.to_string())?;
        out.write_all(&unsigned(size as u64))?;
    }
    text(out, CHUNKS)?;
    map(out, usize::try_from(total.div_ceil(full)).unwrap_or(usize::MAX))?;
    let mut split = Split { out, dtype: tensor.dtype(), width, full, done: 0, total };
    tensor.write_to(&mut split)
}

/// Puts what stands before each chunk between the bytes of a tensor.
struct Split<'a, W> {
    out: &'a mut W,
    dtype: Dtype,
    width: u64,
    full: u64,
    done: u64,
    total: u64,
}

impl<W: Write> Write for Split<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let into = self.done % self.full;
        if into == 0 && !bytes.is_empty() {
            text(self.out, &(self.done / self.full).to_string())?;
            let length = self.full.min(self.total - self.done);
            let shape = usize::try_from(length / self.width).unwrap_or(usize::MAX);
            array_head(self.dtype, &[shape], ARRAY, length, self.out)?;
        }
        let length = bytes.len().min(usize::try_from(self.full - into).unwrap_or(usize::MAX));
        self.out.write_all(&bytes[..length])?;
        self.done += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The first byte of the shortest form that holds `value` in 1, 2 or 4 bytes, and those bytes.
fn sized(first: u8, value: u64) -> Vec<u8> {
    if let Ok(value) = u8::try_from(value) {
        vec![first, value]
    } else if let Ok(value) = u16::try_from(value) {
        [&[first + 1][..], &value.to_be_bytes()].concat()
    } else {
        [&[first + 2][..], &(value as u32).to_be_bytes()].concat()
    }
}

fn unsigned(value: u64) -> Vec<u8> {
    match value {
        0..=0x7f => vec![value as u8],
        0x80..=0xffff_ffff => sized(0xcc, value),
        _ => [&[0xcf][..], &value.to_be_bytes()].concat(),
    }
}

fn signed(value: i64) -> Vec<u8> {
    if let Ok(value) = u64::try_from(value) {
        return unsigned(value);
    }
    if value >= -32 {
        return vec![value as u8];
    }
    if let Ok(value) = i8::try_from(value) {
        vec![0xd0, value.cast_unsigned()]
    } else if let Ok(value) = i16::try_from(value) {
        [&[0xd1][..], &value.to_be_bytes()].concat()
    } else if let Ok(value) = i32::try_from(value) {
        [&[0xd2][..], &value.to_be_bytes()].concat()
    } else {
        [&[0xd3][..], &value.to_be_bytes()].concat()
    }
}

fn binary(length: u64) -> Vec<u8> {
    sized(0xc4, length)
}

fn map(out: &mut impl Write, count: usize) -> io::Result<()> {
    match count {
        0..=15 => out.write_all(&[0x80 | count as u8]),
        16..=0xffff => out.write_all(&[&[0xde][..], &(count as u16).to_be_bytes()].concat()),
        _ => out.write_all(&[&[0xdf][..], &(count as u32).to_be_bytes()].concat()),
    }
}

fn text(out: &mut impl Write, text: &str) -> io::Result<()> {
    match text.len() {
        length @ 0..=31 => out.write_all(&[0xa0 | length as u8])?,
        length => out.write_all(&sized(0xd9, length as u64))?,
    }
    out.write_all(text.as_bytes())
}

fn extension(out: &mut impl Write, kind: i8, length: u64) -> io::Result<()> {
    match length {
        1 | 2 | 4 | 8 | 16 => out.write_all(&[0xd4 + length.ilog2() as u8])?,
        _ => out.write_all(&sized(0xc7, length))?,
    }
    out.write_all(&[kind.cast_unsigned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_as_flax_writes_them() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flax/chunked.msgpack");
        let checkpoint = Checkpoint::open(&data).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chunked.msgpack");
        // In chunks of the size that the file was made with, whatever pieces the bytes come in.
        for checkpoint in [checkpoint.clone(), checkpoint.load().unwrap()] {
            write_in_chunks(&path, &checkpoint, 16).unwrap();
            assert!(std::fs::read(&path).unwrap() == std::fs::read(&data).unwrap());
        }
    }

    #[test]
    fn numbers_in_their_shortest_form() {
        let cases: [(i64, &[u8]); 10] = [
            (0, &[0]),
            (127, &[127]),
            (128, &[0xcc, 128]),
            (256, &[0xcd, 1, 0]),
            (65_536, &[0xce, 0, 1, 0, 0]),
            (1 << 32, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
            (-32, &[0xe0]),
            (-33, &[0xd0, 0xdf]),
            (-129, &[0xd1, 0xff, 0x7f]),
            (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
        ];
        for (value, bytes) in cases {
            assert_eq!(signed(value), bytes, "{value}");
        }
        assert_eq!(signed(i64::MIN), [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    }
}

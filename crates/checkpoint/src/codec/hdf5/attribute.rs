//! Attributes: short texts beside an object.

use super::btree2;
use super::cursor::Cursor;
use super::datatype::{self, Class};
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;
use super::fractal_heap::Heap;
use super::header::{self, ATTRIBUTE, ATTRIBUTE_INFO, DATATYPE, Header};
use super::space;

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: Value,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// Texts, or nothing of any type.
    List(Vec<String>),
    /// What is no text.
    Other,
}

/// The attributes of an object.
pub(super) fn attributes(file: &File, header: &Header) -> Result<Vec<Attribute>, Failure> {
    let mut texts = Texts { file, last: None };
    let mut attributes = Vec::new();
    for message in &header.messages {
        match message.kind {
            ATTRIBUTE => {
                let body = message.resolve(file)?;
                attributes.push(attribute(&mut texts, &mut body.cursor(file, "attribute"))?);
            }
            ATTRIBUTE_INFO => {
                let mut cursor = message.cursor(file, "attribute info");
                dense(&mut texts, &mut cursor, &mut attributes)?;
            }
            _ => {}
        }
    }
    Ok(attributes)
}

/// Attributes that are in a heap, by the tree of the hashes of their names.
fn dense(
    texts: &mut Texts<'_>,
    cursor: &mut Cursor<'_>,
    attributes: &mut Vec<Attribute>,
) -> Result<(), Failure> {
    let file = texts.file;
    let Some((heap, tree)) = Heap::with_names(file, cursor, 2)? else { return Ok(()) };
    btree2::records(file, tree, 8, &mut |record| {
        let id = record.bytes(8)?;
        if record.u8()? & 2 != 0 {
            let feature = "a heap of shared messages";
            return Err(Hdf5Fault::Unsupported { feature }.into());
        }
        let body = heap.object(file, id)?;
        attributes.push(attribute(texts, &mut file.cursor(&body, "attribute", 0))?);
        Ok(())
    })
}

/// Reads an attribute message.
fn attribute(texts: &mut Texts<'_>, cursor: &mut Cursor<'_>) -> Result<Attribute, Failure> {
    let file = texts.file;
    let version = cursor.version(&[1, 2, 3])?;
    let flags = cursor.u8()?;
    let lengths = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
    cursor.skip(usize::from(version == 3))?;
    // In version 1 each part fills up to eight bytes.
    let mut part = |length: u16| {
        let length = usize::from(length);
        let padded = if version == 1 { length.next_multiple_of(8) } else { length };
        Ok::<_, Hdf5Fault>(&cursor.bytes(padded)?[..length])
    };
    let [name, kind, extent] = [part(lengths[0])?, part(lengths[1])?, part(lengths[2])?];
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let address = cursor.address();
    let mut kind = file.cursor(kind, "datatype", address);
    let kind = if flags & 1 != 0 {
        let there = header::read(file, header::shared_address(&mut kind)?)?;
        let body = there.body(file, DATATYPE)?;
        let body = body.ok_or_else(|| kind.damaged("a type at its address"))?;
        datatype::parse(&mut body.cursor(file, "datatype"))?
    } else {
        datatype::parse(&mut kind)?
    };
    if flags & 2 != 0 {
        return Ok(Attribute { name, value: Value::Other });
    }
    let extent = space::space(&mut file.cursor(extent, "dataspace", address))?;
    let count = extent.sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
    let value = match (count, kind.class) {
        _ if extent.null => Value::Other,
        (Some(0), _) => Value::List(Vec::new()),
        (Some(count), class @ (Class::Text | Class::HeapText)) => {
            // Each takes a byte at least.
            let fits = count.checked_mul(kind.size).filter(|&all| all <= cursor.left() as u64);
            fits.ok_or_else(|| cursor.damaged("all of its values"))?;
            let mut list = Vec::new();
            for _ in 0..count {
                let bytes = cursor.bytes(kind.size as usize)?;
                list.push(match class {
                    Class::Text => trimmed(bytes),
                    _ => texts.get(&mut file.cursor(bytes, "text", address))?,
                });
            }
            match (extent.sizes.is_empty(), list.pop()) {
                (true, Some(text)) => Value::Text(text),
                (_, last) => Value::List(list.into_iter().chain(last).collect()),
            }
        }
        _ => Value::Other,
    };
    Ok(Attribute { name, value })
}

/// A text of a fixed length, without the zeros that fill it up.
fn trimmed(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The texts of a file that are kept in heaps, several in each.
struct Texts<'a> {
    file: &'a File,
    /// The heap read last: neighbours mostly are in the same.
    last: Option<(u64, Vec<u8>)>,
}

impl Texts<'_> {
    /// The text that a value points to.
    fn get(&mut self, cursor: &mut Cursor<'_>) -> Result<String, Failure> {
        let length = cursor.u32()?;
        let address = cursor.offset()?;
        let index = cursor.u32()?;
        let Some(address) = address.filter(|&address| length > 0 && address != 0) else {
            return Ok(String::new());
        };
        let file = self.file;
        let heap = match self.last.take() {
            Some((at, heap)) if at == address => heap,
            _ => {
                let prefix = 8 + file.widths().length;
                let bytes = file.read("global heap", address, prefix as u64)?;
                let mut cursor = file.cursor(&bytes, "global heap", address);
                cursor.signature(b"GCOL")?;
                cursor.version(&[1])?;
                cursor.skip(3)?;
                let length = cursor.length()?;
                file.read("global heap", address, length)?
            }
        };
        let object = object(&mut file.cursor(&heap, "global heap", address), index)?;
        let taken = object.get(..length as usize);
        let taken = taken.ok_or_else(|| cursor.damaged("a length within its heap"))?;
        // Many values may point to one long text.
        file.charge(u64::from(length))?;
        let text = String::from_utf8_lossy(taken).into_owned();
        self.last = Some((address, heap));
        Ok(text)
    }
}

/// The bytes of an object in a global heap.
fn object<'a>(cursor: &mut Cursor<'a>, wanted: u32) -> Result<&'a [u8], Hdf5Fault> {
    cursor.skip(8 + cursor.widths().length)?;
    while cursor.left() >= 8 + cursor.widths().length {
        let index = u32::from(cursor.u16()?);
        cursor.skip(6)?;
        let length = cursor.length()?;
        let length = usize::try_from(length).map_err(|_| cursor.damaged("shorter objects"))?;
        if index == 0 {
            // What is left is free.
            break;
        }
        let start = cursor.at();
        let bytes = cursor.bytes(length)?;
        if index == wanted {
            return Ok(bytes);
        }
        cursor.align(start, 8)?;
    }
    Err(cursor.damaged("the text of that number"))
}

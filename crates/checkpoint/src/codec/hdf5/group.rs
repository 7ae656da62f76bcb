//! Groups: the links that they consist of.

use super::btree1::{Kind, Node};
use super::btree2;
use super::cursor::Cursor;
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;
use super::fractal_heap::Heap;
use super::header::{Header, LINK, LINK_INFO, SYMBOL_TABLE};

/// The most links in a group.
pub(super) const MAX_LINKS: usize = 131_072;

/// Something in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) target: Target,
    /// Which one it is in the order of creation, where the group keeps it.
    order: Option<u64>,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The object whose header is there.
    Hard(u64),
    /// A path.
    Soft(String),
    /// A path in another file.
    External { file: String },
    /// Something else.
    Unknown(u8),
}

/// The links of a group: in the order of creation where it is known, otherwise by name. Names that are all
/// numbers are sorted by value, as Keras counts its variables.
pub(super) fn links(file: &File, header: &Header) -> Result<Vec<Link>, Failure> {
    let mut links = Vec::new();
    for message in &header.messages {
        match message.kind {
            SYMBOL_TABLE => {
                let mut cursor = message.cursor(file, "symbol table");
                let tree = cursor.address_of("the address of its tree")?;
                let heap = cursor.address_of("the address of its heap")?;
                symbols(file, tree, heap, &mut links)?;
            }
            LINK => push(&mut links, link(&mut message.cursor(file, "link"))?)?,
            LINK_INFO => dense(file, &mut message.cursor(file, "link info"), &mut links)?,
            _ => {}
        }
    }
    if links.iter().all(|link| link.order.is_some()) {
        links.sort_by_key(|link| link.order);
    } else if links.iter().all(|link| number(&link.name).is_some()) {
        links.sort_by_key(|link| number(&link.name));
    } else {
        links.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Hdf5Fault::DuplicateName { name: pair[0].to_owned() }.into()),
        None => Ok(links),
    }
}

/// The value of a name that is a number as one would write it.
fn number(name: &str) -> Option<u64> {
    name.parse().ok().filter(|value: &u64| value.to_string() == name)
}

fn push(links: &mut Vec<Link>, link: Link) -> Result<(), Hdf5Fault> {
    if links.len() == MAX_LINKS {
        return Err(Hdf5Fault::TooManyObjects { limit: MAX_LINKS });
    }
    links.push(link);
    Ok(())
}

/// A name that a path can hold.
fn named(bytes: &[u8]) -> Result<String, Hdf5Fault> {
    let bad = || Hdf5Fault::BadName { name: String::from_utf8_lossy(bytes).into_owned() };
    let name = std::str::from_utf8(bytes).map_err(|_| bad())?;
    if is_name(name) { Ok(name.to_owned()) } else { Err(bad()) }
}

/// Whether this can be a part of a path.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && !name.contains(['/', '\0'])
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads a link message.
fn link(cursor: &mut Cursor<'_>) -> Result<Link, Hdf5Fault> {
    cursor.version(&[1])?;
    let flags = cursor.u8()?;
    let kind = if flags & 8 != 0 { cursor.u8()? } else { 0 };
    let order = if flags & 4 != 0 { Some(cursor.uint(8)?) } else { None };
    // The character set: a name that is UTF-8 is accepted, whatever it says.
    cursor.skip(usize::from(flags & 16 != 0))?;
    let length = cursor.uint(1 << (flags & 3))?;
    let length = usize::try_from(length).map_err(|_| cursor.damaged("a shorter name"))?;
    let name = named(cursor.bytes(length)?)?;
    let target = match kind {
        0 => Target::Hard(cursor.address_of("the address of its object")?),
        1 => {
            let length = cursor.u16()?;
            Target::Soft(lossy(cursor.bytes(length.into())?))
        }
        64 => {
            let length = cursor.u16()?;
            let value = cursor.bytes(length.into())?;
            // A byte of flags, then the file and the path, each with a zero behind it.
            let file = value.get(1..).unwrap_or_default().split(|&byte| byte == 0).next();
            Target::External { file: lossy(file.unwrap_or_default()) }
        }
        kind => Target::Unknown(kind),
    };
    Ok(Link { name, target, order })
}

/// Links that are in a heap, by the tree of the hashes of their names.
fn dense(file: &File, cursor: &mut Cursor<'_>, links: &mut Vec<Link>) -> Result<(), Failure> {
    let Some((heap, tree)) = Heap::with_names(file, cursor, 8)? else { return Ok(()) };
    btree2::records(file, tree, 5, &mut |record| {
        // The hash, and where the link is in the heap.
        record.skip(4)?;
        let id = record.rest();
        let body = heap.object(file, id)?;
        Ok(push(links, link(&mut file.cursor(&body, "link", 0))?)?)
    })
}

/// Links of the old kind: names in a heap, found by a B-tree of version 1.
fn symbols(file: &File, tree: u64, heap: u64, links: &mut Vec<Link>) -> Result<(), Failure> {
    let names = local_heap(file, heap)?;
    let name_at = |offset: u64| {
        let rest = usize::try_from(offset).ok().and_then(|offset| names.get(offset..));
        let mut cursor = file.cursor(rest.unwrap_or_default(), "local heap", heap);
        cursor.text()
    };
    tree_nodes(file, tree, &mut |address| {
        // The entries have the same size each, whatever they lead to.
        let entry = 2 * file.widths().offset as u64 + 24;
        let prefix = file.read("symbol node", address, 8)?;
        let mut cursor = file.cursor(&prefix, "symbol node", address);
        cursor.signature(b"SNOD")?;
        cursor.version(&[1])?;
        cursor.skip(1)?;
        let count = cursor.u16()?;
        let bytes = file.read("symbol node", address + 8, entry * u64::from(count))?;
        let mut cursor = file.cursor(&bytes, "symbol node", address);
        for _ in 0..count {
            // The offset of the name has the width of an address.
            let offset = cursor.uint(file.widths().offset)?;
            let name = named(name_at(offset)?)?;
            let object = cursor.offset()?;
            let kind = cursor.u32()?;
            cursor.skip(4)?;
            let mut scratch = file.cursor(cursor.bytes(16)?, "symbol node", address);
            let target = if kind == 2 {
                Target::Soft(lossy(name_at(scratch.u32()?.into())?))
            } else {
                let none = || cursor.damaged("the address of an object");
                Target::Hard(object.ok_or_else(none)?)
            };
            push(links, Link { name, target, order: None })?;
        }
        Ok(())
    })
}

/// The names of a group of the old kind.
fn local_heap(file: &File, address: u64) -> Result<Vec<u8>, Failure> {
    let widths = file.widths();
    let length = 8 + 2 * widths.length + widths.offset;
    let bytes = file.read("local heap", address, length as u64)?;
    let mut cursor = file.cursor(&bytes, "local heap", address);
    cursor.signature(b"HEAP")?;
    cursor.version(&[0])?;
    cursor.skip(3)?;
    let length = cursor.length()?;
    cursor.length()?;
    let data = cursor.address_of("the address of its data")?;
    file.read("local heap", data, length)
}

/// Visits the symbol nodes below a node of a B-tree of version 1, in order.
fn tree_nodes(
    file: &File,
    root: u64,
    visit: &mut dyn FnMut(u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut rest = vec![(root, None)];
    while let Some((address, level)) = rest.pop() {
        if level == Some(0) {
            visit(address)?;
            continue;
        }
        let key = file.widths().length as u64;
        let Node { level: found, count, bytes } =
            Node::read(file, address, Kind::Group, level, key)?;
        let mut cursor = file.cursor(&bytes, "B-tree", address);
        let mut children = Vec::with_capacity(count.into());
        for _ in 0..count {
            cursor.length()?;
            children.push((cursor.address_of("the address of a node")?, Some(found)));
        }
        rest.extend(children.into_iter().rev());
    }
    Ok(())
}

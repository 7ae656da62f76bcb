//! HDF5 files made by hand, as sound or as unsound as wanted.

pub(crate) const SPACE: u16 = 1;
pub(crate) const TYPE: u16 = 3;
pub(crate) const LINK: u16 = 6;
pub(crate) const LAYOUT: u16 = 8;
pub(crate) const FILTERS: u16 = 11;

pub(crate) type Messages = Vec<(u16, Vec<u8>)>;

/// A file of superblock 0 with headers of version 1, which have no checksums. The first object is the root.
/// `objects` is given the address of each, and of what comes behind them.
pub(crate) fn file(objects: impl Fn(&[u64]) -> Vec<Messages>, behind: &[u8]) -> Vec<u8> {
    let encode = |messages: &Messages| {
        let mut body = Vec::new();
        for (kind, bytes) in messages {
            let mut bytes = bytes.clone();
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            body.extend(kind.to_le_bytes());
            body.extend((bytes.len() as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(bytes);
        }
        let mut header = vec![1, 0, 0, 0, 1, 0, 0, 0];
        header.extend((body.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        [header, body].concat()
    };
    let count = objects(&[0; 1000]).len();
    let mut addresses = vec![96u64];
    for messages in objects(&[0; 1000]) {
        addresses.push(addresses[addresses.len() - 1] + encode(&messages).len() as u64);
    }
    let bodies: Vec<u8> = objects(&addresses).iter().flat_map(encode).collect();
    let end = 96 + bodies.len() as u64 + behind.len() as u64;
    let mut out = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
    for address in [0, u64::MAX, end, u64::MAX, 0, 96] {
        out.extend(address.to_le_bytes());
    }
    out.resize(96, 0);
    out.extend(bodies);
    out.extend(behind);
    assert_eq!(addresses.len(), count + 1);
    out
}

pub(crate) fn link(name: &[u8], address: u64) -> (u16, Vec<u8>) {
    (LINK, [&[1, 0, name.len() as u8][..], name, &address.to_le_bytes()].concat())
}

pub(crate) fn space(sizes: &[u64]) -> (u16, Vec<u8>) {
    let sizes_bytes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    (SPACE, [&[1, sizes.len() as u8, 0, 0, 0, 0, 0, 0][..], &sizes_bytes].concat())
}

/// Unsigned bytes; or what claims a size of its own.
pub(crate) fn bytes_of(size: u32) -> (u16, Vec<u8>) {
    (TYPE, [&[0x10, 0, 0, 0][..], &size.to_le_bytes(), &[0, 0, 8, 0]].concat())
}

pub(crate) fn contiguous(address: u64, length: u64) -> (u16, Vec<u8>) {
    (LAYOUT, [&[3, 1][..], &address.to_le_bytes(), &length.to_le_bytes()].concat())
}

/// Chunks of bytes, found by a B-tree of version 1.
pub(crate) fn chunked(tree: u64, sizes: &[u32]) -> (u16, Vec<u8>) {
    let mut body = vec![3, 2, sizes.len() as u8 + 1];
    body.extend(tree.to_le_bytes());
    body.extend(sizes.iter().chain([&1]).flat_map(|size| size.to_le_bytes()));
    (LAYOUT, body)
}

/// A leaf of such a tree: where each chunk begins, its address and length.
pub(crate) fn leaf(chunks: &[(u64, u64, u32)]) -> Vec<u8> {
    let mut node = b"TREE\x01\0".to_vec();
    node.extend((chunks.len() as u16).to_le_bytes());
    node.extend([0xff; 16]);
    for (start, address, stored) in chunks {
        node.extend(stored.to_le_bytes());
        node.extend([0; 4]);
        node.extend(start.to_le_bytes());
        node.extend([0; 8]);
        node.extend(address.to_le_bytes());
    }
    node
}

pub(crate) fn deflate() -> (u16, Vec<u8>) {
    (FILTERS, vec![2, 1, 1, 0, 0, 0, 1, 0, 6, 0, 0, 0])
}

/// A file with one dataset `x` of these messages; they are given the address of what comes behind.
pub(crate) fn dataset(messages: impl Fn(u64) -> Messages, behind: &[u8]) -> Vec<u8> {
    file(|at| vec![vec![link(b"x", at[1])], messages(at[2])], behind)
}

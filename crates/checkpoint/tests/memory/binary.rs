//! Formats of binary records: Flax's msgpack, MXNet's `.params`, burnpack and GGUF.

use crate::{Attack, Hostile, attack, file, with_hole};

fn one(parts: &[&[u8]]) -> Vec<Hostile> {
    vec![file("a", parts.concat())]
}

fn long(number: usize) -> [u8; 8] {
    (number as u64).to_le_bytes()
}

fn joined(count: usize, one: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(one).collect()
}

/// A dictionary in msgpack of so many texts of 16 letters, each with the same value.
fn dictionary(count: usize, value: &[u8]) -> Vec<u8> {
    let entry = |i| [&[0xb0][..], format!("{i:016x}").as_bytes(), value].concat();
    let entries = joined(count, entry);
    [&[0xdf][..], &(count as u32).to_be_bytes(), &entries].concat()
}

pub(crate) fn flax() -> Vec<Attack> {
    const KEY: &[u8] = &[0x81, 0xa1, b'a'];
    vec![
        attack("flax: dictionaries in dictionaries", || one(&[&KEY.repeat(4 << 20), &[0xc0]])),
        attack("flax: lists in lists", || one(&[KEY, &vec![0x91; 16 << 20]])),
        attack("flax: a list as long as the file", || {
            let count = (8u32 << 20).to_be_bytes();
            one(&[KEY, &[0xdd], &count, &vec![0xc0; 8 << 20]])
        }),
        attack("flax: a text as long as a hole", || {
            let bytes = [KEY, &[0xdb], &(1u32 << 31).to_be_bytes()].concat();
            vec![with_hole("a", bytes, 1 << 40)]
        }),
        attack("flax: as many values as are read, and a byte too much", || {
            one(&[&dictionary((1 << 16) - 2, &[0xc0]), &[0]])
        }),
        attack("flax: long names of many", || {
            let key = [&[0xda, 0x40, 0][..], &[b'k'; 0x4000]].concat();
            one(&[&[0x81], &key, &[0xdc, 8, 0], &[0xc0; 2048]])
        }),
        attack("flax: many empty arrays, and a byte too much", || {
            // Shape, type and bytes, in an extension.
            let array = [&[0xc7, 11, 1, 0x93, 0x91, 0, 0xa5][..], b"uint8", &[0xc4, 0]].concat();
            one(&[&dictionary((1 << 16) - 2, &array), &[0]])
        }),
    ]
}

pub(crate) fn mxnet() -> Vec<Attack> {
    /// An array of one byte.
    fn array() -> Vec<u8> {
        let words = [0xf993_fac9u32, 0, 1].map(u32::to_le_bytes);
        let device = [1u32, 0, 3].map(u32::to_le_bytes);
        [words.as_flattened(), &long(1), device.as_flattened(), &[7]].concat()
    }
    fn head(count: usize) -> Vec<u8> {
        [long(0x112), long(0), long(count)].concat()
    }
    vec![
        attack("mxnet: arrays that are not there", || vec![with_hole("a", head(1 << 36), 1 << 40)]),
        attack("mxnet: more arrays than are read", || {
            one(&[&head((1 << 17) + 1), &array().repeat((1 << 17) + 1), &long(0)])
        }),
        attack("mxnet: as many arrays as are read, and a byte too much", || {
            one(&[&head(1 << 17), &array().repeat(1 << 17), &long(0), &[0]])
        }),
        attack("mxnet: as many with names, two of them the same", || {
            let names =
                joined(1 << 17, |i| [&long(64)[..], format!("{:064x}", i / 2).as_bytes()].concat());
            one(&[&head(1 << 17), &array().repeat(1 << 17), &long(1 << 17), &names])
        }),
        attack("mxnet: a long name", || {
            let bytes = [&head(1)[..], &array(), &long(1), &long(1 << 39)].concat();
            vec![with_hole("a", bytes, 1 << 40)]
        }),
        attack("mxnet: an array as large as a hole, and a byte too much", || {
            let mut bytes = [&head(1)[..], &array()].concat();
            let size = 24 + 12;
            bytes[size..size + 8].copy_from_slice(&long((1 << 40) - 1000));
            vec![with_hole("a", bytes, 1 << 40)]
        }),
    ]
}

pub(crate) fn burnpack() -> Vec<Attack> {
    fn text(text: &str) -> Vec<u8> {
        [&[0x78, text.len() as u8][..], text.as_bytes()].concat()
    }
    fn burnpack(header: &[u8]) -> Vec<Hostile> {
        one(&[b"NRUB\x01\x00", &(header.len() as u32).to_le_bytes(), header, &[0; 1024]])
    }
    /// Tensors of one byte, all of them the same one, or without any.
    fn tensors(count: usize, size: u8) -> Vec<u8> {
        let parts = [&text("dtype")[..], &text("U8"), &text("shape"), &[0x81, size]].concat();
        let offsets = [&text("data_offsets")[..], &[0x82, 0, size]].concat();
        let tensors =
            joined(count, |i| [&text(&format!("{i:x}"))[..], &[0xa3], &parts, &offsets].concat());
        let count = (count as u32).to_be_bytes();
        [&[0xa1][..], &text("tensors"), &[0xba], &count, &tensors].concat()
    }
    vec![
        attack("burnpack: a header as long as a hole", || {
            let bytes = [&b"NRUB\x01\x00"[..], &u32::MAX.to_le_bytes()].concat();
            vec![with_hole("a", bytes, 1 << 40)]
        }),
        attack("burnpack: deep nesting", || {
            let parts = [&[0xa2][..], &text("tensors"), &[0xa0], &text("x")].concat();
            burnpack(&[parts, vec![0x81; 16 << 20]].concat())
        }),
        attack("burnpack: tensors that share a byte", || burnpack(&tensors(100_000, 1))),
        attack("burnpack: more tensors than are read", || burnpack(&tensors(100_001, 0))),
        attack("burnpack: as many as are read, and a byte too much", || {
            burnpack(&[&tensors(100_000, 0)[..], &[0]].concat())
        }),
        attack("burnpack: long metadata, and a byte too much", || {
            let entry = |i: usize| {
                let value = [&[0x7a][..], &(4u32 << 20).to_be_bytes(), &vec![b'v'; 4 << 20]];
                [text(&format!("{i:x}")), value.concat()].concat()
            };
            let entries = [&text("metadata")[..], &[0xa9], &joined(9, entry)].concat();
            burnpack(&[&[0xa2][..], &text("tensors"), &[0xa0], &entries, &[0]].concat())
        }),
    ]
}

pub(crate) fn gguf() -> Vec<Attack> {
    fn text(text: &str) -> Vec<u8> {
        [&long(text.len())[..], text.as_bytes()].concat()
    }
    fn head(tensors: usize, values: usize) -> Vec<u8> {
        [&b"GGUF\x03\0\0\0"[..], &long(tensors), &long(values)].concat()
    }
    fn word(number: u32) -> [u8; 4] {
        number.to_le_bytes()
    }
    /// Tensors of one number, which begin at the same place.
    fn infos(count: usize, width: usize) -> Vec<u8> {
        joined(count, |i| {
            let name = text(&format!("{i:0width$x}"));
            [&name[..], &word(1), &long(1), &word(0), &long(0)].concat()
        })
    }
    vec![
        attack("gguf: tensors that are not there", || {
            vec![with_hole("a", head(1 << 34, 0), 1 << 40)]
        }),
        attack("gguf: more tensors than are read", || {
            one(&[&head((1 << 17) + 1, 0), &infos((1 << 17) + 1, 1)])
        }),
        attack("gguf: as many as are read, which overlap", || {
            one(&[&head(1 << 17, 0), &infos(1 << 17, 64), &[0; 4096]])
        }),
        attack("gguf: long names", || {
            one(&[&head(1 << 10, 0), &infos(1 << 10, 1 << 15), &[0; 4096]])
        }),
        attack("gguf: many values, one of them twice", || {
            let value = |i: usize| [&text(&format!("{:x}", i / 2))[..], &word(0), &[1]].concat();
            one(&[&head(0, 1 << 17), &joined(1 << 17, value)])
        }),
        attack("gguf: a text as long as a hole", || {
            let bytes = [&head(0, 1)[..], &text("k"), &word(8), &long(1 << 39)].concat();
            vec![with_hole("a", bytes, 1 << 40)]
        }),
        attack("gguf: a list of a million texts, and no end", || {
            let list = [&text("k")[..], &word(9), &word(8), &long(1 << 20)].concat();
            one(&[&head(0, 2), &list, &text("word").repeat(1 << 20)])
        }),
        attack("gguf: long values, one of them twice", || {
            let long_text = "v".repeat(4 << 20);
            let value = |i: usize| {
                [&text(&format!("{:x}", i % 8))[..], &word(8), &text(&long_text)].concat()
            };
            one(&[&head(0, 9), &joined(9, value)])
        }),
    ]
}

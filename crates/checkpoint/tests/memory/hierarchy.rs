//! HDF5 files.

use crate::hdf5s::{
    Messages, TYPE, bytes_of, chunked, contiguous, dataset, deflate, file, leaf, link, space,
};
use crate::{Attack, Hostile, attack, file as named};

fn one(bytes: Vec<u8>) -> Vec<Hostile> {
    vec![named("a.h5", bytes)]
}

pub(crate) fn hdf5() -> Vec<Attack> {
    vec![
        attack("hdf5: elements that are not there", || {
            let length = 1 << 40;
            one(dataset(|at| vec![space(&[length]), bytes_of(1), contiguous(at, length)], b"abc"))
        }),
        attack("hdf5: sizes whose product overflows", || {
            let sizes = [1 << 33, 1 << 33];
            one(dataset(|at| vec![space(&sizes), bytes_of(1), contiguous(at, 3)], b"abc"))
        }),
        attack("hdf5: datasets never written that claim more than zeros may", || {
            let never = || vec![space(&[40 << 20]), bytes_of(1), contiguous(u64::MAX, 0)];
            one(file(|at| vec![vec![link(b"x", at[1]), link(b"y", at[2])], never(), never()], b""))
        }),
        attack("hdf5: a chunk of 16 MiB out of 20 bytes", || one(bomb(16 << 20, 20))),
        attack("hdf5: a chunk of 16 MiB that is no stream", || one(bomb(16 << 20, 20_000))),
        attack("hdf5: a large stored chunk that says it is larger", || {
            let data = 8 << 20;
            one(bomb(1 << 31, data))
        }),
        attack("hdf5: 2^60 paths through 60 groups", || {
            let doubled = |at: &[u64]| {
                let pair =
                    |place: usize| vec![link(b"a", at[place + 1]), link(b"b", at[place + 1])];
                let mut objects: Vec<Messages> = (0..60).map(pair).collect();
                objects.push(vec![space(&[]), bytes_of(1), contiguous(u64::MAX, 0)]);
                objects
            };
            one(file(doubled, b""))
        }),
        attack("hdf5: a type of arrays in arrays", || {
            let mut body = vec![0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
            for _ in 0..4000 {
                body = [&[0x3a, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0][..], &body].concat();
            }
            one(dataset(|at| vec![space(&[3]), (TYPE, body.clone()), contiguous(at, 3)], b"abc"))
        }),
        attack("hdf5: 900 datasets, the last without elements in the file", || {
            let root = |at: &[u64]| {
                let names: Vec<String> = (0..900).map(|i| format!("{i:0200}")).collect();
                let links = names.iter().zip(&at[1..]).map(|(name, at)| link(name.as_bytes(), *at));
                let mut objects = vec![links.collect::<Messages>()];
                let sound = || vec![space(&[1]), bytes_of(1), contiguous(0, 1)];
                objects.extend((0..899).map(|_| sound()));
                objects.push(vec![space(&[1]), bytes_of(1), contiguous(u64::MAX - 7, 1)]);
                objects
            };
            one(file(root, b""))
        }),
    ]
}

/// A dataset of one chunk of `size` bytes, deflated into `stored`.
fn bomb(size: u32, stored: usize) -> Vec<u8> {
    let make = |at: u64| {
        let node = leaf(&[(0, at, stored as u32)]);
        let behind = [node, vec![0x78; stored]].concat();
        let sizes = [u64::from(size)];
        dataset(|at| vec![space(&sizes), bytes_of(1), chunked(at, &[size]), deflate()], &behind)
    };
    let start = make(0).len() - stored;
    make(start as u64)
}

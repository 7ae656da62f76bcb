//! How much memory it takes to refuse a file: at most twice its length and 64 MiB.
//!
//! A file for each family of formats. In a binary of its own, with one test, because all that is allocated while it runs is counted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::path::Path;

use espalier_checkpoint::Checkpoint;
use peak_alloc::PeakAlloc;

mod archives;
mod binary;
#[path = "../it/hdf5s.rs"]
mod hdf5s;
mod hierarchy;
mod json;
#[path = "../it/zips.rs"]
mod zips;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SLACK: usize = 64 << 20;

/// Files that must be refused, the first of which is opened. They are made for each attack in turn.
struct Attack {
    name: &'static str,
    files: fn() -> Vec<Hostile>,
}

/// A file: its name, how it begins, and its length, with zeros that take no room on the disk.
struct Hostile {
    name: &'static str,
    bytes: Vec<u8>,
    length: u64,
}

fn attack(name: &'static str, files: fn() -> Vec<Hostile>) -> Attack {
    Attack { name, files }
}

fn file(name: &'static str, bytes: impl Into<Vec<u8>>) -> Hostile {
    let bytes = bytes.into();
    Hostile { name, length: bytes.len() as u64, bytes }
}

fn with_hole(name: &'static str, bytes: impl Into<Vec<u8>>, length: u64) -> Hostile {
    Hostile { name, bytes: bytes.into(), length }
}

#[test]
fn a_refusal_takes_little_memory() {
    // What a thread pool takes is not the file's doing.
    let _ = Checkpoint::new().load();
    let attacks = [
        json::safetensors(),
        json::shards(),
        archives::npz(),
        archives::torch(),
        archives::keras(),
        hierarchy::hdf5(),
        binary::flax(),
        binary::mxnet(),
        binary::burnpack(),
        binary::gguf(),
    ];
    let mut names = Vec::new();
    for Attack { name, files } in attacks.into_iter().flatten() {
        let dir = tempfile::tempdir().unwrap();
        let (first, length) = lay_out(dir.path(), files());
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let refused = Checkpoint::open(first).and_then(Checkpoint::load);
        let text = refused.map(|checkpoint| checkpoint.len()).unwrap_err().to_string();
        let peak = ALLOCATOR.peak_usage() - before;
        let allowed = 2 * length + SLACK;
        let shown: String =
            text.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
        println!("{name}: {} KiB for {} KiB: ...{shown}", peak >> 10, length >> 10);
        assert!(peak <= allowed, "{name}: {peak} bytes, {allowed} allowed");
        names.push(name);
    }
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

/// Writes the files. Gives the path of the first and the bytes of all.
fn lay_out(dir: &Path, files: Vec<Hostile>) -> (std::path::PathBuf, usize) {
    let mut length = 0;
    for file in &files {
        let path = dir.join(file.name);
        fs::write(&path, &file.bytes).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(file.length).unwrap();
        // A hole is no excuse for memory.
        length += file.bytes.len();
    }
    (dir.join(files[0].name), length)
}

//! Checkpoint files against PyTorch's and safetensors' own: a gibibyte of single-precision numbers in a hundred
//! tensors, read into memory from the page cache, and written.
//!
//! Ours brings what it writes to the disk before it counts as written; `torch.save` and `save_file` do not, so
//! they are also timed with an `fsync`.
#![allow(missing_docs)]

use std::path::Path;

use espalier_bench::{Contest, Row, Table, timed, wanted};
use espalier_checkpoint::{
    Checkpoint, Error, NamedTensor, read_safetensors, write_safetensors, write_torch,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENSORS: usize = 100;

/// Values that no file system finds a shorter form for.
fn checkpoint(mebibytes: usize) -> Result<Checkpoint, Error> {
    let numel = (mebibytes << 18) / TENSORS;
    let mut state = 1u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from_bits(0x3f80_0000 | state >> 9)
    };
    let mut checkpoint = Checkpoint::new();
    for index in 0..TENSORS {
        let values: Vec<f32> = (0..numel).map(|_| next()).collect();
        checkpoint.push(NamedTensor::f32(format!("layer.{index}"), vec![numel], &values)?)?;
    }
    Ok(checkpoint)
}

fn done(result: Result<(), Error>) {
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// One part: ours, then the peer's forms of it.
fn part(
    contest: &Contest,
    table: &mut Table,
    (what, mebibytes): (&str, usize),
    ours: &mut dyn FnMut(),
    peers: &[(&str, &str)],
) {
    if !wanted(what) {
        return;
    }
    let case = |(form, _): &(&str, &str)| format!("checkpoint/{form}/{mebibytes}");
    let cases: Vec<String> =
        if contest.has("PyTorch") { peers.iter().map(case).collect() } else { Vec::new() };
    let times = contest.compete(&mut [&mut |n| timed(n, &mut *ours)], &cases);
    println!("{what}: ours {:.2} GiB/s", mebibytes as f64 / 1024.0 / times[0].median());
    for ((_, peer), theirs) in peers.iter().zip(&times[1..]) {
        table.0.push(Row {
            case: format!("{what}, {mebibytes} MiB"),
            peer: (*peer).to_owned(),
            ours: times[0].clone(),
            theirs: theirs.clone(),
            target: Some(1.0),
        });
    }
}

fn run(folder: &Path, mebibytes: usize) -> Result<(), Error> {
    let contest = Contest::start();
    let mut table = Table::default();
    let (torch, safetensors) = (folder.join("a.pt"), folder.join("a.safetensors"));
    let whole = checkpoint(mebibytes)?;
    write_torch(&torch, &whole)?;
    write_safetensors(&safetensors, &whole)?;
    part(
        &contest,
        &mut table,
        ("read_torch", mebibytes),
        &mut || done(Checkpoint::read(&torch).map(drop)),
        &[("read_torch", "torch.load")],
    );
    part(
        &contest,
        &mut table,
        ("read_safetensors", mebibytes),
        &mut || done(read_safetensors(&safetensors).map(drop)),
        &[("read_safetensors+copied", "load_file, copied")],
    );
    // As it comes, what `load_file` gives is a map of the file, of which nothing has been read.
    part(
        &contest,
        &mut table,
        ("open_safetensors", mebibytes),
        &mut || done(Checkpoint::open(&safetensors).map(drop)),
        &[("read_safetensors", "load_file, untouched")],
    );
    part(
        &contest,
        &mut table,
        ("write_torch", mebibytes),
        &mut || done(write_torch(&torch, &whole)),
        &[("write_torch", "torch.save"), ("write_torch+synced", "torch.save, fsync")],
    );
    part(
        &contest,
        &mut table,
        ("write_safetensors", mebibytes),
        &mut || done(write_safetensors(&safetensors, &whole)),
        &[("write_safetensors", "save_file"), ("write_safetensors+synced", "save_file, fsync")],
    );
    println!("\n{table}");
    Ok(())
}

fn main() {
    // The size in MiB, for machines with little memory; the folder is on the disk that is measured.
    let size = std::env::var("ESPALIER_MEBIBYTES").ok().and_then(|size| size.parse().ok());
    let folder = std::env::temp_dir().join(format!("espalier-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let result = run(&folder, size.unwrap_or(1024));
    // What was written is of no use to anyone.
    let removed = std::fs::remove_dir_all(&folder);
    done(result);
    removed.unwrap_or_else(|error| panic!("{error}"));
}

//! Writes a checkpoint as one file and in shards, for other libraries to read: see
//! `tools/golden/README.md`.
//!
//! `cargo run --example write_shards -- DIR`; without a directory, into one that is removed at the end.

use std::error::Error;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{
    Checkpoint, Dtype, NamedTensor, write_safetensors, write_safetensors_sharded,
};

fn main() -> Result<(), Box<dyn Error>> {
    let own = tempfile::tempdir()?;
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = given.as_deref().unwrap_or(own.path());
    for path in write(dir)? {
        println!("{}", path.display());
    }
    Ok(())
}

fn write(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let checkpoint = samples()?;
    let whole = dir.join("whole.safetensors");
    write_safetensors(&whole, &checkpoint)?;
    let sharded = dir.join("sharded");
    std::fs::create_dir_all(&sharded)?;
    write_safetensors_sharded(&sharded, &checkpoint, 50)?;
    Ok(vec![whole, sharded])
}

/// Tensors of several types, with numbers that are easily lost.
fn samples() -> Result<Checkpoint, Box<dyn Error>> {
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata.insert("format".into(), "pt".into());
    let odd = [-0.0, f32::NAN, f32::INFINITY, f32::from_bits(1), f32::from_bits(0x7fa0_1234), 1.5];
    checkpoint.push(NamedTensor::f32("fc1.weight", vec![2, 3], &odd)?)?;
    checkpoint.push(NamedTensor::f32("fc1.bias", vec![12], &[0.25; 12])?)?;
    checkpoint.push(NamedTensor::boolean("fc1.mask", vec![1, 3], &[true, false, true])?)?;
    checkpoint.push(NamedTensor::f32("empty", vec![0, 2], &[])?)?;
    let half = vec![0x80, 0x3f, 0, 0x80, 0xc1, 0x7f];
    checkpoint.push(NamedTensor::new("fc2.weight", Dtype::BF16, vec![3], half)?)?;
    let step = 7i64.to_le_bytes().to_vec();
    checkpoint.push(NamedTensor::new("step", Dtype::I64, vec![], step)?)?;
    Ok(checkpoint)
}

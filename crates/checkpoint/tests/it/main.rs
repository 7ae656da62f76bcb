//! Tests of the public interface, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use espalier_checkpoint::Dtype;

mod atomic;
mod burnpack;
mod files;
mod flax;
mod gguf;
mod hdf5;
mod hdf5_faults;
mod hdf5s;
mod keras;
mod kill;
mod mxnet;
mod npy;
mod npz;
mod rotate;
mod round_trip;
mod safetensors_faults;
mod saving;
mod shard_faults;
mod sharded;
mod tensors;
mod torch_faults;
mod torch_golden;
mod torch_old;
mod torch_write;
mod zip_faults;
mod zips;

/// The names in a directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The types that safetensors has.
fn safetensors_types() -> Vec<Dtype> {
    let others = [Dtype::C32, Dtype::C128];
    Dtype::ALL.into_iter().filter(|dtype| !others.contains(dtype)).collect()
}

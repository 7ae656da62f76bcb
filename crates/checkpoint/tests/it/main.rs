//! Tests of the public interface, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use espalier_checkpoint::Dtype;

mod atomic;
mod npy;
mod round_trip;
mod safetensors_faults;
mod tensors;
mod torch_faults;
mod torch_golden;
mod torch_old;
mod torch_write;
mod zip_faults;
mod zips;

/// The types that safetensors has.
fn safetensors_types() -> Vec<Dtype> {
    let others = [Dtype::C32, Dtype::C128];
    Dtype::ALL.into_iter().filter(|dtype| !others.contains(dtype)).collect()
}

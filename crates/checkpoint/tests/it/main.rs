//! Tests of the public interface, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use espalier_checkpoint::Dtype;

mod atomic;
mod burnpack;
mod files;
mod flax;
mod gguf;
mod mxnet;
mod npy;
mod npz;
mod round_trip;
mod safetensors_faults;
mod tensors;

/// The types that safetensors has.
fn safetensors_types() -> Vec<Dtype> {
    let others = [Dtype::C32, Dtype::C128];
    Dtype::ALL.into_iter().filter(|dtype| !others.contains(dtype)).collect()
}

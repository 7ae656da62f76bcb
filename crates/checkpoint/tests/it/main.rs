//! Tests of the public interface, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod atomic;
mod npy;
mod round_trip;
mod safetensors_faults;
mod tensors;

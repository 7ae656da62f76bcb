//! Layers whose input size is set by the first forward pass.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;
mod errors;
mod files;
mod layers;
mod shared;
mod training;

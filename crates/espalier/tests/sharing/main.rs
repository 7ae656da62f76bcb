//! One parameter under several names: what must hold, whole layers, checkpoints with both names.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod checkpoints;
mod common;
mod guarantees;
mod integers;
mod layers;
mod parts;

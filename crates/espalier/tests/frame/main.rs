//! What must hold of a wrapped module: names, gradients, copies, records, optimizers.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;
mod copies;
mod modes;
mod names;
mod optimizers;
mod records;
mod refusals;
mod ties;

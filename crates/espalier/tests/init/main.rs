//! Initial values: against PyTorch, against theory, by layer, path and closure, in wrappers.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod apply;
mod clones;
mod golden;
mod moments;
mod wrapped;

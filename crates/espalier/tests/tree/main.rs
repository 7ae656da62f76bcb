//! The parameter tree: names, look-up by path, nested values, lists of arrays, summaries.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod access;
mod common;
mod fields;
mod modules;
mod selectors;
mod state;
mod summary;
mod tied;
mod values;
mod wrapper;

//! The contract of parametrizations: chains, nesting, buffers, lists, scopes, transfers.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod buffers;
mod chains;
mod common;
mod functions;
mod learned;
mod lists;
mod moving;
mod nesting;
mod scopes;
mod sets;
mod transfer;

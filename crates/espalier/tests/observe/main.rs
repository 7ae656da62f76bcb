//! Watching a training: what is seen, and the files that are written.
#![cfg(feature = "flex")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod events;
mod files;
mod watch;

//! Schedules: against curves that PyTorch made (`tests/golden`), saved and restored, refused.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "../exact/common.rs"]
mod common;
mod golden;
mod running;
mod spec;

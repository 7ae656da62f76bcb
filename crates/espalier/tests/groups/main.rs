//! Parameter groups: options, presets, dry runs, schedules, state.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;
mod options;
mod plans;
mod schedules;

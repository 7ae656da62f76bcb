//! Parameter groups: options, presets, dry runs, schedules, state.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;
mod faults;
mod options;
mod plans;
mod resume;
mod schedules;

//! Networks from text, as other crates see them.

// Helpers are not tests in the eyes of the linter.
#![allow(clippy::unwrap_used)]

mod cfg;
mod darknet;
mod layers;
mod round_trip;
mod torn;
mod wiring;
mod wrong;

//! Constraints applied after a step: formulas, what they meet in a wrapper, training, refusals.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;
mod formulas;
mod refusals;
mod sampling;
mod slots;
mod training;

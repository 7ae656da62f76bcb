//! Exactness: against files that PyTorch made (`tests/golden`), and against central differences.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod common;
mod errors;
mod gradcheck;
mod groups;
mod life;
mod multistep;
mod nested;
mod optim;
mod orthogonal;
mod properties;
mod prune;
mod rows;
mod symmetric;
mod tie;
mod trajectory;
mod weight_norm;

//! Exactness: against files that PyTorch made (`tests/golden`), and against central differences.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod common;
mod errors;
mod gradcheck;
mod groups;
mod legacy_keys;
mod life;
mod multistep;
mod nested;
mod optim;
mod orthogonal;
mod properties;
mod prune;
mod prune_methods;
mod rows;
mod skew;
mod spectra;
mod spectral_norm;
mod sphere;
mod symmetric;
mod tie;
mod training;
mod trajectory;
mod weight_norm;

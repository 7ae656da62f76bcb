//! Rules as operations on the host's slices, by the kernels.

// Without the CPU backend tensor operations do it all.
#![cfg_attr(not(feature = "flex"), allow(dead_code))]

mod congruence;
mod orthogonal;
mod spectral_norm;
mod triangle;
mod weight_norm;

#[cfg(test)]
mod tests;

pub(super) use congruence::Congruence;
pub(super) use orthogonal::Orthonormal;
pub(super) use spectral_norm::{Iterated, Normalized, Vectors};
pub(super) use triangle::{Skewed, Symmetrized};
pub(super) use weight_norm::Normed;

//! Numeric kernels on plain slices for espalier: selection, masks, dense factorizations.
//!
//! Slices in, slices out: nothing here knows of tensors, modules or files, so that a network in
//! training, a bare tensor and a checkpoint share the same arithmetic.

mod dense;
mod optim;
mod real;
mod select;

pub use dense::{DenseError, eigh, householder_reflectors, inverse, orthonormal_columns, svd};
pub use optim::{AdamStep, SgdStep, adam, sgd};
pub use real::Real;
pub use select::{count_to_prune, prune_smallest};

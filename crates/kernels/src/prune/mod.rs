//! Pruning: which positions are kept, by what scores, and in what patterns.

pub(crate) mod apply;
pub(crate) mod bits;
pub(crate) mod bracket;
pub(crate) mod channels;
mod clear;
pub(crate) mod count;
mod cut;
mod keys;
pub(crate) mod lowest;
pub(crate) mod norms;
pub(crate) mod patterns;
pub(crate) mod sample;
pub(crate) mod scores;
pub(crate) mod share;
pub(crate) mod stream;
pub(crate) mod stretch;

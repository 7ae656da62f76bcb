//! Numeric kernels on plain slices for espalier: selection, masks, dense factorizations.
//!
//! Slices in, slices out: nothing here knows of tensors, modules or files, so that a network in
//! training, a bare tensor and a checkpoint share the same arithmetic.

mod bilinear;
mod cast;
mod contrast;
mod dense;
mod elements;
mod fresh;
mod gram;
mod instances;
mod moments;
mod optim;
mod orthogonal;
mod pieces;
mod product;
mod prune;
mod real;
mod rescale;
mod rng;
mod singular;
mod spectral;
mod sums;
mod tally;
#[cfg(test)]
mod test;
mod tiles;
mod triangle;
mod vectors;
mod weight_norm;

pub use bilinear::bilinear;
pub use cast::{ValuesMut, cast};
pub use contrast::{Contrast, Tolerance};
pub use dense::{DenseError, eigh, householder_reflectors, inverse, orthonormal_columns, svd};
pub use elements::Elements;
pub use gram::{Departure, asymmetry, orthogonality};
pub use moments::Moments;
pub use optim::{AdamStep, SgdStep, adam, sgd};
pub use orthogonal::congruence::{congruence, congruence_backward};
pub use orthogonal::{Frame, OrthogonalMap, OrthogonalTape, orthogonal, orthogonal_backward};
pub use product::{Product, add_product};
pub use prune::apply::{Maskable, mask, masked, pruned_values, restore};
pub use prune::bits::Bits;
pub use prune::bracket::{Bracket, Places};
pub use prune::channels::{ChannelFold, ChannelPart, clear_channels_in};
pub use prune::count::count_to_prune;
pub use prune::lowest::prune_lowest;
pub use prune::norms::{channel_norms, channels_kept, clear_channels};
pub use prune::patterns::{Lines, prune_in_lines, prune_n_of_m};
pub use prune::sample::Sample;
pub use prune::scores::{Candidate, Order, Scores, Values};
pub use prune::share::{Cut, Share};
pub use prune::stream::{Counts, LowestSearch};
pub use prune::stretch::{Fineness, Stretch};
pub use real::Real;
pub use rescale::rescale;
pub use rng::Rng;
pub use singular::singular_values;
pub use spectral::{Spectral, power_iteration, spectral_norm, spectral_norm_backward};
pub use tally::tally;
pub use triangle::{skew, skew_backward, symmetric, symmetric_backward};
pub use weight_norm::{Slices, weight_norm, weight_norm_backward};

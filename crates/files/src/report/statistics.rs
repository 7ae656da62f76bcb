//! What one pass over a tensor tells.

use espalier_kernels::{Elements, Moments};
use serde::Serialize;

use super::passes::Passes;
use super::zeros::{ZeroMap, Zeros};
use crate::error::FilesError;
use crate::observe::Observer;

/// Of a tensor's elements: counts, and over the finite ones moments and extremes, in `f64`.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::NamedTensor;
/// use espalier_files::{Detail, Silent, measure};
/// let tensor = NamedTensor::f32("w", vec![4], &[0.0, 1.0, 2.0, 5.0])?;
/// let found = measure(&tensor, Detail::default(), &Arc::new(Silent))?.statistics.unwrap();
/// assert_eq!((found.zeros, found.mean, found.max), (1, Some(2.0), Some(5.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// Elements that are zero, of either sign.
    pub zeros: u64,
    /// `zeros` divided by the number of elements; 0 for an empty tensor.
    pub sparsity: f64,
    /// The mean; like the following absent if no element is finite.
    pub mean: Option<f64>,
    /// The standard deviation of the elements themselves (divided by their number, not one less).
    pub std: Option<f64>,
    /// The smallest element.
    pub min: Option<f64>,
    /// The largest element.
    pub max: Option<f64>,
    /// The Euclidean norm; absent if it is too large for a `f64`.
    pub l2: Option<f64>,
    /// Elements that are infinite or not a number.
    pub nonfinite: u64,
}

impl Statistics {
    fn of(moments: &Moments) -> Self {
        let (zeros, all) = (moments.zeros(), moments.count());
        Self {
            zeros,
            sparsity: if all == 0 { 0.0 } else { zeros as f64 / all as f64 },
            mean: moments.mean(),
            std: moments.std(),
            min: moments.min(),
            max: moments.max(),
            l2: moments.l2(),
            nonfinite: moments.nonfinite(),
        }
    }
}

fn moments_of(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    moments.add(Elements::F64, bytemuck::cast_slice(values));
    moments
}

/// One pass over all elements: their statistics, and the map of their zeros if one is wanted.
pub(crate) fn statistics<O: Observer>(
    passes: &Passes<'_, O>,
    cut: Option<Zeros>,
) -> Result<(Statistics, Option<ZeroMap>), FilesError> {
    let mut moments = Moments::default();
    let mut counts = cut.map_or_else(Vec::new, |cut| cut.none());
    passes.each(
        |first, values| {
            (moments_of(values), cut.map_or_else(Vec::new, |cut| cut.of(first, values)))
        },
        |(part, zeros)| {
            moments.merge(&part);
            zeros.into_iter().for_each(|(cell, zeros)| counts[cell] += zeros);
        },
    )?;
    Ok((Statistics::of(&moments), cut.map(|cut| cut.map(&counts))))
}

//! The values of a tensor, counted by size.

use std::sync::Arc;

use espalier_checkpoint::NamedTensor;
use espalier_kernels::{Moments, tally};
use serde::Serialize;

use crate::elements::elements;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::sweep;

/// How many values of a tensor are how large.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::NamedTensor;
/// use espalier_files::{Silent, bins};
/// let tensor = NamedTensor::f32("w", vec![3], &[0.0, 3.0, 4.0])?;
/// let bins = bins(&tensor, 2, &Arc::new(Silent))?;
/// assert_eq!((bins.low, bins.high, bins.counts), (Some(0.0), Some(4.0), vec![1, 2]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bins {
    /// The tensor.
    pub name: String,
    /// The element type, as safetensors spells it.
    pub dtype: String,
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The number of elements.
    pub numel: u64,
    /// The share of elements that are zero.
    pub sparsity: f64,
    /// The number of elements that are infinite or not a number, and in no bin.
    pub nonfinite: u64,
    /// The least finite value, if there is one: the lower edge of the first bin.
    pub low: Option<f64>,
    /// The largest finite value: the upper edge of the last bin.
    pub high: Option<f64>,
    /// The values in each bin, all of one width; each holds its lower edge, and the last one its upper too.
    pub counts: Vec<u64>,
}

/// Counts the values of a tensor in `count` bins of one width between its extremes. Complex numbers count by their
/// magnitude. Reads the tensor twice.
///
/// # Errors
///
/// [`FilesError::NotDecoded`] for elements that are not decoded, what keeps them from being read, and
/// [`FilesError::Cancelled`].
///
/// See [`Bins`] for an example.
pub fn bins<O: Observer>(
    tensor: &NamedTensor,
    count: usize,
    observer: &Arc<O>,
) -> Result<Bins, FilesError> {
    let Some(elements) = elements(tensor.dtype()) else {
        let (tensor, dtype) = (tensor.name().to_owned(), tensor.dtype().to_string());
        return Err(FilesError::NotDecoded { tensor, dtype });
    };
    observer.begin("reading", 2 * tensor.byte_len() as u64);
    let tracks = [vec![tensor]];
    let mut moments = Moments::default();
    for part in sweep(&tracks, &**observer, |moments: &mut Moments, piece| {
        moments.add(elements, piece.bytes[0]);
    })? {
        part?.iter().for_each(|part| moments.merge(part));
    }
    let mut counts = vec![0; if moments.min().is_some() { count } else { 0 }];
    if let (Some(low), Some(high)) = (moments.min(), moments.max()) {
        for part in sweep(&tracks, &**observer, |counts: &mut Vec<u64>, piece| {
            counts.resize(count, 0);
            tally(elements, piece.bytes[0], low, high, counts);
        })? {
            for part in part? {
                counts.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
    }
    Ok(Bins {
        name: tensor.name().to_owned(),
        dtype: tensor.dtype().name().to_owned(),
        shape: tensor.shape().to_vec(),
        numel: tensor.numel() as u64,
        sparsity: moments.zeros() as f64 / tensor.numel().max(1) as f64,
        nonfinite: moments.nonfinite(),
        low: moments.min(),
        high: moments.max(),
        counts,
    })
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::Dtype;

    use super::*;
    use crate::Silent;

    #[test]
    fn every_value_is_in_a_bin_or_not_finite() {
        let mut values: Vec<f32> = (0..2_200_000).map(|i| (i % 1000) as f32).collect();
        (values[0], values[1]) = (f32::NAN, f32::INFINITY);
        let tensor = NamedTensor::f32("w", vec![values.len()], &values).unwrap();
        let bins = bins(&tensor, 10, &Arc::new(Silent)).unwrap();
        assert_eq!(bins.counts.iter().sum::<u64>() + bins.nonfinite, bins.numel);
        assert_eq!((bins.nonfinite, bins.counts[9]), (2, 220_000));
    }

    #[test]
    fn what_has_no_values() {
        let empty = NamedTensor::f32("e", vec![0], &[]).unwrap();
        let found = bins(&empty, 4, &Arc::new(Silent)).unwrap();
        assert_eq!((found.low, found.counts.len()), (None, 0));
        let six = NamedTensor::new("s", Dtype::F6E2M3, vec![4], vec![0; 3]).unwrap();
        let error = bins(&six, 4, &Arc::new(Silent)).unwrap_err();
        assert!(error.to_string().contains("F6_E2M3"), "{error}");
    }
}

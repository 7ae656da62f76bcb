//! What a network makes of images, and what its parameters are.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::state::StateDict;
use espalier::{Error, ParameterTree};

use super::data;
use super::event::TableRow;

/// Images at a time; training batches may be far smaller.
pub(crate) const BATCH: usize = 256;

/// How well a network does on images with labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    /// Fraction that is right.
    pub(crate) accuracy: f64,
    /// Mean cross-entropy.
    pub(crate) loss: f64,
}

/// The scores of a batch: one row of logits for each image.
pub(crate) fn logits(network: &Sequential, images: Tensor<4>) -> Result<Vec<Vec<f64>>, Error> {
    Ok(rows(network.forward::<4, 2>(images)?))
}

/// A matrix's rows on the host.
pub(crate) fn rows(matrix: Tensor<2>) -> Vec<Vec<f64>> {
    let [_, columns] = matrix.dims();
    let values: Vec<f64> = matrix.into_data().iter::<f64>().collect();
    values.chunks(columns.max(1)).map(<[f64]>::to_vec).collect()
}

/// The place of the largest value, the first of equals.
pub(crate) fn best(row: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// The logarithm of the probability of `class` under these logits.
pub(crate) fn log_probability(row: &[f64], class: usize) -> f64 {
    let largest = row[best(row)];
    let total: f64 = row.iter().map(|value| (value - largest).exp()).sum();
    row[class] - largest - total.ln()
}

/// The score of a plain network on images of the data set.
pub(crate) fn evaluate(
    network: &Sequential,
    images: &[usize],
    device: &Device,
) -> Result<Score, Error> {
    let (mut right, mut loss) = (0usize, 0.0);
    for images in images.chunks(BATCH) {
        let batch = data::batch(images, None, device);
        for (row, label) in logits(network, batch.images)?.iter().zip(batch.labels) {
            right += usize::from(best(row) == label);
            loss -= log_probability(row, label);
        }
    }
    let count = images.len().max(1) as f64;
    Ok(Score { accuracy: right as f64 / count, loss: loss / count })
}

/// The parameters of a plain network by PyTorch's names, in order; no buffers.
pub(crate) fn table(network: &Sequential) -> Result<Vec<TableRow>, Error> {
    let buffers: BTreeSet<String> =
        network.named_buffers().into_iter().map(|info| info.path).collect();
    let mut rows = Vec::new();
    for tensor in StateDict::of(network).checkpoint().iter() {
        if buffers.contains(tensor.name()) {
            continue;
        }
        let zeros = tensor.values()?.filter(|value| *value == 0.0).count();
        rows.push(TableRow {
            name: tensor.name().to_owned(),
            shape: tensor.shape().to_vec(),
            parameters: tensor.numel() as u64,
            zeros: zeros as u64,
        });
    }
    Ok(rows)
}

/// The fraction of zeros among the weights: what has two or more dimensions. Buffers have one.
pub(crate) fn sparsity(rows: &[TableRow]) -> f64 {
    let weights = rows.iter().filter(|row| row.shape.len() >= 2);
    let (zeros, all) =
        weights.fold((0, 0), |(zeros, all), row| (zeros + row.zeros, all + row.parameters));
    zeros as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_into_probabilities() {
        let row = [1.0, 3.0, 3.0, 2.0];
        assert_eq!(best(&row), 1);
        let sum: f64 = (0..4).map(|class| log_probability(&row, class).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        // No overflow where the exponentials alone have one.
        assert_eq!(log_probability(&[1e4, 0.0], 1), -1e4);
    }
}

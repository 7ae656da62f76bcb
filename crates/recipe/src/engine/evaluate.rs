//! How well a network does, and what its parameters are.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::Device;
use espalier::nn::{Graph, Layer as _};
use espalier::state::StateDict;
use espalier::{Error, ParameterTree, Parametrized};
use espalier_data::Loader;

use super::error::TrainError;
use super::event::TableRow;
use super::source::inputs;
use super::task::Task;

/// How well a network does on examples with targets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Score {
    /// Fraction of the classes that are right, if there are classes.
    pub(crate) accuracy: Option<f64>,
    /// Mean loss, without label smoothing.
    pub(crate) loss: f64,
}

/// What the outcomes of several batches come to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    loss: f64,
    weight: f64,
    right: usize,
    count: usize,
}

impl Sums {
    pub(crate) fn add(&mut self, loss: f64, weight: f64, right: Option<(usize, usize)>) {
        self.loss += loss * weight;
        self.weight += weight;
        if let Some((right, count)) = right {
            self.right += right;
            self.count += count;
        }
    }

    pub(crate) fn score(&self, task: &Task) -> Score {
        let accuracy = task.has_accuracy().then(|| self.right as f64 / self.count.max(1) as f64);
        Score { accuracy, loss: self.loss / self.weight.max(f64::MIN_POSITIVE) }
    }
}

/// The network as it computes now, for inference.
pub(crate) fn plain(net: &Parametrized<Graph>) -> Graph {
    net.valid().effective()
}

/// The score of a plain network on a loader's examples.
///
/// # Errors
///
/// What keeps an example from being read.
pub(crate) fn evaluate(
    network: &Graph,
    loader: &Loader,
    task: &Task,
    device: &Device,
) -> Result<Score, TrainError> {
    let task = match task.clone() {
        Task::Classes { classes, weights, .. } => {
            Task::Classes { classes, weights, smoothing: 0.0 }
        }
        other => other,
    };
    let mut sums = Sums::default();
    let mut batches = loader.epoch(0);
    while let Some(batch) = batches.next().transpose()? {
        let input = inputs(&batch, device)?;
        let output = network.forward_any(input.clone())?;
        let outcome = task.outcome(output, &input, &batch.targets, device)?;
        sums.add(outcome.value, outcome.weight, outcome.right);
        batches.recycle(batch);
    }
    Ok(sums.score(&task))
}

/// The parameters of a plain network by PyTorch's names, in order; no buffers.
pub(crate) fn table(network: &Graph) -> Result<Vec<TableRow>, Error> {
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

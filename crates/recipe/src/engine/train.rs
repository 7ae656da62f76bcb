//! The run itself.

use std::mem;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Device;
use espalier::clip::{NormKind, grad_norm};
use espalier::nn::Sequential;
use espalier::{Error, Parametrized};

use super::data::{Batch, Epoch, step_seed};
use super::directory::Writing;
use super::error::TrainError;
use super::evaluate::{Score, best, evaluate, rows, sparsity, table};
use super::event::{Accuracy, EpochMetrics, Event, Observer, Summary};
use super::prepare::Prepared;
use super::saved::state_of;

/// One step: the network after it, the batch's mean loss, and how many examples were right before.
struct Step {
    net: Parametrized<Sequential>,
    loss: f64,
    right: usize,
    /// Of all gradients together, if it was asked for.
    gradient_norm: Option<f64>,
}

/// What the steps of an epoch add up to.
struct Steps {
    net: Parametrized<Sequential>,
    loss: f64,
    accuracy: f64,
    gradient_norm: f64,
}

impl Prepared {
    /// Trains, prunes, folds and saves the network.
    ///
    /// Files of an earlier run in the directory are removed first. The model and the summary are
    /// there only once the whole run is done.
    ///
    /// # Errors
    ///
    /// [`TrainError::Interrupted`] if the observer says so, [`TrainError::NonFinite`] if the loss
    /// is no number any more, [`TrainError::Io`] or [`TrainError::Write`] if a file cannot be
    /// written.
    pub fn train(self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        Ok(self.run(observer)?.0)
    }

    /// [`train`](Self::train), with the network that was saved.
    pub(super) fn run(
        mut self,
        observer: &mut dyn Observer,
    ) -> Result<(Summary, Sequential), TrainError> {
        let start = Instant::now();
        for line in &self.log {
            observer.event(Event::Log(line));
        }
        // Taken out, or its tensors would be shared and never changed in place.
        let mut net = mem::replace(&mut self.net, Parametrized::new(Sequential::new()));
        observer.event(Event::Table { title: "before training", rows: &table(&plain(&net))? });
        let mut writing = self.directory.begin(&self.text)?;
        if writing.replaces {
            let line = "save: the finished run in the directory stays until this one has ended";
            observer.event(Event::Log(line));
        }
        let mut before_pruning = None;
        for epoch in 0..self.epochs {
            if let Some(plan) = &self.plan
                && let Some(round) = plan.round_at(epoch)
            {
                if before_pruning.is_none() {
                    before_pruning = Some(self.score(&net)?.accuracy);
                }
                observer.event(Event::Log(&plan.apply(&mut net, round)?));
            }
            net = self.epoch(net, epoch, &mut writing, observer)?;
        }
        self.finish(net, before_pruning, start, writing, observer)
    }

    /// One epoch, from its first step to its line in the metrics.
    fn epoch(
        &mut self,
        net: Parametrized<Sequential>,
        epoch: usize,
        writing: &mut Writing,
        observer: &mut dyn Observer,
    ) -> Result<Parametrized<Sequential>, TrainError> {
        let start = Instant::now();
        let Steps { net, loss, accuracy, gradient_norm } =
            self.steps_of(net, epoch, writing.replaces, observer)?;
        let step = self.steps() / self.epochs * (epoch + 1);
        let network = plain(&net);
        let score = self.score_plain(&network)?;
        if !score.loss.is_finite() {
            let loss = score.loss;
            return Err(TrainError::NonFinite { step, loss });
        }
        let line = EpochMetrics {
            epoch: epoch + 1,
            step,
            loss,
            train_accuracy: accuracy,
            test_accuracy: score.accuracy,
            test_loss: score.loss,
            gradient_norm,
            rates: self.groups.rates(),
            sparsity: sparsity(&table(&network)?),
            seconds: start.elapsed().as_secs_f64(),
        };
        writing.metrics.add(&line)?;
        observer.event(Event::Epoch(&line));
        Ok(net)
    }

    fn steps_of(
        &mut self,
        mut net: Parametrized<Sequential>,
        epoch: usize,
        replaces: bool,
        observer: &mut dyn Observer,
    ) -> Result<Steps, TrainError> {
        let mut images = Epoch::new(&self.split.train, self.shift, self.seed, epoch);
        let batches = images.batches(self.batch);
        let count_of_steps = batches.len();
        let done = count_of_steps * epoch;
        let (mut loss, mut right, mut gradient_norm) = (0.0, 0, 0.0);
        for (index, places) in batches.into_iter().enumerate() {
            let count = places.len();
            let batch = images.batch(places, &self.device);
            let step = done + index + 1;
            self.groups.begin_step(index == 0)?;
            if self.draws {
                self.device.seed(step_seed(self.seed, step));
            }
            let after = self.step(net, batch, index + 1 == count_of_steps)?;
            if !after.loss.is_finite() {
                let loss = after.loss;
                return Err(TrainError::NonFinite { step, loss });
            }
            net = after.net;
            loss += after.loss * count as f64;
            right += after.right;
            gradient_norm = after.gradient_norm.unwrap_or(gradient_norm);
            observer.event(Event::Step { step, epoch: epoch + 1, loss: after.loss });
            if observer.interrupted() {
                let directory = self.directory().to_owned();
                return Err(TrainError::Interrupted { directory, replaces });
            }
        }
        let count = self.split.train.len() as f64;
        Ok(Steps { net, loss: loss / count, accuracy: right as f64 / count, gradient_norm })
    }

    fn step(
        &mut self,
        net: Parametrized<Sequential>,
        batch: Batch,
        is_last: bool,
    ) -> Result<Step, Error> {
        let loss_of = CrossEntropyLossConfig::new().init(&self.device);
        let (mut grads, loss, right) = {
            let network = net.effective();
            let logits = network.forward::<4, 2>(batch.images)?;
            let found = rows(logits.clone().detach());
            let pairs = found.iter().zip(&batch.labels);
            let right = pairs.filter(|(row, label)| best(row) == **label).count();
            let loss = loss_of.forward(logits, batch.targets);
            let value: f64 = loss.clone().detach().into_scalar();
            (net.grads(loss.backward())?, value, right)
        };
        // Once an epoch: it takes a pass over all gradients.
        let gradient_norm =
            is_last.then(|| grad_norm(&net, &mut grads, NormKind::L2)).transpose()?;
        let net = self.groups.optimizer.step(net, grads);
        Ok(Step { net, loss, right, gradient_norm })
    }

    fn finish(
        self,
        net: Parametrized<Sequential>,
        before_pruning: Option<f64>,
        start: Instant,
        writing: Writing,
        observer: &mut dyn Observer,
    ) -> Result<(Summary, Sequential), TrainError> {
        let network = net.valid().fold();
        let after_pruning = self.score_plain(&network)?.accuracy;
        let rows = table(&network)?;
        let title = match self.plan {
            Some(_) => "after pruning",
            None => "after training",
        };
        observer.event(Event::Table { title, rows: &rows });
        observer.event(Event::Log(&format!(
            "fold: {} parameters, test accuracy {after_pruning:.4}",
            rows.len()
        )));
        let summary = Summary {
            accuracy: Accuracy {
                before_pruning: before_pruning.unwrap_or(after_pruning),
                after_pruning,
            },
            sparsity: sparsity(&rows),
            parameters: rows.iter().map(|row| row.parameters).sum::<u64>() - tied(&net),
            seconds: start.elapsed().as_secs_f64(),
            seed: self.seed,
        };
        let model = writing.finish(&state_of(&self.text, &network), &summary)?;
        observer.event(Event::Log(&format!("save: {}", model.display())));
        Ok((summary, network))
    }

    fn score(&self, net: &Parametrized<Sequential>) -> Result<Score, Error> {
        self.score_plain(&plain(net))
    }

    /// How well a plain network does on the test images.
    fn score_plain(&self, network: &Sequential) -> Result<Score, Error> {
        evaluate(network, &self.split.test, &inference())
    }
}

/// Elements of parameters that are others under a second name, which a saved network has twice.
fn tied(net: &Parametrized<Sequential>) -> u64 {
    let ties = net.ties();
    let aliases = net.entries().into_iter().filter(|info| ties.iter().any(|t| t.0 == info.path));
    aliases.map(|info| info.numel() as u64).sum()
}

/// The network as it computes now, for inference.
fn plain(net: &Parametrized<Sequential>) -> Sequential {
    net.valid().effective()
}

/// The device without gradients.
fn inference() -> Device {
    Device::default()
}

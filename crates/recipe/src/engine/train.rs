//! The run itself.

use std::mem;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use espalier::average::{Average, AveragedModel};
use espalier::clip::{NonFinite, NormKind, clip_grad_norm, clip_grad_value, grad_norm};
use espalier::nn::{Graph, Layer as _};
use espalier::{Error, Parametrized, Selector};
use espalier_data::Batch;

use super::board::Board;
use super::directory::Writing;
use super::error::TrainError;
use super::evaluate::{Score, Sums, evaluate, plain, sparsity, table};
use super::event::{Accuracy, EpochMetrics, Event, Observer, Summary};
use super::freeze::trained;
use super::prepare::Prepared;
use super::resume::{Best, Memory};
use super::saved::state_of;
use super::source::{inputs, step_seed};
use crate::spec::Rewind;

/// Seconds between two saved states, if the recipe does not say after how many epochs.
const SAVE_EVERY: f64 = 10.0;

/// A network in training and what goes with it.
pub(super) struct Running {
    pub(super) net: Parametrized<Graph>,
    pub(super) average: Option<AveragedModel<Graph>>,
    pub(super) memory: Memory,
}

impl Running {
    /// The network that is tested and saved.
    fn tested(&self) -> &Parametrized<Graph> {
        self.average.as_ref().map_or(&self.net, AveragedModel::model)
    }
}

/// What the steps of an epoch add up to.
struct Steps {
    score: Score,
    gradient_norm: f64,
}

impl Prepared {
    /// Trains, prunes, folds and saves the network.
    ///
    /// The model and the summary are there only once the whole run is done; until then the directory holds
    /// the run that was there before, or a state from which [`RunOptions::resume`](crate::RunOptions) goes
    /// on.
    ///
    /// # Errors
    ///
    /// [`TrainError::Interrupted`] if the observer says so, [`TrainError::NonFinite`] if the loss
    /// is no number any more, [`TrainError::Data`] for an example that cannot be read, [`TrainError::Io`] or
    /// [`TrainError::Write`] if a file cannot be written.
    pub fn train(self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        Ok(self.run(observer)?.0)
    }

    /// [`train`](Self::train), with the network that was saved.
    pub(super) fn run(
        mut self,
        observer: &mut dyn Observer,
    ) -> Result<(Summary, Graph), TrainError> {
        let start = Instant::now();
        for line in &self.log {
            observer.event(Event::Log(line));
        }
        if self.resume
            && let Some(done) = self.finished(observer)?
        {
            return Ok(done);
        }
        // Taken out, or its tensors would be shared and never changed in place.
        let net = mem::replace(&mut self.net, Parametrized::new(Graph::new()));
        observer.event(Event::Table { title: "before training", rows: &table(&plain(&net))? });
        let initial = match self.plan.as_ref().map(|plan| plan.rewind) {
            Some(Rewind::Start) => Some(net.deep_copy()),
            _ => None,
        };
        let (mut running, mut writing) = self.begin(net, observer)?;
        let mut board = Board::open(&self.recipe, writing.work())?;
        let mut saved = Instant::now();
        for epoch in running.memory.epoch..self.length.epochs {
            self.harden(&mut running, Some(epoch), observer)?;
            self.round(&mut running, initial.as_ref(), epoch, observer)?;
            self.epoch(&mut running, epoch, &mut writing, &mut board, observer)?;
            if self.stops(&mut running, &writing, epoch, observer)? {
                break;
            }
            let due = match self.recipe.train.checkpoint_every {
                Some(every) => (epoch + 1) % every == 0,
                None => saved.elapsed().as_secs_f64() >= SAVE_EVERY,
            };
            if due && epoch + 1 < self.length.epochs {
                self.save(&running, &writing)?;
                saved = Instant::now();
            }
            if observer.interrupted() {
                self.save(&running, &writing)?;
                return Err(self.interrupted(&writing));
            }
        }
        self.harden(&mut running, None, observer)?;
        self.finish(running, start, writing, observer)
    }

    /// The average that the recipe asks for, of `net`.
    pub(super) fn average(
        &self,
        net: &Parametrized<Graph>,
    ) -> Result<Option<AveragedModel<Graph>>, Error> {
        let Some(decay) = self.recipe.train.ema else { return Ok(None) };
        Ok(Some(AveragedModel::new(net, Average::ema(decay)?).use_buffers()))
    }

    /// Makes learned masks exact whose time has come; after the last epoch, all that are left.
    fn harden(
        &self,
        running: &mut Running,
        epoch: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        for mask in self.masks.iter().filter(|mask| epoch.is_none() || mask.harden == epoch) {
            if !running.net.is_parametrized(&mask.path) {
                continue;
            }
            running.net.harden(Selector::path(&mask.path))?;
            let (zeros, name) = (running.net.zeros(&mask.path)?, self.names.name_of(&mask.path));
            observer.event(Event::Log(&format!("harden: {zeros} gates of {name} are closed")));
            running.average = self.average(&running.net)?;
            // What was the best before had soft gates.
            running.memory.best = None;
        }
        Ok(())
    }

    /// Prunes, if it is time.
    fn round(
        &mut self,
        running: &mut Running,
        initial: Option<&Parametrized<Graph>>,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let Some(round) = plan.round_at(epoch) else { return Ok(()) };
        if running.memory.before_pruning.is_none() {
            let score = self.score(&plain(running.tested()))?;
            running.memory.before_pruning = Some(score.into());
        }
        observer.event(Event::Log(&plan.apply(&mut running.net, round)?));
        let fresh;
        let earlier = match plan.rewind {
            Rewind::None => None,
            Rewind::Start => initial,
            Rewind::Random => {
                fresh = self.initialized_anew(round)?;
                Some(&fresh)
            }
        };
        if let Some(earlier) = earlier {
            running.net.rewind("**", earlier)?;
            self.groups = self.groups_anew(&running.net)?;
            let back = match plan.rewind {
                Rewind::Start => "the values before the first step",
                _ => "new initial values",
            };
            let line = format!("rewind: what is left has {back}; the optimizer begins anew");
            observer.event(Event::Log(&line));
        }
        // What was the best before is not as sparse.
        running.memory.best = None;
        running.memory.stale = 0;
        running.average = self.average(&running.net)?;
        Ok(())
    }

    /// One epoch, from its first step to its line in the metrics.
    fn epoch(
        &mut self,
        running: &mut Running,
        epoch: usize,
        writing: &mut Writing,
        board: &mut Board,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let start = Instant::now();
        let Steps { score, gradient_norm } = self.steps_of(running, epoch, writing, observer)?;
        let step = self.length.steps_after(epoch + 1);
        let network = plain(running.tested());
        let test = self.score(&network)?;
        if !test.loss.is_finite() {
            return Err(TrainError::NonFinite { step, loss: test.loss });
        }
        let line = EpochMetrics {
            epoch: epoch + 1,
            step,
            loss: score.loss,
            train_accuracy: score.accuracy,
            test_accuracy: test.accuracy,
            test_loss: test.loss,
            gradient_norm,
            rates: self.groups.rates(),
            sparsity: sparsity(&table(&network)?),
            seconds: start.elapsed().as_secs_f64(),
        };
        writing.metrics.add(&line)?;
        board.add(&line)?;
        running.memory.epoch = epoch + 1;
        running.memory.test_loss = Some(test.loss.to_bits());
        running.memory.metrics = writing.metrics.length();
        observer.event(Event::Epoch(&line));
        Ok(())
    }

    fn steps_of(
        &mut self,
        running: &mut Running,
        epoch: usize,
        writing: &Writing,
        observer: &mut dyn Observer,
    ) -> Result<Steps, TrainError> {
        let accumulate = self.recipe.train.accumulate;
        let (batches, mut loader) = (self.data.train.batches(), self.data.train.epoch(epoch));
        let (steps, done) = (self.length.steps_after(1), self.length.steps_after(epoch));
        let test_loss = running.memory.test_loss.map(f64::from_bits);
        let (mut sums, mut gradient_norm) = (Sums::default(), 0.0);
        for index in 0..steps {
            let step = done + index + 1;
            self.groups.begin_step(index == 0, test_loss)?;
            if self.draws {
                self.device.seed(step_seed(self.seed, step));
            }
            let parts = accumulate.min(batches - index * accumulate);
            let mut together = (parts > 1).then(GradientsAccumulator::new);
            let (mut grads, mut loss) = (None, 0.0);
            for _ in 0..parts {
                let Some(batch) = loader.next().transpose()? else { break };
                let (own, value) = self.gradients(&running.net, &batch, parts, &mut sums)?;
                loss += value / parts as f64;
                match &mut together {
                    Some(together) => together.accumulate(&running.net, own),
                    None => grads = Some(own),
                }
                loader.recycle(batch);
            }
            if !loss.is_finite() {
                return Err(TrainError::NonFinite { step, loss });
            }
            let grads = grads.or_else(|| together.map(|mut together| together.grads()));
            let Some(mut grads) = grads else { break };
            let norm = self.clip(&running.net, &mut grads, index + 1 == steps)?;
            gradient_norm = norm.unwrap_or(gradient_norm);
            self.update(running, grads)?;
            observer.event(Event::Step { step, epoch: epoch + 1, loss });
            if observer.interrupted() {
                return Err(self.interrupted(writing));
            }
        }
        Ok(Steps { score: sums.score(&self.task), gradient_norm })
    }

    /// The gradients of one batch, divided by `parts`, and its mean loss.
    fn gradients(
        &self,
        net: &Parametrized<Graph>,
        batch: &Batch,
        parts: usize,
        sums: &mut Sums,
    ) -> Result<(GradientsParams, f64), TrainError> {
        let network = net.effective();
        let input = inputs(batch, &self.device)?;
        let output = network.forward_any(input.clone())?;
        let outcome = self.task.outcome(output, &input, &batch.targets, &self.device)?;
        sums.add(outcome.value, outcome.weight, outcome.right);
        let mut loss = outcome.loss;
        for mask in &self.masks {
            // A mask that has become exact costs nothing.
            if mask.penalty > 0.0 && net.is_parametrized(&mask.path) {
                loss = loss + net.mask_penalty(&mask.path)? * mask.penalty;
            }
        }
        if parts > 1 {
            loss = loss / parts as f64;
        }
        Ok((net.grads(loss.backward())?, outcome.value))
    }

    /// Cuts the gradients as the recipe says; their norm before, once an epoch or where it is known.
    fn clip(
        &self,
        net: &Parametrized<Graph>,
        grads: &mut GradientsParams,
        is_last: bool,
    ) -> Result<Option<f64>, Error> {
        let spec = &self.recipe.train;
        let norm = match spec.clip_norm {
            Some(most) => {
                Some(clip_grad_norm(net, grads, most, NormKind::L2, NonFinite::Error)?.norm)
            }
            // It takes a pass over all gradients.
            None if is_last => Some(grad_norm(net, grads, NormKind::L2)?),
            None => None,
        };
        if let Some(most) = spec.clip_value {
            clip_grad_value(net, grads, most)?;
        }
        Ok(norm)
    }

    /// One step of the optimizer, and what follows each.
    fn update(&mut self, running: &mut Running, grads: GradientsParams) -> Result<(), Error> {
        let net = mem::replace(&mut running.net, Parametrized::new(Graph::new()));
        let mut net = self.groups.optimizer.step(net, grads);
        if !self.constraints.is_empty() {
            net = self.constraints.apply(net)?;
        }
        running.net = net;
        match &mut running.average {
            Some(average) => average.update(&running.net),
            None => Ok(()),
        }
    }

    /// Keeps the best network where training may stop early; whether it does.
    fn stops(
        &self,
        running: &mut Running,
        writing: &Writing,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let Some(spec) = self.recipe.train.early_stop.as_ref().map(|spec| &spec.value) else {
            return Ok(false);
        };
        // Before the last round a network is not as sparse as it is to be.
        let last_round = self.plan.as_ref().and_then(|plan| plan.rounds().last());
        if last_round.is_some_and(|round| epoch < round.epoch) {
            return Ok(false);
        }
        let loss = running.memory.test_loss.map_or(f64::INFINITY, f64::from_bits);
        let best = running.memory.best.as_ref().map_or(f64::INFINITY, |best| best.loss());
        if loss < best - spec.min_delta {
            running.memory.best = Some(Best { epoch: epoch + 1, loss: loss.to_bits() });
            running.memory.stale = 0;
            let network = running.tested().valid().fold();
            writing.keep_best(&state_of(self.recipe.source(), &self.data.info, &network)?)?;
            return Ok(false);
        }
        running.memory.stale += 1;
        if running.memory.stale < spec.patience {
            return Ok(false);
        }
        let best = running.memory.best.as_ref().map_or(0, |best| best.epoch);
        let line = format!(
            "stop: the test loss has not fallen for {} epochs; the best was after epoch {best}",
            spec.patience
        );
        observer.event(Event::Log(&line));
        Ok(true)
    }

    fn interrupted(&self, writing: &Writing) -> TrainError {
        TrainError::Interrupted {
            directory: self.directory().to_owned(),
            replaces: writing.replaces,
            resumable: writing.is_resumable(),
        }
    }

    fn finish(
        self,
        running: Running,
        start: Instant,
        writing: Writing,
        observer: &mut dyn Observer,
    ) -> Result<(Summary, Graph), TrainError> {
        let network = running.tested().valid().fold();
        let network = match &running.memory.best {
            Some(best) if best.epoch < running.memory.epoch => {
                let line = format!("best: the network after epoch {} is kept", best.epoch);
                observer.event(Event::Log(&line));
                writing.best(network)?
            }
            _ => network,
        };
        let score = self.score(&network)?;
        let rows = table(&network)?;
        let title = match self.plan {
            Some(_) => "after pruning",
            None => "after training",
        };
        observer.event(Event::Table { title, rows: &rows });
        let found = match score.accuracy {
            Some(accuracy) => format!("test accuracy {accuracy:.4}"),
            None => format!("test loss {:.6}", score.loss),
        };
        let line = format!("fold: {} parameters, {found}", rows.len());
        observer.event(Event::Log(&line));
        let before = running.memory.before_pruning.as_ref().map(Score::from).unwrap_or(score);
        let accuracy = score.accuracy.map(|after_pruning| Accuracy {
            before_pruning: before.accuracy.unwrap_or(after_pruning),
            after_pruning,
        });
        let summary = Summary {
            accuracy,
            loss: score.loss,
            sparsity: sparsity(&rows),
            parameters: rows.iter().map(|row| row.parameters).sum::<u64>() - tied(&running.net),
            trained: trained(&running.net) as u64,
            epochs: running.memory.epoch,
            seconds: start.elapsed().as_secs_f64(),
            seed: self.seed,
        };
        let state = state_of(self.recipe.source(), &self.data.info, &network)?;
        let model = writing.finish(&state, &summary)?;
        observer.event(Event::Log(&format!("save: {}", model.display())));
        Ok((summary, network))
    }

    /// How well a plain network does on the test examples.
    pub(super) fn score(&self, network: &Graph) -> Result<Score, TrainError> {
        evaluate(network, &self.data.test, &self.task, &inference())
    }
}

/// Elements of parameters that are others under a second name, which a saved network has twice.
pub(super) fn tied(net: &Parametrized<Graph>) -> u64 {
    let ties = net.ties();
    let aliases = net.entries().into_iter().filter(|info| ties.iter().any(|t| t.0 == info.path));
    aliases.map(|info| info.numel() as u64).sum()
}

/// The device without gradients.
pub(super) fn inference() -> Device {
    Device::default()
}

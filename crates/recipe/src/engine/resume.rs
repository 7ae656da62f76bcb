//! Going on with a run that did not end.

use espalier::Parametrized;
use espalier::average::Average;
use espalier::nn::Graph;
use espalier::parametrize::Rules;
use espalier::state::{Progress, TrainingState};
use serde::{Deserialize, Serialize};

use super::constrain;
use super::directory::{Unfinished, Writing};
use super::error::TrainError;
use super::evaluate::{Score, plain};
use super::event::{Event, Observer, Summary};
use super::faults::Faults;
use super::freeze::freeze;
use super::groups::{self, Grouped};
use super::initialize;
use super::names::Names;
use super::network;
use super::prepare::Prepared;
use super::saved::Network;
use super::train::Running;

/// The note of a saved state with what is no tensor.
const NOTE: &str = "espalier.run";

/// What a run remembers beside its network. Numbers are kept by their bits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Epochs done.
    pub(super) epoch: usize,
    /// The score before the first round of pruning.
    pub(super) before_pruning: Option<Kept>,
    /// The test loss after the last epoch.
    pub(super) test_loss: Option<u64>,
    /// The best epoch where training may stop early.
    pub(super) best: Option<Best>,
    /// Epochs since the best.
    pub(super) stale: usize,
    /// Bytes of the metrics.
    pub(super) metrics: u64,
}

/// The best epoch so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// From 1.
    pub(super) epoch: usize,
    /// Its test loss.
    pub(super) loss: u64,
}

impl Best {
    pub(super) fn loss(&self) -> f64 {
        f64::from_bits(self.loss)
    }
}

/// A score by its bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    accuracy: Option<u64>,
    loss: u64,
}

impl From<Score> for Kept {
    fn from(score: Score) -> Self {
        Self { accuracy: score.accuracy.map(f64::to_bits), loss: score.loss.to_bits() }
    }
}

impl From<&Kept> for Score {
    fn from(kept: &Kept) -> Self {
        Self { accuracy: kept.accuracy.map(f64::from_bits), loss: f64::from_bits(kept.loss) }
    }
}

impl Prepared {
    /// The result of a run that has ended already, if its recipe is this one.
    pub(super) fn finished(
        &self,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Summary, Graph)>, TrainError> {
        let Some((summary, model)) = self.directory.finished(self.recipe.source())? else {
            return Ok(None);
        };
        let network = Network::load(&model).map_err(|error| TrainError::Start {
            path: model.clone(),
            reason: error.to_string(),
        })?;
        observer
            .event(Event::Log("resume: the run in the directory has ended; nothing is left to do"));
        Ok(Some((summary, network.into_layers())))
    }

    /// Takes the directory, and the state in it if the run goes on.
    pub(super) fn begin(
        &mut self,
        net: Parametrized<Graph>,
        observer: &mut dyn Observer,
    ) -> Result<(Running, Writing), TrainError> {
        let text = self.recipe.source().to_owned();
        if self.resume {
            match self.directory.unfinished(&text)? {
                Some(unfinished) => return self.go_on(net, unfinished, observer),
                None => observer.event(Event::Log("resume: there is no state to go on from yet")),
            }
        }
        let writing = self.directory.begin(&text)?;
        if writing.replaces {
            let line = "save: the finished run in the directory stays until this one has ended";
            observer.event(Event::Log(line));
        }
        let average = self.average(&net)?;
        Ok((Running { net, average, memory: Memory::default() }, writing))
    }

    fn go_on(
        &mut self,
        net: Parametrized<Graph>,
        unfinished: Unfinished,
        observer: &mut dyn Observer,
    ) -> Result<(Running, Writing), TrainError> {
        let path = unfinished.state();
        let wrong = |reason: String| TrainError::State { path: path.clone(), reason };
        let state = TrainingState::open(&path).map_err(|error| wrong(error.to_string()))?;
        let note =
            state.note(NOTE).ok_or_else(|| wrong("it says nothing of the run".to_owned()))?;
        let memory: Memory =
            serde_json::from_str(note).map_err(|error| wrong(error.to_string()))?;
        let rules = Rules::builtin();
        // Without any rules: the state has those that are left of the recipe's.
        let fresh = || -> Result<_, TrainError> {
            Ok(Parametrized::new(
                network::build(&self.network, &self.device).map_err(TrainError::Graph)?,
            ))
        };
        drop(net);
        let net = state.restore(fresh()?, &rules)?;
        let net = self.frozen(net)?;
        self.groups = self.groups_anew(&net)?;
        state.restore_optimizer(&net, &mut self.groups.optimizer)?;
        if memory.epoch > 0 {
            self.groups.go_on();
        }
        let average = match self.recipe.train.ema {
            Some(decay) => {
                let decay = Average::ema(decay)?;
                Some(state.restore_average(fresh()?, decay, &rules)?.use_buffers())
            }
            None => None,
        };
        let writing = unfinished.go_on(memory.metrics)?;
        observer.event(Event::Log(&format!("resume: after epoch {}", memory.epoch)));
        Ok((Running { net, average, memory }, writing))
    }

    /// Saves a state that the run can go on from.
    pub(super) fn save(&self, running: &Running, writing: &Writing) -> Result<(), TrainError> {
        let epoch = running.memory.epoch;
        let progress = Progress {
            epoch: epoch as u64,
            step: self.length.steps_after(epoch) as u64,
            seed: self.seed,
        };
        // Running statistics are up to date only once the network has been asked for inference.
        let _ = plain(&running.net);
        let mut state = TrainingState::of(&running.net, progress)
            .with_optimizer(&self.groups.optimizer, &running.net)?
            .with_note(NOTE, serde_json::to_string(&running.memory).unwrap_or_default());
        if let Some(average) = &running.average {
            state = state.with_average(average);
        }
        writing.save_state(&state)
    }

    /// A network as the recipe makes it, but with other random numbers.
    pub(super) fn initialized_anew(&self, round: usize) -> Result<Parametrized<Graph>, TrainError> {
        let network = network::build(&self.network, &self.device).map_err(TrainError::Graph)?;
        let names = Names::of(&network);
        let mut faults = Faults::new(&self.recipe);
        let mut log = Vec::new();
        // Far from the seeds that people choose.
        let seed = self.seed.wrapping_add((round as u64 + 1) << 40);
        let network = initialize::initialize(
            network,
            &names,
            &self.recipe,
            &self.network,
            seed,
            &mut faults,
            &mut log,
        )?;
        let mut net = Parametrized::new(network);
        constrain::parametrize(&mut net, &names, &self.recipe, &mut faults, &mut log)?;
        constrain::tie(&mut net, &names, &self.recipe, &mut faults, &mut log)?;
        faults.into_result()?;
        Ok(net)
    }

    /// The network with what the recipe freezes without gradients, which no file says.
    fn frozen(&self, net: Parametrized<Graph>) -> Result<Parametrized<Graph>, TrainError> {
        let mut faults = Faults::new(&self.recipe);
        let net = freeze(net, &self.names, &self.recipe, &mut faults, &mut Vec::new())?;
        faults.into_result()?;
        Ok(net)
    }

    /// The optimizer at its beginning.
    pub(super) fn groups_anew(&self, net: &Parametrized<Graph>) -> Result<Grouped, TrainError> {
        let mut faults = Faults::new(&self.recipe);
        let groups = groups::build(
            net,
            &self.names,
            &self.recipe,
            self.length,
            &mut faults,
            &mut Vec::new(),
        )?;
        faults.into_result()?;
        match groups {
            Some(groups) => Ok(groups),
            None => unreachable!("without faults there is an optimizer"),
        }
    }
}

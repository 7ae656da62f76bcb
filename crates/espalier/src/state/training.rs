//! Everything that a training run needs to go on, in one file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use espalier_checkpoint::{self as checkpoint, Checkpoint};
use serde::{Deserialize, Serialize};

use super::{StateDict, Strict};
use crate::average::{Average, AveragedModel};
use crate::error::Error;
use crate::frame::Parametrized;
use crate::optim::GroupedOptimizer;
use crate::parametrize::Rules;

/// The metadata key of what is no tensor.
const KEY: &str = "espalier.training";

/// The version of this form.
const VERSION: u32 = 1;

/// The parts of a file, each under its name and a dot.
const MODEL: &str = "model";
const OPTIMIZER: &str = "optimizer";
const AVERAGE: &str = "average";

/// What is wrong with a file that training is to go on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingFault {
    /// A file of something else, or of a later version.
    #[error("this is no training state: {reason}")]
    Foreign {
        /// What is not as it should be.
        reason: String,
    },
    /// A part that is asked for was not saved.
    #[error("the training state has no {part}: it was saved without")]
    Missing {
        /// The part: `optimizer` or `average`.
        part: &'static str,
    },
}

/// Where a training run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The epochs that are done.
    pub epoch: u64,
    /// The steps that are done, in all epochs together.
    pub step: u64,
    /// What everything that is drawn at random is derived from, together with epoch and step: the order of
    /// a shuffled epoch, dropout, random pruning. A run that derives it so draws the same after a resume.
    pub seed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    progress: Progress,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    averaged: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    notes: BTreeMap<String, String>,
    /// The metadata of the parts.
    metadata: BTreeMap<String, BTreeMap<String, String>>,
}

/// A training run that can be gone on with: originals and masks with what they have taken, rules and ties,
/// the optimizer's memory by name with the values and schedules of every group, an average, and where the
/// run stands.
///
/// It is one safetensors file, written atomically: a reader finds the state before or the state after,
/// never the weights of one and the moments of the other. Resumed on the CPU backend, a run gives the same bits
/// as one that never stopped.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::optim::{AdamW, Groups};
/// use espalier::parametrize::{Rules, WeightNorm};
/// use espalier::state::{Progress, StateDict, TrainingState};
///
/// let device = Device::default().autodiff();
/// let fresh = || Parametrized::new(LinearConfig::new(4, 2).init(&device));
/// let mut net = fresh();
/// net.register("weight", WeightNorm::dim(0))?;
/// let mut optim = Groups::new(AdamW::new()).build(&net)?;
/// let loss = net.effective().forward(Tensor::<2>::ones([1, 4], &device)).sum();
/// let grads = net.grads(loss.backward())?;
/// let net = optim.step(net, grads);
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("last.safetensors");
/// let progress = Progress { epoch: 0, step: 1, seed: 7 };
/// TrainingState::of(&net, progress).with_optimizer(&optim, &net)?.save(&path)?;
///
/// // Another process, which has the module's code and nothing else.
/// let state = TrainingState::open(&path)?;
/// assert_eq!(state.progress().step, 1);
/// let again = state.restore(fresh(), &Rules::builtin())?;
/// let mut resumed = Groups::new(AdamW::new()).build(&again)?;
/// state.restore_optimizer(&again, &mut resumed)?;
/// assert_eq!(StateDict::of(&again), StateDict::of(&net));
/// assert_eq!(resumed.state_by_name(&again)?, optim.state_by_name(&net)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingState {
    progress: Progress,
    model: StateDict,
    optimizer: Option<StateDict>,
    average: Option<(StateDict, u64)>,
    recipe: Option<String>,
    notes: BTreeMap<String, String>,
}

impl TrainingState {
    /// The state of a network at some point of its training.
    pub fn of<M: Module>(net: &Parametrized<M>, progress: Progress) -> Self {
        Self {
            progress,
            model: StateDict::of(net),
            optimizer: None,
            average: None,
            recipe: None,
            notes: BTreeMap::new(),
        }
    }

    /// Adds what the optimizer of `net` remembers.
    ///
    /// # Errors
    ///
    /// As [`state_by_name`](GroupedOptimizer::state_by_name).
    pub fn with_optimizer<M: Module>(
        self,
        optimizer: &GroupedOptimizer,
        net: &Parametrized<M>,
    ) -> Result<Self, Error> {
        Ok(Self { optimizer: Some(optimizer.state_by_name(net)?), ..self })
    }

    /// Adds an average of the network.
    pub fn with_average<M: Module>(self, average: &AveragedModel<M>) -> Self {
        let model = StateDict::of(average.model());
        Self { average: Some((model, average.n_averaged())), ..self }
    }

    /// Adds the text that the run was made from.
    pub fn with_recipe(self, recipe: impl Into<String>) -> Self {
        Self { recipe: Some(recipe.into()), ..self }
    }

    /// Adds a text under a key: a best score, the version of the data.
    pub fn with_note(mut self, key: impl Into<String>, text: impl Into<String>) -> Self {
        self.notes.insert(key.into(), text.into());
        self
    }

    /// Where the run stands.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The network's tensors, as any file of it has them.
    pub fn model(&self) -> &StateDict {
        &self.model
    }

    /// The text that the run was made from.
    pub fn recipe(&self) -> Option<&str> {
        self.recipe.as_deref()
    }

    /// The text of a note.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.notes.get(key).map(String::as_str)
    }

    /// Writes the file, atomically. Equal states give equal bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be written; an older file is then still there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let mut out = Checkpoint::new();
        let mut metadata = BTreeMap::new();
        let parts = [
            (MODEL, Some(&self.model)),
            (OPTIMIZER, self.optimizer.as_ref()),
            (AVERAGE, self.average.as_ref().map(|(model, _)| model)),
        ];
        for (part, state) in parts {
            let Some(state) = state else { continue };
            for tensor in state.checkpoint() {
                out.push(tensor.clone().with_name(format!("{part}.{}", tensor.name())))?;
            }
            metadata.insert(part.to_owned(), state.checkpoint().metadata.clone());
        }
        let saved = Saved {
            version: VERSION,
            progress: self.progress,
            averaged: self.average.as_ref().map(|(_, averaged)| *averaged),
            recipe: self.recipe.clone(),
            notes: self.notes.clone(),
            metadata,
        };
        out.metadata.insert(KEY.to_owned(), serde_json::to_string(&saved).map_err(foreign)?);
        Ok(checkpoint::write_safetensors(path, &out)?)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be read or is not sound, [`Error::Training`] if it is a file of
    /// something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = checkpoint::read_safetensors(path)?;
        let Some(text) = file.metadata.get(KEY) else {
            return Err(foreign(format!("it has no `{KEY}` in its metadata")));
        };
        let Saved { version, progress, averaged, recipe, notes, mut metadata } =
            serde_json::from_str(text).map_err(foreign)?;
        if version != VERSION {
            return Err(foreign(format!("version {version}, this library reads {VERSION}")));
        }
        let mut parts: BTreeMap<&str, Checkpoint> = BTreeMap::new();
        for part in [MODEL, OPTIMIZER, AVERAGE] {
            if let Some(metadata) = metadata.remove(part) {
                let mut empty = Checkpoint::new();
                empty.metadata = metadata;
                parts.insert(part, empty);
            }
        }
        for tensor in file {
            let place = tensor.name().split_once('.');
            let place =
                place.and_then(|(part, name)| Some((parts.get_mut(part)?, name.to_owned())));
            let Some((part, name)) = place else {
                return Err(foreign(format!("`{}` belongs to no part of it", tensor.name())));
            };
            part.push(tensor.with_name(name))?;
        }
        let mut part = |name| parts.remove(name).map(StateDict::over);
        let Some(model) = part(MODEL) else { return Err(foreign("it has no model")) };
        let (optimizer, average) = (part(OPTIMIZER), part(AVERAGE));
        if average.is_some() != averaged.is_some() {
            return Err(foreign("it has an average without the number averaged, or the other way"));
        }
        let average = average.zip(averaged);
        Ok(Self { progress, model, optimizer, average, recipe, notes })
    }

    /// `net` with everything registered, tied, pruned and valued as it was. It may be the module as its own
    /// code makes it, or have some of the rules already.
    ///
    /// # Errors
    ///
    /// As [`apply_description`](Parametrized::apply_description) and [`StateDict::load_into`].
    pub fn restore<M: Module>(
        &self,
        net: Parametrized<M>,
        rules: &Rules,
    ) -> Result<Parametrized<M>, Error> {
        restored(&self.model, net, rules)
    }

    /// Goes on with the optimizer from where it stood. `net` is what [`restore`](Self::restore) gave, and
    /// the groups were built for it.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the state has none, and as
    /// [`load_state_by_name`](GroupedOptimizer::load_state_by_name). Nothing has changed then.
    pub fn restore_optimizer<M: Module>(
        &self,
        net: &Parametrized<M>,
        optimizer: &mut GroupedOptimizer,
    ) -> Result<(), Error> {
        match &self.optimizer {
            Some(saved) => optimizer.load_state_by_name(net, saved),
            None => Err(TrainingFault::Missing { part: OPTIMIZER }.into()),
        }
    }

    /// The average as it stood. `net` is the module as for [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the state has none, and as [`restore`](Self::restore).
    pub fn restore_average<M: Module>(
        &self,
        net: Parametrized<M>,
        average: Average,
        rules: &Rules,
    ) -> Result<AveragedModel<M>, Error> {
        let Some((model, averaged)) = &self.average else {
            return Err(TrainingFault::Missing { part: AVERAGE }.into());
        };
        Ok(AveragedModel::resume(restored(model, net, rules)?, average, *averaged))
    }
}

fn restored<M: Module>(
    model: &StateDict,
    mut net: Parametrized<M>,
    rules: &Rules,
) -> Result<Parametrized<M>, Error> {
    if let Some(description) = model.description() {
        net.apply_description(description, rules)?;
    }
    model.load_into(net, Strict::Yes)
}

fn foreign(reason: impl ToString) -> Error {
    TrainingFault::Foreign { reason: reason.to_string() }.into()
}

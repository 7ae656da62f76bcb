//! Parameter groups in training.

use std::fmt;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use serde::{Deserialize, Serialize};

use super::groups::no_group;
use super::hyper::Hyper;
use super::modify::Factors;
use super::options::{OptionError, check_values};
use super::plan::Plan;
use crate::error::Error;
use crate::frame::Parametrized;
use crate::schedule::{Exact, Scheduler, SchedulerState, Target, Unit, Values};

/// What schedules and multipliers make of the values a group starts from.
pub(super) fn present(
    start: Values,
    schedulers: &[Scheduler],
    factors: Factors,
) -> Result<Values, OptionError> {
    let mut values = start;
    schedulers.iter().for_each(|scheduler| scheduler.apply(&mut values));
    let found = values.momentum;
    // Rates and decays may round to a little below 0. A momentum of 1 never forgets, and Adam
    // divides by what is left to 1.
    if found >= 1.0 {
        let expected = "at least 0 and below 1, where a schedule moves it too";
        return Err(OptionError::Range { option: "momentum", expected, found });
    }
    Ok(Values { rate: values.rate * factors.rate, decay: values.decay * factors.decay, ..values })
}

/// An error of a schedule, told with its group.
pub(super) fn in_group(group: &str) -> impl Fn(Error) -> Error + '_ {
    |source| Error::GroupSchedule { group: group.to_owned(), source: Box::new(source) }
}

/// A group, or the part of one that has the same multipliers.
#[derive(Debug)]
pub(super) struct BuiltGroup {
    /// The name of the group that this is, or is a part of.
    pub(super) group: String,
    pub(super) name: String,
    pub(super) start: Values,
    pub(super) factors: Factors,
    pub(super) hyper: Hyper,
    pub(super) schedulers: Vec<Scheduler>,
}

impl BuiltGroup {
    fn options(&self, source: OptionError) -> Error {
        Error::Options { group: self.name.clone(), source }
    }

    /// What its cell is to hold with another start or other schedulers.
    fn present(&self, start: Values, schedulers: &[Scheduler]) -> Result<Values, Error> {
        present(start, schedulers, self.factors).map_err(|source| self.options(source))
    }
}

/// A Burn optimizer whose groups have options and schedules of their own.
///
/// Displayed as its [`Plan`].
pub struct GroupedOptimizer {
    pub(super) optimizer: ModuleOptimizer,
    pub(super) groups: Vec<BuiltGroup>,
    pub(super) plan: Plan,
}

/// Where the schedules of a [`GroupedOptimizer`] stand, to be saved with its record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    groups: Vec<SavedGroup>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedGroup {
    name: String,
    start: [Exact; 3],
    schedulers: Vec<SchedulerState>,
}

impl GroupedOptimizer {
    /// Updates the originals of `net`, each with the options of its group.
    pub fn step<M: Module>(
        &mut self,
        net: Parametrized<M>,
        grads: GradientsParams,
    ) -> Parametrized<M> {
        // Every group reads its own rate.
        self.optimizer.step(0.0, net, grads)
    }

    /// Moves the schedules that count steps on by one. Call it after each [`step`](Self::step).
    ///
    /// # Errors
    ///
    /// [`Error::GroupSchedule`] for a schedule past its end, or one that waits for a metric,
    /// [`Error::Options`] for a momentum of 1 or more. Nothing has moved then.
    pub fn end_step(&mut self) -> Result<(), Error> {
        self.advance(Unit::Step, None)
    }

    /// As [`end_step`](Self::end_step), with what the step came to: for schedules that wait for a
    /// plateau of steps.
    ///
    /// # Errors
    ///
    /// As [`end_step`](Self::end_step).
    pub fn end_step_with(&mut self, metric: f64) -> Result<(), Error> {
        self.advance(Unit::Step, Some(metric))
    }

    /// Moves the schedules that count epochs on by one. Call it after each epoch.
    ///
    /// # Errors
    ///
    /// As [`end_step`](Self::end_step).
    pub fn end_epoch(&mut self) -> Result<(), Error> {
        self.advance(Unit::Epoch, None)
    }

    /// As [`end_epoch`](Self::end_epoch), with what the epoch came to: for schedules that wait for
    /// a plateau.
    ///
    /// # Errors
    ///
    /// As [`end_step`](Self::end_step).
    pub fn end_epoch_with(&mut self, metric: f64) -> Result<(), Error> {
        self.advance(Unit::Epoch, Some(metric))
    }

    fn advance(&mut self, unit: Unit, metric: Option<f64>) -> Result<(), Error> {
        // All move or none does.
        let mut moved = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mut schedulers = group.schedulers.clone();
            for scheduler in schedulers.iter_mut().filter(|scheduler| scheduler.unit() == unit) {
                let stepped = match metric {
                    Some(metric) => scheduler.step_with(metric),
                    None => scheduler.step(),
                };
                stepped.map_err(in_group(&group.name))?;
            }
            moved.push((group.present(group.start, &schedulers)?, schedulers));
        }
        for (group, (values, schedulers)) in self.groups.iter_mut().zip(moved) {
            group.schedulers = schedulers;
            group.hyper.set(values);
        }
        Ok(())
    }

    /// The values that a group starts from, before schedules and multipliers.
    ///
    /// # Errors
    ///
    /// [`Error::NoGroup`] if there is none of this name.
    pub fn start(&self, group: &str) -> Result<Values, Error> {
        match self.groups.iter().find(|known| known.group == group) {
            Some(group) => Ok(group.start),
            None => Err(self.unknown(group)),
        }
    }

    /// Sets the values that a group starts from, all parts of it; multipliers apply on top.
    ///
    /// # Errors
    ///
    /// [`Error::NoGroup`] if there is none of this name, [`Error::Options`] for a number out of
    /// range, or another value of what a schedule moves, which would go on from the old one.
    /// Nothing has changed then.
    pub fn set_start(&mut self, group: &str, start: Values) -> Result<(), Error> {
        let before = self.start(group)?;
        let of = |values: Values, target| match target {
            Target::Rate => values.rate,
            Target::Momentum => values.momentum,
            Target::Decay => values.decay,
        };
        let mut changed = Vec::new();
        for (index, part) in self.groups.iter().enumerate().filter(|(_, part)| part.group == group)
        {
            check_values(start).map_err(|source| part.options(source))?;
            let mut targets =
                part.schedulers.iter().flat_map(|running| running.schedule().targets());
            if let Some(target) = targets.find(|target| of(start, *target) != of(before, *target)) {
                return Err(part.options(OptionError::Scheduled { target }));
            }
            changed.push((index, part.present(start, &part.schedulers)?));
        }
        for (index, values) in changed {
            self.groups[index].start = start;
            self.groups[index].hyper.set(values);
        }
        Ok(())
    }

    fn unknown(&self, group: &str) -> Error {
        let mut known: Vec<&str> = self.groups.iter().map(|part| part.group.as_str()).collect();
        known.dedup();
        no_group(group, known.into_iter())
    }

    /// Where the schedules stand.
    pub fn state(&self) -> GroupState {
        let saved = |group: &BuiltGroup| SavedGroup {
            name: group.name.clone(),
            start: [group.start.rate, group.start.momentum, group.start.decay].map(Exact),
            schedulers: group.schedulers.iter().map(Scheduler::state).collect(),
        };
        GroupState { groups: self.groups.iter().map(saved).collect() }
    }

    /// Puts the schedules where they stood, group by name.
    ///
    /// # Errors
    ///
    /// [`Error::NoGroup`] for a group that is not there, [`Error::NoSavedGroup`] for one that the
    /// state lacks, [`Error::GroupSchedule`] if its schedules are others, [`Error::Options`] for
    /// numbers out of range. Nothing has changed then.
    pub fn load_state(&mut self, state: &GroupState) -> Result<(), Error> {
        let known = |name: &str| self.groups.iter().any(|group| group.name == name);
        if let Some(other) = state.groups.iter().find(|saved| !known(&saved.name)) {
            return Err(self.unknown(&other.name));
        }
        let mut loaded = Vec::new();
        for group in &self.groups {
            let Some(saved) = state.groups.iter().find(|saved| saved.name == group.name) else {
                let known = state.groups.iter().map(|saved| saved.name.clone()).collect();
                return Err(Error::NoSavedGroup { group: group.name.clone(), known });
            };
            let mut schedulers = group.schedulers.clone();
            if schedulers.len() != saved.schedulers.len() {
                let (ours, theirs) = (schedulers.len(), saved.schedulers.len());
                let reason = format!("there are {ours} schedules, the saved group has {theirs}");
                let source = Error::Schedule { schedule: "state", reason };
                return Err(in_group(&group.name)(source));
            }
            for (scheduler, state) in schedulers.iter_mut().zip(&saved.schedulers) {
                scheduler.load_state(state).map_err(in_group(&group.name))?;
            }
            let [rate, momentum, decay] = saved.start.map(|value| value.0);
            let start = Values { rate, momentum, decay };
            check_values(start).map_err(|source| group.options(source))?;
            loaded.push((start, group.present(start, &schedulers)?, schedulers));
        }
        for (group, (start, values, schedulers)) in self.groups.iter_mut().zip(loaded) {
            (group.start, group.schedulers) = (start, schedulers);
            group.hyper.set(values);
        }
        Ok(())
    }

    /// The state of every parameter's optimizer (moments, steps), to save it.
    ///
    /// It is kept under parameter ids, which a burnpack record of the network restores: load the
    /// network first, build the groups, then load this.
    pub fn to_record(&self) -> OptimizerRecord {
        self.optimizer.to_record()
    }

    /// The optimizer with the state of a record. Schedules are not part of it: see
    /// [`state`](Self::state).
    pub fn load_record(self, record: OptimizerRecord) -> Self {
        Self { optimizer: self.optimizer.load_record(record), ..self }
    }

    /// The present rate of each group, in order.
    pub fn rates(&self) -> Vec<(&str, f64)> {
        self.values().into_iter().map(|(name, values)| (name, values.rate)).collect()
    }

    /// The present values of each group, in order.
    pub fn values(&self) -> Vec<(&str, Values)> {
        self.groups.iter().map(|group| (group.name.as_str(), group.hyper.get())).collect()
    }

    /// Which parameter is where, as planned when it was built.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl fmt::Debug for GroupedOptimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupedOptimizer").field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl fmt::Display for GroupedOptimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

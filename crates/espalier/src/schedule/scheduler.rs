//! A schedule that runs.

use serde::{Deserialize, Serialize};

use super::rule::{self, Exact, Group, Node};
use super::{Schedule, Target, Unit, Values};
use crate::error::Error;

/// One schedule running on one parameter group.
///
/// It counts [`step`](Self::step)s, each one [`unit`](Self::unit) long, and
/// [`apply`](Self::apply) writes the present value into the options of the group, from time 0 on:
/// a warm-up begins low.
///
/// ```
/// use espalier::schedule::{Schedule, Scheduler, Values};
/// let mut values = Values { rate: 0.1, momentum: 0.9, decay: 0.0 };
/// let mut scheduler = Scheduler::new(Schedule::exponential(0.5)?, &values)?;
/// scheduler.step()?;
/// scheduler.apply(&mut values);
/// assert_eq!(values, Values { rate: 0.05, momentum: 0.9, decay: 0.0 });
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scheduler {
    schedule: Schedule,
    group: Group,
    node: Node,
}

/// Where a [`Scheduler`] stands, to be saved.
///
/// Numbers are saved as text, so that no format rounds them: a restored scheduler goes on to the
/// bit. It names the schedule it belongs to, functions excepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchedulerState {
    schedule: String,
    group: Group,
    node: Node,
}

impl SchedulerState {
    /// The schedule it belongs to, as that displays itself.
    pub fn schedule(&self) -> &str {
        &self.schedule
    }
}

impl Scheduler {
    /// The schedule at time 0, from these values.
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if the value to move is not finite, there or at time 0.
    pub fn new(schedule: Schedule, start: &Values) -> Result<Self, Error> {
        let momentum = (schedule.target == Target::Rate && schedule.rule.moves_momentum())
            .then_some(Exact(start.momentum));
        let now = Exact(start.get(schedule.target));
        let mut group = Group { now, initial: None, momentum };
        check(&schedule, &group, 0)?;
        let node = schedule.rule.begin(&mut group);
        check(&schedule, &group, 0)?;
        Ok(Self { schedule, group, node })
    }

    /// What one [`step`](Self::step) is.
    pub fn unit(&self) -> Unit {
        self.schedule.unit
    }

    /// Whether each step needs a metric.
    pub fn needs_metric(&self) -> bool {
        self.schedule.needs_metric()
    }

    /// What runs.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The steps so far.
    pub fn time(&self) -> usize {
        self.node.t
    }

    /// The present value of what the schedule moves.
    pub fn value(&self) -> f64 {
        self.group.now()
    }

    /// Writes what the schedule moves, as it is at the present time, and nothing else.
    pub fn apply(&self, values: &mut Values) {
        values.set(self.schedule.target, self.group.now());
        if let Some(momentum) = self.group.momentum {
            values.momentum = momentum.0;
        }
    }

    /// One unit later.
    ///
    /// # Errors
    ///
    /// [`Error::ScheduleEnd`] past the end of a one-cycle; [`Error::ScheduleMetric`] if a metric is
    /// needed; [`Error::Schedule`] if the value would not be finite. The time is not advanced then.
    pub fn step(&mut self) -> Result<(), Error> {
        self.advance(None)
    }

    /// One unit later, with a metric, which only a schedule that
    /// [`needs_metric`](Self::needs_metric) reads.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn step_with(&mut self, metric: f64) -> Result<(), Error> {
        self.advance(Some(metric))
    }

    fn advance(&mut self, metric: Option<f64>) -> Result<(), Error> {
        let (mut node, mut group) = (self.node.clone(), self.group);
        rule::step(&*self.schedule.rule, &mut node, &mut group, metric)?;
        check(&self.schedule, &group, node.t)?;
        (self.node, self.group) = (node, group);
        Ok(())
    }

    /// Where it stands.
    ///
    /// ```
    /// use espalier::schedule::{Schedule, Scheduler, Values};
    /// let start = Values { rate: 0.1, momentum: 0.9, decay: 0.0 };
    /// let mut first = Scheduler::new(Schedule::exponential(0.9)?, &start)?;
    /// first.step()?;
    /// let mut second = Scheduler::new(Schedule::exponential(0.9)?, &start)?;
    /// second.load_state(&first.state())?;
    /// assert_eq!(second.value(), first.value());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn state(&self) -> SchedulerState {
        let schedule = self.schedule.to_string();
        SchedulerState { schedule, group: self.group, node: self.node.clone() }
    }

    /// Goes on from where the scheduler of `state` stood.
    ///
    /// # Errors
    ///
    /// [`Error::ScheduleState`] if the state is of another schedule or of other options.
    pub fn load_state(&mut self, state: &SchedulerState) -> Result<(), Error> {
        let expected = self.schedule.to_string();
        let fits = state.node.fits(&self.node)
            && state.group.momentum.is_some() == self.group.momentum.is_some()
            && state.group.now().is_finite();
        if state.schedule != expected || !fits {
            return Err(Error::ScheduleState { expected, found: state.schedule.clone() });
        }
        self.group = state.group;
        self.node = state.node.clone();
        Ok(())
    }
}

fn check(schedule: &Schedule, group: &Group, t: usize) -> Result<(), Error> {
    let momentum = group.momentum.map_or(0.0, |momentum| momentum.0);
    if group.now().is_finite() && momentum.is_finite() {
        return Ok(());
    }
    let (unit, found) = (schedule.unit, group.now());
    let reason = format!("the {} at {unit} {t} is a number, found {found}", schedule.target);
    Err(rule::refuse(schedule.name(), reason))
}

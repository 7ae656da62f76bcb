//! Learning-rate schedules as functions of time.

use crate::error::Error;

/// A rate over time, relative to the rate it starts from.
///
/// The unit of time is the caller's: steps or epochs.
///
/// ```
/// use espalier::schedule::Schedule;
/// let schedule = Schedule::multi_step(&[10, 20], 0.1)?;
/// assert_eq!(schedule.rate(0.5, 9), 0.5);
/// assert!((schedule.rate(0.5, 10) - 0.05).abs() < 1e-15);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(Kind, Unit);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Constant,
    MultiStep { milestones: Vec<usize>, gamma: f64 },
}

impl Schedule {
    /// The base rate at all times.
    pub fn constant() -> Self {
        Self(Kind::Constant, Unit::Epoch)
    }

    /// `base * gamma^(number of milestones <= t)`; a milestone given twice counts twice.
    /// `torch.optim.lr_scheduler.MultiStepLR`.
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `gamma` is not finite and positive.
    pub fn multi_step(milestones: &[usize], gamma: f64) -> Result<Self, Error> {
        if !(gamma.is_finite() && gamma > 0.0) {
            return Err(Error::Schedule {
                schedule: "multi_step",
                reason: format!("gamma is a positive number, found {gamma}"),
            });
        }
        let mut milestones = milestones.to_vec();
        milestones.sort_unstable();
        Ok(Self(Kind::MultiStep { milestones, gamma }, Unit::Epoch))
    }

    /// The rate at time `t` for a base rate.
    pub fn rate(&self, base: f64, t: usize) -> f64 {
        match &self.0 {
            Kind::Constant => base,
            Kind::MultiStep { milestones, gamma } => {
                let passed = milestones.partition_point(|milestone| *milestone <= t);
                // Multiplied one at a time, as PyTorch does, for the same rounding.
                (0..passed).fold(base, |rate, _| rate * gamma)
            }
        }
    }
}

/// What a schedule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Optimizer steps.
    Step,
    /// Epochs.
    Epoch,
}

/// What schedules write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values {
    /// The learning rate.
    pub rate: f64,
    /// The momentum, or the first beta of Adam.
    pub momentum: f64,
    /// The weight decay.
    pub decay: f64,
}

/// A running schedule.
#[derive(Debug, Clone)]
pub struct Scheduler {
    schedule: Schedule,
    base: f64,
    t: usize,
}

/// Where a schedule stands.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SchedulerState {
    t: usize,
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Schedule {
    /// Counted in epochs.
    pub fn per_epoch(self) -> Self {
        Self(self.0, Unit::Epoch)
    }
    /// Counted in steps.
    pub fn per_step(self) -> Self {
        Self(self.0, Unit::Step)
    }
}

impl Scheduler {
    /// A schedule at its start.
    ///
    /// # Errors
    ///
    /// If it cannot start from these values.
    pub fn new(schedule: Schedule, start: &Values) -> Result<Self, Error> {
        Ok(Self { schedule, base: start.rate, t: 0 })
    }
    /// What it counts.
    pub fn unit(&self) -> Unit {
        self.schedule.1
    }
    /// The schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }
    /// Writes the present value.
    pub fn apply(&self, values: &mut Values) {
        values.rate = self.schedule.rate(self.base, self.t);
    }
    /// One unit on.
    pub fn step(&mut self) -> Result<(), Error> {
        self.t += 1;
        Ok(())
    }
    /// One unit on.
    pub fn step_with(&mut self, _: f64) -> Result<(), Error> {
        self.step()
    }
    /// Where it stands.
    pub fn state(&self) -> SchedulerState {
        SchedulerState { t: self.t }
    }
    /// Puts it there.
    pub fn load_state(&mut self, state: &SchedulerState) -> Result<(), Error> {
        self.t = state.t;
        Ok(())
    }
}

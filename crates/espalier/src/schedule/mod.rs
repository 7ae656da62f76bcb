//! Schedules: how the rate, the momentum or the decay of a parameter group moves over time.
//!
//! A [`Schedule`] is a value that says how; a [`Scheduler`] is one running. All of
//! `torch.optim.lr_scheduler` is here, value for value, and two more: [`Schedule::wsd`] and
//! [`Schedule::noam`].
//!
//! | PyTorch | here |
//! | --- | --- |
//! | `LambdaLR`, `MultiplicativeLR` | [`Schedule::lambda`], [`Schedule::multiplicative`] |
//! | `StepLR`, `MultiStepLR`, `ExponentialLR` | [`Schedule::step`], [`Schedule::multi_step`], [`Schedule::exponential`] |
//! | `ConstantLR`, `LinearLR`, `PolynomialLR` | [`Schedule::constant_factor`], [`Schedule::linear`], [`Schedule::polynomial`] |
//! | `CosineAnnealingLR` | [`Schedule::cosine_annealing`] |
//! | `CosineAnnealingWarmRestarts` | [`Schedule::cosine_annealing_warm_restarts`] |
//! | `OneCycleLR`, `CyclicLR` | [`Schedule::one_cycle`], [`Schedule::cyclic`] |
//! | `ReduceLROnPlateau` | [`Schedule::reduce_on_plateau`] |
//! | `SequentialLR`, `ChainedScheduler` | [`Schedule::sequential`], [`Schedule::chained`] |
//! | `swa_utils.SWALR` | [`Schedule::swa`] |
//!
//! Time is counted in steps or epochs, see [`Unit`]; `t = 0` is before the first.

mod anneal;
mod compose;
mod cosine;
mod cyclic;
mod factor;
mod one_cycle;
mod plateau;
mod plot;
mod rule;
mod scheduler;

use std::fmt;
use std::sync::Arc;

pub use anneal::{Anneal, DecayShape, Wsd};
pub use cyclic::{Cyclic, CyclicMode};
pub use one_cycle::OneCycle;
pub use plateau::{Mode, Plateau, Threshold};
pub(crate) use rule::Exact;
use rule::Rule;
pub use scheduler::{Scheduler, SchedulerState};

use crate::error::Error;

/// What a schedule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Updates of the parameters.
    Step,
    /// Passes through the data.
    Epoch,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "step",
            Self::Epoch => "epoch",
        })
    }
}

/// What a schedule moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The learning rate.
    Rate,
    /// The momentum; Adam's beta1.
    Momentum,
    /// The weight decay.
    Decay,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "rate",
            Self::Momentum => "momentum",
            Self::Decay => "decay",
        })
    }
}

/// The options of one parameter group that schedules move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values {
    /// The learning rate.
    pub rate: f64,
    /// The momentum; Adam's beta1.
    pub momentum: f64,
    /// The weight decay.
    pub decay: f64,
}

impl Values {
    fn get(&self, target: Target) -> f64 {
        match target {
            Target::Rate => self.rate,
            Target::Momentum => self.momentum,
            Target::Decay => self.decay,
        }
    }

    fn set(&mut self, target: Target, value: f64) {
        *match target {
            Target::Rate => &mut self.rate,
            Target::Momentum => &mut self.momentum,
            Target::Decay => &mut self.decay,
        } = value;
    }
}

/// How a value moves over time, relative to the value it starts from.
///
/// It counts epochs unless [`per_step`](Self::per_step) says otherwise (one-cycle, cyclic, Noam and
/// WSD count steps), and moves the rate unless [`on`](Self::on) says otherwise. In words as
/// displayed; see it before training with [`curve`](Self::curve) and [`plot`](Self::plot).
///
/// ```
/// use espalier::schedule::Schedule;
/// let schedule = Schedule::multi_step(&[10, 20], 0.1)?;
/// assert_eq!(
///     schedule.to_string(),
///     "multi_step (milestones [10, 20], gamma 0.1) on the rate, per epoch"
/// );
/// let rates = schedule.curve(0.5, 30)?;
/// assert_eq!(rates[9], 0.5);
/// assert!((rates[10] - 0.05).abs() < 1e-15);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Arc<dyn Rule>,
    unit: Unit,
    target: Target,
}

impl Schedule {
    fn new(rule: impl Rule + 'static, unit: Unit) -> Self {
        Self { rule: Arc::new(rule), unit, target: Target::Rate }
    }

    /// The same schedule, counting epochs.
    ///
    /// ```
    /// use espalier::schedule::{OneCycle, Schedule, Unit};
    /// let schedule = Schedule::one_cycle(OneCycle::new(0.1, 30))?;
    /// assert_eq!(schedule.unit(), Unit::Step);
    /// assert_eq!(schedule.per_epoch().unit(), Unit::Epoch);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn per_epoch(self) -> Self {
        Self { unit: Unit::Epoch, ..self }
    }

    /// The same schedule, counting steps.
    ///
    /// ```
    /// use espalier::schedule::{Schedule, Unit};
    /// assert_eq!(Schedule::exponential(0.999)?.per_step().unit(), Unit::Step);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn per_step(self) -> Self {
        Self { unit: Unit::Step, ..self }
    }

    /// The same formula on another option of the group.
    ///
    /// One-cycle and cyclic schedules then leave the momentum alone that they move beside a rate.
    ///
    /// ```
    /// use espalier::schedule::{Schedule, Target};
    /// let schedule = Schedule::cosine_annealing(100, 0.0)?.on(Target::Decay);
    /// assert_eq!(schedule.target(), Target::Decay);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn on(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// What it counts.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// What it moves.
    pub fn target(&self) -> Target {
        self.target
    }

    /// All that it moves: a one-cycle or cyclic schedule of the rate moves the momentum beside it.
    pub fn targets(&self) -> Vec<Target> {
        match (self.target, self.rule.moves_momentum()) {
            (Target::Rate, true) => vec![Target::Rate, Target::Momentum],
            (target, _) => vec![target],
        }
    }

    /// Its name, that of its constructor.
    pub fn name(&self) -> &'static str {
        self.rule.name()
    }

    /// Whether each step needs a metric: that of [`reduce_on_plateau`](Self::reduce_on_plateau).
    pub fn needs_metric(&self) -> bool {
        self.rule.needs_metric()
    }

    /// The value at the times `0..n`, from `base` on.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::step(2, 0.5)?.curve(1.0, 5)?, [1.0, 1.0, 0.5, 0.5, 0.25]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ScheduleEnd`] if the schedule is shorter, [`Error::ScheduleMetric`] if it needs
    /// metrics, [`Error::Schedule`] if a value is not finite.
    pub fn curve(&self, base: f64, n: usize) -> Result<Vec<f64>, Error> {
        let mut start = Values { rate: 0.0, momentum: 0.0, decay: 0.0 };
        start.set(self.target, base);
        let values = self.values(&start, n)?;
        Ok(values.iter().map(|values| values.get(self.target)).collect())
    }

    /// All options of a group at the times `0..n`, from `start` on.
    ///
    /// ```
    /// use espalier::schedule::{OneCycle, Schedule, Values};
    /// let start = Values { rate: 0.1, momentum: 0.9, decay: 0.0 };
    /// let values = Schedule::one_cycle(OneCycle::new(1.0, 10))?.values(&start, 10)?;
    /// assert_eq!((values[0].momentum, values[2].momentum), (0.95, 0.85));
    /// assert!((values[0].rate - 0.04).abs() < 1e-12 && values[2].rate == 1.0);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`curve`](Self::curve).
    pub fn values(&self, start: &Values, n: usize) -> Result<Vec<Values>, Error> {
        let mut scheduler = Scheduler::new(self.clone(), start)?;
        let mut found = Vec::new();
        for t in 0..n {
            if t > 0 {
                scheduler.step()?;
            }
            let mut values = *start;
            scheduler.apply(&mut values);
            found.push(values);
        }
        Ok(found)
    }

    /// A plot of [`curve`](Self::curve) in text, for the terminal.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let plot = Schedule::linear(0.1, 1.0, 20)?.plot(0.5, 40)?;
    /// assert!(plot.contains("0.5 |"));
    /// println!("{plot}");
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`curve`](Self::curve).
    pub fn plot(&self, base: f64, n: usize) -> Result<String, Error> {
        Ok(plot::draw(&self.to_string(), &self.curve(base, n)?, self.unit))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on the {}, per {}", rule::Named(&*self.rule), self.target, self.unit)
    }
}

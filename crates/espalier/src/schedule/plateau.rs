//! Lower when a metric no longer gets better.

use std::fmt;

use super::rule::{Exact, Group, Memory, Node, Rule, check_finite, refuse};
use super::{Schedule, Unit};
use crate::error::Error;

/// Which metrics are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Low ones, such as a loss.
    Min,
    /// High ones, such as an accuracy.
    Max,
}

/// By how much a metric must be better than the best one yet to count as better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// By this part of the best.
    Rel(f64),
    /// By this much.
    Abs(f64),
}

/// Options of [`Schedule::reduce_on_plateau`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Which metrics are good: low ones.
    pub mode: Mode,
    /// What the value is multiplied by: 0.1.
    pub factor: f64,
    /// How many bad metrics in a row are borne: 10. The next one lowers the value.
    pub patience: usize,
    /// What counts as better: by 1e-4 of the best.
    pub threshold: Threshold,
    /// For how long after lowering no metric counts as bad: 0.
    pub cooldown: usize,
    /// The value is never lowered below this: 0.
    pub min: f64,
    /// A change that is not larger is not made: 1e-8.
    pub eps: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self {
            mode: Mode::Min,
            factor: 0.1,
            patience: 10,
            threshold: Threshold::Rel(1e-4),
            cooldown: 0,
            min: 0.0,
            eps: 1e-8,
        }
    }
}

impl Plateau {
    fn is_better(&self, metric: f64, best: Option<Exact>) -> bool {
        let worst = if self.mode == Mode::Min { f64::INFINITY } else { f64::NEG_INFINITY };
        let best = best.map_or(worst, |best| best.0);
        match (self.mode, self.threshold) {
            (Mode::Min, Threshold::Rel(part)) => metric < best * (1.0 - part),
            (Mode::Min, Threshold::Abs(much)) => metric < best - much,
            (Mode::Max, Threshold::Rel(part)) => metric > best * (part + 1.0),
            (Mode::Max, Threshold::Abs(much)) => metric > best + much,
        }
    }
}

impl Rule for Plateau {
    fn name(&self) -> &'static str {
        "reduce_on_plateau"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { factor, patience, cooldown, min, eps, .. } = self;
        let mode = if self.mode == Mode::Min { "min" } else { "max" };
        write!(f, "mode {mode}, factor {factor}, patience {patience}, threshold ")?;
        match self.threshold {
            Threshold::Rel(part) => write!(f, "{part} of the best")?,
            Threshold::Abs(much) => write!(f, "{much}")?,
        }
        write!(f, ", cooldown {cooldown}, not below {min}, eps {eps}")
    }
    fn needs_metric(&self) -> bool {
        true
    }
    fn begin(&self, group: &mut Group) -> Node {
        Node::new(group.now(), Memory::Plateau { best: None, bad: 0, wait: 0 })
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn advance(
        &self,
        node: &mut Node,
        group: &mut Group,
        metric: Option<f64>,
    ) -> Result<(), Error> {
        let Some(metric) = metric else {
            return Err(Error::ScheduleMetric { schedule: self.name() });
        };
        let Memory::Plateau { best, bad, wait } = &mut node.memory else {
            unreachable!("a loaded state has the memory that `begin` makes")
        };
        if self.is_better(metric, *best) {
            (*best, *bad) = (Some(Exact(metric)), 0);
        } else {
            *bad = bad.saturating_add(1);
        }
        if *wait > 0 {
            (*wait, *bad) = (*wait - 1, 0);
        }
        if *bad > self.patience {
            let lower = (group.now() * self.factor).max(self.min);
            if group.now() - lower > self.eps {
                group.set(lower);
            }
            (*wait, *bad) = (self.cooldown, 0);
        }
        Ok(())
    }
}

impl Schedule {
    /// Times `factor` after more than `patience` metrics in a row that are not better than the best
    /// one yet. `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    ///
    /// Each step needs a metric: [`Scheduler::step_with`](super::Scheduler::step_with). One that is
    /// NaN counts as bad, as in PyTorch.
    ///
    /// ```
    /// use espalier::schedule::{Plateau, Schedule, Scheduler, Values};
    /// let options = Plateau { patience: 1, factor: 0.5, ..Plateau::default() };
    /// let mut values = Values { rate: 0.1, momentum: 0.9, decay: 0.0 };
    /// let mut scheduler = Scheduler::new(Schedule::reduce_on_plateau(options)?, &values)?;
    /// for loss in [1.0, 1.0, 1.0] {
    ///     scheduler.step_with(loss)?;
    /// }
    /// scheduler.apply(&mut values);
    /// assert_eq!(values.rate, 0.05);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `factor` is not below 1, or a number is not finite.
    pub fn reduce_on_plateau(options: Plateau) -> Result<Self, Error> {
        let name = "reduce_on_plateau";
        let (Threshold::Rel(threshold) | Threshold::Abs(threshold)) = options.threshold;
        for (what, number) in [
            ("the factor", options.factor),
            ("the threshold", threshold),
            ("the lowest value", options.min),
            ("eps", options.eps),
        ] {
            check_finite(name, what, number)?;
        }
        if options.factor >= 1.0 {
            let reason = format!("the factor is below 1, found {}", options.factor);
            return Err(refuse(name, reason));
        }
        Ok(Self::new(options, Unit::Epoch))
    }
}

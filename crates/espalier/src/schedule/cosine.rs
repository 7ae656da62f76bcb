//! Cosine annealing, with and without restarts.

use std::f64::consts::PI;
use std::fmt;

use super::rule::{Group, Memory, Node, Rule, check_count, check_finite, float};
use super::{Schedule, Unit};
use crate::error::Error;

#[derive(Debug)]
struct CosineAnnealing {
    t_max: usize,
    eta_min: f64,
}

impl Rule for CosineAnnealing {
    fn name(&self) -> &'static str {
        "cosine_annealing"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {} at {}", self.eta_min, self.t_max)
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        let above = |t: usize| 1.0 + (PI * float(t) / float(self.t_max)).cos();
        let before = node.t - 1;
        // The lowest point: nothing to multiply there.
        let lowest = before % self.t_max.saturating_mul(2) == self.t_max;
        group.set(if lowest {
            let rise = 1.0 - (PI / float(self.t_max)).cos();
            group.now() + (node.base() - self.eta_min) * rise / 2.0
        } else {
            above(node.t) / above(before) * (group.now() - self.eta_min) + self.eta_min
        });
        Ok(())
    }
}

#[derive(Debug)]
struct WarmRestarts {
    t_0: usize,
    t_mult: usize,
    eta_min: f64,
}

impl WarmRestarts {
    fn at(&self, since: usize, length: usize, node: &Node) -> f64 {
        let above = 1.0 + (PI * float(since) / float(length)).cos();
        self.eta_min + (node.base() - self.eta_min) * above / 2.0
    }
}

impl Rule for WarmRestarts {
    fn name(&self) -> &'static str {
        "cosine_annealing_warm_restarts"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { t_0, t_mult, eta_min } = self;
        write!(f, "to {eta_min}, restart after {t_0}, then {t_mult} times as long")
    }
    fn begin(&self, group: &mut Group) -> Node {
        let memory = Memory::Restart { since: 0, length: self.t_0 };
        let mut node = Node::new(group.initial(), memory);
        self.start(&mut node, group);
        node
    }
    fn start(&self, node: &mut Node, group: &mut Group) {
        group.set(self.at(0, self.t_0, node));
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        let Memory::Restart { since, length } = &mut node.memory else {
            unreachable!("a loaded state has the memory that `begin` makes")
        };
        *since = since.saturating_add(1);
        if *since >= *length {
            *since %= (*length).max(1);
            *length = length.saturating_mul(self.t_mult);
        }
        let (since, length) = (*since, *length);
        group.set(self.at(since, length, node));
        Ok(())
    }
}

impl Schedule {
    /// `eta_min + (base - eta_min) * (1 + cos(pi t / t_max)) / 2`: down to `eta_min` at `t_max`,
    /// and up again if it goes on. `torch.optim.lr_scheduler.CosineAnnealingLR`.
    ///
    /// Source: Loshchilov and Hutter, "SGDR", 2017, without the restarts.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let rates = Schedule::cosine_annealing(4, 0.1)?.curve(0.5, 5)?;
    /// assert!((rates[2] - 0.3).abs() < 1e-12 && (rates[4] - 0.1).abs() < 1e-12);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `t_max` is 0 or `eta_min` not finite.
    pub fn cosine_annealing(t_max: usize, eta_min: f64) -> Result<Self, Error> {
        check_count("cosine_annealing", "t_max", t_max)?;
        check_finite("cosine_annealing", "eta_min", eta_min)?;
        Ok(Self::new(CosineAnnealing { t_max, eta_min }, Unit::Epoch))
    }

    /// Cosine annealing that starts anew after `t_0`, then after `t_0 * t_mult`, and so on.
    /// `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`.
    ///
    /// PyTorch's fractions of epochs are steps here: give `t_0` in steps and call
    /// [`per_step`](Self::per_step).
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let rates = Schedule::cosine_annealing_warm_restarts(2, 2, 0.0)?.curve(1.0, 7)?;
    /// assert_eq!((rates[0], rates[2], rates[6]), (1.0, 1.0, 1.0));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `t_0` or `t_mult` is 0, or `eta_min` not finite.
    pub fn cosine_annealing_warm_restarts(
        t_0: usize,
        t_mult: usize,
        eta_min: f64,
    ) -> Result<Self, Error> {
        let name = "cosine_annealing_warm_restarts";
        check_count(name, "t_0", t_0)?;
        check_count(name, "t_mult", t_mult)?;
        check_finite(name, "eta_min", eta_min)?;
        Ok(Self::new(WarmRestarts { t_0, t_mult, eta_min }, Unit::Epoch))
    }
}

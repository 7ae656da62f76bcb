//! Schedules that multiply: by a function, by steps, or from one factor to another.

use std::fmt;
use std::sync::Arc;

use super::rule::{
    Group, Node, Rule, check_count, check_finite, check_gamma, check_range, float, refuse,
};
use super::{Schedule, Unit};
use crate::error::Error;

#[derive(Debug)]
struct Constant;

impl Rule for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn options(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
    }
    fn advance(&self, _: &mut Node, _: &mut Group, _: Option<f64>) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Clone)]
struct Function(Arc<dyn Fn(usize) -> f64 + Send + Sync>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<function>")
    }
}

#[derive(Debug)]
struct Lambda(Function);

impl Rule for Lambda {
    fn name(&self) -> &'static str {
        "lambda"
    }
    fn options(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
    fn start(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base() * (self.0.0)(0));
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        group.set(node.base() * (self.0.0)(node.t));
        Ok(())
    }
}

#[derive(Debug)]
struct Multiplicative(Function);

impl Rule for Multiplicative {
    fn name(&self) -> &'static str {
        "multiplicative"
    }
    fn options(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn take_over(&self, _: &mut Node, group: &mut Group) {
        group.set(group.now() * (self.0.0)(0));
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        group.set(group.now() * (self.0.0)(node.t));
        Ok(())
    }
}

#[derive(Debug)]
struct Step {
    size: usize,
    gamma: f64,
}

impl Rule for Step {
    fn name(&self) -> &'static str {
        "step"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {}, gamma {}", self.size, self.gamma)
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        if node.t.is_multiple_of(self.size) {
            group.set(group.now() * self.gamma);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct MultiStep {
    milestones: Vec<usize>,
    gamma: f64,
}

impl MultiStep {
    /// For the milestones at `t`; one given twice counts twice.
    fn factor(&self, t: usize) -> Option<f64> {
        let count = self.milestones.iter().filter(|milestone| **milestone == t).count();
        (count > 0).then(|| self.gamma.powf(float(count)))
    }

    fn at(&self, t: usize, group: &mut Group) {
        if let Some(factor) = self.factor(t) {
            group.set(group.now() * factor);
        }
    }
}

impl Rule for MultiStep {
    fn name(&self) -> &'static str {
        "multi_step"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "milestones {:?}, gamma {}", self.milestones, self.gamma)
    }
    fn start(&self, _: &mut Node, group: &mut Group) {
        self.at(0, group);
    }
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
        self.at(0, group);
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        self.at(node.t, group);
        Ok(())
    }
}

#[derive(Debug)]
struct Exponential {
    gamma: f64,
}

impl Rule for Exponential {
    fn name(&self) -> &'static str {
        "exponential"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gamma {}", self.gamma)
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
    }
    fn advance(&self, _: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        group.set(group.now() * self.gamma);
        Ok(())
    }
}

#[derive(Debug)]
struct ConstantFactor {
    factor: f64,
    total: usize,
}

impl Rule for ConstantFactor {
    fn name(&self) -> &'static str {
        "constant_factor"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "factor {} until {}", self.factor, self.total)
    }
    fn start(&self, _: &mut Node, group: &mut Group) {
        group.set(group.now() * self.factor);
    }
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base() * self.factor);
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        if node.t == self.total {
            // PyTorch fails on a factor of 0, which cannot be undone by a division.
            let undone = group.now() * (1.0 / self.factor);
            group.set(if self.factor == 0.0 { node.base() } else { undone });
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Linear {
    start: f64,
    end: f64,
    total: usize,
}

impl Rule for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "factor {} to {} until {}", self.start, self.end, self.total)
    }
    fn start(&self, _: &mut Node, group: &mut Group) {
        group.set(group.now() * self.start);
    }
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base() * self.start);
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        if node.t <= self.total {
            let rise = self.end - self.start;
            let before = float(self.total) * self.start + float(node.t - 1) * rise;
            group.set(group.now() * (1.0 + rise / before));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Polynomial {
    total: usize,
    power: f64,
}

impl Rule for Polynomial {
    fn name(&self) -> &'static str {
        "polynomial"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power {}, 0 at {}", self.power, self.total)
    }
    fn start(&self, _: &mut Node, _: &mut Group) {}
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        if node.t <= self.total {
            let left = |t: usize| 1.0 - float(t) / float(self.total);
            group.set(group.now() * (left(node.t) / left(node.t - 1)).powf(self.power));
        }
        Ok(())
    }
}

impl Schedule {
    /// The base value at all times.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::constant().curve(0.1, 3)?, [0.1; 3]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn constant() -> Self {
        Self::new(Constant, Unit::Epoch)
    }

    /// `base * f(t)`. `torch.optim.lr_scheduler.LambdaLR`.
    ///
    /// A saved state does not hold the function.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let schedule = Schedule::lambda(|t| 1.0 / (1.0 + t as f64));
    /// assert_eq!(schedule.curve(1.0, 3)?, [1.0, 0.5, 1.0 / 3.0]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn lambda(f: impl Fn(usize) -> f64 + Send + Sync + 'static) -> Self {
        Self::new(Lambda(Function(Arc::new(f))), Unit::Epoch)
    }

    /// `base * f(1) * ... * f(t)`. `torch.optim.lr_scheduler.MultiplicativeLR`.
    ///
    /// A saved state does not hold the function. After another schedule in a
    /// [`sequential`](Self::sequential), it goes on from the last value times `f(0)`, as in PyTorch.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let schedule = Schedule::multiplicative(|t| if t == 2 { 0.5 } else { 1.0 });
    /// assert_eq!(schedule.curve(1.0, 4)?, [1.0, 1.0, 0.5, 0.5]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn multiplicative(f: impl Fn(usize) -> f64 + Send + Sync + 'static) -> Self {
        Self::new(Multiplicative(Function(Arc::new(f))), Unit::Epoch)
    }

    /// `base * gamma^(t / size)`, the division rounded down. `torch.optim.lr_scheduler.StepLR`.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::step(2, 0.5)?.curve(1.0, 5)?, [1.0, 1.0, 0.5, 0.5, 0.25]);
    /// assert!(Schedule::step(0, 0.5).is_err());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `size` is 0, or `gamma` not finite and positive.
    pub fn step(size: usize, gamma: f64) -> Result<Self, Error> {
        check_count("step", "the size", size)?;
        check_gamma("step", gamma)?;
        Ok(Self::new(Step { size, gamma }, Unit::Epoch))
    }

    /// `base * gamma^(number of milestones <= t)`; a milestone given twice counts twice.
    /// `torch.optim.lr_scheduler.MultiStepLR`.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::multi_step(&[1, 3], 0.5)?.curve(1.0, 4)?, [1.0, 0.5, 0.5, 0.25]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `gamma` is not finite and positive.
    pub fn multi_step(milestones: &[usize], gamma: f64) -> Result<Self, Error> {
        check_gamma("multi_step", gamma)?;
        let mut milestones = milestones.to_vec();
        milestones.sort_unstable();
        Ok(Self::new(MultiStep { milestones, gamma }, Unit::Epoch))
    }

    /// `base * gamma^t`. `torch.optim.lr_scheduler.ExponentialLR`.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::exponential(0.5)?.curve(1.0, 3)?, [1.0, 0.5, 0.25]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `gamma` is not finite and positive.
    pub fn exponential(gamma: f64) -> Result<Self, Error> {
        check_gamma("exponential", gamma)?;
        Ok(Self::new(Exponential { gamma }, Unit::Epoch))
    }

    /// `base * factor` before `total_iters`, then `base`. `torch.optim.lr_scheduler.ConstantLR`.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::constant_factor(0.5, 2)?.curve(1.0, 4)?, [0.5, 0.5, 1.0, 1.0]);
    /// assert!(Schedule::constant_factor(1.5, 2).is_err());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `factor` is outside 0 to 1 or `total_iters` is 0.
    pub fn constant_factor(factor: f64, total_iters: usize) -> Result<Self, Error> {
        let name = "constant_factor";
        check_range(name, "the factor", factor, 0.0, 1.0)?;
        check_count(name, "total_iters", total_iters)?;
        Ok(Self::new(ConstantFactor { factor, total: total_iters }, Unit::Epoch))
    }

    /// `base` times a factor that goes in a line from `start_factor` to `end_factor` in
    /// `total_iters`, and stays. `torch.optim.lr_scheduler.LinearLR`.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let rates = Schedule::linear(0.25, 1.0, 3)?.curve(1.0, 5)?;
    /// assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0]);
    /// assert!(Schedule::linear(0.0, 1.0, 3).is_err());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `start_factor` is not above 0 and at most 1, `end_factor` is outside 0
    /// to 1, or `total_iters` is 0.
    pub fn linear(start_factor: f64, end_factor: f64, total_iters: usize) -> Result<Self, Error> {
        let name = "linear";
        if !(start_factor > 0.0 && start_factor <= 1.0) {
            let reason = format!("start_factor is above 0 and at most 1, found {start_factor}");
            return Err(refuse(name, reason));
        }
        check_range(name, "end_factor", end_factor, 0.0, 1.0)?;
        check_count(name, "total_iters", total_iters)?;
        let (start, end, total) = (start_factor, end_factor, total_iters);
        Ok(Self::new(Linear { start, end, total }, Unit::Epoch))
    }

    /// `base * (1 - t / total_iters)^power`, then 0. `torch.optim.lr_scheduler.PolynomialLR`.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// assert_eq!(Schedule::polynomial(4, 1.0)?.curve(1.0, 3)?, [1.0, 0.75, 0.5]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `total_iters` is 0 or `power` not finite.
    pub fn polynomial(total_iters: usize, power: f64) -> Result<Self, Error> {
        check_count("polynomial", "total_iters", total_iters)?;
        check_finite("polynomial", "the power", power)?;
        Ok(Self::new(Polynomial { total: total_iters, power }, Unit::Epoch))
    }
}

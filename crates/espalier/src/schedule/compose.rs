//! Schedules one after another, and all at once.

use std::fmt;

use super::rule::{Group, Memory, Named, Node, Rule, refuse, step};
use super::{Schedule, Target, Unit};
use crate::error::Error;

/// Names, each with its options.
fn list(f: &mut fmt::Formatter<'_>, schedules: &[Schedule], separators: &[String]) -> fmt::Result {
    for (index, schedule) in schedules.iter().enumerate() {
        if index > 0 {
            f.write_str(&separators[(index - 1).min(separators.len() - 1)])?;
        }
        write!(f, "{}", Named(&*schedule.rule))?;
    }
    Ok(())
}

#[derive(Debug)]
struct Sequential {
    schedules: Vec<Schedule>,
    milestones: Vec<usize>,
}

impl Sequential {
    fn index(&self, t: usize) -> usize {
        self.milestones.partition_point(|milestone| *milestone <= t)
    }
}

impl Rule for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from: Vec<String> =
            self.milestones.iter().map(|milestone| format!(", from {milestone} ")).collect();
        list(f, &self.schedules, &from)
    }
    fn moves_momentum(&self) -> bool {
        self.schedules.iter().any(|schedule| schedule.rule.moves_momentum())
    }
    fn begin(&self, group: &mut Group) -> Node {
        let children = self.schedules.iter().map(|schedule| schedule.rule.begin(group)).collect();
        let mut node = Node::new(group.initial(), Memory::Children(children));
        self.start(&mut node, group);
        node
    }
    fn start(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
        let index = self.index(0);
        self.schedules[index].rule.start(&mut node.children()[index], group);
    }
    fn advance(
        &self,
        node: &mut Node,
        group: &mut Group,
        metric: Option<f64>,
    ) -> Result<(), Error> {
        let index = self.index(node.t);
        let begins = index > 0 && self.milestones[index - 1] == node.t;
        let (rule, child) = (&*self.schedules[index].rule, &mut node.children()[index]);
        if begins {
            rule.take_over(child, group);
            return Ok(());
        }
        step(rule, child, group, metric)
    }
}

#[derive(Debug)]
struct Chained(Vec<Schedule>);

impl Rule for Chained {
    fn name(&self) -> &'static str {
        "chained"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.0, &[", ".to_owned()])
    }
    fn moves_momentum(&self) -> bool {
        self.0.iter().any(|schedule| schedule.rule.moves_momentum())
    }
    fn begin(&self, group: &mut Group) -> Node {
        let children = self.0.iter().map(|schedule| schedule.rule.begin(group)).collect();
        Node::new(group.initial(), Memory::Children(children))
    }
    fn start(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base());
        for (schedule, child) in self.0.iter().zip(node.children()) {
            schedule.rule.start(child, group);
        }
    }
    fn advance(
        &self,
        node: &mut Node,
        group: &mut Group,
        metric: Option<f64>,
    ) -> Result<(), Error> {
        for (schedule, child) in self.0.iter().zip(node.children()) {
            step(&*schedule.rule, child, group, metric)?;
        }
        Ok(())
    }
}

/// What all parts count and move.
fn common(name: &'static str, schedules: &[Schedule]) -> Result<(Unit, Target), Error> {
    let Some(first) = schedules.first() else {
        return Err(refuse(name, "at least one schedule is needed, found none".to_owned()));
    };
    for schedule in schedules {
        if schedule.needs_metric() {
            let reason = format!("{} cannot be part of it, for it needs metrics", schedule.name());
            return Err(refuse(name, reason));
        }
        if schedule.unit != first.unit {
            let reason = format!(
                "`{first}` and `{schedule}` count different things; call `per_step` or `per_epoch` \
                 on them"
            );
            return Err(refuse(name, reason));
        }
        if schedule.target != first.target {
            let reason = format!(
                "`{first}` and `{schedule}` move different things; give the optimizer two schedules"
            );
            return Err(refuse(name, reason));
        }
    }
    Ok((first.unit, first.target))
}

impl Schedule {
    /// One schedule after another: schedule `i` from `milestones[i - 1]` on, at its own time 0.
    /// `torch.optim.lr_scheduler.SequentialLR`.
    ///
    /// As in PyTorch, a part begins from the base value, not from where the one before it ended,
    /// but for [`multiplicative`](Self::multiplicative) and [`swa`](Self::swa). A one-cycle or
    /// cyclic part sets the base of itself and of those after it; a one-cycle that of the first
    /// part too. A composed part starts like any other; PyTorch fails on those or is off by one.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let warm = Schedule::linear(0.25, 1.0, 3)?;
    /// let schedule = Schedule::sequential(vec![warm, Schedule::exponential(0.5)?], &[3])?;
    /// assert_eq!(schedule.curve(1.0, 6)?, [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if there is no schedule, not one milestone fewer than schedules, a
    /// milestone before another that is less, parts that count or move different things, or one
    /// that needs metrics.
    pub fn sequential(schedules: Vec<Self>, milestones: &[usize]) -> Result<Self, Error> {
        let (unit, target) = common("sequential", &schedules)?;
        if milestones.len() + 1 != schedules.len() {
            let (parts, found) = (schedules.len(), milestones.len());
            let reason = format!("{parts} schedules need {} milestones, found {found}", parts - 1);
            return Err(refuse("sequential", reason));
        }
        if !milestones.is_sorted() {
            let reason = format!("milestones do not go back, found {milestones:?}");
            return Err(refuse("sequential", reason));
        }
        let rule = Sequential { schedules, milestones: milestones.to_vec() };
        Ok(Self::new(rule, unit).on(target))
    }

    /// All schedules at once, each changing what the ones before it made.
    /// `torch.optim.lr_scheduler.ChainedScheduler`.
    ///
    /// Those that multiply the present value compose to a product. Those that do not (lambda, warm
    /// restarts, one-cycle, cyclic, Noam, WSD) overwrite what stands before them.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let parts = vec![Schedule::constant_factor(0.5, 2)?, Schedule::exponential(0.5)?];
    /// assert_eq!(Schedule::chained(parts)?.curve(1.0, 4)?, [0.5, 0.25, 0.25, 0.125]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if there is no schedule, or parts that count or move different things or
    /// need metrics.
    pub fn chained(schedules: Vec<Self>) -> Result<Self, Error> {
        let (unit, target) = common("chained", &schedules)?;
        Ok(Self::new(Chained(schedules), unit).on(target))
    }
}

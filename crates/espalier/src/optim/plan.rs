//! Which parameter lands in which group, before anything is trained.

use std::fmt;

use crate::schedule::Values;

/// The groups of a network with their parameters: what training would do.
///
/// Displayed as one line a group, with its parameters below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan(pub(super) Vec<PlannedGroup>);

/// One group of a [`Plan`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedGroup {
    /// Its name; parts of a group that differ in a multiplier have names of their own.
    pub name: String,
    /// The optimizer's name.
    pub optimizer: &'static str,
    /// The values of its first step, multipliers and schedules included.
    pub values: Values,
    /// Its schedules, in words.
    pub schedules: Vec<String>,
    /// Its parameters with their shapes, in visit order.
    pub parameters: Vec<(String, Vec<usize>)>,
}

impl PlannedGroup {
    /// The number of elements of its parameters.
    pub fn numel(&self) -> usize {
        self.parameters.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}

impl Plan {
    /// The groups in the order they were given.
    pub fn groups(&self) -> &[PlannedGroup] {
        &self.0
    }

    /// The group of a parameter.
    pub fn group_of(&self, path: &str) -> Option<&PlannedGroup> {
        self.0.iter().find(|group| group.parameters.iter().any(|(member, _)| member == path))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.0 {
            let Values { rate, momentum, decay } = group.values;
            let (count, numel) = (group.parameters.len(), group.numel());
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            write!(f, "{} ({}): rate {rate}", group.name, group.optimizer)?;
            // An optimizer that has none says 0.
            if momentum != 0.0 {
                write!(f, ", momentum {momentum}")?;
            }
            let (s, es) = (plural(count), plural(numel));
            writeln!(f, ", decay {decay}, {count} tensor{s}, {numel} element{es}")?;
            for schedule in &group.schedules {
                writeln!(f, "  schedule: {schedule}")?;
            }
            for (path, shape) in &group.parameters {
                writeln!(f, "  {path} {shape:?}")?;
            }
        }
        Ok(())
    }
}

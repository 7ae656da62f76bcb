//! What each schedule is made of.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// A number that is saved as text, for JSON rounds numbers when read and has no infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exact(pub(crate) f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What a schedule reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    /// The present value.
    pub(super) now: Exact,
    /// What later schedules take for the value at the beginning: PyTorch's `initial_lr`.
    pub(super) initial: Option<Exact>,
    /// The momentum, if it is moved beside the rate.
    pub(super) momentum: Option<Exact>,
}

impl Group {
    pub(super) fn now(&self) -> f64 {
        self.now.0
    }

    pub(super) fn set(&mut self, value: f64) {
        self.now = Exact(value);
    }

    /// The initial value, the present one if there is none yet.
    pub(super) fn initial(&mut self) -> f64 {
        self.initial.get_or_insert(self.now).0
    }

    /// Moves the momentum, where that is wanted.
    pub(super) fn set_momentum(&mut self, momentum: f64) {
        if let Some(present) = &mut self.momentum {
            *present = Exact(momentum);
        }
    }
}

/// What one running schedule remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    /// Its own time.
    pub(super) t: usize,
    /// The value at its beginning.
    pub(super) base: Exact,
    pub(super) memory: Memory,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Memory {
    None,
    /// Of warm restarts: the time since the last, and to the next.
    Restart {
        since: usize,
        length: usize,
    },
    /// Of a plateau: the best metric yet, bad ones in a row, and times to wait.
    Plateau {
        best: Option<Exact>,
        bad: usize,
        wait: usize,
    },
    Children(Vec<Node>),
}

impl Node {
    pub(super) fn new(base: f64, memory: Memory) -> Self {
        Self { t: 0, base: Exact(base), memory }
    }

    pub(super) fn base(&self) -> f64 {
        self.base.0
    }

    pub(super) fn children(&mut self) -> &mut [Self] {
        match &mut self.memory {
            Memory::Children(children) => children,
            _ => &mut [],
        }
    }

    /// Whether `self` is what the schedule that made `other` remembers.
    pub(super) fn fits(&self, other: &Self) -> bool {
        match (&self.memory, &other.memory) {
            (Memory::Children(a), Memory::Children(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.fits(b))
            }
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

/// One schedule.
///
/// Most are recursive, as in PyTorch: they change the present value, so that they compose.
pub(super) trait Rule: fmt::Debug + Send + Sync {
    /// The name of the constructor.
    fn name(&self) -> &'static str;

    /// The options in words; nothing if there are none.
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    fn needs_metric(&self) -> bool {
        false
    }

    /// Whether it moves the momentum beside the rate.
    fn moves_momentum(&self) -> bool {
        false
    }

    /// Joins a group: what making a PyTorch scheduler does.
    fn begin(&self, group: &mut Group) -> Node {
        let mut node = Node::new(group.initial(), Memory::None);
        self.start(&mut node, group);
        node
    }

    /// Time 0, as the first or only schedule.
    fn start(&self, node: &mut Node, group: &mut Group);

    /// Time 0, after another schedule in a sequence. PyTorch has closed forms there, from the
    /// initial value instead of the present one.
    fn take_over(&self, node: &mut Node, group: &mut Group) {
        self.start(node, group);
    }

    /// The time `node.t`, which is one later than before.
    fn advance(&self, node: &mut Node, group: &mut Group, metric: Option<f64>)
    -> Result<(), Error>;
}

/// One unit later.
pub(super) fn step(
    rule: &dyn Rule,
    node: &mut Node,
    group: &mut Group,
    metric: Option<f64>,
) -> Result<(), Error> {
    node.t = node.t.saturating_add(1);
    rule.advance(node, group, metric)
}

/// Name and options.
pub(super) struct Named<'a>(pub(super) &'a dyn Rule);

struct Options<'a>(&'a dyn Rule);

impl fmt::Display for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.options(f)
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = Options(self.0).to_string();
        f.write_str(self.0.name())?;
        if options.is_empty() { Ok(()) } else { write!(f, " ({options})") }
    }
}

pub(super) fn refuse(schedule: &'static str, reason: String) -> Error {
    Error::Schedule { schedule, reason }
}

/// A factor that is applied again and again.
pub(super) fn check_gamma(schedule: &'static str, gamma: f64) -> Result<(), Error> {
    if gamma.is_finite() && gamma > 0.0 {
        return Ok(());
    }
    Err(refuse(schedule, format!("gamma is a positive number, found {gamma}")))
}

pub(super) fn check_count(schedule: &'static str, what: &str, found: usize) -> Result<(), Error> {
    if found > 0 {
        return Ok(());
    }
    Err(refuse(schedule, format!("{what} is at least 1, found 0")))
}

pub(super) fn check_finite(schedule: &'static str, what: &str, found: f64) -> Result<(), Error> {
    if found.is_finite() {
        return Ok(());
    }
    Err(refuse(schedule, format!("{what} is a number, found {found}")))
}

/// `lowest..=highest`.
pub(super) fn check_range(
    schedule: &'static str,
    what: &str,
    found: f64,
    lowest: f64,
    highest: f64,
) -> Result<(), Error> {
    if (lowest..=highest).contains(&found) {
        return Ok(());
    }
    Err(refuse(schedule, format!("{what} lies in {lowest}..={highest}, found {found}")))
}

/// Counts become floats to compute with; times do not reach 2^53.
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

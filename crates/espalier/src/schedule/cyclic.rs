//! Triangles between two rates.

use std::fmt;

use super::rule::{Group, Memory, Node, Rule, check_count, check_finite, check_gamma, float};
use super::{Schedule, Unit};
use crate::error::Error;

/// How the height of the triangles of [`Cyclic`] changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CyclicMode {
    /// It stays.
    Triangular,
    /// It is halved with each cycle.
    Triangular2,
    /// It is multiplied by `gamma` with each step.
    ExpRange {
        /// The factor.
        gamma: f64,
    },
}

/// Options of [`Schedule::cyclic`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cyclic {
    /// The lower rate, which the schedule starts from whatever the group's rate is.
    pub base_rate: f64,
    /// The upper rate.
    pub max_rate: f64,
    /// Steps from the lower to the upper: 2000.
    pub step_size_up: usize,
    /// Steps back, as many as up if not given.
    pub step_size_down: Option<usize>,
    /// How the height changes: not.
    pub mode: CyclicMode,
    /// The momentum at the upper and at the lower rate, `(0.8, 0.9)`; `None` leaves it alone.
    pub momentum: Option<(f64, f64)>,
}

impl Cyclic {
    /// The two rates, and the other options as PyTorch has them.
    ///
    /// ```
    /// use espalier::schedule::Cyclic;
    /// let options = Cyclic { step_size_up: 10, ..Cyclic::new(0.01, 0.1) };
    /// assert_eq!(options.momentum, Some((0.8, 0.9)));
    /// ```
    pub fn new(base_rate: f64, max_rate: f64) -> Self {
        Self {
            base_rate,
            max_rate,
            step_size_up: 2000,
            step_size_down: None,
            mode: CyclicMode::Triangular,
            momentum: Some((0.8, 0.9)),
        }
    }
}

impl Cyclic {
    fn at(&self, t: usize, group: &mut Group) {
        let up = float(self.step_size_up);
        let length = up + float(self.step_size_down.unwrap_or(self.step_size_up));
        let turn = up / length;
        let cycle = (1.0 + float(t) / length).floor();
        let x = 1.0 + float(t) / length - cycle;
        let height = if x <= turn { x / turn } else { (x - 1.0) / (turn - 1.0) };
        let scale = match self.mode {
            CyclicMode::Triangular => 1.0,
            CyclicMode::Triangular2 => 1.0 / 2f64.powf(cycle - 1.0),
            CyclicMode::ExpRange { gamma } => gamma.powf(float(t)),
        };
        group.set(self.base_rate + (self.max_rate - self.base_rate) * height * scale);
        if let Some((lowest, highest)) = self.momentum {
            group.set_momentum(highest - (highest - lowest) * height * scale);
        }
    }
}

impl Rule for Cyclic {
    fn name(&self) -> &'static str {
        "cyclic"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let down = self.step_size_down.unwrap_or(self.step_size_up);
        write!(
            f,
            "{} to {}, {} up, {down} down",
            self.base_rate, self.max_rate, self.step_size_up
        )?;
        match self.mode {
            CyclicMode::Triangular => {}
            CyclicMode::Triangular2 => write!(f, ", halved each cycle")?,
            CyclicMode::ExpRange { gamma } => write!(f, ", times {gamma} each time")?,
        }
        match self.momentum {
            Some((lowest, highest)) => write!(f, ", momentum {highest} to {lowest}"),
            None => Ok(()),
        }
    }
    fn moves_momentum(&self) -> bool {
        self.momentum.is_some()
    }
    fn begin(&self, group: &mut Group) -> Node {
        group.set(self.base_rate);
        let mut node = Node::new(group.initial(), Memory::None);
        self.start(&mut node, group);
        // In a chain after others, PyTorch begins from their base.
        group.set(node.base());
        node
    }
    fn start(&self, _: &mut Node, group: &mut Group) {
        self.at(0, group);
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        self.at(node.t, group);
        Ok(())
    }
}

impl Schedule {
    /// Up and down between two rates, with the momentum going the other way.
    /// `torch.optim.lr_scheduler.CyclicLR`. Counts steps.
    ///
    /// Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017.
    ///
    /// ```
    /// use espalier::schedule::{Cyclic, Schedule};
    /// let options = Cyclic { step_size_up: 2, ..Cyclic::new(0.1, 0.5) };
    /// let rates = Schedule::cyclic(options)?.curve(0.1, 5)?;
    /// let expected = [0.1, 0.3, 0.5, 0.3, 0.1];
    /// assert!(rates.iter().zip(expected).all(|(rate, expected)| (rate - expected).abs() < 1e-15));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `step_size_up` is 0, `gamma` not positive, or a number not finite.
    pub fn cyclic(options: Cyclic) -> Result<Self, Error> {
        check_count("cyclic", "step_size_up", options.step_size_up)?;
        check_finite("cyclic", "base_rate", options.base_rate)?;
        check_finite("cyclic", "max_rate", options.max_rate)?;
        if let CyclicMode::ExpRange { gamma } = options.mode {
            check_gamma("cyclic", gamma)?;
        }
        if let Some((lowest, highest)) = options.momentum {
            check_finite("cyclic", "the momentum", lowest)?;
            check_finite("cyclic", "the momentum", highest)?;
        }
        Ok(Self::new(options, Unit::Step))
    }
}

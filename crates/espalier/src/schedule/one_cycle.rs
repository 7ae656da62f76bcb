//! One cycle: up to a high rate and down to almost nothing.

use std::fmt;

use super::rule::{
    Exact, Group, Memory, Node, Rule, check_count, check_finite, check_range, float, refuse,
};
use super::{Anneal, Schedule, Unit};
use crate::error::Error;

/// Options of [`Schedule::one_cycle`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub max_rate: f64,
    /// The steps of the whole training: epochs times batches.
    pub total_steps: usize,
    /// The part of the steps on which the rate rises: 0.3.
    pub pct_start: f64,
    /// The shape of rise and fall: a cosine.
    pub anneal: Anneal,
    /// The momentum at the highest rate and at the lowest, `(0.85, 0.95)`; `None` leaves it alone.
    pub momentum: Option<(f64, f64)>,
    /// The first rate is `max_rate / div_factor`: 25.
    pub div_factor: f64,
    /// The last rate is the first one divided by this: 10,000.
    pub final_div_factor: f64,
    /// Whether to fall to the first rate as slowly as it rose, and then to the last one.
    pub three_phase: bool,
}

impl OneCycle {
    /// The highest rate and the length, and the other options as PyTorch has them.
    ///
    /// ```
    /// use espalier::schedule::OneCycle;
    /// let options = OneCycle { three_phase: true, ..OneCycle::new(0.1, 90) };
    /// assert_eq!(options.pct_start, 0.3);
    /// ```
    pub fn new(max_rate: f64, total_steps: usize) -> Self {
        Self {
            max_rate,
            total_steps,
            pct_start: 0.3,
            anneal: Anneal::Cosine,
            momentum: Some((0.85, 0.95)),
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }
}

/// A stretch of time, and its rate and momentum at both ends.
struct Phase {
    end: f64,
    rates: (f64, f64),
    momenta: (f64, f64),
}

impl OneCycle {
    fn first_rate(&self) -> f64 {
        self.max_rate / self.div_factor
    }

    fn phases(&self) -> Vec<Phase> {
        let first = self.first_rate();
        let last = first / self.final_div_factor;
        let (lowest, highest) = self.momentum.unwrap_or_default();
        let total = float(self.total_steps);
        let up = Phase {
            end: self.pct_start * total - 1.0,
            rates: (first, self.max_rate),
            momenta: (highest, lowest),
        };
        if !self.three_phase {
            let rates = (self.max_rate, last);
            return vec![up, Phase { end: total - 1.0, rates, momenta: (lowest, highest) }];
        }
        let down = Phase {
            end: 2.0 * self.pct_start * total - 2.0,
            rates: (self.max_rate, first),
            momenta: (lowest, highest),
        };
        vec![
            up,
            down,
            Phase { end: total - 1.0, rates: (first, last), momenta: (highest, highest) },
        ]
    }

    fn at(&self, t: usize, group: &mut Group) {
        let t = float(t);
        let phases = self.phases();
        let index = phases.iter().position(|phase| t <= phase.end).unwrap_or(phases.len() - 1);
        let phase = &phases[index];
        let start = if index == 0 { 0.0 } else { phases[index - 1].end };
        // PyTorch divides by zero in a phase of one step; it is at its end then.
        let part = if phase.end == start { 1.0 } else { (t - start) / (phase.end - start) };
        let between = |(start, end): (f64, f64)| match self.anneal {
            Anneal::Cosine => {
                end + (start - end) / 2.0 * ((std::f64::consts::PI * part).cos() + 1.0)
            }
            Anneal::Linear => (end - start) * part + start,
        };
        group.set(between(phase.rates));
        if self.momentum.is_some() {
            group.set_momentum(between(phase.momenta));
        }
    }
}

impl Rule for OneCycle {
    fn name(&self) -> &'static str {
        "one_cycle"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.first_rate() / self.final_div_factor;
        let (first, highest, total) = (self.first_rate(), self.max_rate, self.total_steps);
        write!(f, "{first} to {highest} to {last} in {total}, {}", self.anneal)?;
        write!(f, ", {} of it up", self.pct_start)?;
        if self.three_phase {
            write!(f, ", three phases")?;
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
        // As in PyTorch, where it becomes the rate that a sequence starts from.
        group.initial = Some(Exact(self.first_rate()));
        let mut node = Node::new(self.first_rate(), Memory::None);
        self.start(&mut node, group);
        node
    }
    fn start(&self, _: &mut Node, group: &mut Group) {
        self.at(0, group);
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        if node.t > self.total_steps {
            return Err(Error::ScheduleEnd { schedule: "one_cycle", total: self.total_steps });
        }
        self.at(node.t, group);
        Ok(())
    }
}

impl Schedule {
    /// Up to a high rate, then down far below the first one, with the momentum going the other
    /// way. `torch.optim.lr_scheduler.OneCycleLR`. Counts steps.
    ///
    /// It starts from its own first rate, whatever the group's is. Time `t` goes from 0 to
    /// `total_steps`; a step past that is an error. In PyTorch two one-cycles in one sequence take
    /// each other's rates; here each keeps its own.
    ///
    /// Source: Smith and Topin, "Super-Convergence", 2018.
    ///
    /// ```
    /// use espalier::schedule::{OneCycle, Schedule};
    /// let schedule = Schedule::one_cycle(OneCycle::new(1.0, 10))?;
    /// let rates = schedule.curve(0.1, 10)?;
    /// assert!((rates[0] - 0.04).abs() < 1e-12 && (rates[2] - 1.0).abs() < 1e-12);
    /// let error = schedule.curve(0.1, 12).unwrap_err();
    /// assert!(error.to_string().starts_with("one_cycle ends after 10 steps"));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `total_steps` is 0, `pct_start` outside 0 to 1, a division factor 0,
    /// or a number not finite.
    pub fn one_cycle(options: OneCycle) -> Result<Self, Error> {
        let name = "one_cycle";
        check_count(name, "total_steps", options.total_steps)?;
        check_range(name, "pct_start", options.pct_start, 0.0, 1.0)?;
        check_finite(name, "max_rate", options.max_rate)?;
        for (what, factor) in
            [("div_factor", options.div_factor), ("final_div_factor", options.final_div_factor)]
        {
            check_finite(name, what, factor)?;
            if factor == 0.0 {
                return Err(refuse(name, format!("{what} is not 0")));
            }
        }
        if let Some((lowest, highest)) = options.momentum {
            check_finite(name, "the momentum", lowest)?;
            check_finite(name, "the momentum", highest)?;
        }
        Ok(Self::new(options, Unit::Step))
    }
}

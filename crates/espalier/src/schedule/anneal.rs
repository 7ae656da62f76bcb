//! Warm-ups and decays: stochastic weight averaging, warmup-stable-decay, Noam.

use std::f64::consts::PI;
use std::fmt;

use super::rule::{Group, Node, Rule, check_count, check_finite, check_range, float, refuse};
use super::{Schedule, Unit};
use crate::error::Error;

/// The shape of a way between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anneal {
    /// Half a cosine.
    Cosine,
    /// A line.
    Linear,
}

impl Anneal {
    /// How far the way is done after the part `x` of the time.
    fn done(self, x: f64) -> f64 {
        match self {
            Self::Cosine => (1.0 - (PI * x).cos()) / 2.0,
            Self::Linear => x,
        }
    }
}

impl fmt::Display for Anneal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosine => "cosine",
            Self::Linear => "linear",
        })
    }
}

#[derive(Debug)]
struct Swa {
    rate: f64,
    epochs: usize,
    anneal: Anneal,
}

impl Swa {
    fn part(&self, t: f64) -> f64 {
        self.anneal.done((t / float(self.epochs.max(1))).clamp(0.0, 1.0))
    }

    fn at(&self, t: usize, group: &mut Group) {
        // With nothing to go through, it is there at once.
        let t = float(if self.epochs == 0 { t.max(1) } else { t });
        let before = self.part(t - 1.0);
        let first = if before == 1.0 {
            self.rate
        } else {
            (group.now() - before * self.rate) / (1.0 - before)
        };
        let part = self.part(t);
        group.set(self.rate * part + first * (1.0 - part));
    }
}

impl Rule for Swa {
    fn name(&self) -> &'static str {
        "swa"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {} at {}, {}", self.rate, self.epochs, self.anneal)
    }
    fn start(&self, _: &mut Node, group: &mut Group) {
        self.at(0, group);
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        self.at(node.t, group);
        Ok(())
    }
}

/// The shape of the decay of [`Wsd`], `x` being the part of its time gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecayShape {
    /// `1 - x`.
    Linear,
    /// `(1 + cos(pi x)) / 2`.
    Cosine,
    /// `1 - sqrt(x)`.
    OneMinusSqrt,
}

impl DecayShape {
    fn left(self, x: f64) -> f64 {
        match self {
            Self::Linear => 1.0 - x,
            Self::Cosine => 1.0 - Anneal::Cosine.done(x),
            Self::OneMinusSqrt => 1.0 - x.sqrt(),
        }
    }
}

impl fmt::Display for DecayShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::OneMinusSqrt => "1-sqrt",
        })
    }
}

/// Options of [`Schedule::wsd`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wsd {
    /// Steps of warm-up.
    pub warmup: usize,
    /// Steps at the base value.
    pub stable: usize,
    /// Steps of decay.
    pub decay: usize,
    /// The shape of the warm-up: a line.
    pub warmup_shape: Anneal,
    /// The shape of the decay: a line.
    pub decay_shape: DecayShape,
    /// The factor at the beginning: 0.
    pub start_factor: f64,
    /// The factor at the end, and after it: 0.
    pub end_factor: f64,
}

impl Wsd {
    /// The three lengths; lines from 0 and to 0.
    ///
    /// ```
    /// use espalier::schedule::{DecayShape, Wsd};
    /// let options = Wsd { decay_shape: DecayShape::OneMinusSqrt, ..Wsd::new(10, 80, 10) };
    /// assert_eq!(options.end_factor, 0.0);
    /// ```
    pub fn new(warmup: usize, stable: usize, decay: usize) -> Self {
        Self {
            warmup,
            stable,
            decay,
            warmup_shape: Anneal::Linear,
            decay_shape: DecayShape::Linear,
            start_factor: 0.0,
            end_factor: 0.0,
        }
    }

    fn factor(&self, t: usize) -> f64 {
        if t < self.warmup {
            let done = self.warmup_shape.done(float(t) / float(self.warmup));
            return self.start_factor + (1.0 - self.start_factor) * done;
        }
        let decaying = (t - self.warmup).saturating_sub(self.stable);
        let left = match decaying {
            0 => 1.0,
            t if t >= self.decay => 0.0,
            t => self.decay_shape.left(float(t) / float(self.decay)),
        };
        self.end_factor + (1.0 - self.end_factor) * left
    }
}

impl Rule for Wsd {
    fn name(&self) -> &'static str {
        "wsd"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { warmup, stable, decay, start_factor, end_factor, .. } = self;
        write!(f, "factor {start_factor} to 1 in {warmup}, {}, ", self.warmup_shape)?;
        write!(f, "stable for {stable}, to {end_factor} in {decay}, {}", self.decay_shape)
    }
    fn start(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base() * self.factor(0));
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        group.set(node.base() * self.factor(node.t));
        Ok(())
    }
}

#[derive(Debug)]
struct Noam {
    size: usize,
    warmup: usize,
}

impl Noam {
    fn factor(&self, t: usize) -> f64 {
        // The paper counts steps from 1.
        let step = float(t) + 1.0;
        let rise = step * float(self.warmup).powf(-1.5);
        float(self.size).powf(-0.5) * step.powf(-0.5).min(rise)
    }
}

impl Rule for Noam {
    fn name(&self) -> &'static str {
        "noam"
    }
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model size {}, warm-up {}", self.size, self.warmup)
    }
    fn start(&self, node: &mut Node, group: &mut Group) {
        group.set(node.base() * self.factor(0));
    }
    fn advance(&self, node: &mut Node, group: &mut Group, _: Option<f64>) -> Result<(), Error> {
        group.set(node.base() * self.factor(node.t));
        Ok(())
    }
}

impl Schedule {
    /// From the present value to `swa_rate` in `anneal_epochs`, and there on.
    /// `torch.optim.swa_utils.SWALR`.
    ///
    /// For stochastic weight averaging, whose second phase runs at a constant rate; put it last in
    /// a [`sequential`](Self::sequential), where it goes on from the value that it finds.
    ///
    /// Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    /// Generalization", 2018.
    ///
    /// ```
    /// use espalier::schedule::{Anneal, Schedule};
    /// let rates = Schedule::swa(0.5, 2, Anneal::Linear)?.curve(0.1, 4)?;
    /// assert!((rates[1] - 0.3).abs() < 1e-15);
    /// assert_eq!(rates[2..], [0.5, 0.5]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `swa_rate` is not finite.
    pub fn swa(swa_rate: f64, anneal_epochs: usize, anneal: Anneal) -> Result<Self, Error> {
        check_finite("swa", "the rate", swa_rate)?;
        Ok(Self::new(Swa { rate: swa_rate, epochs: anneal_epochs, anneal }, Unit::Epoch))
    }

    /// Warm-up, a long time at the base value, then decay. Counts steps.
    ///
    /// `base` times a factor: from `start_factor` to 1 in `warmup`, 1 for `stable`, from 1 to
    /// `end_factor` in `decay`.
    ///
    /// Sources: Hu et al., "MiniCPM", 2024 (arXiv:2404.06395); the root decay: Hägele et al.,
    /// "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 2024
    /// (arXiv:2405.18392).
    ///
    /// ```
    /// use espalier::schedule::{Schedule, Wsd};
    /// let rates = Schedule::wsd(Wsd::new(2, 2, 2))?.curve(1.0, 7)?;
    /// assert_eq!(rates, [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if all lengths are 0 or a factor is outside 0 to 1.
    pub fn wsd(options: Wsd) -> Result<Self, Error> {
        if options.warmup == 0 && options.stable == 0 && options.decay == 0 {
            return Err(refuse(
                "wsd",
                "warm-up, stable phase and decay are all of length 0".into(),
            ));
        }
        check_range("wsd", "start_factor", options.start_factor, 0.0, 1.0)?;
        check_range("wsd", "end_factor", options.end_factor, 0.0, 1.0)?;
        Ok(Self::new(options, Unit::Step))
    }

    /// `base * model_size^-0.5 * min(n^-0.5, n * warmup^-1.5)` with `n = t + 1`. Counts steps.
    ///
    /// A base of 1 gives the rates of the paper: Vaswani et al., "Attention Is All You Need", 2017,
    /// section 5.3.
    ///
    /// ```
    /// use espalier::schedule::Schedule;
    /// let rates = Schedule::noam(512, 4000)?.curve(1.0, 4001)?;
    /// assert!((rates[3999] - 6.987712e-4).abs() < 1e-9 && rates[4000] < rates[3999]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if the model size or the warm-up is 0.
    pub fn noam(model_size: usize, warmup: usize) -> Result<Self, Error> {
        check_count("noam", "the model size", model_size)?;
        check_count("noam", "the warm-up", warmup)?;
        Ok(Self::new(Noam { size: model_size, warmup }, Unit::Step))
    }
}

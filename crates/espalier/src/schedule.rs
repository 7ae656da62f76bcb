//! Learning-rate schedules as functions of time.

use crate::error::Error;

/// A rate over time, relative to the rate it starts from.
///
/// The unit of time is the caller's: steps or epochs.
///
/// ```
/// use espalier::schedule::Schedule;
/// let schedule = Schedule::multi_step(&[10, 20], 0.1)?;
/// assert_eq!(schedule.rate(0.5, 9), 0.5);
/// assert!((schedule.rate(0.5, 10) - 0.05).abs() < 1e-15);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Constant,
    MultiStep { milestones: Vec<usize>, gamma: f64 },
}

impl Schedule {
    /// The base rate at all times.
    pub fn constant() -> Self {
        Self(Kind::Constant)
    }

    /// `base * gamma^(number of milestones <= t)`; a milestone given twice counts twice.
    /// `torch.optim.lr_scheduler.MultiStepLR`.
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] if `gamma` is not finite and positive.
    pub fn multi_step(milestones: &[usize], gamma: f64) -> Result<Self, Error> {
        if !(gamma.is_finite() && gamma > 0.0) {
            return Err(Error::Schedule {
                schedule: "multi_step",
                reason: format!("gamma is a positive number, found {gamma}"),
            });
        }
        let mut milestones = milestones.to_vec();
        milestones.sort_unstable();
        Ok(Self(Kind::MultiStep { milestones, gamma }))
    }

    /// The rate at time `t` for a base rate.
    pub fn rate(&self, base: f64, t: usize) -> f64 {
        match &self.0 {
            Kind::Constant => base,
            Kind::MultiStep { milestones, gamma } => {
                let passed = milestones.partition_point(|milestone| *milestone <= t);
                // Multiplied one at a time, as PyTorch does, for the same rounding.
                (0..passed).fold(base, |rate, _| rate * gamma)
            }
        }
    }
}

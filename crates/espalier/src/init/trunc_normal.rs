//! The normal distribution between two bounds.

use std::f64::consts::{PI, SQRT_2};

use super::{InitError, Rng, expect};

/// Draws by rejection from whichever proposal is accepted most often (Robert, "Simulation of
/// truncated normal variables", Statistics and Computing 5, 1995), so that bounds far out in a tail
/// cost a few draws, not millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct TruncNormal {
    mean: f64,
    std: f64,
    low: f64,
    high: f64,
    proposal: Proposal,
    /// Whether the interval lies below the mean: drawn above it, then reflected.
    reflected: bool,
}

/// What is proposed, in standard deviations from the mean.
#[derive(Debug, Clone, Copy)]
enum Proposal {
    /// The normal distribution itself.
    Normal { low: f64, high: f64 },
    /// Uniform between the bounds; `peak` is where the density is greatest.
    Uniform { low: f64, high: f64, peak: f64 },
    /// Exponential above `low`.
    Tail { low: f64, high: f64, rate: f64 },
}

impl TruncNormal {
    pub(super) fn new(mean: f64, std: f64, low: f64, high: f64) -> Result<Self, InitError> {
        expect(mean.is_finite(), "a finite mean", mean)?;
        expect(std > 0.0 && std.is_finite(), "a standard deviation above 0", std)?;
        expect(low < high, "a lower bound below the upper", format!("{low} and {high}"))?;
        let (below, above) = ((low - mean) / std, (high - mean) / std);
        let reflected = above < 0.0;
        let (from, to) = if reflected { (-above, -below) } else { (below, above) };
        // So far out nothing but the near bound is left, even where it overflows.
        let from = from.min(f64::MAX / 4.0);
        let proposal = if from <= 0.0 {
            // The mean lies between the bounds: the wider they are, the better the normal does.
            if to - from > (2.0 * PI).sqrt() {
                Proposal::Normal { low: from, high: to }
            } else {
                Proposal::Uniform { low: from, high: to, peak: 0.0 }
            }
        } else {
            let root = from.hypot(2.0);
            let rate = f64::midpoint(from, root);
            // `2 exp(1/2) / (a + root) * exp((a^2 - a root) / 4)`, written without overflow.
            let width = (0.5 + from * (from - root) / 4.0).exp() / rate;
            if to - from > width {
                Proposal::Tail { low: from, high: to, rate }
            } else {
                Proposal::Uniform { low: from, high: to, peak: from }
            }
        };
        Ok(Self { mean, std, low, high, proposal, reflected })
    }

    pub(super) fn sample(&self, rng: &mut Rng) -> f64 {
        let drawn = loop {
            match self.proposal {
                Proposal::Normal { low, high } => {
                    let z = rng.normal();
                    if (low..=high).contains(&z) {
                        break z;
                    }
                }
                Proposal::Uniform { low, high, peak } => {
                    let z = low + (high - low) * rng.uniform();
                    // `(peak^2 - z^2) / 2` without the difference of two large numbers.
                    if rng.uniform() <= ((peak - z) / SQRT_2 * ((peak + z) / SQRT_2)).exp() {
                        break z;
                    }
                }
                Proposal::Tail { low, high, rate } => {
                    // `1 - u` is never 0, of which there is no logarithm.
                    let z = low - (1.0 - rng.uniform()).ln() / rate;
                    if z <= high && rng.uniform() <= (-(z - rate).powi(2) / 2.0).exp() {
                        break z;
                    }
                }
            }
        };
        let drawn = if self.reflected { -drawn } else { drawn };
        // Rounding may step over a bound.
        (self.mean + self.std * drawn).clamp(self.low, self.high)
    }
}

//! How much is pruned when.

use super::{Amount, ScheduleFault};

/// The sparsity to prune to, by step: one-shot, in equal rounds, or along a cubic.
///
/// A step is whatever the loop counts, batches or epochs.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::prune::{L1Unstructured, PruningSchedule};
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(10, 10).init(&Device::default()));
/// let schedule = PruningSchedule::cubic(100, 500, 100).target_sparsity(0.8)?;
/// for step in 0..1000 {
///     // A step of training goes here.
///     if let Some(amount) = schedule.at(step) {
///         net.prune_global("*weight", L1Unstructured::new(amount))?;
///     }
/// }
/// assert_eq!(net.sparsity("weight")?, 0.8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruningSchedule {
    plan: Rounds,
    target: f64,
}

/// When a schedule prunes, before it is known how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounds {
    begin: usize,
    frequency: usize,
    /// After the first.
    last: usize,
    is_cubic: bool,
    initial: f64,
}

impl PruningSchedule {
    /// Once, at step `at`.
    pub fn one_shot(at: usize) -> Rounds {
        Rounds { begin: at, frequency: 1, last: 0, is_cubic: false, initial: 0.0 }
    }

    /// In `rounds` rounds from step `begin`, every `frequency` steps, each of which leaves the same
    /// fraction of what the one before it left. With rewinding, this finds lottery tickets (Frankle
    /// and Carbin, 2019).
    pub fn iterative(begin: usize, rounds: usize, frequency: usize) -> Rounds {
        let last = rounds.saturating_sub(1);
        Rounds { begin, frequency, last, is_cubic: false, initial: 0.0 }
    }

    /// From step `begin` to step `end`, every `frequency` steps, quickly at first:
    /// `s_t = s_f + (s_i - s_f) (1 - (t - begin) / (end - begin))^3` (Zhu and Gupta, "To prune, or not
    /// to prune", 2017). The last round is the last that is not after `end`, and has the final
    /// sparsity.
    pub fn cubic(begin: usize, end: usize, frequency: usize) -> Rounds {
        let last = end.saturating_sub(begin) / frequency.max(1);
        Rounds { begin, frequency, last, is_cubic: true, initial: 0.0 }
    }

    /// The amount to prune after step `step`, none where no round is due.
    pub fn at(&self, step: usize) -> Option<Amount> {
        self.sparsity_at(step).map(Amount::until)
    }

    /// The sparsity to prune to after step `step`, none where no round is due.
    ///
    /// ```
    /// use espalier::prune::PruningSchedule;
    /// let halves = PruningSchedule::iterative(0, 3, 10).amount(0.5)?;
    /// let found: Vec<_> = (0..40).filter_map(|step| halves.sparsity_at(step)).collect();
    /// assert_eq!(found, [0.5, 0.75, 0.875]);
    /// # Ok::<(), espalier::prune::ScheduleFault>(())
    /// ```
    pub fn sparsity_at(&self, step: usize) -> Option<f64> {
        let Rounds { begin, frequency, last, is_cubic, initial } = self.plan;
        let since = step.checked_sub(begin)?;
        let round = since / frequency;
        if since % frequency != 0 || round > last {
            return None;
        }
        if round == last {
            return Some(self.target);
        }
        if is_cubic {
            let done = round as f64 / last as f64;
            return Some(self.target + (initial - self.target) * (1.0 - done).powi(3));
        }
        // What is left shrinks by the same factor each round.
        let (first, end) = (1.0 - initial, 1.0 - self.target);
        let kept = if first > 0.0 { end / first } else { 0.0 };
        Some(1.0 - first * kept.powf((round + 1) as f64 / (last + 1) as f64))
    }

    /// The sparsity after the last round.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// The steps after which a round is due, and the sparsity it prunes to.
    pub fn rounds(&self) -> impl Iterator<Item = (usize, f64)> {
        let schedule = *self;
        (0..=self.plan.last).filter_map(move |round| {
            let step = schedule.plan.begin + round * schedule.plan.frequency;
            Some((step, schedule.sparsity_at(step)?))
        })
    }
}

impl Rounds {
    /// The sparsity that the network has already when the schedule begins.
    pub fn initial_sparsity(mut self, initial: f64) -> Self {
        self.initial = initial;
        self
    }

    /// Each round prunes this fraction of what is left. For a cubic schedule there is no such
    /// fraction.
    ///
    /// # Errors
    ///
    /// [`ScheduleFault`] for a fraction outside `[0, 1]`, a frequency of zero, or a cubic schedule.
    pub fn amount(self, amount: f64) -> Result<PruningSchedule, ScheduleFault> {
        if self.is_cubic {
            return Err(ScheduleFault::Cubic);
        }
        check("amount", amount)?;
        check("initial sparsity", self.initial)?;
        let target = 1.0 - (1.0 - self.initial) * (1.0 - amount).powi(self.last as i32 + 1);
        self.target_sparsity(target)
    }

    /// Each round prunes `amount` of what is left, and the last one ends at `target`: for a check
    /// that they agree.
    ///
    /// # Errors
    ///
    /// As [`amount`](Self::amount), and [`ScheduleFault::Contradiction`] if the rounds end elsewhere.
    ///
    /// ```
    /// use espalier::prune::PruningSchedule;
    /// let rounds = PruningSchedule::iterative(0, 2, 1);
    /// assert!(rounds.amount_and_target(0.5, 0.75).is_ok());
    /// assert_eq!(
    ///     rounds.amount_and_target(0.5, 0.9).unwrap_err().to_string(),
    ///     "2 rounds of amount 0.5 end at a sparsity of 0.75, not at the target 0.9; leave one out"
    /// );
    /// ```
    pub fn amount_and_target(
        self,
        amount: f64,
        target: f64,
    ) -> Result<PruningSchedule, ScheduleFault> {
        let schedule = self.amount(amount)?;
        if (schedule.target - target).abs() > 1e-9 {
            return Err(ScheduleFault::Contradiction {
                rounds: self.last + 1,
                amount,
                ends: schedule.target,
                target,
            });
        }
        Ok(schedule)
    }

    /// The last round ends at this sparsity.
    ///
    /// # Errors
    ///
    /// [`ScheduleFault`] for a sparsity outside `[0, 1]` or below the initial one, or a frequency of
    /// zero.
    pub fn target_sparsity(self, target: f64) -> Result<PruningSchedule, ScheduleFault> {
        check("target sparsity", target)?;
        check("initial sparsity", self.initial)?;
        if self.frequency == 0 {
            return Err(ScheduleFault::Frequency);
        }
        if target < self.initial {
            return Err(ScheduleFault::Backwards { initial: self.initial, target });
        }
        Ok(PruningSchedule { plan: self, target })
    }
}

fn check(what: &'static str, found: f64) -> Result<(), ScheduleFault> {
    if (0.0..=1.0).contains(&found) { Ok(()) } else { Err(ScheduleFault::Range { what, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cubic_of_zhu_and_gupta() {
        let schedule =
            PruningSchedule::cubic(10, 50, 10).initial_sparsity(0.2).target_sparsity(0.9).unwrap();
        let rounds: Vec<(usize, f64)> = schedule.rounds().collect();
        let expected = [0.0, 0.25, 0.5, 0.75, 1.0].map(|t: f64| 0.9 - 0.7 * (1.0 - t).powi(3));
        assert_eq!(rounds.len(), 5);
        for ((step, found), (index, expected)) in
            rounds.into_iter().zip(expected.iter().enumerate())
        {
            assert_eq!(step, 10 + 10 * index);
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!((schedule.at(9), schedule.at(15), schedule.at(60)), (None, None, None));
    }

    #[test]
    fn one_shot_and_ends() {
        let once = PruningSchedule::one_shot(3).target_sparsity(0.5).unwrap();
        assert_eq!(once.rounds().collect::<Vec<_>>(), [(3, 0.5)]);
        // The end is no multiple of the frequency: the last round before it is the last.
        let odd = PruningSchedule::cubic(0, 25, 10).target_sparsity(0.5).unwrap();
        assert_eq!(odd.rounds().last(), Some((20, 0.5)));
        let all = PruningSchedule::iterative(0, 2, 1).target_sparsity(1.0).unwrap();
        assert_eq!(all.rounds().collect::<Vec<_>>(), [(0, 1.0), (1, 1.0)]);
    }

    #[test]
    fn wrong_options_are_refused() {
        let text = |result: Result<PruningSchedule, ScheduleFault>| result.unwrap_err().to_string();
        let cubic = PruningSchedule::cubic(0, 10, 1);
        assert_eq!(
            text(cubic.target_sparsity(1.5)),
            "target sparsity: expected 0.0..=1.0, found 1.5"
        );
        assert_eq!(
            text(cubic.amount(0.5)),
            "a cubic schedule has no amount for a round; give its target sparsity"
        );
        assert_eq!(
            text(PruningSchedule::cubic(0, 10, 0).target_sparsity(0.5)),
            "frequency: expected at least 1, found 0"
        );
        assert_eq!(
            text(cubic.initial_sparsity(0.6).target_sparsity(0.5)),
            "a schedule prunes more and more: initial sparsity 0.6, target sparsity 0.5"
        );
    }
}

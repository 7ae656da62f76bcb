//! How much to prune.

use espalier_kernels::count_to_prune;

use super::AmountError;

/// How much to prune, of what is not pruned yet.
///
/// A number with a point is a fraction, one without is a count, as in PyTorch: `1.0` is all, `1` is
/// one.
///
/// ```
/// use espalier::prune::Amount;
/// assert_eq!((Amount::from(1.0).of(10)?, Amount::from(1).of(10)?), (10, 1));
/// assert_eq!(Amount::fraction(0.3).of(10)?, 3);
/// assert_eq!(Amount::count(4).of(10)?, 4);
/// assert!(Amount::count(11).of(10).is_err());
/// assert!(Amount::fraction(1.5).of(10).is_err());
/// # Ok::<(), espalier::prune::AmountError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Fraction(f64),
    Count(usize),
    Until(f64),
}

impl From<f64> for Amount {
    /// A fraction: PyTorch's float amount.
    fn from(fraction: f64) -> Self {
        Self::fraction(fraction)
    }
}

impl From<usize> for Amount {
    /// A number of values: PyTorch's int amount.
    fn from(count: usize) -> Self {
        Self::count(count)
    }
}

impl Amount {
    /// A fraction within `[0, 1]`, rounded half to even: PyTorch's float amount.
    pub fn fraction(fraction: f64) -> Self {
        Self(Kind::Fraction(fraction))
    }

    /// A number of values: PyTorch's int amount.
    pub fn count(count: usize) -> Self {
        Self(Kind::Count(count))
    }

    /// As many as bring the pruned ones to this fraction of all, within `[0, 1]`: nothing if so many
    /// are pruned already. For schedules, whose fractions are of the whole.
    ///
    /// ```
    /// use espalier::prune::Amount;
    /// // Of ten, two are pruned already.
    /// assert_eq!(Amount::until(0.5).of_rest(8, 10)?, 3);
    /// assert_eq!(Amount::until(0.1).of_rest(8, 10)?, 0);
    /// # Ok::<(), espalier::prune::AmountError>(())
    /// ```
    pub fn until(sparsity: f64) -> Self {
        Self(Kind::Until(sparsity))
    }

    /// The number of values to prune out of `available`, none of which is pruned.
    ///
    /// # Errors
    ///
    /// [`AmountError::Fraction`] outside `[0, 1]`, [`AmountError::Count`] above `available`.
    pub fn of(self, available: usize) -> Result<usize, AmountError> {
        self.of_rest(available, available)
    }

    /// The number of values to prune where `available` of `total` are left.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn of_rest(self, available: usize, total: usize) -> Result<usize, AmountError> {
        match self.0 {
            Kind::Fraction(found) | Kind::Until(found) if !(0.0..=1.0).contains(&found) => {
                Err(AmountError::Fraction { found })
            }
            Kind::Fraction(fraction) => Ok(count_to_prune(fraction, available)),
            Kind::Until(fraction) => {
                Ok((count_to_prune(fraction, total) + available).saturating_sub(total))
            }
            Kind::Count(asked) if asked <= available => Ok(asked),
            Kind::Count(asked) => Err(AmountError::Count { asked, available }),
        }
    }
}

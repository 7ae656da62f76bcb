//! The generator that initial values come from.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A seeded generator on the host, the same on every machine and thread count.
///
/// Burn's CPU backend has one generator for the whole process, which tests and data loaders
/// disturb; initial values, shuffles and masks come from this one.
///
/// ```
/// use espalier_kernels::Rng;
/// assert_eq!(Rng::seeded(7).uniform().to_bits(), Rng::seeded(7).uniform().to_bits());
/// assert_ne!(Rng::stream(7, 1).uniform().to_bits(), Rng::stream(7, 2).uniform().to_bits());
/// ```
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The generator for a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One of many independent generators for a seed: an epoch's, a parameter's.
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut rng = Self::seeded(seed);
        rng.0.set_stream(stream);
        rng
    }

    /// A number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A number from the normal distribution with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// A whole number below `bound` (0 if `bound` is 0).
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Rng::seeded(4).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}

//! What goes of stretches, once it is known.

use super::bits::{Bits, WORD};
use super::keys::{Key, below};
use super::stretch::{Fineness, Stretch};
use crate::vectors::vectorized;

/// What goes of a stretch.
///
/// See [`LowestSearch`](crate::LowestSearch) for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub(crate) below: usize,
    pub(crate) ties: usize,
    pub(crate) take: usize,
}

impl Share {
    /// The number of positions that go.
    pub fn pruned(&self) -> usize {
        self.below + self.take
    }
}

/// The greatest score that goes.
///
/// See [`LowestSearch`](crate::LowestSearch) for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub(crate) fineness: Fineness,
    pub(crate) key: u64,
}

impl Cut {
    /// The magnitude; of no meaning for random numbers.
    pub fn threshold(&self) -> f64 {
        self.fineness.magnitude(self.key)
    }

    /// Clears what goes of a stretch.
    ///
    /// # Panics
    ///
    /// If there is not one bit for each position.
    pub fn clear(&self, stretch: &Stretch<'_>, share: &Share, kept: &mut Bits) {
        assert_eq!(stretch.len(), kept.len(), "one bit for each position");
        match self.fineness {
            Fineness::Double => self.clear_by::<u64>(stretch, share, kept),
            _ => self.clear_by::<u32>(stretch, share, kept),
        }
    }

    fn clear_by<K: Key>(&self, stretch: &Stretch<'_>, share: &Share, kept: &mut Bits) {
        let key = K::from_u64(self.key);
        let bound = if share.take == share.ties { key.next() } else { key };
        let mut left = if share.take == share.ties { 0 } else { share.take };
        vectorized(
            #[inline(always)]
            || {
                stretch.blocks(
                    self.fineness,
                    #[inline(always)]
                    |from, keys: &[K]| {
                        let words = kept.words[from / WORD..].iter_mut();
                        for (word, keys) in words.zip(keys.chunks(WORD)) {
                            *word &= !below(keys, bound);
                            if left > 0 {
                                for (at, _) in keys.iter().enumerate().filter(|(_, k)| **k == key) {
                                    *word &= !(u64::from(left > 0) << at);
                                    left = left.saturating_sub(1);
                                }
                            }
                        }
                    },
                );
            },
        );
    }
}

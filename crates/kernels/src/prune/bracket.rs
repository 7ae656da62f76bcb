//! Scores that the cut is among: where stretches stand to them, and from that the cut.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::keys::{BLOCK, Key, Near};
use super::share::{Cut, Share};
use super::stretch::{DIGIT, Fineness, Stretch};
use crate::vectors::vectorized;

/// Keys that are looked through if one of them is to be noted.
const FEW: usize = 16;

/// Scores that the one at which pruning ends is among, or is thought to be.
///
/// Every stretch is looked at once ([`place`](Self::place)): what is below is counted, what is among them is noted,
/// in 64 MiB at most. From that the [`cut`](Self::cut) follows to the bit.
///
/// See [`LowestSearch`](crate::LowestSearch) for an example, and [`Sample`](crate::Sample) for another.
#[derive(Debug)]
pub struct Bracket {
    fineness: Fineness,
    /// How many go of all.
    count: usize,
    low: u64,
    high: u64,
    noted: AtomicUsize,
}

/// Where a stretch stands to the cut.
///
/// See [`LowestSearch`](crate::LowestSearch) for an example.
#[derive(Debug, Clone)]
pub struct Places {
    below: usize,
    /// Those within the bracket.
    ties: usize,
    zeros: usize,
    saw_nan: bool,
    /// The keys within it, unless they are all the same.
    near: Near,
}

impl Places {
    /// Positions whose score is zero.
    pub fn zeros(&self) -> usize {
        self.zeros
    }

    /// Whether a NaN was among the magnitudes.
    ///
    /// ```
    /// use espalier_kernels::{Fineness, Sample, Stretch, Values};
    /// let stretch = Stretch::Magnitude(Values::F32(&[1.0, f32::NAN]));
    /// let mut sample = Sample::new(Fineness::Single);
    /// sample.add(&stretch);
    /// assert_eq!(sample.bracket(1, 2).map(|bracket| bracket.place(&stretch).saw_nan()), Some(true));
    /// ```
    pub fn saw_nan(&self) -> bool {
        self.saw_nan
    }
}

impl Bracket {
    pub(crate) fn new(fineness: Fineness, count: usize, keys: RangeInclusive<u64>) -> Self {
        let noted = AtomicUsize::new(0);
        Self { fineness, count, low: *keys.start(), high: *keys.end(), noted }
    }

    /// Where a stretch stands to it.
    pub fn place(&self, stretch: &Stretch<'_>) -> Places {
        match self.fineness {
            Fineness::Double => self.place_by::<u64>(stretch),
            _ => self.place_by::<u32>(stretch),
        }
    }

    fn place_by<K: Key>(&self, stretch: &Stretch<'_>) -> Places {
        let (low, high) = (K::from_u64(self.low), K::from_u64(self.high));
        let notes = self.notes() && self.noted.load(Ordering::Relaxed) <= self.fineness.noted();
        let (mut zeros, mut under, mut over) = (0, 0, 0);
        let (mut greatest, mut near) = (K::default(), Vec::new());
        let mut slots = [K::default(); BLOCK];
        vectorized(
            #[inline(always)]
            || {
                stretch.blocks(
                    self.fineness,
                    #[inline(always)]
                    |_, keys: &[K]| {
                        let found = K::standing(keys, low, high);
                        (zeros, greatest) = (zeros + found.zeros, greatest.max(found.greatest));
                        (under, over) = (under + found.under, over + found.over);
                        if !notes || found.under + found.over == keys.len() {
                            return;
                        }
                        let mut n = 0;
                        for few in keys.chunks(FEW) {
                            if !K::any_within(few, low, high) {
                                continue;
                            }
                            for key in few {
                                // Each is put down, and kept if it is one: a branch would be guessed wrong.
                                if let Some(slot) = slots.get_mut(n) {
                                    *slot = *key;
                                }
                                n += usize::from((*key >= low) & (*key <= high));
                            }
                        }
                        near.extend_from_slice(&slots[..n]);
                    },
                );
            },
        );
        self.noted.fetch_add(near.len(), Ordering::Relaxed);
        Places {
            below: under,
            ties: stretch.len() - under - over,
            zeros,
            saw_nan: greatest.to_u64() > self.fineness.infinity(),
            near: K::noted(near),
        }
    }

    /// Whether keys are noted: there is nothing to tell of equal ones.
    fn notes(&self) -> bool {
        self.low < self.high
    }

    /// The cut, and for each stretch what of it goes: `places` are those of all stretches in order. `None` if it is not
    /// within the bracket, or more is than is noted.
    pub fn cut(&self, places: &mut [Places]) -> Option<(Cut, Vec<Share>)> {
        let below: usize = places.iter().map(|places| places.below).sum();
        let ties: usize = places.iter().map(|places| places.ties).sum();
        let mut take = self.count.checked_sub(below).filter(|take| *take > 0 || below == 0)?;
        if take > ties || self.notes() && self.noted.load(Ordering::Relaxed) != ties {
            return None;
        }
        let key = if self.notes() { self.nth(places, &mut take) } else { self.low };
        let mut left = take;
        let share = |places: &Places| {
            let take = left.min(places.ties);
            left -= take;
            Share { below: places.below, ties: places.ties, take }
        };
        let shares = places.iter().map(share).collect();
        Some((Cut { fineness: self.fineness, key }, shares))
    }

    /// The key of the noted one that is the `take`-th in order. Leaves the number of that one among equal ones, and
    /// places that stand to it alone.
    fn nth(&self, places: &mut [Places], take: &mut usize) -> u64 {
        let bits = u64::BITS - (self.high - self.low).leading_zeros();
        let (mut known, mut shift) = (0u64, bits.next_multiple_of(DIGIT));
        while shift > 0 {
            let above = |key: u64| key.checked_shr(shift).unwrap_or(0);
            let mut counts = vec![0; 1 << DIGIT];
            for places in &*places {
                places.near.each(|key| {
                    let key = key - self.low;
                    if above(key) == known {
                        counts[usize::from((key >> (shift - DIGIT)) as u16)] += 1;
                    }
                });
            }
            shift -= DIGIT;
            let mut digit = 0;
            while digit + 1 < counts.len() && counts[digit] < *take {
                *take -= counts[digit];
                digit += 1;
            }
            known = known << DIGIT | digit as u64;
        }
        let key = self.low + known;
        for places in places {
            let (mut below, mut ties) = (0, 0);
            places.near.each(|near| {
                below += usize::from(near < key);
                ties += usize::from(near == key);
            });
            (places.below, places.ties) = (places.below + below, ties);
            places.near = Near::default();
        }
        key
    }
}

#[cfg(test)]
mod tests;

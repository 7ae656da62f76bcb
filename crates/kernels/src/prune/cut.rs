//! Which score is the last one to be pruned, by counting keys digit by digit.

use std::sync::{Mutex, PoisonError};

use super::bits::WORD;
use super::keys::{BLOCK, Key};
use super::scores::{Candidate, Order, Scores};
use crate::pieces::{PIECE, each};

/// Keys that are collected and ranked at once: another pass that counts takes longer.
const FEW: usize = 1 << 14;

/// Values of a digit.
const BINS: usize = 1 << 16;

/// Histograms that take turns: equal keys after each other would wait for one another.
const TURNS: usize = 2;

/// Where pruning ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutAt<K> {
    /// The last key that is pruned.
    pub(crate) key: K,
    /// Positions with this key.
    pub(crate) ties: usize,
    /// How many of them are pruned.
    pub(crate) take: usize,
}

/// Positions of a candidate whose keys are made one block after the other.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) scores: &'a Scores<'a>,
    pub(crate) order: Order,
    /// The first position.
    pub(crate) start: usize,
    /// The position after the last one.
    pub(crate) end: usize,
}

impl<'a> Part<'a> {
    /// The parts of a tensor of `n` positions, each of [`PIECE`] at most.
    pub(crate) fn all(
        scores: &'a Scores<'a>,
        order: Order,
        n: usize,
    ) -> impl Iterator<Item = Self> {
        (0..n).step_by(PIECE).map(move |start| Self {
            scores,
            order,
            start,
            end: n.min(start + PIECE),
        })
    }

    /// Does `act` on the keys of each block and the first of their positions, with its words.
    /// Blocks that nothing is kept of are left out.
    #[inline(always)]
    pub(crate) fn blocks<K: Key, W: AsRef<[u64]>>(
        &self,
        words: impl Iterator<Item = W>,
        mut act: impl FnMut(usize, &[K], W),
    ) {
        let mut buffer = [K::default(); BLOCK];
        for (start, words) in (self.start..self.end).step_by(BLOCK).zip(words) {
            if words.as_ref().iter().all(|word| *word == 0) {
                continue;
            }
            let keys = &mut buffer[..BLOCK.min(self.end - start)];
            K::fill(self.scores, self.order, start, keys);
            act(start, keys, words);
        }
    }
}

/// Does `act` on the kept keys, each with the one after it if there is one.
#[inline(always)]
fn kept<K: Key>(keys: &[K], words: &[u64], mut act: impl FnMut(&[K])) {
    for (word, keys) in words.iter().zip(keys.chunks(WORD)) {
        if *word == u64::MAX {
            keys.chunks(TURNS).for_each(&mut act);
        } else {
            let mut left = *word;
            while left != 0 {
                let at = left.trailing_zeros() as usize;
                act(&keys[at..=at]);
                left &= left - 1;
            }
        }
    }
}

/// Does `act` on the parts of all candidates, with the words of each.
fn read(candidates: &[Candidate<'_>], act: impl Fn(Part<'_>, &[u64]) + Sync + Send) {
    let tasks = candidates.iter().flat_map(|candidate| {
        let kept = &*candidate.kept;
        Part::all(&candidate.scores, candidate.order, kept.len())
            .zip(kept.words().chunks(PIECE / WORD))
    });
    each(positions(candidates), tasks, |(part, words)| act(part, words));
}

/// Positions of all candidates.
pub(crate) fn positions(candidates: &[Candidate<'_>]) -> usize {
    candidates.iter().map(|candidate| candidate.kept.len()).sum()
}

/// The greatest kept key.
pub(crate) fn greatest<K: Key>(candidates: &[Candidate<'_>]) -> K {
    let greatest = Mutex::new(K::default());
    read(candidates, |part, words| {
        let mut here = K::default();
        part.blocks(words.chunks(BLOCK / WORD), |_, keys: &[K], words: &[u64]| {
            kept(keys, words, |keys| here = keys.iter().fold(here, |a, b| a.max(*b)));
        });
        let mut greatest = greatest.lock().unwrap_or_else(PoisonError::into_inner);
        *greatest = here.max(*greatest);
    });
    greatest.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Where pruning ends if `count` of the `kept > count > 0` positions go.
pub(crate) fn cut_at<K: Key>(candidates: &[Candidate<'_>], kept: usize, count: usize) -> CutAt<K> {
    // Known of the key: its bits from `shift` on. `ties` positions have these, the key is the
    // `take`-th of them.
    let (mut key, mut shift) = (K::default(), K::BITS);
    let (mut ties, mut take) = (kept, count);
    while shift > 0 {
        if ties <= FEW {
            let mut keys = with_prefix(candidates, key, shift);
            let (_, found, _) = keys.select_nth_unstable(take - 1);
            let key = *found;
            let lower = keys.iter().filter(|other| **other < key).count();
            let ties = keys.iter().filter(|other| **other == key).count();
            return CutAt { key, ties, take: take - lower };
        }
        let counts = histogram(candidates, key, shift);
        let mut lower = 0;
        for (digit, count) in (0..=u16::MAX).zip(counts) {
            if lower + count >= take {
                (key, ties, take) = (key.extended(digit), count, take - lower);
                break;
            }
            lower += count;
        }
        shift -= 16;
    }
    CutAt { key, ties, take }
}

/// The kept keys that have these bits from `shift` on.
fn with_prefix<K: Key>(candidates: &[Candidate<'_>], prefix: K, shift: u32) -> Vec<K> {
    let found = Mutex::new(Vec::new());
    read(candidates, |part, words| {
        let mut here: Vec<K> = Vec::new();
        part.blocks(words.chunks(BLOCK / WORD), |_, keys: &[K], words: &[u64]| {
            kept(keys, words, |keys| {
                here.extend(keys.iter().filter(|key| key.above(shift) == prefix));
            });
        });
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(here);
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Counts that one thread at a time adds to.
struct Counts {
    turns: Vec<[u32; BINS]>,
    /// Positions seen: so many never overflow a count.
    seen: usize,
}

impl Counts {
    fn new() -> Self {
        Self { turns: vec![[0; BINS]; TURNS], seen: 0 }
    }

    /// Counts the next 16 bits of the kept keys that have these bits from `shift` on.
    fn add<K: Key>(&mut self, part: Part<'_>, words: &[u64], prefix: K, shift: u32) {
        let [even, odd] = &mut self.turns[..] else { return };
        let blocks = words.chunks(BLOCK / WORD);
        let digit = |key: K| usize::from(key.digit(shift - 16));
        if shift == K::BITS {
            part.blocks(blocks, |_, keys: &[K], words: &[u64]| {
                kept(keys, words, |keys| match keys {
                    [a, b] => {
                        even[digit(*a)] += 1;
                        odd[digit(*b)] += 1;
                    }
                    keys => keys.iter().for_each(|key| even[digit(*key)] += 1),
                });
            });
        } else {
            part.blocks(blocks, |_, keys: &[K], words: &[u64]| {
                kept(keys, words, |keys| {
                    for key in keys.iter().filter(|key| key.above(shift) == prefix) {
                        even[digit(*key)] += 1;
                    }
                });
            });
        }
        self.seen += part.end - part.start;
    }

    fn add_to(&self, sums: &mut [usize]) {
        for turn in &self.turns {
            sums.iter_mut().zip(turn).for_each(|(sum, count)| *sum += *count as usize);
        }
    }
}

/// How many kept keys with these bits from `shift` on have which ones in the next 16.
fn histogram<K: Key>(candidates: &[Candidate<'_>], prefix: K, shift: u32) -> Vec<usize> {
    // The counts that no thread adds to at the moment, and those that are full, summed.
    let idle = Mutex::new((Vec::new(), vec![0; BINS]));
    read(candidates, |part, words| {
        let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).0.pop();
        let mut counts = taken.unwrap_or_else(Counts::new);
        counts.add(part, words, prefix, shift);
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.seen < u32::MAX as usize - PIECE {
            idle.0.push(counts);
        } else {
            counts.add_to(&mut idle.1);
        }
    });
    let (counts, mut sums) = idle.into_inner().unwrap_or_else(PoisonError::into_inner);
    counts.iter().for_each(|counts| counts.add_to(&mut sums));
    sums
}

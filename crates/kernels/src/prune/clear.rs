//! Clearing everything up to a cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::bits::WORD;
use super::cut::{CutAt, Part, positions};
use super::keys::{BLOCK, Key, below};
use super::scores::{Candidate, Order};
use crate::pieces::{PIECE, each};
use crate::vectors::vectorized;

/// Does `act` on the parts of all candidates, with the words of each and one of `more`.
fn write<M: Send>(
    candidates: &mut [Candidate<'_>],
    more: impl Iterator<Item = M> + Send,
    act: impl Fn(Part<'_>, &mut [u64], M) + Sync + Send,
) {
    let n = positions(candidates);
    let parts = candidates.iter_mut().flat_map(|candidate| {
        let n = candidate.kept.len();
        Part::all(&candidate.scores, candidate.order, n)
            .zip(candidate.kept.words.chunks_mut(PIECE / WORD))
    });
    each(n, parts.zip(more), |((part, words), more)| act(part, words, more));
}

/// Clears what is below the cut, and as much of what is at it as goes.
pub(crate) fn clear_up_to<K: Key>(candidates: &mut [Candidate<'_>], cut: CutAt<K>) {
    if cut.take == cut.ties {
        let bound = cut.key.next();
        write(candidates, std::iter::repeat(()), |part, words, ()| {
            clear_below(part, words, bound);
        });
        return;
    }
    let parts = |candidate: &Candidate<'_>| candidate.kept.len().div_ceil(PIECE);
    let mut takes = vec![0; candidates.iter().map(parts).sum()];
    write(candidates, takes.iter_mut(), |part, words, ties| {
        clear_below(part, words, cut.key);
        part.blocks(words.chunks(BLOCK / WORD), |_, keys, words: &[u64]| {
            *ties += each_tie(keys, words, cut.key).map(count).sum::<usize>();
        });
    });
    // The ties that are there become those that are taken.
    let (mut left, mut rest) = (cut.take, &mut takes[..]);
    for candidate in candidates.iter_mut() {
        let (here, others) = rest.split_at_mut(parts(candidate));
        rest = others;
        let ties = here.iter().sum::<usize>();
        let order = candidate.order.plain();
        if let Order::Transposed { rows, columns, .. } = order
            && left > 0
            && left < ties
        {
            here.fill(0);
            Across { rows, columns, key: cut.key }.clear(candidate, left);
            left = 0;
        }
        for take in here {
            *take = left.min(*take);
            left -= *take;
        }
    }
    write(candidates, takes.iter(), |part, words, take| {
        if *take > 0 {
            clear_ties(part, words, cut.key, *take);
        }
    });
}

fn count(word: u64) -> usize {
    word.count_ones() as usize
}

/// For each word the kept positions that have this key.
#[inline(always)]
fn each_tie<K: Key>(keys: &[K], words: &[u64], key: K) -> impl Iterator<Item = u64> {
    let next = key.next();
    words
        .iter()
        .zip(keys.chunks(WORD))
        .map(move |(word, keys)| below(keys, next) & !below(keys, key) & word)
}

fn clear_below<K: Key>(part: Part<'_>, words: &mut [u64], bound: K) {
    part.blocks(words.chunks_mut(BLOCK / WORD), |_, keys, words| {
        vectorized(
            #[inline(always)]
            || {
                for (word, keys) in words.iter_mut().zip(keys.chunks(WORD)) {
                    *word &= !below(keys, bound);
                }
            },
        );
    });
}

/// Clears the first `take` positions that have this key.
fn clear_ties<K: Key>(part: Part<'_>, words: &mut [u64], key: K, mut take: usize) {
    part.blocks(words.chunks_mut(BLOCK / WORD), |_, keys, words| {
        for (word, keys) in words.iter_mut().zip(keys.chunks(WORD)) {
            let mut ties = each_tie(keys, &[*word], key).sum::<u64>();
            while count(ties) > take {
                ties &= !(1 << (WORD - 1 - ties.leading_zeros() as usize));
            }
            take -= count(ties);
            *word &= !ties;
        }
    });
}

/// The positions with a key in the order of columns.
struct Across<K> {
    rows: usize,
    columns: usize,
    key: K,
}

impl<K: Key> Across<K> {
    /// Clears the first `take` of them.
    fn clear(&self, candidate: &mut Candidate<'_>, take: usize) {
        let size = self.rows * self.columns;
        // In which matrix the last one is, and in which of its columns.
        let (matrix, take) = self.find(candidate, take, candidate.kept.len() / size, |i| i / size);
        let (column, mut take) = self.find(candidate, take, self.columns, |i| {
            if i / size == matrix { i % size % self.columns } else { usize::MAX }
        });
        write(std::slice::from_mut(candidate), std::iter::repeat(()), |part, words, ()| {
            part.blocks(words.chunks_mut(BLOCK / WORD), |start, keys, words| {
                for (w, (word, keys)) in words.iter_mut().zip(keys.chunks(WORD)).enumerate() {
                    let ties = each_tie(keys, &[*word], self.key).sum::<u64>();
                    for at in ones(ties) {
                        let i = start + w * WORD + at;
                        let place = (i / size, i % size % self.columns);
                        *word &= !(u64::from(place < (matrix, column)) << at);
                    }
                }
            });
        });
        let mut row = 0;
        while take > 0 && row < self.rows {
            let i = matrix * size + row * self.columns + column;
            let mut key = [K::default()];
            K::fill(&candidate.scores, candidate.order, i, &mut key);
            if key[0] == self.key && candidate.kept.get(i) {
                candidate.kept.set(i, false);
                take -= 1;
            }
            row += 1;
        }
    }

    /// In which of `groups` the `take`-th of them is, and which one of that group it is.
    fn find(
        &self,
        candidate: &mut Candidate<'_>,
        take: usize,
        groups: usize,
        group: impl Fn(usize) -> usize + Sync + Send,
    ) -> (usize, usize) {
        if groups == 1 {
            return (0, take);
        }
        let counts: Vec<AtomicUsize> = (0..groups).map(|_| AtomicUsize::new(0)).collect();
        write(std::slice::from_mut(candidate), std::iter::repeat(()), |part, words, ()| {
            part.blocks(words.chunks(BLOCK / WORD), |start, keys, words: &[u64]| {
                for (w, ties) in each_tie(keys, words, self.key).enumerate() {
                    for at in ones(ties) {
                        if let Some(count) = counts.get(group(start + w * WORD + at)) {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        });
        let mut left = take;
        for (group, count) in counts.into_iter().map(AtomicUsize::into_inner).enumerate() {
            if left <= count {
                return (group, left);
            }
            left -= count;
        }
        (groups, 0)
    }
}

/// The places of the bits that are set.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (at < WORD).then_some(at)
    })
}

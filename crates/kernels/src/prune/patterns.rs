//! Pruning line by line: `n` of every `m`, or a share of each line.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bits::{Bits, WORD};
use super::keys::Key;
use super::scores::{Order, Scores};
use crate::pieces::{PIECE, each};

/// A row-major tensor seen as `outer x length x inner`: lines run along `length`.
///
/// ```
/// use espalier_kernels::Lines;
/// // The columns of a 2 x 3 matrix.
/// assert_eq!(Lines { outer: 1, length: 2, inner: 3 }.len(), 6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// Elements of the dimensions before that of the lines, multiplied.
    pub outer: usize,
    /// Elements of a line.
    pub length: usize,
    /// Elements of the dimensions after it, multiplied.
    pub inner: usize,
}

impl Lines {
    /// Elements of the tensor.
    pub fn len(&self) -> usize {
        self.outer * self.length * self.inner
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Of every `m` positions after each other on a line only `n` stay; the others, those of lowest
/// score, are cleared.
///
/// Positions cleared before count among those that do not stay, and are the first of them. Of equal
/// scores the earlier position goes first. A shorter group at the end of a line stays as it is.
///
/// ```
/// use espalier_kernels::{Bits, Lines, Scores, Values, prune_n_of_m};
/// let mut kept = Bits::all(5);
/// let scores = Scores::Magnitude(Values::F32(&[4.0, -1.0, 2.0, 3.0, 0.0]));
/// prune_n_of_m(&scores, &mut kept, &Lines { outer: 1, length: 5, inner: 1 }, 2, 4);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [true, false, false, true, true]);
/// ```
///
/// # Panics
///
/// If `m` is 0 or less than `n`, or the lengths are not those said.
pub fn prune_n_of_m(scores: &Scores<'_>, kept: &mut Bits, lines: &Lines, n: usize, m: usize) {
    assert!(0 < m && n <= m, "n of m positions stay");
    prune(scores, kept, lines, m, |kept| kept.saturating_sub(n));
}

/// Clears in every line the positions of lowest score, `count` of the number kept in it.
///
/// Of equal scores the earlier position goes first.
///
/// ```
/// use espalier_kernels::{Bits, Lines, Scores, Values, prune_in_lines};
/// let mut kept = Bits::all(6);
/// let scores = Scores::Magnitude(Values::F32(&[1.0, 2.0, 3.0, 6.0, 5.0, 4.0]));
/// // Rows of a 2 x 3 matrix.
/// let lines = Lines { outer: 2, length: 3, inner: 1 };
/// prune_in_lines(&scores, &mut kept, &lines, |kept| kept / 3);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [false, true, true, true, true, false]);
/// ```
///
/// # Panics
///
/// If the lengths are not those said.
pub fn prune_in_lines(
    scores: &Scores<'_>,
    kept: &mut Bits,
    lines: &Lines,
    count: impl Fn(usize) -> usize + Sync,
) {
    prune(scores, kept, lines, lines.length, count);
}

/// Clears in every group of `m` as many as `count` says.
fn prune(
    scores: &Scores<'_>,
    kept: &mut Bits,
    lines: &Lines,
    m: usize,
    count: impl Fn(usize) -> usize + Sync,
) {
    assert_eq!(kept.len(), lines.len(), "as many positions as said");
    scores.check(kept.len());
    if lines.is_empty() || m > lines.length {
        return;
    }
    if scores.wide() {
        prune_by::<u64>(scores, kept, lines, m, count);
    } else {
        prune_by::<u32>(scores, kept, lines, m, count);
    }
}

/// Keys that are made together.
const TOGETHER: usize = 4096;

/// Positions of a row that are worked on together if whole ones are too many: a line of the cache.
const COLUMNS: usize = 16;

fn prune_by<K: Key>(
    scores: &Scores<'_>,
    kept: &mut Bits,
    lines: &Lines,
    m: usize,
    count: impl Fn(usize) -> usize + Sync,
) {
    // Stacks of `m` rows of `inner` positions, in `outer` runs; none begins where a shorter one is.
    let Lines { mut outer, mut length, inner } = *lines;
    if length % m == 0 {
        (outer, length) = (1, outer * length);
    }
    let (stack, stacks) = (m * inner, length / m);
    let width = if stack <= TOGETHER { inner } else { (TOGETHER / m).max(COLUMNS).min(inner) };
    // Of stacks that are narrow, many at once; of others, some columns.
    let many = if width < inner { 1 } else { (TOGETHER / stack).max(1) };
    let tasks = (0..outer).flat_map(|run| {
        (0..stacks).step_by(many).flat_map(move |first| {
            (0..inner).step_by(width).map(move |column| Block {
                start: run * length * inner + first * stack + column,
                stacks: many.min(stacks - first),
                width: width.min(inner - column),
            })
        })
    });
    // Blocks share words at their ends.
    let words: Vec<AtomicU64> = kept.words.drain(..).map(AtomicU64::new).collect();
    let each_tasks = Batches { tasks, size: (PIECE / (many * m * width)).max(1) };
    each(lines.len(), each_tasks, |blocks| {
        let mut keys: Vec<K> = Vec::new();
        let mut group = Vec::new();
        for block in blocks {
            block.fill(scores, m, inner, &mut keys);
            let mut cleared = Cleared { words: &words, word: 0, bits: 0 };
            let size = m * block.width;
            for (stack_at, keys) in keys.chunks(size).enumerate() {
                for column in 0..block.width {
                    let start = block.start + stack_at * stack + column;
                    group.clear();
                    group.extend((0..m).filter_map(|row| {
                        let i = start + row * inner;
                        let kept = words[i / WORD].load(Ordering::Relaxed) >> (i % WORD) & 1 == 1;
                        kept.then_some((keys[row * block.width + column], row))
                    }));
                    let goes = count(group.len()).min(group.len());
                    lowest_first(&mut group, goes);
                    for (_, row) in &group[..goes] {
                        cleared.clear(start + row * inner);
                    }
                }
            }
            cleared.write();
        }
    });
    kept.words.extend(words.into_iter().map(AtomicU64::into_inner));
}

/// Brings the `count` lowest ones to the front.
#[inline(always)]
fn lowest_first<K: Key>(group: &mut [(K, usize)], count: usize) {
    if count == 0 || count == group.len() {
        return;
    }
    if group.len() > 16 {
        group.select_nth_unstable(count);
        return;
    }
    // Few: each goes where it belongs.
    for i in 1..group.len() {
        let mut at = i;
        while at > 0 && group[at] < group[at - 1] {
            group.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Some columns of stacks of rows.
struct Block {
    /// The first position.
    start: usize,
    stacks: usize,
    width: usize,
}

impl Block {
    /// The keys, row by row.
    fn fill<K: Key>(&self, scores: &Scores<'_>, m: usize, inner: usize, keys: &mut Vec<K>) {
        keys.resize(self.stacks * m * self.width, K::default());
        if self.width == inner {
            return K::fill(scores, Order::Stored, self.start, keys);
        }
        for (row, keys) in keys.chunks_mut(self.width).enumerate() {
            K::fill(scores, Order::Stored, self.start + row * inner, keys);
        }
    }
}

/// Several tasks at a time: one alone is over sooner than a thread gets it.
struct Batches<I> {
    tasks: I,
    size: usize,
}

impl<I: Iterator> Iterator for Batches<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Vec<_> = self.tasks.by_ref().take(self.size).collect();
        (!batch.is_empty()).then_some(batch)
    }
}

/// Positions to clear, collected while they are in the same word.
struct Cleared<'a> {
    words: &'a [AtomicU64],
    word: usize,
    bits: u64,
}

impl Cleared<'_> {
    #[inline(always)]
    fn clear(&mut self, i: usize) {
        if i / WORD != self.word {
            self.write();
            self.word = i / WORD;
        }
        self.bits |= 1 << (i % WORD);
    }

    fn write(&mut self) {
        if self.bits != 0 {
            self.words[self.word].fetch_and(!self.bits, Ordering::Relaxed);
            self.bits = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::scores::Values;
    use crate::test::{assert_same_on_threads, numbers, single};
    use proptest::prelude::*;

    /// Group by group, by sorting.
    fn plain(
        scores: &Scores<'_>,
        kept: &Bits,
        lines: &Lines,
        m: usize,
        count: impl Fn(usize) -> usize,
    ) -> Bits {
        let mut keys = vec![0u64; kept.len()];
        Key::fill(scores, Order::Stored, 0, &mut keys);
        let mut out = kept.clone();
        for run in 0..lines.outer {
            for column in 0..lines.inner {
                let line: Vec<usize> = (0..lines.length)
                    .map(|row| (run * lines.length + row) * lines.inner + column)
                    .collect();
                for group in line.chunks_exact(m) {
                    let mut group: Vec<usize> =
                        group.iter().copied().filter(|i| kept.get(*i)).collect();
                    group.sort_by_key(|i| (keys[*i], *i));
                    let goes = count(group.len()).min(group.len());
                    group[..goes].iter().for_each(|i| out.set(*i, false));
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn as_by_sorting(
            shape in (0usize..6, 1usize..30, 1usize..8),
            n in 0usize..6,
            more in 0usize..5,
            seed in 0u64..1000,
            kind in 0u8..4,
        ) {
            let lines = Lines { outer: shape.0, length: shape.1, inner: shape.2 };
            let few: Vec<f64> =
                numbers(lines.len(), seed).iter().map(|x| (x * 6.0).round()).collect();
            let narrow = single(&few);
            let scores = match kind {
                0 => Scores::Magnitude(Values::F32(&narrow)),
                1 => Scores::Magnitude(Values::F64(&few)),
                2 => Scores::Product(Values::F32(&narrow), Values::F64(&few)),
                _ => Scores::Random { seed },
            };
            let before: Bits = numbers(lines.len(), seed + 1).iter().map(|x| *x < 0.3).collect();
            let m = (n + more).max(1);
            let mut found = before.clone();
            prune_n_of_m(&scores, &mut found, &lines, n, m);
            let expected = plain(&scores, &before, &lines, m, |kept| kept.saturating_sub(n));
            prop_assert_eq!(&found, &expected);
            let mut found = before.clone();
            prune_in_lines(&scores, &mut found, &lines, |kept| kept / 3);
            let expected = plain(&scores, &before, &lines, lines.length, |kept| kept / 3);
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn large_ones_on_any_threads() {
        for (outer, length, inner) in [
            (1, 600, 500),
            (500, 600, 1),
            (70, 70, 70),
            (3, 100_000, 1),
            (1, 100_000, 3),
            (2, 5000, 33),
            (1, 9, 40_001),
        ] {
            let lines = Lines { outer, length, inner };
            let x = single(&numbers(lines.len(), 5));
            let scores = Scores::Magnitude(Values::F32(&x));
            let before = Bits::collect(x.len(), (0..x.len()).map(|i| i % 17 != 3));
            let run = || {
                let (mut groups, mut whole) = (before.clone(), before.clone());
                prune_n_of_m(&scores, &mut groups, &lines, 2, 4);
                prune_in_lines(&scores, &mut whole, &lines, |kept| kept / 2);
                (groups, whole)
            };
            let expected = (
                plain(&scores, &before, &lines, 4, |kept| kept.saturating_sub(2)),
                plain(&scores, &before, &lines, length, |kept| kept / 2),
            );
            assert!(run() == expected, "{lines:?}");
            assert_same_on_threads(run);
        }
    }

    #[test]
    #[should_panic(expected = "n of m positions stay")]
    fn more_than_there_are_cannot_stay() {
        let scores = Scores::Random { seed: 0 };
        let lines = Lines { outer: 1, length: 4, inner: 1 };
        prune_n_of_m(&scores, &mut Bits::all(4), &lines, 3, 2);
    }
}

//! Which positions are kept: one bit for each.

use std::fmt;
use std::ops::Range;

/// Bits in a word.
pub(crate) const WORD: usize = 64;

/// One bit for each position of a tensor, set where it is kept.
///
/// A mask of floats takes as much memory as the tensor; this takes a 32nd of it for `f32`.
///
/// ```
/// use espalier_kernels::Bits;
/// let mut kept = Bits::all(100);
/// kept.set(7, false);
/// assert!(!kept.get(7) && kept.get(8));
/// assert_eq!(kept.count(), 99);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bits {
    /// The bits from the lowest one on. Those beyond `len` are clear.
    pub(crate) words: Vec<u64>,
    len: usize,
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({} of {} kept)", self.count(), self.len)
    }
}

impl Bits {
    /// Every one of `len` positions kept.
    pub fn all(len: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; len.div_ceil(WORD)], len };
        if let Some(last) = bits.words.last_mut() {
            *last &= last_word(len);
        }
        bits
    }

    /// None of `len` positions kept.
    pub fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(WORD)], len }
    }

    /// What `kept` says of the first `len` positions; those it says nothing of are not kept.
    ///
    /// ```
    /// use espalier_kernels::Bits;
    /// let kept = Bits::collect(3, [1.0, 0.0, 2.0].iter().map(|mask| *mask != 0.0));
    /// assert_eq!(kept.iter().collect::<Vec<_>>(), [true, false, true]);
    /// ```
    pub fn collect(len: usize, kept: impl Iterator<Item = bool>) -> Self {
        let mut bits = Self::none(len);
        let mut kept = kept.take(len);
        for word in &mut bits.words {
            for (at, kept) in kept.by_ref().take(WORD).enumerate() {
                *word |= u64::from(kept) << at;
            }
        }
        bits
    }

    /// The bits of these words, from the lowest one on: what [`words`](Self::words) gave.
    ///
    /// `None` if there are not as many words as `len` takes, or bits beyond it are set.
    ///
    /// ```
    /// use espalier_kernels::Bits;
    /// assert_eq!(Bits::from_words(vec![0b101], 3).map(|bits| bits.count()), Some(2));
    /// assert_eq!(Bits::from_words(vec![0b1101], 3), None);
    /// ```
    pub fn from_words(words: Vec<u64>, len: usize) -> Option<Self> {
        let fits = words.len() == len.div_ceil(WORD)
            && words.last().is_none_or(|last| last & !last_word(len) == 0);
        fits.then_some(Self { words, len })
    }

    /// The number of positions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether position `i` is kept.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        assert!(i < self.len, "position {i} of {}", self.len);
        self.words[i / WORD] >> (i % WORD) & 1 == 1
    }

    /// Says whether position `i` is kept.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    #[inline]
    pub fn set(&mut self, i: usize, kept: bool) {
        assert!(i < self.len, "position {i} of {}", self.len);
        let word = &mut self.words[i / WORD];
        *word = *word & !(1 << (i % WORD)) | u64::from(kept) << (i % WORD);
    }

    /// The number of positions kept.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether each position is kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|i| self.words[i / WORD] >> (i % WORD) & 1 == 1)
    }

    /// Keeps only what `other` keeps too.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn and(&mut self, other: &Self) {
        assert_eq!(self.len, other.len, "as many positions");
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// The words: the bits from the lowest one on, those beyond the last position clear.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bits of row-major `rows x columns` matrices, one after the other, as those of their
    /// transposes.
    ///
    /// ```
    /// use espalier_kernels::Bits;
    /// // 1 1 0
    /// // 0 0 1
    /// let kept: Bits = [true, true, false, false, false, true].into_iter().collect();
    /// let expected: Bits = [true, false, true, false, false, true].into_iter().collect();
    /// assert_eq!(kept.transposed(1, 2, 3), expected);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are not as many positions.
    pub fn transposed(&self, batch: usize, rows: usize, columns: usize) -> Self {
        assert_eq!(self.len, batch * rows * columns, "as many positions");
        if rows <= 1 || columns <= 1 {
            return self.clone();
        }
        let mut out = Self::none(self.len);
        let size = rows * columns;
        for start in (0..self.len).step_by(size) {
            if size <= 4 * WORD {
                for i in (0..size).filter(|i| self.read(start + i) & 1 == 1) {
                    out.or(start + i % columns * rows + i / columns, 1);
                }
                continue;
            }
            for row in (0..rows).step_by(WORD) {
                let height = WORD.min(rows - row);
                for column in (0..columns).step_by(WORD) {
                    let width = WORD.min(columns - column);
                    let mut tile = [0; WORD];
                    for (i, word) in tile[..height].iter_mut().enumerate() {
                        *word = self.read(start + (row + i) * columns + column) & last_word(width);
                    }
                    transpose(&mut tile);
                    for (j, word) in tile[..width].iter().enumerate() {
                        out.or(start + (column + j) * rows + row, *word);
                    }
                }
            }
        }
        out
    }

    /// The bits from position `i` on, as far as a word has places.
    #[inline(always)]
    fn read(&self, i: usize) -> u64 {
        let (word, shift) = (i / WORD, i % WORD);
        let next = self.words.get(word + 1).map_or(0, |next| next << 1 << (WORD - 1 - shift));
        self.words[word] >> shift | next
    }

    /// Sets the bits of `word` from position `i` on.
    #[inline(always)]
    fn or(&mut self, i: usize, word: u64) {
        let (at, shift) = (i / WORD, i % WORD);
        self.words[at] |= word << shift;
        if let Some(next) = self.words.get_mut(at + 1) {
            *next |= word >> 1 >> (WORD - 1 - shift);
        }
    }

    /// Whether any of these positions is kept.
    pub(crate) fn any(&self, range: Range<usize>) -> bool {
        in_words(range).any(|(word, bits)| self.words[word] & bits != 0)
    }

    /// Clears these positions.
    pub(crate) fn clear(&mut self, range: Range<usize>) {
        in_words(range).for_each(|(word, bits)| self.words[word] &= !bits);
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(kept: I) -> Self {
        let (mut words, mut len) = (Vec::new(), 0);
        for kept in kept {
            if len % WORD == 0 {
                words.push(0);
            }
            if let Some(last) = words.last_mut() {
                *last |= u64::from(kept) << (len % WORD);
            }
            len += 1;
        }
        Self { words, len }
    }
}

/// The bits of the last word that stand for positions, if there are `len > 0` in all.
fn last_word(len: usize) -> u64 {
    u64::MAX >> ((WORD - len % WORD) % WORD)
}

/// The words that these positions lie in, and the bits of each.
fn in_words(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let words = if range.is_empty() { 0..0 } else { range.start / WORD..range.end.div_ceil(WORD) };
    words.map(move |word| {
        let from = range.start.saturating_sub(word * WORD);
        let to = (range.end - word * WORD).min(WORD);
        (word, u64::MAX << from & last_word(to))
    })
}

/// Transposes 64 x 64 bits: halves of halves change places.
fn transpose(tile: &mut [u64; WORD]) {
    let (mut size, mut low) = (WORD / 2, u64::MAX >> (WORD / 2));
    while size > 0 {
        for pair in tile.chunks_exact_mut(2 * size) {
            let (first, second) = pair.split_at_mut(size);
            for (a, b) in first.iter_mut().zip(second) {
                let differ = (*a >> size ^ *b) & low;
                *a ^= differ << size;
                *b ^= differ;
            }
        }
        size /= 2;
        low ^= low << size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn transposes_of_every_kind_of_shape() {
        for [batch, rows, columns] in
            [[1, 1, 9], [3, 4, 5], [2, 64, 64], [1, 65, 130], [3, 70, 9], [2, 9, 70], [5, 200, 131]]
        {
            let n = batch * rows * columns;
            let bits = Bits::collect(n, (0..n).map(|i| i * i % 7 < 3));
            let found = bits.transposed(batch, rows, columns);
            for i in 0..n {
                let (b, row, column) = (i / rows / columns, i / columns % rows, i % columns);
                assert_eq!(bits.get(i), found.get((b * columns + column) * rows + row));
            }
            assert_eq!(found.transposed(batch, columns, rows), bits);
        }
    }

    #[test]
    fn debug_is_short() {
        assert_eq!(format!("{:?}", Bits::all(70)), "Bits(70 of 70 kept)");
    }

    proptest! {
        #[test]
        fn bits_are_the_booleans(
            kept in prop::collection::vec(any::<bool>(), 0..300),
            ends in (0usize..300, 0usize..300),
        ) {
            let n = kept.len();
            let bits: Bits = kept.iter().copied().collect();
            prop_assert_eq!(bits.len(), n);
            prop_assert_eq!(&bits, &Bits::collect(n, kept.iter().copied()));
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), kept.clone());
            prop_assert_eq!(bits.count(), kept.iter().filter(|kept| **kept).count());
            prop_assert_eq!(Bits::from_words(bits.words().to_vec(), n), Some(bits.clone()));
            let mut one_by_one = Bits::all(n);
            kept.iter().enumerate().for_each(|(i, kept)| one_by_one.set(i, *kept));
            prop_assert_eq!(&one_by_one, &bits);
            let mut anded = Bits::all(n);
            anded.and(&bits);
            prop_assert_eq!(&anded, &bits);
            anded.and(&Bits::none(n));
            prop_assert_eq!(anded, Bits::none(n));
            let range = ends.0.min(n)..ends.1.min(n).max(ends.0.min(n));
            prop_assert_eq!(bits.any(range.clone()), kept[range.clone()].contains(&true));
            let mut cleared = bits.clone();
            cleared.clear(range.clone());
            let expected = (0..n).map(|i| kept[i] && !range.contains(&i));
            prop_assert_eq!(cleared, Bits::collect(n, expected));
        }

        #[test]
        fn words_that_do_not_fit_are_refused(len in 1usize..200, bit in 0usize..64) {
            let words = len.div_ceil(64);
            prop_assert_eq!(Bits::from_words(vec![0; words + 1], len), None);
            let mut last = vec![0; words];
            last[words - 1] = 1 << bit;
            let fits = (words - 1) * 64 + bit < len;
            prop_assert_eq!(Bits::from_words(last, len).is_some(), fits);
        }
    }
}

//! The lowest scores of what is larger than memory: read stretch by stretch, a few times over.

use half::f16;
use pulp::Arch;

use super::bits::{Bits, WORD};
use super::keys::{BLOCK, Key, below, mixed};
use super::scores::{Order, Scores, Values};

/// Values of a digit.
const BINS: usize = 1 << 16;

/// Bits of a digit.
const DIGIT: u32 = 16;

/// Histograms that take turns: equal keys after each other would wait for one another.
const TURNS: usize = 2;

/// Keys around the cut that are noted at most, two bytes each.
const NOTED: usize = 1 << 24;

/// Positions of a tensor that follow each other, and what they are ranked by.
///
/// ```
/// use espalier_kernels::{Stretch, Values};
/// assert_eq!(Stretch::Magnitude(Values::F32(&[1.0, 2.0])).len(), 2);
/// assert_eq!(Stretch::Random { seed: 1, start: 100, len: 7 }.len(), 7);
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Stretch<'a> {
    /// `|x|` of these elements.
    Magnitude(Values<'a>),
    /// A number that depends on nothing but the seed and the place in the tensor: the lowest ones are a uniform
    /// sample. Tensors ranked together need seeds of their own.
    Random {
        /// Another one gives other numbers.
        seed: u64,
        /// The place of the first position.
        start: usize,
        /// The number of positions.
        len: usize,
    },
}

impl Stretch<'_> {
    /// The number of positions.
    pub fn len(&self) -> usize {
        match self {
            Self::Magnitude(values) => values.len(),
            Self::Random { len, .. } => *len,
        }
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of the positions from `from` on.
    #[inline(always)]
    fn keys<K: Key>(&self, fineness: Fineness, from: usize, keys: &mut [K]) {
        // The bits without that of the sign, where a `f32` of the same type has its upper ones.
        let short = |bits: u16| K::from_u64(u64::from(bits & i16::MAX as u16) << DIGIT);
        match self {
            Self::Magnitude(Values::BF16(x)) if fineness == Fineness::Brain => {
                keys.iter_mut().zip(&x[from..]).for_each(|(key, x)| *key = short(x.to_bits()));
            }
            Self::Magnitude(Values::F16(x)) if fineness == Fineness::Half => {
                keys.iter_mut().zip(&x[from..]).for_each(|(key, x)| *key = short(x.to_bits()));
            }
            Self::Magnitude(values) => {
                K::fill(&Scores::Magnitude(*values), Order::Stored, from, keys);
            }
            Self::Random { seed, start, .. } => {
                let seed = mixed(*seed);
                for (key, place) in keys.iter_mut().zip(start + from..) {
                    let step = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    *key = K::from_u64(mixed(seed.wrapping_add(step)) >> 33);
                }
            }
        }
    }

    /// Does `act` on the keys of each block, with the place of the first.
    #[inline(always)]
    fn blocks<K: Key>(&self, fineness: Fineness, mut act: impl FnMut(usize, &[K])) {
        let mut buffer = [K::default(); BLOCK];
        for from in (0..self.len()).step_by(BLOCK) {
            let keys = &mut buffer[..BLOCK.min(self.len() - from)];
            self.keys(fineness, from, keys);
            act(from, keys);
        }
    }
}

/// How fine the scores are that are ranked together: those of all tensors, [joined](Self::join).
///
/// ```
/// use espalier_kernels::Fineness;
/// assert_eq!(Fineness::Brain.join(Fineness::Double), Fineness::Double);
/// // Neither of the two holds the other's.
/// assert_eq!(Fineness::Brain.join(Fineness::Half), Fineness::Single);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fineness {
    /// Magnitudes of `bf16` alone.
    Brain,
    /// Magnitudes of `f16` alone.
    Half,
    /// Magnitudes of `f32`, or random numbers.
    Single,
    /// Magnitudes of `f64`.
    Double,
}

impl Fineness {
    fn bits(self) -> u32 {
        if self == Self::Double { u64::BITS } else { u32::BITS }
    }

    /// Lowest bits of a key that are never set.
    fn unused(self) -> u32 {
        match self {
            Self::Brain | Self::Half => DIGIT,
            Self::Single | Self::Double => 0,
        }
    }

    /// That in which magnitudes of both kinds can be ranked.
    pub fn join(self, other: Self) -> Self {
        if self == other { self } else { self.max(other).max(Self::Single) }
    }

    /// The key of infinity: those above are of what is no number.
    fn infinity(self) -> u64 {
        match self {
            Self::Half => u64::from(f16::INFINITY.to_bits()) << DIGIT,
            Self::Brain | Self::Single => f32::INFINITY.to_bits().into(),
            Self::Double => f64::INFINITY.to_bits(),
        }
    }

    /// The magnitude with that key.
    fn magnitude(self, key: u64) -> f64 {
        match self {
            Self::Half => f16::from_bits((key >> DIGIT) as u16).into(),
            Self::Brain | Self::Single => f32::from_bits(key as u32).into(),
            Self::Double => f64::from_bits(key),
        }
    }
}

/// Finds the `count` positions of lowest score without holding the scores.
///
/// All stretches are counted ([`Counts`]) until [`narrow`](Self::narrow) says that it is enough, then each is
/// looked at once more ([`place`](Self::place)). For single precision that is twice in all. Of equal scores the
/// earlier position goes first, so that exactly `count` go, the same ones however the tensor is cut and
/// whichever thread has counted what.
///
/// ```
/// use espalier_kernels::{Bits, Fineness, LowestSearch, Stretch, Values};
/// let stretches = [[3.0f32, -1.0, 2.0], [-1.0, 9.0, 1.0]];
/// let stretches = stretches.each_ref().map(|x| Stretch::Magnitude(Values::F32(x)));
/// let mut search = LowestSearch::new(Fineness::Single, 2);
/// loop {
///     let mut counts = search.counts();
///     stretches.iter().for_each(|stretch| counts.add(stretch));
///     if search.narrow(counts) {
///         break;
///     }
/// }
/// let mut places: Vec<_> = stretches.iter().map(|stretch| search.place(stretch)).collect();
/// let (cut, shares) = search.cut(&mut places);
/// assert_eq!(cut.threshold(), 1.0);
/// assert_eq!(shares.iter().map(|share| share.pruned()).collect::<Vec<_>>(), [1, 1]);
/// let mut kept = Bits::all(3);
/// cut.clear(&stretches[1], &shares[1], &mut kept);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [false, true, true]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LowestSearch {
    fineness: Fineness,
    /// Known of the key of the last one that goes: its bits from `shift` on.
    prefix: u64,
    shift: u32,
    /// The number of that one among those with these bits.
    take: usize,
    /// Whether the keys with these bits are few enough to be noted, or all the same.
    noted: bool,
}

impl LowestSearch {
    /// For the `count` lowest ones; no more than there are.
    pub fn new(fineness: Fineness, count: usize) -> Self {
        Self { fineness, prefix: 0, shift: fineness.bits(), take: count, noted: false }
    }

    /// Counts to add all stretches to, by any number of threads with counts of their own.
    pub fn counts(&self) -> Counts {
        Counts {
            search: *self,
            turns: vec![[0; BINS]; TURNS],
            sums: Vec::new(),
            seen: 0,
            greatest: 0,
        }
    }

    /// Goes on with the counts of all stretches. Whether it is known well enough now.
    pub fn narrow(&mut self, mut counts: Counts) -> bool {
        counts.flush();
        let (mut lower, mut ties) = (0, 0);
        for (digit, count) in counts.sums.iter().enumerate() {
            if lower + count >= self.take {
                self.prefix = self.prefix << DIGIT | digit as u64;
                ties = *count;
                break;
            }
            lower += count;
        }
        self.take -= lower;
        self.shift -= DIGIT;
        let exact = self.shift <= self.fineness.unused();
        self.noted = !exact && self.shift == DIGIT && ties <= NOTED;
        exact || self.noted
    }

    /// How many positions of a stretch are below the cut, as far as it is known.
    pub fn place(&self, stretch: &Stretch<'_>) -> Places {
        match self.fineness {
            Fineness::Double => self.place_by::<u64>(stretch),
            _ => self.place_by::<u32>(stretch),
        }
    }

    fn place_by<K: Key>(&self, stretch: &Stretch<'_>) -> Places {
        let mut places = Places::default();
        let low = K::from_u64(self.prefix << self.shift);
        // There is one above: the highest bit of a key, that of the sign, is never set.
        let high = K::from_u64((self.prefix + 1) << self.shift);
        let one = K::from_u64(1);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                stretch.blocks(self.fineness, |_, keys: &[K]| {
                    for keys in keys.chunks(WORD) {
                        let (under, upto) = (count_below(keys, low), count_below(keys, high));
                        places.zeros += count_below(keys, one);
                        places.below += under;
                        places.ties += upto - under;
                        if self.noted && upto > under {
                            let near = keys.iter().filter(|key| **key >= low && **key < high);
                            places.near.extend(near.map(|key| key.digit(0)));
                        }
                    }
                });
            },
        );
        places
    }

    /// The cut, and for each stretch what of it goes: `places` are those of all stretches in order.
    pub fn cut(&self, places: &mut [Places]) -> (Cut, Vec<Share>) {
        let (mut key, mut take) = (self.prefix << self.shift, self.take);
        if self.noted {
            let mut counts = vec![0; BINS];
            for digit in places.iter().flat_map(|places| &places.near) {
                counts[usize::from(*digit)] += 1;
            }
            for (digit, count) in counts.iter().enumerate() {
                if *count >= take {
                    key |= digit as u64;
                    break;
                }
                take -= count;
            }
            for places in places.iter_mut() {
                let digit = key as u16;
                places.below += places.near.iter().filter(|near| **near < digit).count();
                places.ties = places.near.iter().filter(|near| **near == digit).count();
                places.near = Vec::new();
            }
        }
        let mut left = take;
        let share = |places: &Places| {
            let take = left.min(places.ties);
            left -= take;
            Share { below: places.below, ties: places.ties, take }
        };
        let shares = places.iter().map(share).collect();
        (Cut { fineness: self.fineness, key }, shares)
    }
}

/// Keys counted by their next digit.
///
/// See [`LowestSearch`] for an example.
#[derive(Debug)]
pub struct Counts {
    search: LowestSearch,
    turns: Vec<[u32; BINS]>,
    sums: Vec<usize>,
    /// Positions seen since the last flush: so many never overflow a count.
    seen: usize,
    greatest: u64,
}

impl Counts {
    /// Counts a stretch.
    pub fn add(&mut self, stretch: &Stretch<'_>) {
        if self.seen.saturating_add(stretch.len()) > u32::MAX as usize {
            self.flush();
        }
        self.seen += stretch.len();
        match self.search.fineness {
            Fineness::Double => self.add_by::<u64>(stretch),
            _ => self.add_by::<u32>(stretch),
        }
    }

    fn add_by<K: Key>(&mut self, stretch: &Stretch<'_>) {
        let [even, odd] = &mut self.turns[..] else { return };
        let LowestSearch { fineness, prefix, shift, .. } = self.search;
        let digit = |key: &K| usize::from(key.digit(shift - DIGIT));
        let mut greatest = K::default();
        if shift == K::BITS {
            stretch.blocks(fineness, |_, keys: &[K]| {
                greatest = Arch::new().dispatch(
                    #[inline(always)]
                    || keys.iter().fold(greatest, |a, b| a.max(*b)),
                );
                for keys in keys.chunks(TURNS) {
                    match keys {
                        [a, b] => {
                            even[digit(a)] += 1;
                            odd[digit(b)] += 1;
                        }
                        keys => keys.iter().for_each(|key| even[digit(key)] += 1),
                    }
                }
            });
        } else {
            let prefix = K::from_u64(prefix);
            stretch.blocks(fineness, |_, keys: &[K]| {
                for key in keys.iter().filter(|key| key.above(shift) == prefix) {
                    even[digit(key)] += 1;
                }
            });
        }
        self.greatest = self.greatest.max(greatest.to_u64());
    }

    /// Adds what another thread has counted.
    pub fn merge(&mut self, mut other: Self) {
        self.flush();
        other.flush();
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, count)| *sum += count);
        self.greatest = self.greatest.max(other.greatest);
    }

    /// Whether a NaN was among the magnitudes. Only the first counts tell.
    pub fn saw_nan(&self) -> bool {
        self.greatest > self.search.fineness.infinity()
    }

    fn flush(&mut self) {
        self.sums.resize(BINS, 0);
        for turn in &mut self.turns {
            self.sums.iter_mut().zip(&*turn).for_each(|(sum, count)| *sum += *count as usize);
            turn.fill(0);
        }
        self.seen = 0;
    }
}

/// Where a stretch stands to the cut.
///
/// See [`LowestSearch`] for an example.
#[derive(Debug, Clone, Default)]
pub struct Places {
    below: usize,
    ties: usize,
    zeros: usize,
    /// The last digits of keys of which the rest is that of the cut.
    near: Vec<u16>,
}

impl Places {
    /// Positions whose score is zero.
    pub fn zeros(&self) -> usize {
        self.zeros
    }
}

/// What goes of a stretch.
///
/// See [`LowestSearch`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    below: usize,
    ties: usize,
    take: usize,
}

impl Share {
    /// The number of positions that go.
    pub fn pruned(&self) -> usize {
        self.below + self.take
    }
}

/// The greatest score that goes.
///
/// See [`LowestSearch`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    fineness: Fineness,
    key: u64,
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
        Arch::new().dispatch(
            #[inline(always)]
            || {
                stretch.blocks(self.fineness, |from, keys: &[K]| {
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
                });
            },
        );
    }
}

#[inline(always)]
fn count_below<K: Key>(keys: &[K], bound: K) -> usize {
    if let Ok(keys) = <&[K; WORD]>::try_from(keys) {
        // Of a length that is known, so that vectors are compared.
        return usize::from(keys.iter().fold(0u8, |sum, key| sum + u8::from(*key < bound)));
    }
    keys.iter().filter(|key| **key < bound).count()
}

#[cfg(test)]
mod tests;

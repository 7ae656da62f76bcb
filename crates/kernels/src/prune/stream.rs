//! The lowest scores of what is larger than memory: read stretch by stretch, a few times over.

use super::bracket::Bracket;
use super::keys::Key;
use super::stretch::{DIGIT, Fineness, Stretch};

/// Values of a digit.
const BINS: usize = 1 << DIGIT;

/// Histograms that take turns: equal keys after each other would wait for one another.
const TURNS: usize = 2;

/// Finds the `count` positions of lowest score without holding the scores.
///
/// All stretches are counted ([`Counts`]) until [`narrow`](Self::narrow) says that it is enough, then each is
/// looked at once more ([`Bracket::place`]). For single precision that is twice in all. Of equal scores the
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
/// let bracket = search.bracket();
/// let mut places: Vec<_> = stretches.iter().map(|stretch| bracket.place(stretch)).collect();
/// let (cut, shares) = bracket.cut(&mut places).ok_or("nothing is left out")?;
/// assert_eq!(cut.threshold(), 1.0);
/// assert_eq!(shares.iter().map(|share| share.pruned()).collect::<Vec<_>>(), [1, 1]);
/// let mut kept = Bits::all(3);
/// cut.clear(&stretches[1], &shares[1], &mut kept);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [false, true, true]);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LowestSearch {
    fineness: Fineness,
    /// How many go of all.
    count: usize,
    /// Known of the key of the last one that goes: its bits from `shift` on.
    prefix: u64,
    shift: u32,
    /// The number of that one among those with these bits.
    take: usize,
}

impl LowestSearch {
    /// For the `count` lowest ones; no more than there are.
    pub fn new(fineness: Fineness, count: usize) -> Self {
        Self { fineness, count, prefix: 0, shift: fineness.bits(), take: count }
    }

    /// Counts to add all stretches to, by any number of threads with counts of their own.
    pub fn counts(&self) -> Counts {
        Counts { search: *self, turns: vec![[0; BINS]; TURNS], sums: Vec::new(), seen: 0 }
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
        // Few keys with these bits are noted, others are all the same.
        self.shift <= self.fineness.unused() || ties <= self.fineness.noted()
    }

    /// What has been found: the scores that the cut is among.
    ///
    /// See [`LowestSearch`] for an example.
    pub fn bracket(&self) -> Bracket {
        // Before the first counts no bit is known.
        let first = |prefix: u64| prefix.checked_shl(self.shift).unwrap_or(0);
        let low = first(self.prefix);
        let exact = self.shift <= self.fineness.unused();
        let upto = low | first(1).wrapping_sub(1);
        let high = if exact { low } else { upto.min(self.fineness.last()) };
        Bracket::new(self.fineness, self.count, low..=high)
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
        if shift == K::BITS {
            stretch.blocks(fineness, |_, keys: &[K]| {
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
    }

    /// Adds what another thread has counted.
    pub fn merge(&mut self, mut other: Self) {
        self.flush();
        other.flush();
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, count)| *sum += count);
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

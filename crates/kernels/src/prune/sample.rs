//! From some scores to those that the cut is among.

use super::bracket::Bracket;
use super::keys::Key;
use super::stretch::{Fineness, Stretch};

/// Deviations of what a sample tells by which the cut may be off.
const DEVIATIONS: f64 = 6.0;

/// Places of a sample by which it may be off beside that: few are not spread as many are.
const SPARE: f64 = 16.0;

/// Scores of some of the positions, taken evenly from all of them.
///
/// Most often the cut is then found in one look at the positions, where [`LowestSearch`](crate::LowestSearch) takes two
/// and more. Where it is not among the scores that the sample makes one think of, [`Bracket::cut`] says so.
///
/// ```
/// use espalier_kernels::{Fineness, Sample, Stretch, Values};
/// let x: Vec<f32> = (0..10_000).map(|i| (i * 7919 % 10_000) as f32).collect();
/// let whole = Stretch::Magnitude(Values::F32(&x));
/// let mut sample = Sample::new(Fineness::Single);
/// sample.add(&Stretch::Magnitude(Values::F32(&x[..1000])));
/// let bracket = sample.bracket(5000, x.len());
/// let mut places = bracket.iter().map(|bracket| bracket.place(&whole)).collect::<Vec<_>>();
/// let cut = bracket.and_then(|bracket| bracket.cut(&mut places));
/// assert_eq!(cut.map(|(cut, shares)| (cut.threshold(), shares[0].pruned())), Some((4999.0, 5000)));
/// ```
#[derive(Debug, Clone)]
pub struct Sample {
    fineness: Fineness,
    keys: Vec<u64>,
}

impl Sample {
    /// An empty one.
    pub fn new(fineness: Fineness) -> Self {
        Self { fineness, keys: Vec::new() }
    }

    /// Takes in the scores of a stretch.
    pub fn add(&mut self, stretch: &Stretch<'_>) {
        match self.fineness {
            Fineness::Double => self.add_by::<u64>(stretch),
            _ => self.add_by::<u32>(stretch),
        }
    }

    fn add_by<K: Key>(&mut self, stretch: &Stretch<'_>) {
        let take = |_: usize, keys: &[K]| self.keys.extend(keys.iter().map(|key| key.to_u64()));
        stretch.blocks(self.fineness, take);
    }

    /// Takes in what another one has.
    ///
    /// ```
    /// use espalier_kernels::{Fineness, Sample};
    /// let mut sample = Sample::new(Fineness::Single);
    /// sample.merge(Sample::new(Fineness::Single));
    /// assert!(sample.bracket(1, 2).is_none());
    /// ```
    pub fn merge(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
    }

    /// The scores among which it thinks that of the `count`-th of all `total` positions is. `None` if it thinks that more
    /// of them are there than are noted, or has none itself.
    pub fn bracket(mut self, count: usize, total: usize) -> Option<Bracket> {
        let keys = &mut self.keys[..];
        if keys.is_empty() {
            return None;
        }
        if count == 0 {
            return Some(Bracket::new(self.fineness, 0, 0..=0));
        }
        let (size, share) = (keys.len() as f64, count as f64 / total as f64);
        let off = DEVIATIONS * (size * share * (1.0 - share)).max(0.0).sqrt() + SPARE;
        let (from, to) = ((size * share - off).floor(), (size * share + off).ceil());
        let low = if from < 0.0 { 0 } else { nth(keys, from as usize) };
        let high = if to >= size { self.fineness.last() } else { nth(keys, to as usize) };
        let within = keys.iter().filter(|key| (low..=high).contains(key)).count();
        let expected = within as f64 / size * total as f64;
        let fits = low == high || expected <= self.fineness.noted() as f64;
        fits.then(|| Bracket::new(self.fineness, count, low..=high))
    }
}

/// The one at this place in order; of a place beyond the last one that one.
fn nth(keys: &mut [u64], place: usize) -> u64 {
    let place = place.min(keys.len().saturating_sub(1));
    *keys.select_nth_unstable(place).1
}

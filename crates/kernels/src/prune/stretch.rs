//! Parts of tensors whose scores are ranked without being held.

use half::f16;

use super::keys::{BLOCK, Key, mixed};
use super::scores::{Order, Scores, Values};

/// Bits of a digit.
pub(crate) const DIGIT: u32 = 16;

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
    pub(crate) fn blocks<K: Key>(&self, fineness: Fineness, mut act: impl FnMut(usize, &[K])) {
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
    pub(crate) fn bits(self) -> u32 {
        if self == Self::Double { u64::BITS } else { u32::BITS }
    }

    /// The greatest key there may be: the highest bit, that of the sign, is never set.
    pub(crate) fn last(self) -> u64 {
        (1 << (self.bits() - 1)) - 1
    }

    /// Keys around a cut that are noted at most: 64 MiB of them.
    pub(crate) fn noted(self) -> usize {
        (1 << 29) / self.bits() as usize
    }

    /// Lowest bits of a key that are never set.
    pub(crate) fn unused(self) -> u32 {
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
    pub(crate) fn infinity(self) -> u64 {
        match self {
            Self::Half => u64::from(f16::INFINITY.to_bits()) << DIGIT,
            Self::Brain | Self::Single => f32::INFINITY.to_bits().into(),
            Self::Double => f64::INFINITY.to_bits(),
        }
    }

    /// The magnitude with that key.
    pub(crate) fn magnitude(self, key: u64) -> f64 {
        match self {
            Self::Half => f16::from_bits((key >> DIGIT) as u16).into(),
            Self::Brain | Self::Single => f32::from_bits(key as u32).into(),
            Self::Double => f64::from_bits(key),
        }
    }
}

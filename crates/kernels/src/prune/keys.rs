//! Scores as integers that are ordered as they are.

use super::bits::WORD;
use super::scores::{Order, Scores, Values};
use crate::vectors::vectorized;

/// Keys made together: they stay in the cache.
pub(crate) const BLOCK: usize = 1024;

/// An integer ordered as scores are: the bits of a float that is not negative, or those of one NaN.
pub(crate) trait Key: Copy + Ord + Default + Send + Sync {
    /// Bits of it.
    const BITS: u32;

    /// The keys of the positions stored from `start` on.
    fn fill(scores: &Scores<'_>, order: Order, start: usize, keys: &mut [Self]);

    /// Its bits from `shift` on; none are left beyond the last one.
    fn above(self, shift: u32) -> Self;

    /// 16 of its bits from `shift` on.
    fn digit(self, shift: u32) -> u16;

    /// With 16 bits put in at the low end.
    fn extended(self, digit: u16) -> Self;

    /// The next one. There is one above that of a NaN.
    fn next(self) -> Self;

    /// The score.
    fn score(self) -> f64;

    /// As a number; bits that there are not are lost.
    fn from_u64(bits: u64) -> Self;

    /// The number.
    fn to_u64(self) -> u64;

    /// Where keys of which the highest bit is not set stand to two of them.
    fn standing(keys: &[Self], low: Self, high: Self) -> Standing<Self>;

    /// Whether any of these is one of the two or between them; as in [`standing`](Self::standing).
    fn any_within(keys: &[Self], low: Self, high: Self) -> bool;

    /// Some of them, kept.
    fn noted(keys: Vec<Self>) -> Near;
}

/// How many keys are zero, below one and above another, and the greatest.
pub(crate) struct Standing<K> {
    pub(crate) zeros: usize,
    pub(crate) under: usize,
    pub(crate) over: usize,
    pub(crate) greatest: K,
}

/// Keys of either kind that are kept.
#[derive(Debug, Clone)]
pub(crate) enum Near {
    Single(Box<[u32]>),
    Double(Box<[u64]>),
}

impl Default for Near {
    fn default() -> Self {
        Self::Single(Box::default())
    }
}

impl Near {
    /// Does `act` on each.
    pub(crate) fn each(&self, mut act: impl FnMut(u64)) {
        match self {
            Self::Single(keys) => keys.iter().for_each(|key| act((*key).into())),
            Self::Double(keys) => keys.iter().for_each(|key| act(*key)),
        }
    }
}

/// The key of every NaN: the one above infinity.
const SINGLE_NAN: u32 = 0x7f80_0001;
const DOUBLE_NAN: u64 = 0x7ff0_0000_0000_0001;

macro_rules! key {
    ($key:ty, $signed:ty, $float:ty, $fill:ident, $near:ident) => {
        impl Key for $key {
            const BITS: u32 = <$key>::BITS;

            fn fill(scores: &Scores<'_>, order: Order, start: usize, keys: &mut [Self]) {
                for (i, keys) in keys.chunks_mut(BLOCK).enumerate() {
                    vectorized(
                        #[inline(always)]
                        || $fill(scores, order, start + i * BLOCK, keys),
                    );
                }
            }

            #[inline(always)]
            fn above(self, shift: u32) -> Self {
                self.checked_shr(shift).unwrap_or(0)
            }

            #[inline(always)]
            fn digit(self, shift: u32) -> u16 {
                (self >> shift) as u16
            }

            #[inline(always)]
            fn extended(self, digit: u16) -> Self {
                self << 16 | Self::from(digit)
            }

            #[inline(always)]
            fn next(self) -> Self {
                self + 1
            }

            fn score(self) -> f64 {
                <$float>::from_bits(self).into()
            }

            #[inline(always)]
            fn from_u64(bits: u64) -> Self {
                bits as Self
            }

            #[inline(always)]
            fn to_u64(self) -> u64 {
                self.into()
            }

            #[inline(always)]
            fn standing(keys: &[Self], low: Self, high: Self) -> Standing<Self> {
                // Signed numbers are compared in one instruction, and counted in as many bits without packing them.
                let (low, high) = (low.cast_signed(), high.cast_signed());
                let (mut zeros, mut under, mut over, mut greatest): ($signed, $signed, $signed, _) =
                    (0, 0, 0, 0);
                for key in keys {
                    let key = key.cast_signed();
                    zeros = zeros.wrapping_add(<$signed>::from(key == 0));
                    under = under.wrapping_add(<$signed>::from(key < low));
                    over = over.wrapping_add(<$signed>::from(key > high));
                    greatest = key.max(greatest);
                }
                Standing {
                    zeros: zeros as usize,
                    under: under as usize,
                    over: over as usize,
                    greatest: greatest.cast_unsigned(),
                }
            }

            #[inline(always)]
            fn any_within(keys: &[Self], low: Self, high: Self) -> bool {
                let (low, high) = (low.cast_signed(), high.cast_signed());
                let within = keys.iter().fold(0, |any, key| {
                    let key = key.cast_signed();
                    any | (<$signed>::from(key >= low) & <$signed>::from(key <= high))
                });
                within != 0
            }

            fn noted(keys: Vec<Self>) -> Near {
                Near::$near(keys.into_boxed_slice())
            }
        }
    };
}
key!(u32, i32, f32, fill_single, Single);
key!(u64, i64, f64, fill_double, Double);

#[inline(always)]
fn single(x: f32) -> u32 {
    (x.to_bits() & 0x7fff_ffff).min(SINGLE_NAN)
}

#[inline(always)]
fn double(x: f64) -> u64 {
    (x.to_bits() & 0x7fff_ffff_ffff_ffff).min(DOUBLE_NAN)
}

/// At most a block of keys.
#[inline(always)]
fn fill_single(scores: &Scores<'_>, order: Order, start: usize, keys: &mut [u32]) {
    let n = keys.len();
    match scores {
        Scores::Magnitude(Values::F32(x)) => {
            keys.iter_mut().zip(&x[start..start + n]).for_each(|(key, x)| *key = single(*x));
        }
        Scores::Magnitude(Values::BF16(x)) => {
            for (key, x) in keys.iter_mut().zip(&x[start..start + n]) {
                *key = single(f32::from_bits(u32::from(x.to_bits()) << 16));
            }
        }
        Scores::Magnitude(x) => {
            let mut buffer = [0.0; BLOCK];
            x.read_single(start, &mut buffer[..n]);
            keys.iter_mut().zip(&buffer).for_each(|(key, x)| *key = single(*x));
        }
        Scores::Product(x, y) => {
            let mut buffers = [[0.0; BLOCK]; 2];
            x.read_single(start, &mut buffers[0][..n]);
            y.read_single(start, &mut buffers[1][..n]);
            for (key, (x, y)) in keys.iter_mut().zip(buffers[0].iter().zip(&buffers[1])) {
                *key = single(x * y);
            }
        }
        Scores::Random { seed } => {
            random(*seed, order, start, keys, |x| single(x as f32));
        }
    }
}

/// At most a block of keys.
#[inline(always)]
fn fill_double(scores: &Scores<'_>, order: Order, start: usize, keys: &mut [u64]) {
    let n = keys.len();
    match scores {
        Scores::Magnitude(Values::F64(x)) => {
            keys.iter_mut().zip(&x[start..start + n]).for_each(|(key, x)| *key = double(*x));
        }
        Scores::Product(x, y) if x.wide() || y.wide() => {
            let mut buffers = [[0.0; BLOCK]; 2];
            x.read_double(start, &mut buffers[0][..n]);
            y.read_double(start, &mut buffers[1][..n]);
            for (key, (x, y)) in keys.iter_mut().zip(buffers[0].iter().zip(&buffers[1])) {
                *key = double(x * y);
            }
        }
        Scores::Random { seed } => {
            random(*seed, order, start, keys, double);
        }
        _ => {
            let mut buffer = [0; BLOCK];
            fill_single(scores, order, start, &mut buffer[..n]);
            for (key, x) in keys.iter_mut().zip(&buffer) {
                *key = double(f32::from_bits(*x).into());
            }
        }
    }
}

/// What `of` gives for numbers in `[0, 1)`, each from the seed and a position alone.
#[inline(always)]
fn random<T>(seed: u64, order: Order, start: usize, out: &mut [T], of: impl Fn(f64) -> T) {
    let seed = mixed(seed);
    order.positions(start, out, |position| {
        let step = (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // A number in `[1, 2)` has all these fractions.
        let fraction = mixed(seed.wrapping_add(step)) >> 12;
        of(f64::from_bits(1f64.to_bits() | fraction) - 1.0)
    });
}

/// Every bit of the result depends on all those given (SplitMix64).
#[inline(always)]
pub(crate) fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A bit for each key, set where it is below `bound`. At most a word of them.
#[inline(always)]
pub(crate) fn below<K: Key>(keys: &[K], bound: K) -> u64 {
    let mut bytes = [0u8; WORD];
    if let Ok(keys) = <&[K; WORD]>::try_from(keys) {
        // Of a length that is known, so that vectors are compared.
        for (byte, key) in bytes.iter_mut().zip(keys) {
            *byte = u8::from(*key < bound);
        }
    } else {
        for (byte, key) in bytes.iter_mut().zip(keys) {
            *byte = u8::from(*key < bound);
        }
    }
    let mut word = 0;
    for (i, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // The product brings the lowest bit of each byte to the highest byte.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= bits << (8 * i);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::numbers;

    #[test]
    fn bits_below() {
        let keys: Vec<u32> = numbers(WORD, 1).iter().map(|x| (x * 64.0) as i32 as u32).collect();
        for n in [0, 1, 63, 64] {
            for bound in [0, 3, 17, u32::MAX] {
                let word = below(&keys[..n], bound);
                (0..WORD).for_each(|i| assert_eq!(word >> i & 1 == 1, i < n && keys[i] < bound));
            }
        }
    }

    fn some(seed: u64, order: Order, start: usize, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        random(seed, order, start, &mut out, |x| x);
        out
    }

    #[test]
    fn random_numbers_are_spread_evenly() {
        let n = 100_000;
        for seed in 0..3 {
            let numbers: Vec<f64> = some(seed, Order::Stored, 0, n);
            let mean = numbers.iter().sum::<f64>() / n as f64;
            assert!((mean - 0.5).abs() < 0.005, "{mean}");
            let along: f64 = numbers.windows(2).map(|x| (x[0] - 0.5) * (x[1] - 0.5)).sum();
            assert!((along / n as f64).abs() < 0.001, "{along}");
            let first: Vec<f64> = some(seed, Order::Stored, 77, 5);
            assert_eq!(first, numbers[77..82]);
        }
    }

    #[test]
    fn random_numbers_follow_the_order() {
        let order = Order::Transposed { batch: 2, rows: 3, columns: 5 };
        let stored: Vec<f64> = some(4, Order::Stored, 0, 30);
        let mut start = 0;
        while start < 30 {
            let found: Vec<f64> = some(4, order, start, 30 - start);
            for (i, x) in (start..30).zip(found) {
                assert_eq!(x, stored[i / 15 * 15 + i % 5 * 3 + i % 15 / 5]);
            }
            start += 7;
        }
    }

    #[test]
    fn every_type_has_the_keys_of_its_numbers() {
        let x = [0.0f32, -0.0, 1.5, -2.0, f32::INFINITY, f32::NAN, -f32::NAN, 0.25];
        let half = x.map(half::f16::from_f32);
        let brain = x.map(half::bf16::from_f32);
        let wide = x.map(f64::from);
        let all = [Values::F32(&x), Values::F16(&half), Values::BF16(&brain), Values::F64(&wide)];
        let ones = [1.0f32; 8];
        for values in all {
            for scores in [Scores::Magnitude(values), Scores::Product(Values::F32(&ones), values)] {
                let (mut single, mut double) = ([0u32; 8], [0u64; 8]);
                Key::fill(&scores, Order::Stored, 0, &mut single);
                Key::fill(&scores, Order::Stored, 0, &mut double);
                for i in 0..8 {
                    for found in [single[i].score(), double[i].score()] {
                        assert!(found == wide[i].abs() || found.is_nan() && x[i].is_nan());
                    }
                }
                assert_eq!((single[5], double[5]), (single[6], double[6]));
                assert!(single[5] > single[4] && double[5] > double[4]);
            }
        }
    }
}

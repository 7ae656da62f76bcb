//! Masks put on values.

use half::{bf16, f16};
use pulp::Arch;

use super::bits::{Bits, WORD};
use super::clear::ones;
use crate::Real;
use crate::fresh::fresh;
use crate::pieces::{Cut, PIECE, Pieces, each};
use crate::vectors::vectorized;

/// The values with zero where they are not kept, whatever is there.
///
/// ```
/// use espalier_kernels::{Bits, masked};
/// let kept: Bits = [true, false].into_iter().collect();
/// assert_eq!(masked(&[1.0f32, f32::NAN], &kept), [1.0, 0.0]);
/// ```
///
/// # Panics
///
/// If the lengths differ.
pub fn masked<T: Real>(values: &[T], kept: &Bits) -> Vec<T> {
    let n = values.len();
    assert_eq!(n, kept.len(), "one bit for each value");
    fresh(n, |slots| {
        let tasks = Pieces::new(PIECE, n, (slots, values)).zip(kept.words().chunks(PIECE / WORD));
        each(n, tasks, |((slots, values), words)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let mut out = slots.writer();
                    let (whole, rest) = values.as_chunks();
                    let mut bytes = words.iter().flat_map(|word| word.to_le_bytes());
                    for (values, byte) in whole.iter().zip(bytes.by_ref()) {
                        out.push(&select(values, byte));
                    }
                    let byte = bytes.next().unwrap_or_default();
                    out.extend(rest.iter().zip(lanes(byte)).map(|(x, lane)| x.under(*lane)));
                },
            );
        });
    })
}

/// Sets the values that are not kept to zero, whatever they are.
///
/// ```
/// use espalier_kernels::{Bits, mask};
/// let mut values = [1.0f64, f64::INFINITY];
/// mask(&mut values, &[true, false].into_iter().collect());
/// assert_eq!(values, [1.0, 0.0]);
/// ```
///
/// # Panics
///
/// If the lengths differ.
pub fn mask<T: Maskable>(values: &mut [T], kept: &Bits) {
    let n = values.len();
    assert_eq!(n, kept.len(), "one bit for each value");
    let tasks = values.chunks_mut(PIECE).zip(kept.words().chunks(PIECE / WORD));
    each(n, tasks, |(values, words)| {
        vectorized(
            #[inline(always)]
            || mask_piece(values, words),
        );
    });
}

/// [`mask`] of the values that belong to these words; of none, nothing is done.
#[inline(always)]
pub(crate) fn mask_piece<T: Maskable>(values: &mut [T], words: &[u64]) {
    let (whole, rest) = values.as_chunks_mut();
    let mut bytes = words.iter().flat_map(|word| word.to_le_bytes());
    for (values, byte) in whole.iter_mut().zip(bytes.by_ref()) {
        *values = select(values, byte);
    }
    for (x, lane) in rest.iter_mut().zip(lanes(bytes.next().unwrap_or(u8::MAX))) {
        *x = x.under(*lane);
    }
}

/// The words of each piece in turn; none without a mask.
pub(crate) fn words_by_piece(kept: Option<&Bits>) -> impl Iterator<Item = &[u64]> {
    cut_words(kept.map_or(&[][..], Bits::words), PIECE)
}

/// The slices of a piece in blocks that the nearest cache holds, each with its words, so that a mask finds the
/// values there that have just been written. Without words the piece is one block.
#[inline(always)]
pub(crate) fn blocks<S: Cut>(
    n: usize,
    slices: S,
    words: &[u64],
) -> impl Iterator<Item = (S, &[u64])> {
    let size = if words.is_empty() { n } else { BLOCK };
    Pieces::new(size, n, slices).zip(cut_words(words, BLOCK))
}

/// Elements of four or five slices of `f32` that fit the nearest cache.
const BLOCK: usize = 1 << 8;

/// The words of so many bits in turn; empty ones at the end.
#[inline(always)]
fn cut_words(words: &[u64], bits: usize) -> impl Iterator<Item = &[u64]> {
    let count = bits / WORD;
    std::iter::successors(Some(words), move |words| Some(words.get(count..).unwrap_or_default()))
        .map(move |words| &words[..words.len().min(count)])
}

/// A number, or the bits of one, of which a mask keeps all or none.
pub trait Maskable: Copy + Send {
    /// The number where `lane` is all ones, zero where it is none.
    fn under(self, lane: i32) -> Self;
}

macro_rules! maskable {
    ($($bits:ty: $($float:ty)?),*) => {$(
        impl Maskable for $bits {
            #[inline(always)]
            fn under(self, lane: i32) -> Self {
                // A signed number is cut or filled with its sign: ones stay ones.
                self & lane as $bits
            }
        }
        $(impl Maskable for $float {
            #[inline(always)]
            fn under(self, lane: i32) -> Self {
                Self::from_bits(self.to_bits().under(lane))
            }
        })?
    )*};
}
maskable!(u16: f16, u32: f32, u64: f64);

impl Maskable for bf16 {
    #[inline(always)]
    fn under(self, lane: i32) -> Self {
        Self::from_bits(self.to_bits().under(lane))
    }
}

/// Bits that are looked up together.
const LANES: usize = u8::BITS as usize;

/// For each byte what it keeps. Shifting a word in vector registers takes three times as long.
static KEPT: [[i32; LANES]; 1 << LANES] = {
    let mut kept = [[0; LANES]; 1 << LANES];
    let mut at = 0;
    while at < LANES << LANES {
        kept[at / LANES][at % LANES] = -((((at / LANES) >> (at % LANES)) & 1) as i32);
        at += 1;
    }
    kept
};

#[inline(always)]
fn lanes(byte: u8) -> &'static [i32; LANES] {
    &KEPT[usize::from(byte)]
}

#[inline(always)]
fn select<T: Maskable>(values: &[T; LANES], byte: u8) -> [T; LANES] {
    let (mut out, lanes) = (*values, lanes(byte));
    for i in 0..LANES {
        out[i] = out[i].under(lanes[i]);
    }
    out
}

/// The values that are not kept, in order: what [`restore`] puts back.
///
/// ```
/// use espalier_kernels::{Bits, pruned_values};
/// let kept: Bits = [true, false, false].into_iter().collect();
/// assert_eq!(pruned_values(&[1.0f32, 2.0, 3.0], &kept), [2.0, 3.0]);
/// ```
///
/// # Panics
///
/// If the lengths differ.
pub fn pruned_values<T: Copy + Send + Sync>(values: &[T], kept: &Bits) -> Vec<T> {
    assert_eq!(values.len(), kept.len(), "one bit for each value");
    fresh(kept.len() - kept.count(), |slots| {
        let tasks = with_pruned(values.chunks(PIECE), kept, slots);
        each(values.len(), tasks, |(values, words, slots)| {
            let mut out = slots.writer();
            for (word, values) in words.iter().zip(values.chunks(WORD)) {
                out.extend(pruned_places(*word, values.len()).map(|at| values[at]));
            }
        });
    })
}

/// Puts the values back that [`pruned_values`] took.
///
/// ```
/// use espalier_kernels::{Bits, restore};
/// let kept: Bits = [true, false, false].into_iter().collect();
/// let mut values = [1.0f32, 0.0, 0.0];
/// restore(&mut values, &kept, &[2.0, 3.0]);
/// assert_eq!(values, [1.0, 2.0, 3.0]);
/// ```
///
/// # Panics
///
/// If the lengths differ, or there is not one pruned value for each position that is not kept.
pub fn restore<T: Copy + Send + Sync>(values: &mut [T], kept: &Bits, pruned: &[T]) {
    let n = values.len();
    assert_eq!(n, kept.len(), "one bit for each value");
    assert_eq!(pruned.len(), n - kept.count(), "one value for each position pruned");
    each(n, with_pruned(values.chunks_mut(PIECE), kept, pruned), |(values, words, pruned)| {
        let mut pruned = pruned.iter();
        for (word, values) in words.iter().zip(values.chunks_mut(WORD)) {
            for (at, pruned) in pruned_places(*word, values.len()).zip(&mut pruned) {
                values[at] = *pruned;
            }
        }
    });
}

/// Pieces with their words and what belongs to the positions pruned in them.
fn with_pruned<V: AsRef<[T]>, T, S: Cut>(
    pieces: impl Iterator<Item = V>,
    kept: &Bits,
    pruned: S,
) -> impl Iterator<Item = (V, &[u64], S)> {
    let mut rest = Some(pruned);
    pieces.zip(kept.words().chunks(PIECE / WORD)).filter_map(move |(values, words)| {
        let kept: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let (here, others) = rest.take()?.cut(values.as_ref().len() - kept);
        rest = Some(others);
        Some((values, words, here))
    })
}

/// The places of the first `n` bits that are not set.
#[inline(always)]
fn pruned_places(word: u64, n: usize) -> impl Iterator<Item = usize> {
    ones(!word & u64::MAX >> (WORD - n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_same_on_threads, numbers, single};

    fn check<T: Real>(values: &[T]) {
        let n = values.len();
        let bits = |values: &[T]| bytemuck::cast_slice::<T, u8>(values).to_vec();
        for kept in [
            Bits::all(n),
            Bits::none(n),
            Bits::collect(n, (0..n).map(|i| i * i % 13 < 5)),
            Bits::collect(n, (0..n).map(|i| i % 200 > 70)),
        ] {
            let expected: Vec<T> =
                (0..n).map(|i| if kept.get(i) { values[i] } else { T::ZERO }).collect();
            assert!(bits(&masked(values, &kept)) == bits(&expected));
            let mut found = values.to_vec();
            mask(&mut found, &kept);
            assert!(bits(&found) == bits(&expected));
            let pruned = pruned_values(values, &kept);
            let expected: Vec<T> = (0..n).filter(|i| !kept.get(*i)).map(|i| values[i]).collect();
            assert!(bits(&pruned) == bits(&expected));
            restore(&mut found, &kept, &pruned);
            assert!(bits(&found) == bits(values));
            assert_same_on_threads(|| {
                let pruned = pruned_values(values, &kept);
                let mut found = masked(values, &kept);
                mask(&mut found, &kept);
                let masked = bits(&found);
                restore(&mut found, &kept, &pruned);
                (masked, bits(&pruned), bits(&found))
            });
        }
    }

    #[test]
    fn there_and_back_bit_for_bit() {
        for n in [0, 1, 7, 8, 63, 64, 65, 200, 3 * PIECE + 77] {
            let mut values = numbers(n, 8);
            for (i, x) in values.iter_mut().enumerate() {
                match i % 9 {
                    0 => *x = -0.0,
                    1 => *x = f64::NAN,
                    2 => *x = f64::NEG_INFINITY,
                    _ => (),
                }
            }
            check(&values);
            check(&single(&values));
        }
    }

    #[test]
    #[should_panic(expected = "one value for each position pruned")]
    fn too_few_to_put_back() {
        restore(&mut [0.0f32; 2], &Bits::none(2), &[1.0]);
    }
}

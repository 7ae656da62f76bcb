//! Masks put on values.

use pulp::Arch;

use super::bits::{Bits, WORD};
use super::clear::ones;
use crate::Real;
use crate::fresh::fresh;
use crate::pieces::{Cut, PIECE, Pieces, each};

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
                    for (word, values) in words.iter().zip(values.chunks(WORD)) {
                        for (half, values) in halves(*word).into_iter().zip(values.chunks(HALF)) {
                            out.extend(values.iter().zip(0..).map(|(x, i)| select(*x, half, i)));
                        }
                    }
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
pub fn mask<T: Copy + Default + Send>(values: &mut [T], kept: &Bits) {
    let n = values.len();
    assert_eq!(n, kept.len(), "one bit for each value");
    let tasks = values.chunks_mut(PIECE).zip(kept.words().chunks(PIECE / WORD));
    each(n, tasks, |(values, words)| {
        Arch::new().dispatch(
            #[inline(always)]
            || mask_piece(values, words),
        );
    });
}

/// [`mask`] of the values that belong to these words; of none, nothing is done.
#[inline(always)]
pub(crate) fn mask_piece<T: Copy + Default>(values: &mut [T], words: &[u64]) {
    for (word, values) in words.iter().zip(values.chunks_mut(WORD)) {
        for (half, values) in halves(*word).into_iter().zip(values.chunks_mut(HALF)) {
            // By way of registers: in place it would be a branch for each value.
            let mut out = [T::default(); HALF];
            for ((out, x), i) in out.iter_mut().zip(&*values).zip(0..) {
                *out = select(*x, half, i);
            }
            values.copy_from_slice(&out[..values.len()]);
        }
    }
}

/// The words of each piece in turn; none without a mask.
pub(crate) fn words_by_piece(kept: Option<&Bits>) -> impl Iterator<Item = &[u64]> {
    let words = kept.map_or(&[][..], Bits::words);
    std::iter::successors(Some(words), |words| Some(words.get(PIECE / WORD..).unwrap_or_default()))
        .map(|words| &words[..words.len().min(PIECE / WORD)])
}

/// Bits that are shifted in lanes as wide as an `f32`.
const HALF: usize = WORD / 2;

#[inline(always)]
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> HALF) as u32]
}

#[inline(always)]
fn select<T: Default>(x: T, half: u32, i: u32) -> T {
    if half >> i & 1 == 1 { x } else { T::default() }
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

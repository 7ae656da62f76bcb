//! Slices of a tensor brought to other lengths, in place.

use pulp::Arch;
use rayon::prelude::*;

use crate::Real;

/// Elements below which threads cost more than they give.
const PARALLEL: usize = 1 << 17;

/// Outer indices that are summed by themselves: sums in `f32` stay near those in `f64`, and are the
/// same for any number of threads.
const BLOCK: usize = 64;

/// Independent sums within a run, which the processor adds side by side.
const LANES: usize = 16;

/// A row-major tensor seen as `outer x kept x inner`: one slice for each index of `kept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The product of the dimensions before.
    pub outer: usize,
    /// The number of slices.
    pub kept: usize,
    /// The product of the dimensions after.
    pub inner: usize,
}

/// Multiplies each slice by what `factor` gives for its Euclidean norm. A slice whose factor is 1
/// stays as it is, to the bit.
///
/// ```
/// use espalier_kernels::{Split, rescale};
/// let mut columns = [3.0f64, 0.5, 4.0, 0.0]; // 2 x 2: norms 5 and 0.5
/// let split = Split { outer: 2, kept: 2, inner: 1 };
/// rescale(split, &mut columns, |norm| if norm > 1.0 { 1.0 / norm } else { 1.0 });
/// assert_eq!(columns, [0.6, 0.5, 0.8, 0.0]);
/// ```
///
/// # Panics
///
/// If the slice does not hold such a tensor.
pub fn rescale<T: Real>(split: Split, values: &mut [T], factor: impl Fn(T) -> T + Sync) {
    let Split { outer, kept, inner } = split;
    let run = kept * inner;
    assert!(values.len() == outer * run, "a slice of outer * kept * inner values");
    if values.is_empty() {
        return;
    }
    let parallel = values.len() >= PARALLEL && rayon::current_num_threads() > 1;
    if outer == 1 {
        let one = |slice: &mut [T]| {
            Arch::new().dispatch(
                #[inline(always)]
                || multiply(slice, factor(squares(slice).root())),
            );
        };
        return if parallel {
            values.par_chunks_mut(inner).with_min_len((1 << 14) / inner + 1).for_each(one);
        } else {
            values.chunks_mut(inner).for_each(one);
        };
    }
    let sums = |block: &[T]| {
        let mut sums = vec![T::ZERO; kept];
        Arch::new().dispatch(
            #[inline(always)]
            || block.chunks_exact(run).for_each(|rows| add_squares(inner, rows, &mut sums)),
        );
        sums
    };
    let blocks: Vec<Vec<T>> = if parallel {
        values.par_chunks(BLOCK * run).map(sums).collect()
    } else {
        values.chunks(BLOCK * run).map(sums).collect()
    };
    let mut factors = vec![T::ZERO; kept];
    for block in blocks {
        factors.iter_mut().zip(block).for_each(|(sum, more)| *sum = *sum + more);
    }
    factors.iter_mut().for_each(|sum| *sum = factor(sum.root()));
    let one = T::of(1.0);
    if factors.iter().all(|factor| *factor == one) {
        return;
    }
    let scale = |block: &mut [T]| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for rows in block.chunks_exact_mut(run) {
                    if inner == 1 {
                        rows.iter_mut().zip(&factors).for_each(|(x, factor)| *x = *x * *factor);
                    } else {
                        let slices = rows.chunks_exact_mut(inner).zip(&factors);
                        slices.for_each(|(slice, factor)| multiply(slice, *factor));
                    }
                }
            },
        );
    };
    if parallel {
        values.par_chunks_mut(BLOCK * run).for_each(scale);
    } else {
        values.chunks_mut(BLOCK * run).for_each(scale);
    }
}

#[inline(always)]
fn multiply<T: Real>(slice: &mut [T], factor: T) {
    if factor != T::of(1.0) {
        slice.iter_mut().for_each(|x| *x = *x * factor);
    }
}

#[inline(always)]
fn squares<T: Real>(slice: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let mut chunks = slice.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = *lane + *x * *x;
        }
    }
    let rest = chunks.remainder().iter().fold(T::ZERO, |sum, x| sum + *x * *x);
    lanes.into_iter().fold(rest, |sum, lane| sum + lane)
}

#[inline(always)]
fn add_squares<T: Real>(inner: usize, rows: &[T], sums: &mut [T]) {
    if inner == 1 {
        sums.iter_mut().zip(rows).for_each(|(sum, x)| *sum = *sum + *x * *x);
    } else {
        let slices = rows.chunks_exact(inner);
        sums.iter_mut().zip(slices).for_each(|(sum, slice)| *sum = *sum + squares(slice));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f64> {
        let mut state = 9u64;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
            })
            .collect()
    }

    fn plain(split: Split, values: &[f64], factor: impl Fn(f64) -> f64) -> Vec<f64> {
        let Split { outer, kept, inner } = split;
        let mut out = values.to_vec();
        for k in 0..kept {
            let places: Vec<usize> = (0..outer)
                .flat_map(|o| (0..inner).map(move |i| (o * kept + k) * inner + i))
                .collect();
            let norm = places.iter().map(|i| values[*i] * values[*i]).sum::<f64>().sqrt();
            places.iter().for_each(|i| out[*i] = values[*i] * factor(norm));
        }
        out
    }

    #[test]
    fn every_shape_and_type_as_plain_loops() {
        let factor = |norm: f64| if norm > 1.0 { 1.0 / norm } else { 1.0 };
        for [outer, kept, inner] in [
            [1, 1, 1],
            [1, 5, 0],
            [1, 3, 37],
            [7, 5, 1],
            [130, 9, 1],
            [5, 3, 19],
            [3, 1, 1],
            [1, 4, 40_000],
            [700, 300, 1],
            [70, 40, 70],
        ] {
            let split = Split { outer, kept, inner };
            let values = numbers(outer * kept * inner);
            let expected = plain(split, &values, factor);
            let mut found = values.clone();
            rescale(split, &mut found, factor);
            let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13;
            assert!(found.iter().zip(&expected).all(near), "{split:?}");
            let mut single: Vec<f32> = values.iter().map(|x| *x as f32).collect();
            rescale(split, &mut single, |norm| if norm > 1.0 { 1.0 / norm } else { 1.0 });
            let near = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() < 1.3e-6 * b.abs() + 1e-12;
            assert!(single.iter().zip(&expected).all(near), "{split:?} in f32");
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let many = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        for split in [
            Split { outer: 700, kept: 300, inner: 1 },
            Split { outer: 1, kept: 70, inner: 3000 },
            Split { outer: 70, kept: 40, inner: 70 },
        ] {
            let values: Vec<f32> =
                numbers(split.outer * split.kept * split.inner).iter().map(|x| *x as f32).collect();
            let on = |pool: &rayon::ThreadPool| {
                let mut values = values.clone();
                pool.install(|| rescale(split, &mut values, |norm| 0.3 / norm));
                values
            };
            assert_eq!(on(&one), on(&many), "{split:?}");
        }
    }

    #[test]
    fn a_slice_that_is_to_stay_stays_also_where_others_move() {
        let mut values = [f32::INFINITY, 0.1, f32::NAN, 0.7];
        rescale(Split { outer: 2, kept: 2, inner: 1 }, &mut values, |norm| {
            if norm.is_finite() { 1.0 } else { 0.0 }
        });
        assert_eq!((values[1], values[3]), (0.1, 0.7));
    }
}

//! Sums of products: short ones in the type of the elements, which is fast, and those together in
//! double precision. No sum of rounded terms is longer than [`SHORT`].
//!
//! The functions that are `inline(always)` are meant to be called within `Arch::dispatch`.

use pulp::Arch;

use crate::Real;
use crate::pieces::{PIECE, each};

/// Terms added in the type of the elements.
const SHORT: usize = 8;

/// Elements worked on together: a line of the cache.
const LANES: usize = 16;

/// `sum_i a_i b_i`.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<{ SHORT * LANES }>();
    let (b_blocks, b_rest) = b.as_chunks::<{ SHORT * LANES }>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
        let mut short = [T::ZERO; LANES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                short[lane] += a[lane] * b[lane];
            }
        }
        for lane in 0..LANES {
            sums[lane] += short[lane].wide();
        }
    }
    let (a_lines, a_rest) = a_rest.as_chunks::<LANES>();
    let (b_lines, b_rest) = b_rest.as_chunks::<LANES>();
    let mut short = [T::ZERO; LANES];
    for (a, b) in a_lines.iter().zip(b_lines) {
        for lane in 0..LANES {
            short[lane] += a[lane] * b[lane];
        }
    }
    for lane in 0..LANES {
        sums[lane] += short[lane].wide();
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a.wide() * b.wide()).sum();
    sums.iter().sum::<f64>() + rest
}

/// [`dot`] of slices of any length, on all threads if that pays.
pub(crate) fn long_dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut parts = vec![0.0; a.len().div_ceil(PIECE)];
    let tasks = a.chunks(PIECE).zip(b.chunks(PIECE)).zip(&mut parts);
    each(a.len(), tasks, |((a, b), part)| {
        Arch::new().dispatch(
            #[inline(always)]
            || *part = dot(a, b),
        );
    });
    parts.iter().sum()
}

/// Columns summed together, in registers.
const COLUMNS: usize = 64;

/// Adds `sum_i term(i, columns)` to the sums of the columns, for `rows` rows of `sums.len()`.
///
/// `term` adds the terms of a row, for some columns, to as many sums.
#[inline(always)]
fn by_column<T: Real>(
    rows: usize,
    sums: &mut [f64],
    term: impl Fn(usize, std::ops::Range<usize>, &mut [T]),
) {
    for first in (0..rows).step_by(SHORT) {
        let last = (first + SHORT).min(rows);
        let (blocks, rest) = sums.as_chunks_mut::<COLUMNS>();
        let mut start = 0;
        for sums in blocks {
            // Of a length that is known, so that no sum leaves its register.
            let mut short = [T::ZERO; COLUMNS];
            for row in first..last {
                term(row, start..start + COLUMNS, &mut short);
            }
            for (sum, short) in sums.iter_mut().zip(short) {
                *sum += short.wide();
            }
            start += COLUMNS;
        }
        let mut short = [T::ZERO; COLUMNS];
        let short = &mut short[..rest.len()];
        for row in first..last {
            term(row, start..start + rest.len(), short);
        }
        for (sum, short) in rest.iter_mut().zip(short) {
            *sum += short.wide();
        }
    }
}

/// `sums_j += sum_i a_ij b_ij` over rows of `sums.len()` elements.
#[inline(always)]
pub(crate) fn add_products<T: Real>(a: &[T], b: &[T], sums: &mut [f64]) {
    let width = sums.len();
    by_column(
        a.len() / width,
        sums,
        #[inline(always)]
        |row, columns, short: &mut [T]| {
            let at = row * width + columns.start..row * width + columns.end;
            for (short, (a, b)) in short.iter_mut().zip(a[at.clone()].iter().zip(&b[at])) {
                *short += *a * *b;
            }
        },
    );
}

/// `sums_j += sum_i scale_i a_ij` over rows of `sums.len()` elements.
#[inline(always)]
pub(crate) fn add_rows<T: Real>(scale: &[T], a: &[T], sums: &mut [f64]) {
    let width = sums.len();
    by_column(
        scale.len(),
        sums,
        #[inline(always)]
        |row, columns, short: &mut [T]| {
            let (scale, at) = (scale[row], row * width + columns.start..row * width + columns.end);
            for (short, a) in short.iter_mut().zip(&a[at]) {
                *short += scale * *a;
            }
        },
    );
}

/// The sum of parts of `width` sums each, in their order.
pub(crate) fn together(width: usize, parts: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for part in parts.chunks_exact(width.max(1)) {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sums
}

/// Rows of `width` elements in a piece: whole groups of short sums.
pub(crate) fn rows_in_piece(width: usize) -> usize {
    (PIECE / width.max(1)).next_multiple_of(SHORT).max(SHORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{self, assert_near, assert_same_on_threads, numbers, single};

    #[test]
    fn sums_in_single_precision_are_near_those_in_double() {
        for n in [0, 1, 127, 128, 129, 5000, PIECE + 1, 3 * PIECE] {
            let x: Vec<f32> = single(&numbers(n, 5)).iter().map(|x| x.abs() + 0.5).collect();
            let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let expected = test::dot(&wide, &wide);
            for found in [dot(&x, &x), long_dot(&x, &x)] {
                assert!((found - expected).abs() <= 5e-7 * expected, "{n}: {found}, {expected}");
            }
        }
        let x = numbers(3 * PIECE + 17, 6);
        assert_same_on_threads(|| long_dot(&x, &x));
    }

    #[test]
    fn sums_by_column() {
        for (rows, width) in [(0, 3), (1, 1), (7, 15), (8, 16), (9, 17), (33, 50)] {
            let (a, b) = (numbers(rows * width, 1), numbers(rows * width, 2));
            let scale = numbers(rows, 3);
            let (mut products, mut scaled) = (vec![1.0; width], vec![1.0; width]);
            add_products(&a, &b, &mut products);
            add_rows(&scale, &a, &mut scaled);
            let column = |j: usize, term: &dyn Fn(usize, usize) -> f64| -> f64 {
                1.0 + (0..rows).map(|i| term(i, i * width + j)).sum::<f64>()
            };
            let expected: Vec<f64> =
                (0..width).map(|j| column(j, &|_, at| a[at] * b[at])).collect();
            assert_near(&products, &expected, 1e-14);
            let expected: Vec<f64> =
                (0..width).map(|j| column(j, &|i, at| scale[i] * a[at])).collect();
            assert_near(&scaled, &expected, 1e-14);
        }
    }
}

//! Whole channels: their norms, and whether anything is left of them.

use super::bits::Bits;
use super::scores::Values;
use crate::pieces::{PIECE, each};
use crate::weight_norm::Slices;

/// The `p`-norm of each channel, of what is kept of it: the rest counts as zeros.
///
/// A channel is everything for one index of `kept` in [`Slices`]. As for PyTorch's `norm`, `p` is
/// any number: infinite ones give the greatest or the least magnitude, 0 counts what is not zero.
/// A NaN makes a norm NaN. Sums are in double precision.
///
/// ```
/// use espalier_kernels::{Bits, Slices, Values, channel_norms};
/// let kept: Bits = [true, true, true, false].into_iter().collect();
/// let rows = Slices { outer: 1, kept: 2, inner: 2 };
/// let norms = channel_norms(&Values::F32(&[3.0, -4.0, 2.0, 9.0]), &kept, &rows, 2.0);
/// assert_eq!(norms, [5.0, 2.0]);
/// ```
///
/// # Panics
///
/// If the lengths are not those said.
pub fn channel_norms(values: &Values<'_>, kept: &Bits, slices: &Slices, p: f64) -> Vec<f64> {
    assert!(values.len() == slices.len() && kept.len() == slices.len(), "as many as said");
    let over = Over { values, kept, slices };
    let add = |a: f64, b: f64| a + b;
    if p == f64::INFINITY {
        over.fold(0.0, f64::abs, |a, b| if b > a || b.is_nan() { b } else { a })
    } else if p == f64::NEG_INFINITY {
        over.fold(f64::INFINITY, f64::abs, |a, b| if b < a || b.is_nan() { b } else { a })
    } else if p == 0.0 {
        over.fold(0.0, |x| f64::from(u8::from(x != 0.0)), add)
    } else if p == 1.0 {
        over.fold(0.0, f64::abs, add)
    } else if p == 2.0 {
        let mut norms = over.fold(0.0, |x| x * x, add);
        norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
        norms
    } else {
        let mut norms = over.fold(0.0, |x| x.abs().powf(p), add);
        norms.iter_mut().for_each(|norm| *norm = norm.powf(1.0 / p));
        norms
    }
}

/// Runs of a channel in a piece at least: then the pieces take little memory together.
const RUNS: usize = 64;

/// Values read together.
const BLOCK: usize = 1024;

struct Over<'a> {
    values: &'a Values<'a>,
    kept: &'a Bits,
    slices: &'a Slices,
}

impl Over<'_> {
    /// `join` over what `of` gives for the elements of each channel.
    fn fold(
        &self,
        start: f64,
        of: impl Fn(f64) -> f64 + Sync + Send,
        join: impl Fn(f64, f64) -> f64 + Sync + Send,
    ) -> Vec<f64> {
        let Slices { outer, kept: channels, inner } = *self.slices;
        if self.slices.is_empty() {
            return vec![start; channels];
        }
        let wide = (PIECE / inner).clamp(1, channels);
        let high = (PIECE / (wide * inner)).max(RUNS);
        let bands = outer.div_ceil(high);
        let mut parts = vec![start; bands * channels];
        let tasks = parts.chunks_mut(channels).enumerate().flat_map(|(band, parts)| {
            parts.chunks_mut(wide).enumerate().map(move |(i, parts)| (band, i * wide, parts))
        });
        each(self.slices.len(), tasks, |(band, first, parts)| {
            for row in band * high..outer.min((band + 1) * high) {
                let start = (row * channels + first) * inner;
                self.run(start, parts, &of, &join);
            }
        });
        let mut folded = vec![start; channels];
        for parts in parts.chunks(channels) {
            folded.iter_mut().zip(parts).for_each(|(a, b)| *a = join(*a, *b));
        }
        folded
    }

    /// Joins the elements from `start` on, `inner` of them to each of the parts.
    fn run(
        &self,
        start: usize,
        parts: &mut [f64],
        of: &impl Fn(f64) -> f64,
        join: &impl Fn(f64, f64) -> f64,
    ) {
        let inner = self.slices.inner;
        let n = parts.len() * inner;
        let mut buffer = [0.0; BLOCK];
        for from in (0..n).step_by(BLOCK) {
            let x = &mut buffer[..BLOCK.min(n - from)];
            self.values.read_double(start + from, x);
            for (i, x) in x.iter_mut().enumerate() {
                let kept = self.kept.get(start + from + i);
                *x = of(if kept { *x } else { 0.0 });
            }
            let mut x = &*x;
            let mut at = from;
            while !x.is_empty() {
                let here = (inner - at % inner).min(x.len());
                let part = &mut parts[at / inner];
                *part = x[..here].iter().fold(*part, |a, b| join(a, *b));
                x = &x[here..];
                at += here;
            }
        }
    }
}

/// Which channels anything is kept of.
///
/// ```
/// use espalier_kernels::{Bits, Slices, channels_kept};
/// let kept: Bits = [false, false, true, false].into_iter().collect();
/// assert_eq!(channels_kept(&kept, &Slices { outer: 1, kept: 2, inner: 2 }), [false, true]);
/// assert_eq!(channels_kept(&kept, &Slices { outer: 2, kept: 2, inner: 1 }), [true, false]);
/// ```
///
/// # Panics
///
/// If the lengths are not those said.
pub fn channels_kept(kept: &Bits, slices: &Slices) -> Vec<bool> {
    assert_eq!(kept.len(), slices.len(), "as many positions as said");
    let mut found = vec![false; slices.kept];
    for row in 0..slices.outer {
        let mut left = false;
        for (channel, found) in found.iter_mut().enumerate().filter(|(_, found)| !**found) {
            let start = (row * slices.kept + channel) * slices.inner;
            *found = kept.any(start..start + slices.inner);
            left |= !*found;
        }
        // Common: each one has something soon.
        if !left {
            break;
        }
    }
    found
}

/// Clears everything of these channels.
///
/// ```
/// use espalier_kernels::{Bits, Slices, clear_channels};
/// let mut kept = Bits::all(4);
/// clear_channels(&mut kept, &Slices { outer: 2, kept: 2, inner: 1 }, &[1]);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [true, false, true, false]);
/// ```
///
/// # Panics
///
/// If the length is not that said, or there is no such channel.
pub fn clear_channels(kept: &mut Bits, slices: &Slices, channels: &[usize]) {
    assert_eq!(kept.len(), slices.len(), "as many positions as said");
    assert!(channels.iter().all(|channel| *channel < slices.kept), "channels that there are");
    for row in 0..slices.outer {
        for channel in channels {
            let start = (row * slices.kept + channel) * slices.inner;
            kept.clear(start..start + slices.inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_near, assert_same_on_threads, numbers, single};

    const SHAPES: [[usize; 3]; 10] = [
        [1, 1, 1],
        [1, 5, 0],
        [0, 3, 2],
        [7, 5, 1],
        [5, 3, 19],
        [2, 2, 3000],
        [700, 300, 1],
        [1, 300, 700],
        [3, 2, PIECE + 9],
        [40, PIECE / 8, 1],
    ];

    fn shapes() -> impl Iterator<Item = (Slices, Bits)> {
        SHAPES.into_iter().map(|[outer, kept, inner]| {
            let slices = Slices { outer, kept, inner };
            (slices, numbers(slices.len(), 3).iter().map(|x| *x < 0.2).collect())
        })
    }

    fn channel(slices: &Slices, k: usize) -> Vec<usize> {
        (0..slices.outer)
            .flat_map(|o| (0..slices.inner).map(move |i| (o * slices.kept + k) * slices.inner + i))
            .collect()
    }

    #[test]
    fn norms_as_plain_loops_give_them() {
        for (slices, kept) in shapes() {
            let x = single(&numbers(slices.len(), 9));
            for p in [f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.0, 2.0, 3.0, 0.5, -2.0] {
                let norm = |k| {
                    let x = channel(&slices, k)
                        .into_iter()
                        .map(|i| if kept.get(i) { f64::from(x[i]).abs() } else { 0.0 });
                    match p {
                        f64::INFINITY => x.fold(0.0, f64::max),
                        f64::NEG_INFINITY => x.fold(f64::INFINITY, f64::min),
                        0.0 => x.filter(|x| *x != 0.0).count() as f64,
                        p => x.map(|x| x.powf(p)).sum::<f64>().powf(1.0 / p),
                    }
                };
                let expected: Vec<f64> = (0..slices.kept).map(norm).collect();
                let found = channel_norms(&Values::F32(&x), &kept, &slices, p);
                if slices.is_empty() || found.contains(&f64::INFINITY) {
                    assert_eq!(found, expected);
                } else {
                    let scale = expected.iter().fold(1.0, |a: f64, b| a.max(*b));
                    assert_near(&found, &expected, 1e-12 * scale);
                }
            }
            assert_same_on_threads(|| channel_norms(&Values::F32(&x), &kept, &slices, 2.0));
        }
    }

    #[test]
    fn nan_stays_nan_if_it_is_kept() {
        let slices = Slices { outer: 1, kept: 3, inner: 2 };
        let x = [f64::NAN, 1.0, 2.0, f64::NAN, f64::NAN, 3.0];
        let mut kept = Bits::all(6);
        kept.set(4, false);
        for p in [f64::INFINITY, f64::NEG_INFINITY, 1.0, 2.0, 3.0] {
            let norms = channel_norms(&Values::F64(&x), &kept, &slices, p);
            assert_eq!(norms.iter().map(|x| x.is_nan()).collect::<Vec<_>>(), [true, true, false]);
        }
        assert_eq!(channel_norms(&Values::F64(&x), &kept, &slices, 0.0), [2.0, 2.0, 1.0]);
    }

    #[test]
    fn channels_cleared_have_nothing_kept() {
        for (slices, kept) in shapes() {
            let channels: Vec<usize> = (0..slices.kept).step_by(3).collect();
            let mut cleared = kept.clone();
            clear_channels(&mut cleared, &slices, &channels);
            let left = channels_kept(&cleared, &slices);
            for k in (0..slices.kept).take(400) {
                let places = channel(&slices, k);
                let gone = k % 3 == 0;
                assert!(places.iter().all(|i| cleared.get(*i) == (kept.get(*i) && !gone)));
                assert_eq!(left[k], places.iter().any(|i| cleared.get(*i)));
            }
        }
    }
}

//! Norms of whole channels of a tensor that is larger than memory.

use super::bits::Bits;
use super::scores::Values;
use crate::weight_norm::Slices;

/// Values read together.
const BLOCK: usize = 1024;

/// The `p`-norms of the channels of a tensor that is read part by part, as
/// [`channel_norms`](crate::channel_norms) gives them for one in memory.
///
/// Parts may be made by several threads; joined in order they give the same bits however many there are.
///
/// ```
/// use espalier_kernels::{ChannelFold, Slices, Values};
/// let mut fold = ChannelFold::new(Slices { outer: 1, kept: 2, inner: 2 }, 2.0);
/// let parts = [fold.part(&Values::F32(&[3.0, -4.0, 2.0]), 0), fold.part(&Values::F32(&[0.0]), 3)];
/// parts.iter().for_each(|part| fold.join(part));
/// assert_eq!(fold.norms(), [5.0, 2.0]);
/// ```
#[derive(Debug, Clone)]
pub struct ChannelFold {
    slices: Slices,
    power: Power,
    sums: Vec<f64>,
}

/// What [`ChannelFold::part`] found, for [`ChannelFold::join`].
///
/// See [`ChannelFold`] for an example.
#[derive(Debug, Clone)]
pub struct ChannelPart {
    /// The first channel.
    first: usize,
    sums: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Power {
    Greatest,
    Least,
    Count,
    One,
    Two,
    Other(f64),
}

impl Power {
    fn new(p: f64) -> Self {
        match p {
            f64::INFINITY => Self::Greatest,
            f64::NEG_INFINITY => Self::Least,
            0.0 => Self::Count,
            1.0 => Self::One,
            2.0 => Self::Two,
            p => Self::Other(p),
        }
    }

    fn start(self) -> f64 {
        if let Self::Least = self { f64::INFINITY } else { 0.0 }
    }

    /// `sum` and some elements.
    #[inline(always)]
    fn add(self, sum: f64, x: &[f64]) -> f64 {
        match self {
            Self::Greatest | Self::Least => x.iter().fold(sum, |a, x| self.join(a, x.abs())),
            Self::Count => sum + x.iter().filter(|x| **x != 0.0).count() as f64,
            Self::One => x.iter().fold(sum, |a, x| a + x.abs()),
            Self::Two => x.iter().fold(sum, |a, x| a + x * x),
            Self::Other(p) => x.iter().fold(sum, |a, x| a + x.abs().powf(p)),
        }
    }

    #[inline(always)]
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Greatest => {
                if b > a || b.is_nan() {
                    b
                } else {
                    a
                }
            }
            Self::Least => {
                if b < a || b.is_nan() {
                    b
                } else {
                    a
                }
            }
            _ => a + b,
        }
    }

    fn finish(self, sum: f64) -> f64 {
        match self {
            Self::Two => sum.sqrt(),
            Self::Other(p) => sum.powf(1.0 / p),
            _ => sum,
        }
    }
}

impl ChannelFold {
    /// For a tensor and `p` as [`channel_norms`](crate::channel_norms) takes them.
    pub fn new(slices: Slices, p: f64) -> Self {
        let power = Power::new(p);
        Self { slices, power, sums: vec![power.start(); slices.kept] }
    }

    /// What these elements, which stand from `start` on in the tensor, add.
    ///
    /// # Panics
    ///
    /// If the tensor ends before.
    pub fn part(&self, values: &Values<'_>, start: usize) -> ChannelPart {
        let (n, Slices { kept, inner, .. }) = (values.len(), self.slices);
        assert!(start + n <= self.slices.len(), "elements of the tensor");
        if n == 0 {
            return ChannelPart { first: 0, sums: Vec::new() };
        }
        // Within one run over the channels only some of them are met.
        let (from, to) = (start / inner, (start + n - 1) / inner);
        let (first, channels) =
            if from / kept == to / kept { (from % kept, to - from + 1) } else { (0, kept) };
        let mut sums = vec![self.power.start(); channels];
        let mut buffer = [0.0; BLOCK];
        for at in (0..n).step_by(BLOCK) {
            let mut x = &mut buffer[..BLOCK.min(n - at)];
            values.read_double(at, x);
            let mut place = start + at;
            while !x.is_empty() {
                let (run, rest) = x.split_at_mut((inner - place % inner).min(x.len()));
                let sum = &mut sums[place / inner % kept - first];
                *sum = self.power.add(*sum, run);
                place += run.len();
                x = rest;
            }
        }
        ChannelPart { first, sums }
    }

    /// Adds a part. The order counts for the last bits.
    pub fn join(&mut self, part: &ChannelPart) {
        let sums = self.sums[part.first..].iter_mut();
        sums.zip(&part.sums).for_each(|(a, b)| *a = self.power.join(*a, *b));
    }

    /// The norms, once all parts are joined.
    pub fn norms(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| self.power.finish(*sum)).collect()
    }
}

/// Clears everything of some channels in a part of a tensor: `kept` are its positions from `start` on, and `gone`
/// says of each channel whether it goes.
///
/// ```
/// use espalier_kernels::{Bits, Slices, clear_channels_in};
/// let mut kept = Bits::all(3);
/// clear_channels_in(&mut kept, 1, &Slices { outer: 2, kept: 2, inner: 1 }, &[true, false]);
/// assert_eq!(kept.iter().collect::<Vec<_>>(), [true, false, true]);
/// ```
///
/// # Panics
///
/// If there are not as many channels, or the tensor ends before.
pub fn clear_channels_in(kept: &mut Bits, start: usize, slices: &Slices, gone: &[bool]) {
    assert!(start + kept.len() <= slices.len(), "positions of the tensor");
    assert_eq!(gone.len(), slices.kept, "as many channels");
    let mut at = 0;
    while at < kept.len() {
        let place = start + at;
        let run = (slices.inner - place % slices.inner).min(kept.len() - at);
        if gone[place / slices.inner % slices.kept] {
            kept.clear(at..at + run);
        }
        at += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_near, numbers};
    use crate::{channel_norms, clear_channels};

    #[test]
    fn in_parts_as_in_memory() {
        for [outer, channels, inner] in
            [[1, 1, 1], [1, 5, 0], [7, 5, 1], [5, 3, 19], [2, 2, 3000], [40, 30, 1], [1, 3, 700]]
        {
            let slices = Slices { outer, kept: channels, inner };
            let x = numbers(slices.len(), 9);
            let all = Bits::all(x.len());
            for p in [f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.0, 2.0, 3.0, 0.5] {
                let expected = channel_norms(&Values::F64(&x), &all, &slices, p);
                for size in [7, 64, 1500] {
                    let mut fold = ChannelFold::new(slices, p);
                    for (i, x) in x.chunks(size).enumerate() {
                        let part = fold.part(&Values::F64(x), i * size);
                        fold.join(&part);
                    }
                    let scale = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs().min(1e9)));
                    if expected.contains(&f64::INFINITY) {
                        assert_eq!(fold.norms(), expected);
                    } else {
                        assert_near(&fold.norms(), &expected, 1e-12 * scale);
                    }
                }
            }
            let gone: Vec<bool> = (0..channels).map(|k| k % 3 == 0).collect();
            let mut expected = all.clone();
            let channels: Vec<usize> = (0..channels).step_by(3).collect();
            clear_channels(&mut expected, &slices, &channels);
            let mut found = Vec::new();
            for start in (0..x.len()).step_by(77) {
                let mut kept = Bits::all(77.min(x.len() - start));
                clear_channels_in(&mut kept, start, &slices, &gone);
                found.extend(kept.iter());
            }
            assert_eq!(found.into_iter().collect::<Bits>(), expected);
        }
    }
}

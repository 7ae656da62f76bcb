//! Tensors whose elements are ranked together: where the last one that goes is.

use std::sync::{Mutex, PoisonError};

use espalier_checkpoint::{Error, NamedTensor};
use espalier_kernels::{Bracket, Counts, Fineness, LowestSearch, Sample, Stretch};
use rayon::prelude::*;

use super::PruneMethod;
use super::plan::{anywhere, bytes, rank};
use crate::error::FilesError;
use crate::observe::Observer;
use crate::pieces::{Buffer, each_piece, swap};

/// Elements that follow each other in a sample: reading one takes as long.
const RUN: usize = 16;

/// The least and the most elements of a sample, and of how many it is one.
const SAMPLE: (usize, usize) = (1 << 14, 1 << 22);
const OF: usize = 1 << 10;

/// Elements of which no sample is taken: there are not many more.
const FEW: usize = 4 * SAMPLE.0;

/// Runs that a thread reads at a time.
const TOGETHER: usize = 256;

/// Tensors ranked together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<'a> {
    pub(super) tensors: &'a [&'a NamedTensor],
    /// The place of the first in the file.
    pub(super) first: usize,
    pub(super) method: PruneMethod,
    pub(super) fineness: Fineness,
    /// How many go.
    pub(super) count: usize,
}

impl Ranked<'_> {
    /// The ranks of a part of a tensor.
    pub(super) fn stretch<'b>(&self, at: usize, start: usize, bytes: &'b [u8]) -> Stretch<'b> {
        let rank = rank(self.method, self.first + at);
        rank.stretch(self.tensors[at].dtype(), start, bytes)
    }

    /// Between which ranks the last one that goes is, by counting all.
    pub(super) fn counted<O: Observer>(&self, observer: &O) -> Result<Bracket, FilesError> {
        let mut search = LowestSearch::new(self.fineness, self.count);
        loop {
            observer.begin("ranking", bytes(self.tensors));
            // Those that no thread adds to at the moment.
            let idle: Mutex<Vec<Counts>> = Mutex::new(Vec::new());
            let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            each_piece(&anywhere(self.tensors), observer, |p| {
                let taken = lock().pop();
                let mut counts = taken.unwrap_or_else(|| search.counts());
                counts.add(&self.stretch(p.at, p.start, p.bytes));
                lock().push(counts);
            })?;
            let mut counts = search.counts();
            let idle = idle.into_inner().unwrap_or_else(PoisonError::into_inner);
            idle.into_iter().for_each(|other| counts.merge(other));
            if search.narrow(counts) {
                return Ok(search.bracket());
            }
        }
    }

    /// Between which ranks it most likely is, from some of them; none if there are few or they are not read one by one.
    pub(super) fn guessed(&self) -> Result<Option<Bracket>, FilesError> {
        let numel: usize = self.tensors.iter().map(|tensor| tensor.numel()).sum();
        if numel < FEW || !self.tensors.iter().all(|tensor| tensor.is_seekable()) {
            return Ok(None);
        }
        let ends: Vec<usize> = self
            .tensors
            .iter()
            .scan(0, |end, tensor| {
                *end += tensor.numel();
                Some(*end)
            })
            .collect();
        let runs = (numel / OF).clamp(SAMPLE.0, SAMPLE.1) / RUN;
        let block = numel / runs;
        // One run from each block on, not always at the same place of it: that may be one column of a matrix. Every place
        // is as likely as any other, those at the ends of blocks too.
        let place = |run: usize| {
            let spread = (run as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            run * block + spread as usize % block
        };
        let samples: Vec<Sample> = (0..runs)
            .step_by(TOGETHER)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|first| {
                let mut sample = Sample::new(self.fineness);
                let mut buffer = Buffer::default();
                for place in (first..runs.min(first + TOGETHER)).map(place) {
                    let at = ends.partition_point(|end| *end <= place);
                    let tensor = self.tensors[at];
                    let start = place - (ends[at] - tensor.numel());
                    let width = tensor.dtype().size_bits() / 8;
                    let bytes = buffer.bytes(RUN.min(ends[at] - place) * width);
                    tensor.read_at((start * width) as u64, bytes)?;
                    swap(bytes, width);
                    sample.add(&self.stretch(at, start, bytes));
                }
                Ok(sample)
            })
            .collect::<Result<_, Error>>()?;
        let mut sample = Sample::new(self.fineness);
        samples.into_iter().for_each(|other| sample.merge(other));
        Ok(sample.bracket(self.count, numel))
    }
}

#[cfg(test)]
mod tests {
    use espalier_kernels::{Cut, Share};

    use super::*;
    use crate::Silent;

    fn found(ranked: &Ranked<'_>, bracket: &Bracket) -> Option<(Cut, Vec<Share>)> {
        let places = each_piece(&anywhere(ranked.tensors), &Silent, |p| {
            bracket.place(&ranked.stretch(p.at, p.start, p.bytes))
        });
        bracket.cut(&mut places.unwrap().into_iter().flatten().collect::<Vec<_>>())
    }

    /// Columns of a matrix that are unlike each other, a constant, a ramp, and a little one.
    fn tensors() -> Vec<NamedTensor> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as f32 / u32::MAX as f32 - 0.5
        };
        let columns: Vec<f32> = (0..512 * 256).map(|i| next() * (1 + i % 256) as f32).collect();
        let ramp: Vec<f32> = (0..50_000).map(|i| i as f32 / 400.0).collect();
        let columns = NamedTensor::f32("a", vec![512, 256], &columns);
        let constant = NamedTensor::f32("b", vec![300, 300], &[20.0; 90_000]);
        let ramp = NamedTensor::f32("c", vec![50, 1000], &ramp);
        let little = NamedTensor::f32("d", vec![1, 3], &[1.0, f32::INFINITY, 0.0]);
        [columns, constant, ramp, little].map(Result::unwrap).to_vec()
    }

    #[test]
    fn a_guess_finds_what_counting_finds() {
        let tensors = tensors();
        let tensors: Vec<&NamedTensor> = tensors.iter().collect();
        let total: usize = tensors.iter().map(|tensor| tensor.numel()).sum();
        for method in [PruneMethod::L1, PruneMethod::Random { seed: 7 }] {
            for (tensors, total) in [(&tensors[..], total), (&tensors[..1], 512 * 256)] {
                for count in [0, 1, total / 10, total / 2, total - 40_000, total - 1, total] {
                    let fineness = Fineness::Single;
                    let ranked = Ranked { tensors, first: 0, method, fineness, count };
                    let guess = ranked.guessed().unwrap().map(|bracket| found(&ranked, &bracket));
                    let counted = found(&ranked, &ranked.counted(&Silent).unwrap());
                    assert!(counted.is_some());
                    assert_eq!(guess, Some(counted), "{count} of {total}");
                }
            }
        }
    }

    #[test]
    fn few_elements_are_not_guessed() {
        let tensors = tensors();
        let few = [&tensors[3]];
        let (method, fineness) = (PruneMethod::L1, Fineness::Single);
        let ranked = Ranked { tensors: &few, first: 0, method, fineness, count: 1 };
        assert!(ranked.guessed().unwrap().is_none());
    }
}

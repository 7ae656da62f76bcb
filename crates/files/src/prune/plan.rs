//! From what is asked to a rule for each tensor.

use std::io;

use espalier_checkpoint::{Dtype, Error, NamedTensor};
use espalier_kernels::{
    Bits, Candidate, ChannelFold, ChannelPart, Fineness, Order, Places, Scores, Slices,
    prune_lowest,
};
use rayon::prelude::*;

use super::fault::PruneFault;
use super::ranked::Ranked;
use super::rule::{Rank, Rule, nans, zeros};
use super::{Amount, PruneMethod};
use crate::error::FilesError;
use crate::observe::{Cancel, Observer};
use crate::pieces::{Buffer, Cuts, Whole, each_piece, read, values};

/// A rule for a tensor, and what is known of it.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) rule: Rule,
    /// Zeros before and after, if they are known.
    pub(super) zeros: Option<(usize, usize)>,
    pub(super) threshold: Option<f64>,
}

/// What tensors are ranked by, each of them by its own numbers.
pub(super) fn rank(method: PruneMethod, at: usize) -> Rank {
    match method {
        PruneMethod::L1 => Rank::Magnitude,
        PruneMethod::Random { seed } => {
            Rank::Random(seed.wrapping_add((at as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)))
        }
    }
}

pub(super) fn anywhere<'a>(tensors: &[&'a NamedTensor]) -> Vec<Whole<'a>> {
    let whole = |tensor: &&'a NamedTensor| Whole { tensor, cuts: Cuts::anywhere(tensor.numel()) };
    tensors.iter().map(whole).collect()
}

/// Finds the first tensor with a NaN.
pub(super) fn first_nan<O: Observer>(
    tensors: &[&NamedTensor],
    observer: &O,
) -> Result<Option<PruneFault>, FilesError> {
    let dtype = |at: usize| tensors[at].dtype();
    let found = each_piece(&anywhere(tensors), observer, |p| nans(dtype(p.at), p.bytes))?;
    let counts = found.iter().map(|pieces| pieces.iter().sum::<usize>());
    let first = counts.zip(tensors).find(|(count, _)| *count > 0);
    Ok(first.map(|(found, tensor)| PruneFault::NotANumber {
        tensor: tensor.name().to_owned(),
        found,
        numel: tensor.numel(),
    }))
}

pub(super) fn bytes(tensors: &[&NamedTensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.byte_len() as u64).sum()
}

/// The lowest ones of all these tensors together. `first` is the place of the first in the file.
pub(super) fn lowest<O: Observer>(
    tensors: &[&NamedTensor],
    first: usize,
    (method, amount): (PruneMethod, Amount),
    observer: &O,
) -> Result<Vec<Planned>, FilesError> {
    let numel = tensors.iter().map(|tensor| tensor.numel()).sum();
    let name = || match tensors {
        [tensor] => Some(tensor.name().to_owned()),
        _ => None,
    };
    let count = amount.of(numel, || (name(), "elements"))?;
    let is_random = matches!(method, PruneMethod::Random { .. });
    let fineness = |tensor: &&NamedTensor| match tensor.dtype() {
        _ if is_random => Fineness::Single,
        Dtype::BF16 => Fineness::Brain,
        Dtype::F16 => Fineness::Half,
        Dtype::F64 => Fineness::Double,
        _ => Fineness::Single,
    };
    let fineness = tensors.iter().map(fineness).reduce(Fineness::join).unwrap_or(Fineness::Brain);
    let ranked = Ranked { tensors, first, method, fineness, count };
    // One look at all is enough if some of them tell where the cut is; if they do not, all are counted.
    let mut guess = ranked.guessed()?;
    let (places, pieces, (cut, shares)) = loop {
        let bracket = match guess.take() {
            Some(bracket) => bracket,
            None => ranked.counted(observer)?,
        };
        observer.begin("ranking", bytes(tensors));
        let places = each_piece(&anywhere(tensors), observer, |p| {
            bracket.place(&ranked.stretch(p.at, p.start, p.bytes))
        })?;
        let pieces: Vec<usize> = places.iter().map(Vec::len).collect();
        let mut places: Vec<_> = places.into_iter().flatten().collect();
        if !is_random
            && places.iter().any(Places::saw_nan)
            && let Some(fault) = first_nan(tensors, observer)?
        {
            return Err(fault.into());
        }
        if let Some(cut) = bracket.cut(&mut places) {
            break (places, pieces, cut);
        }
    };
    let threshold = (!is_random && count > 0).then(|| cut.threshold());
    let mut parts = (&places[..], &shares[..]);
    let planned = pieces.into_iter().enumerate().map(|(at, n)| {
        let (places, shares) = (&parts.0[..n], &parts.1[..n]);
        parts = (&parts.0[n..], &parts.1[n..]);
        let before = places.iter().map(|places| places.zeros()).sum();
        let pruned: usize = shares.iter().map(|share| share.pruned()).sum();
        // Zeros are the first to go.
        let zeros = (!is_random).then(|| (before, pruned.max(before)));
        Planned {
            rule: Rule::Lowest { rank: rank(method, first + at), cut, shares: shares.to_vec() },
            zeros,
            threshold,
        }
    });
    Ok(planned.collect())
}

/// The channels of least norm, or random ones.
pub(super) fn channels<O: Observer>(
    tensor: &NamedTensor,
    rank: Rank,
    (amount, norm, dim): (Amount, f64, isize),
    observer: &O,
) -> Result<Planned, FilesError> {
    let shape = tensor.shape();
    let from_end = dim.checked_add_unsigned(shape.len());
    let place = if dim < 0 { from_end } else { Some(dim) };
    let place = place.and_then(|dim| usize::try_from(dim).ok()).filter(|dim| *dim < shape.len());
    let Some(place) = place.filter(|_| shape.len() >= 2) else {
        let (tensor, shape) = (tensor.name().to_owned(), shape.to_vec());
        return Err(PruneFault::Dim { tensor, shape, dim }.into());
    };
    let slices = Slices {
        outer: shape[..place].iter().product(),
        kept: shape[place],
        inner: shape[place + 1..].iter().product(),
    };
    let name = || (Some(tensor.name().to_owned()), "channels");
    let count = amount.of(slices.kept, name)?;
    let mut gone = vec![false; slices.kept];
    let mut threshold = None;
    match rank {
        Rank::Magnitude => {
            let norms = norms(tensor, slices, norm, observer)?;
            let mut order: Vec<usize> = (0..slices.kept).collect();
            // Stable, so that of equal norms the first goes.
            order.sort_by(|a, b| norms[*a].total_cmp(&norms[*b]));
            order[..count].iter().for_each(|channel| gone[*channel] = true);
            threshold = order[..count].last().map(|channel| norms[*channel]);
        }
        Rank::Random(seed) => {
            let mut kept = Bits::all(slices.kept);
            let scores = Scores::Random { seed };
            let candidate = Candidate { scores, order: Order::Stored, kept: &mut kept };
            prune_lowest(&mut [candidate], count);
            gone.iter_mut().zip(kept.iter()).for_each(|(gone, kept)| *gone = !kept);
        }
    }
    Ok(Planned { rule: Rule::Channels { slices, gone }, zeros: None, threshold })
}

/// Entries of the parts of norms that are held together at most.
const HELD: usize = 1 << 21;

fn norms<O: Observer>(
    tensor: &NamedTensor,
    slices: Slices,
    p: f64,
    observer: &O,
) -> Result<Vec<f64>, FilesError> {
    let dtype = tensor.dtype();
    observer.begin("ranking", tensor.byte_len() as u64);
    let whole = Whole { tensor, cuts: Cuts::anywhere(tensor.numel()) };
    let mut fold = ChannelFold::new(slices, p);
    let part = |fold: &ChannelFold, start: usize, bytes: &[u8]| {
        if observer.cancelled() {
            return Err(io::Error::other(Cancel));
        }
        observer.advance(bytes.len() as u64);
        Ok(fold.part(&values(dtype, bytes), start))
    };
    let pieces = 0..whole.cuts.len();
    if !tensor.is_seekable() {
        read(&whole, pieces, &mut Buffer::default(), &mut |_, start, bytes| {
            let part = part(&fold, start, bytes)?;
            fold.join(&part);
            Ok(())
        })?;
        return Ok(fold.norms());
    }
    for first in pieces.clone().step_by((HELD / slices.kept).max(1)) {
        let batch = first..pieces.end.min(first + (HELD / slices.kept).max(1));
        let parts: Vec<Vec<ChannelPart>> = batch
            .into_par_iter()
            .map_init(Buffer::default, |buffer, piece| {
                let mut parts = Vec::new();
                read(&whole, piece..piece + 1, buffer, &mut |_, start, bytes| {
                    parts.push(part(&fold, start, bytes)?);
                    Ok(())
                })?;
                Ok(parts)
            })
            .collect::<Result<_, Error>>()?;
        parts.iter().flatten().for_each(|part| fold.join(part));
    }
    Ok(fold.norms())
}

/// Counts zeros before and after.
pub(super) fn count<O: Observer>(
    tensors: &[(&NamedTensor, &Rule)],
    observer: &O,
) -> Result<Vec<(usize, usize)>, FilesError> {
    let whole: Vec<_> = tensors
        .iter()
        .map(|(tensor, rule)| Whole { tensor, cuts: rule.cuts(tensor.numel()) })
        .collect();
    observer.begin("counting", tensors.iter().map(|(tensor, _)| tensor.byte_len() as u64).sum());
    let counts = each_piece(&whole, observer, |p| {
        let (tensor, rule) = tensors[p.at];
        let before = zeros(tensor.dtype(), p.bytes);
        rule.apply(tensor.dtype(), (p.piece, p.start), p.bytes);
        (before, zeros(tensor.dtype(), p.bytes))
    })?;
    let sum = |pieces: Vec<(usize, usize)>| {
        pieces.iter().fold((0, 0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1))
    };
    Ok(counts.into_iter().map(sum).collect())
}

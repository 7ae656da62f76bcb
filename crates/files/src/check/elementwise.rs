//! Checks of elements one by one: finite, sparse, N of M.

use std::sync::Arc;

use espalier_checkpoint::NamedTensor;
use espalier_kernels::{Elements, Moments};

use super::{Offender, Verdict};
use crate::diff::position;
use crate::elements::elements;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::{Track, sweep};

/// Runs over the elements of those tensors that are decoded; nothing for the others, and for those whose kind is not read.
fn over<S: Default + Send, O: Observer>(
    tensors: &[&NamedTensor],
    observer: &Arc<O>,
    take: impl Fn(&mut S, Elements, &[u8], usize) + Sync,
) -> Result<Vec<Option<Vec<S>>>, FilesError> {
    let decoded: Vec<usize> =
        (0..tensors.len()).filter(|at| elements(tensors[*at].dtype()).is_some()).collect();
    let tracks: Vec<Track<'_>> = decoded.iter().map(|at| vec![tensors[*at]]).collect();
    observer.begin("checking", decoded.iter().map(|at| tensors[*at].byte_len() as u64).sum());
    let swept = sweep(&tracks, &**observer, |state: &mut S, piece| {
        if let Some(elements) = elements(tensors[decoded[piece.track]].dtype()) {
            take(state, elements, piece.bytes[0], piece.first);
        }
    })?;
    let mut found: Vec<Option<Vec<S>>> = tensors.iter().map(|_| None).collect();
    for (at, parts) in decoded.into_iter().zip(swept) {
        found[at] = parts.ok();
    }
    Ok(found)
}

/// Counts, and the first element that is not finite with its place.
#[derive(Debug, Clone, Copy, Default)]
struct Nonfinite {
    count: u64,
    first: Option<(u64, f64)>,
}

pub(super) fn finite<O: Observer>(
    tensors: &[&NamedTensor],
    observer: &Arc<O>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    let found = over(tensors, observer, |state: &mut Nonfinite, elements, bytes, first| {
        let mut moments = Moments::default();
        moments.add(elements, bytes);
        if moments.nonfinite() == 0 {
            return;
        }
        state.count += moments.nonfinite();
        if state.first.is_none() {
            let mut values: Vec<f64> = Vec::new();
            elements.decode(bytes, &mut values);
            let at = values.iter().position(|x| !x.is_finite());
            state.first = at.map(|at| ((first + at) as u64, values[at]));
        }
    })?;
    let verdict = |(tensor, parts): (&&NamedTensor, Option<Vec<Nonfinite>>)| {
        let parts = parts?;
        let count: u64 = parts.iter().map(|part| part.count).sum();
        let offender = parts.iter().find_map(|part| part.first).map(|(place, value)| {
            let position = position(tensor.shape(), place);
            let (elements, are) = if count == 1 { ("element", "is") } else { ("elements", "are") };
            let numel = tensor.numel();
            let elements = if numel == 1 { elements } else { "elements" };
            Offender {
                says: format!(
                    "{} is {value} at {position:?}; {count} of {numel} {elements} {are} not finite",
                    tensor.name()
                ),
                tensor: tensor.name().to_owned(),
                position: Some(position),
                value: None,
                expected: None,
                tolerance: None,
            }
        });
        Some(Verdict { violated: count > 0, badness: count as f64, offender })
    };
    Ok(tensors.iter().zip(found).map(verdict).collect())
}

pub(super) fn sparsity<O: Observer>(
    tensors: &[&NamedTensor],
    least: f64,
    observer: &Arc<O>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    let found = over(tensors, observer, |zeros: &mut u64, elements, bytes, _| {
        let mut moments = Moments::default();
        moments.add(elements, bytes);
        *zeros += moments.zeros();
    })?;
    let verdict = |(tensor, parts): (&&NamedTensor, Option<Vec<u64>>)| {
        let (zeros, numel) = (parts?.iter().sum::<u64>(), tensor.numel() as u64);
        let needed = (least * numel as f64).round_ties_even() as u64;
        let share = if numel == 0 { 1.0 } else { zeros as f64 / numel as f64 };
        let offender = Offender {
            tensor: tensor.name().to_owned(),
            position: None,
            value: Some(share),
            expected: Some(least),
            tolerance: None,
            says: format!(
                "{} has {zeros} zeros among {numel} elements, a share of {share:.4}; {needed} are expected",
                tensor.name(),
            ),
        };
        Some(Verdict { violated: zeros < needed, badness: -share, offender: Some(offender) })
    };
    Ok(tensors.iter().zip(found).map(verdict).collect())
}

pub(super) fn n_of_m<O: Observer>(
    tensors: &[&NamedTensor],
    (n, m): (usize, usize),
    observer: &Arc<O>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    let mut verdicts = Vec::new();
    // One by one: where a row ends may be in another piece, so that a byte an element is kept.
    for tensor in tensors {
        let Some(length) = tensor.shape().last().copied().filter(|length| *length >= m) else {
            verdicts.push(None);
            continue;
        };
        let found = over(&[*tensor], observer, |kept: &mut Vec<bool>, elements, bytes, _| {
            let mut values: Vec<f32> = Vec::new();
            match elements {
                // Not to take a number for zero that single precision has none for.
                Elements::F64 | Elements::C128 => {
                    let mut values: Vec<f64> = Vec::new();
                    elements.decode(bytes, &mut values);
                    kept.extend(values.iter().map(|x| *x != 0.0));
                }
                _ => {
                    elements.decode(bytes, &mut values);
                    kept.extend(values.iter().map(|x| *x != 0.0));
                }
            }
        })?;
        let kept = found.into_iter().next().flatten().map(|parts| parts.concat());
        verdicts.push(kept.map(|kept| groups(tensor, &kept, length, (n, m))));
    }
    Ok(verdicts)
}

/// Looks at each whole group.
fn groups(tensor: &NamedTensor, kept: &[bool], length: usize, (n, m): (usize, usize)) -> Verdict {
    let (mut worst, mut place, mut over) = (0, 0, 0u64);
    for (row, kept) in kept.chunks_exact(length).enumerate() {
        for (group, kept) in kept.chunks_exact(m).enumerate() {
            let count = kept.iter().filter(|kept| **kept).count();
            over += u64::from(count > n);
            if count > worst {
                (worst, place) = (count, row * length + group * m);
            }
        }
    }
    let position = position(tensor.shape(), place as u64);
    let offender = (worst > 0).then(|| Offender {
        says: format!(
            "{} has {worst} of {m} elements that are not zero from {position:?} on, and {n} are allowed; {over} groups \
             have more",
            tensor.name(),
        ),
        tensor: tensor.name().to_owned(),
        position: Some(position),
        value: Some(worst as f64),
        expected: Some(n as f64),
        tolerance: None,
    });
    Verdict { violated: over > 0, badness: worst as f64, offender }
}

//! What differs between two checkpoints.

mod renamed;
mod result;

use std::collections::HashSet;
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_kernels::{Contrast, Tolerance};

pub(crate) use self::result::position;
pub use self::result::{Changed, Diff, DiffTotal, Lone, Renamed};
use crate::elements::elements;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::sweep;

/// Compares two checkpoints tensor by tensor, whatever their formats. Metadata does not count.
///
/// Tensors of one name and shape are compared element by element, also if their types differ; a type or shape that
/// differs counts whatever the tolerance. A tensor that is only in `b` is renamed if one that is only in `a` has its
/// type, shape and bytes, and added otherwise. Numbers differ if `|a - b| > atol + rtol * |a|`; a NaN is equal to one of
/// the same bits.
///
/// Both files are read in pieces side by side; a tensor that its format does not let be read from the middle is held in
/// memory as a whole.
///
/// # Errors
///
/// What keeps a tensor from being read, and [`FilesError::Cancelled`].
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Silent, diff};
/// use espalier_kernels::Tolerance;
/// let [mut a, mut b] = [Checkpoint::new(), Checkpoint::new()];
/// a.push(NamedTensor::f32("w", vec![2], &[1.0, 2.0])?)?;
/// a.push(NamedTensor::f32("old", vec![1], &[7.0])?)?;
/// b.push(NamedTensor::f32("w", vec![2], &[1.0, 2.5])?)?;
/// b.push(NamedTensor::f32("new", vec![1], &[7.0])?)?;
/// let found = diff(&a, &b, &Tolerance::default(), &Arc::new(Silent))?;
/// assert_eq!((found.changed[0].max_abs, found.changed[0].at.as_deref()), (Some(0.5), Some(&[1][..])));
/// assert_eq!((&*found.renamed[0].from, &*found.renamed[0].to), ("old", "new"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diff<O: Observer>(
    a: &Checkpoint,
    b: &Checkpoint,
    tolerance: &Tolerance,
    observer: &Arc<O>,
) -> Result<Diff, FilesError> {
    let both: Vec<(&NamedTensor, &NamedTensor)> =
        a.iter().filter_map(|tensor| Some((tensor, b.get(tensor.name())?))).collect();
    let alone = |from: &Checkpoint, in_other: &Checkpoint| -> Vec<NamedTensor> {
        from.iter().filter(|tensor| in_other.get(tensor.name()).is_none()).cloned().collect()
    };
    let (removed, added) = (alone(a, b), alone(b, a));

    // A pair that is held against each other; tied ones cost no reading.
    let compared: Vec<usize> = (0..both.len())
        .filter(|at| {
            let (a, b) = both[*at];
            a.shape() == b.shape() && !a.is_tied_to(b) && comparable(a, b)
        })
        .collect();
    let size = |tensor: &NamedTensor| tensor.byte_len() as u64;
    observer
        .begin("comparing", compared.iter().map(|at| size(both[*at].0) + size(both[*at].1)).sum());
    let tracks: Vec<Vec<&NamedTensor>> =
        compared.iter().map(|at| vec![both[*at].0, both[*at].1]).collect();
    let swept = sweep(&tracks, &**observer, |found: &mut Found, piece| {
        let (a, b) = both[compared[piece.track]];
        found.add((a, piece.bytes[0]), (b, piece.bytes[1]), piece.first, tolerance);
    })?;
    let mut found: Vec<Option<Found>> = both.iter().map(|_| None).collect();
    for (at, parts) in compared.iter().zip(swept) {
        let mut whole = Found::default();
        parts?.iter().for_each(|part| whole.merge(part));
        found[*at] = Some(whole);
    }

    let renamed = renamed::renamed(&removed, &added, observer)?;
    let froms: HashSet<&str> = renamed.iter().map(|renamed| &*renamed.from).collect();
    let tos: HashSet<&str> = renamed.iter().map(|renamed| &*renamed.to).collect();
    let lone = |tensors: &[NamedTensor], but: &HashSet<&str>| -> Vec<Lone> {
        tensors.iter().filter(|tensor| !but.contains(tensor.name())).map(Lone::of).collect()
    };
    let (added, removed) = (lone(&added, &tos), lone(&removed, &froms));
    Ok(result::diff((a, b), (added, removed, renamed), &both, &found))
}

/// Whether elements can be held against each other: as numbers, or as bytes of one type.
fn comparable(a: &NamedTensor, b: &NamedTensor) -> bool {
    a.dtype() == b.dtype() || elements(a.dtype()).is_some() && elements(b.dtype()).is_some()
}

/// What was found of two tensors.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    contrast: Contrast,
    /// Whether bytes differ of elements that are not decoded.
    bytes: bool,
}

impl Found {
    fn add(
        &mut self,
        (a, a_bytes): (&NamedTensor, &[u8]),
        (b, b_bytes): (&NamedTensor, &[u8]),
        first: usize,
        tolerance: &Tolerance,
    ) {
        match (elements(a.dtype()), elements(b.dtype())) {
            (Some(a), Some(b)) => {
                self.contrast.add((a, a_bytes), (b, b_bytes), first as u64, tolerance);
            }
            _ => self.bytes |= a_bytes != b_bytes,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.contrast.merge(&other.contrast);
        self.bytes |= other.bytes;
    }
}

#[cfg(test)]
mod tests;

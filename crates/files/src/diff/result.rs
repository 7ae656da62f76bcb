//! What a comparison comes to.

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_kernels::Contrast;
use serde::Serialize;

use super::Found;

/// What differs between two checkpoints, as `espalier diff --json` prints it.
///
/// See [`diff`](crate::diff()) for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// The first file; empty for a checkpoint that was made in memory.
    pub a: String,
    /// The second file.
    pub b: String,
    /// Whether anything differs beyond the tolerance, or by name, type or shape.
    pub differs: bool,
    /// The tensors that only the second has.
    pub added: Vec<Lone>,
    /// The tensors that only the first has.
    pub removed: Vec<Lone>,
    /// The tensors that have another name in the second.
    pub renamed: Vec<Renamed>,
    /// The tensors of one name that are not equal, in the order of the first.
    pub changed: Vec<Changed>,
    /// All that was compared, together.
    pub total: DiffTotal,
}

/// A tensor that one of two checkpoints has.
///
/// ```
/// use espalier_checkpoint::NamedTensor;
/// let lone = espalier_files::Lone::of(&NamedTensor::f32("w", vec![2], &[0.0; 2])?);
/// assert_eq!((&*lone.name, &*lone.dtype), ("w", "F32"));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lone {
    /// Its name.
    pub name: String,
    /// The element type, as safetensors spells it.
    pub dtype: String,
    /// The size of each dimension.
    pub shape: Vec<usize>,
}

impl Lone {
    /// Of a tensor.
    ///
    /// See [`Lone`] for an example.
    pub fn of(tensor: &NamedTensor) -> Self {
        Self {
            name: tensor.name().to_owned(),
            dtype: tensor.dtype().name().to_owned(),
            shape: tensor.shape().to_vec(),
        }
    }
}

/// A tensor of the same type, shape and bytes under two names.
///
/// See [`diff`](crate::diff()) for an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// Its name in the first.
    pub from: String,
    /// Its name in the second.
    pub to: String,
    /// The element type.
    pub dtype: String,
    /// The size of each dimension.
    pub shape: Vec<usize>,
}

/// A tensor of one name that is not equal in both. Numbers are `None` where shapes differ or elements are not decoded.
///
/// See [`diff`](crate::diff()) for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// The name.
    pub name: String,
    /// The element type in the first and in the second.
    pub dtype: [String; 2],
    /// The size of each dimension in the first and in the second.
    pub shape: [Vec<usize>; 2],
    /// Whether it differs beyond the tolerance, or by type or shape.
    pub differs: bool,
    /// How many elements are not equal; a complex number counts as two.
    pub changed: Option<u64>,
    /// How many of those differ beyond the tolerance.
    pub beyond: Option<u64>,
    /// How many of those are infinite or not a number in one of both.
    pub nonfinite: Option<u64>,
    /// The largest difference between finite elements.
    pub max_abs: Option<f64>,
    /// Where it is; if there is none, where the first of `nonfinite` is.
    pub at: Option<Vec<usize>>,
    /// `|a - b| / |a|` in Euclidean norms; `None` if the first is zero too.
    pub relative: Option<f64>,
    /// The cosine of the angle between both; `None` if one is zero too.
    pub cosine: Option<f64>,
}

/// All tensors of one name and shape, together.
///
/// See [`diff`](crate::diff()) for an example.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DiffTotal {
    /// The number of tensors that have one name in both.
    pub tensors: u64,
    /// How many of those are equal in type, shape and every element.
    pub equal: u64,
    /// The number of tensors that differ: added, removed, renamed, or changed beyond the tolerance.
    pub different: u64,
    /// The largest difference between finite elements.
    pub max_abs: Option<f64>,
    /// `|a - b| / |a|` over all elements that were compared.
    pub relative: Option<f64>,
    /// The cosine of the angle between all elements of both that were compared.
    pub cosine: Option<f64>,
}

pub(super) fn diff(
    (a, b): (&Checkpoint, &Checkpoint),
    (added, removed, renamed): (Vec<Lone>, Vec<Lone>, Vec<Renamed>),
    both: &[(&NamedTensor, &NamedTensor)],
    found: &[Option<Found>],
) -> Diff {
    let mut all = Contrast::default();
    found.iter().flatten().for_each(|found| all.merge(&found.contrast));
    let changed: Vec<Changed> =
        both.iter().zip(found).filter_map(|((a, b), found)| of(a, b, found.as_ref())).collect();
    let differing = changed.iter().filter(|changed| changed.differs).count();
    let different = added.len() + removed.len() + renamed.len() + differing;
    let file = |checkpoint: &Checkpoint| {
        checkpoint.origin.as_ref().map(|origin| origin.path.display().to_string())
    };
    Diff {
        a: file(a).unwrap_or_default(),
        b: file(b).unwrap_or_default(),
        differs: different > 0,
        total: DiffTotal {
            tensors: both.len() as u64,
            equal: (both.len() - changed.len()) as u64,
            different: different as u64,
            max_abs: Some(all.largest().map_or(0.0, |(_, most)| most)),
            relative: all.relative(),
            cosine: all.cosine(),
        },
        added,
        removed,
        renamed,
        changed,
    }
}

/// What is said of two tensors of one name, if there is anything.
fn of(a: &NamedTensor, b: &NamedTensor, found: Option<&Found>) -> Option<Changed> {
    let other = a.dtype() != b.dtype() || a.shape() != b.shape();
    let bytes = found.is_some_and(|found| found.bytes);
    let contrast = found.map(|found| &found.contrast).filter(|_| !bytes);
    let changed = contrast.map_or(0, Contrast::changed);
    if !other && !bytes && changed == 0 {
        return None;
    }
    let place = contrast.and_then(|found| found.largest().map(|(at, _)| at).or(found.first()));
    Some(Changed {
        name: a.name().to_owned(),
        dtype: [a, b].map(|tensor| tensor.dtype().name().to_owned()),
        shape: [a, b].map(|tensor| tensor.shape().to_vec()),
        differs: other || bytes || contrast.is_some_and(|found| found.beyond() > 0),
        changed: contrast.map(Contrast::changed),
        beyond: contrast.map(Contrast::beyond),
        nonfinite: contrast.map(Contrast::incomparable),
        max_abs: contrast.map(|found| found.largest().map_or(0.0, |(_, most)| most)),
        at: place.map(|at| position(a.shape(), at)),
        relative: contrast.and_then(Contrast::relative),
        cosine: contrast.and_then(Contrast::cosine),
    })
}

/// The index of an element in each dimension.
pub(crate) fn position(shape: &[usize], place: u64) -> Vec<usize> {
    let mut rest = usize::try_from(place).unwrap_or(usize::MAX);
    let mut position: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let here = rest % (*size).max(1);
            rest /= (*size).max(1);
            here
        })
        .collect();
    position.reverse();
    position
}

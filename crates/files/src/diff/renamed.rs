//! Tensors under another name.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use espalier_checkpoint::{Dtype, NamedTensor};

use super::result::Renamed;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::sweep;

/// What two tensors must share before their bytes are looked at.
type Kind = (Dtype, Vec<usize>);

fn kind(tensor: &NamedTensor) -> Kind {
    (tensor.dtype(), tensor.shape().to_vec())
}

/// Each of `added` that has type, shape and bytes of one of `removed`, in the order of `added`; of several the first that
/// is not taken. Only tensors whose type and shape are on both sides are read.
pub(super) fn renamed<O: Observer>(
    removed: &[NamedTensor],
    added: &[NamedTensor],
    observer: &Arc<O>,
) -> Result<Vec<Renamed>, FilesError> {
    let kinds = |tensors: &[NamedTensor]| tensors.iter().map(kind).collect::<HashSet<Kind>>();
    let (gone, come) = (kinds(removed), kinds(added));
    let candidates = |tensors: &'_ [NamedTensor]| -> Vec<NamedTensor> {
        let shared = |tensor: &&NamedTensor| {
            let kind = kind(tensor);
            gone.contains(&kind) && come.contains(&kind)
        };
        tensors.iter().filter(shared).cloned().collect()
    };
    let (removed, added) = (candidates(removed), candidates(added));
    let all: Vec<&NamedTensor> = removed.iter().chain(&added).collect();
    observer.begin("looking for renamed", all.iter().map(|t| t.byte_len() as u64).sum());
    let hashes = hashes(&all, &**observer)?;
    let (of_removed, of_added) = hashes.split_at(removed.len());

    let mut waiting: HashMap<(Kind, u64), VecDeque<usize>> = HashMap::new();
    for (place, (tensor, hash)) in removed.iter().zip(of_removed).enumerate() {
        waiting.entry((kind(tensor), *hash)).or_default().push_back(place);
    }
    let mut pairs = Vec::new();
    for (tensor, hash) in added.iter().zip(of_added) {
        let taken = waiting.get_mut(&(kind(tensor), *hash)).and_then(VecDeque::pop_front);
        pairs.extend(taken.map(|place| (&removed[place], tensor)));
    }
    // A hash says that they are equal in all likelihood; bytes say that they are.
    let tracks: Vec<Vec<&NamedTensor>> = pairs.iter().map(|(a, b)| vec![*a, *b]).collect();
    let differ = sweep(&tracks, &**observer, |differ: &mut bool, piece| {
        *differ |= piece.bytes[0] != piece.bytes[1];
    })?;
    let mut renamed = Vec::new();
    for ((a, b), differ) in pairs.into_iter().zip(differ) {
        if !differ?.into_iter().any(|differ| differ) {
            renamed.push(Renamed {
                from: a.name().to_owned(),
                to: b.name().to_owned(),
                dtype: a.dtype().name().to_owned(),
                shape: a.shape().to_vec(),
            });
        }
    }
    Ok(renamed)
}

/// A number for the bytes of each tensor.
fn hashes<O: Observer>(tensors: &[&NamedTensor], observer: &O) -> Result<Vec<u64>, FilesError> {
    let tracks: Vec<Vec<&NamedTensor>> = tensors.iter().map(|tensor| vec![*tensor]).collect();
    let parts = sweep(&tracks, observer, |hasher: &mut DefaultHasher, piece| {
        hasher.write(piece.bytes[0]);
    })?;
    let whole = |parts: Vec<DefaultHasher>| {
        let mut hasher = DefaultHasher::new();
        parts.iter().for_each(|part| hasher.write_u64(part.finish()));
        hasher.finish()
    };
    parts.into_iter().map(|parts| Ok(whole(parts?))).collect()
}

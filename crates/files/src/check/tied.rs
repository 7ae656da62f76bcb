//! Whether two tensors are one.

use std::sync::Arc;

use espalier_checkpoint::NamedTensor;
use espalier_kernels::{Contrast, Tolerance};

use super::{Offender, Verdict, finite, shown};
use crate::diff::position;
use crate::elements::elements;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::sweep;

/// What was found of two tensors of one type and shape.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    contrast: Contrast,
    bytes: bool,
}

pub(super) fn tied<O: Observer>(
    tensors: &[&NamedTensor],
    observer: &Arc<O>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    let [a, b] = tensors[..] else { return Ok(Vec::new()) };
    if a.is_tied_to(b) {
        return Ok(vec![Some(Verdict { violated: false, badness: 0.0, offender: None })]);
    }
    let offender = |says: String| Offender {
        tensor: b.name().to_owned(),
        position: None,
        value: None,
        expected: None,
        tolerance: None,
        says,
    };
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        let kind = |tensor: &NamedTensor| format!("{} {:?}", tensor.dtype(), tensor.shape());
        let says = format!("{} is {}, and {} is {}", b.name(), kind(b), a.name(), kind(a));
        let badness = f64::INFINITY;
        return Ok(vec![Some(Verdict { violated: true, badness, offender: Some(offender(says)) })]);
    }
    observer.begin("checking", (a.byte_len() + b.byte_len()) as u64);
    let kind = elements(a.dtype());
    let swept = sweep(&[vec![a, b]], &**observer, |found: &mut Found, piece| {
        let (x, y) = (piece.bytes[0], piece.bytes[1]);
        if x != y {
            found.bytes = true;
            if let Some(kind) = kind {
                let place = piece.first as u64;
                found.contrast.add((kind, x), (kind, y), place, &Tolerance::default());
            }
        }
    })?;
    let mut whole = Found::default();
    for parts in swept {
        for part in parts? {
            whole.contrast.merge(&part.contrast);
            whole.bytes |= part.bytes;
        }
    }
    let largest = whole.contrast.largest();
    let offender = whole.bytes.then(|| match (largest, whole.contrast.first()) {
        (Some((place, most)), _) => {
            let position = position(a.shape(), place);
            Offender {
                position: Some(position.clone()),
                value: finite(most),
                expected: Some(0.0),
                ..offender(format!(
                    "{} differs from {} by {} at {position:?}; {} elements differ",
                    b.name(),
                    a.name(),
                    shown(most),
                    whole.contrast.changed(),
                ))
            }
        }
        (None, Some(place)) => {
            let position = position(a.shape(), place);
            Offender {
                position: Some(position.clone()),
                ..offender(format!(
                    "{} and {} differ at {position:?}, where one is not finite",
                    b.name(),
                    a.name()
                ))
            }
        }
        (None, None) => {
            offender(format!("{} and {} are equal in value and not in bits", b.name(), a.name()))
        }
    });
    let badness = largest.map_or(0.0, |(_, most)| most);
    Ok(vec![Some(Verdict { violated: whole.bytes, badness, offender })])
}

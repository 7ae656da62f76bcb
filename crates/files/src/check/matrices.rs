//! Checks of matrices: orthonormal, symmetric.

use std::sync::Arc;

use espalier_checkpoint::NamedTensor;
use espalier_kernels::{Departure, Elements, Real, asymmetry, orthogonality};

use super::{Offender, Verdict, finite, shown};
use crate::elements::elements;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::is_unread;

/// Matrices of one size, after one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    rows: usize,
    columns: usize,
}

/// The matrices of the last two dimensions.
fn last_two(shape: &[usize]) -> Option<Batch> {
    match shape {
        [.., rows, columns] => Some(Batch { rows: *rows, columns: *columns }),
        _ => None,
    }
}

/// The one matrix of the first dimension by the others.
fn flattened(shape: &[usize]) -> Option<Batch> {
    match shape {
        [rows, _, ..] => Some(Batch { rows: *rows, columns: shape[1..].iter().product() }),
        _ => None,
    }
}

/// The worst of several matrices, and which of them it is in.
type Worst = Option<(usize, Departure)>;

fn worst<T: Real>(
    values: &[T],
    batch: Batch,
    measure: impl Fn(&[T]) -> Option<Departure>,
) -> Worst {
    let size = (batch.rows * batch.columns).max(1);
    let all = values.chunks_exact(size).enumerate();
    let all = all.filter_map(|(index, values)| Some((index, measure(values)?)));
    all.reduce(|worst, next| if next.1.off() > worst.1.off() { next } else { worst })
}

/// Reads a tensor and has it looked at, in the narrower type that holds it; nothing for one that is left out.
fn each<O: Observer>(
    tensors: &[&NamedTensor],
    observer: &Arc<O>,
    look: impl Fn(&NamedTensor, Elements, &Numbers) -> Option<Verdict>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    observer.begin("checking", tensors.iter().map(|tensor| tensor.byte_len() as u64).sum());
    let mut verdicts = Vec::new();
    for tensor in tensors {
        if observer.cancelled() {
            return Err(FilesError::Cancelled);
        }
        let real = elements(tensor.dtype()).filter(|kind| kind.parts() == *kind);
        let (Some(kind), Some(_)) = (real, last_two(tensor.shape())) else {
            verdicts.push(None);
            continue;
        };
        verdicts.push(match tensor.bytes() {
            Ok(bytes) => {
                observer.advance(bytes.len() as u64);
                let numbers = Numbers::of(kind, &bytes);
                drop(bytes);
                look(tensor, kind, &numbers)
            }
            Err(error) if is_unread(&error) => None,
            Err(error) => return Err(error.into()),
        });
    }
    Ok(verdicts)
}

/// Elements in a type that is computed in.
enum Numbers {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Numbers {
    fn of(kind: Elements, bytes: &[u8]) -> Self {
        fn decoded<T: Real>(kind: Elements, bytes: &[u8]) -> Vec<T> {
            let mut values = Vec::with_capacity(bytes.len() * 8 / kind.bits());
            kind.decode(bytes, &mut values);
            values
        }
        match kind {
            Elements::F64 | Elements::I64 | Elements::U64 | Elements::I32 | Elements::U32 => {
                Self::Double(decoded(kind, bytes))
            }
            _ => Self::Single(decoded(kind, bytes)),
        }
    }

    /// The distance from 1 to the next number.
    fn epsilon(&self) -> f64 {
        match self {
            Self::Single(_) => f64::from(f32::EPSILON),
            Self::Double(_) => f64::EPSILON,
        }
    }

    fn orthogonality(&self, batch: Batch) -> Worst {
        let Batch { rows, columns } = batch;
        match self {
            // Lengths are those of the batch.
            Self::Single(x) => worst(x, batch, |x| orthogonality(rows, columns, x).ok().flatten()),
            Self::Double(x) => worst(x, batch, |x| orthogonality(rows, columns, x).ok().flatten()),
        }
    }

    fn asymmetry(&self, batch: Batch) -> Worst {
        match self {
            Self::Single(x) => worst(x, batch, |x| asymmetry(batch.rows, x).ok().flatten()),
            Self::Double(x) => worst(x, batch, |x| asymmetry(batch.rows, x).ok().flatten()),
        }
    }

    /// The largest magnitude.
    fn largest(&self) -> f64 {
        match self {
            Self::Single(x) => f64::from(x.iter().fold(0f32, |most, x| most.max(x.abs()))),
            Self::Double(x) => x.iter().fold(0f64, |most, x| most.max(x.abs())),
        }
    }
}

/// How far an element of a Gram matrix may be from that of the identity.
fn orthogonal_tolerance(kind: Elements, numbers: &Numbers, batch: Batch) -> f64 {
    let computed = 10.0 * batch.rows.max(batch.columns) as f64 * numbers.epsilon();
    let rounded = if kind.epsilon() > numbers.epsilon() { 4.0 * kind.epsilon() } else { 0.0 };
    computed + rounded
}

pub(super) fn orthogonal<O: Observer>(
    tensors: &[&NamedTensor],
    tolerance: Option<f64>,
    observer: &Arc<O>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    each(tensors, observer, |tensor, kind, numbers| {
        let judge = |batch: Batch| {
            let tolerance = tolerance.unwrap_or_else(|| orthogonal_tolerance(kind, numbers, batch));
            judged(tensor, batch, numbers.orthogonality(batch), tolerance, |batch, found| {
                let Batch { rows, columns } = batch;
                let gram = if columns <= rows { "columns" } else { "rows" };
                let Departure { row, column, .. } = found;
                format!("the {gram} {row} and {column} of {rows} x {columns} have the product")
            })
        };
        let whole = judge(flattened(tensor.shape())?);
        let parts = last_two(tensor.shape()).filter(|_| tensor.shape().len() > 2).map(judge);
        // Orthogonal in either way is orthogonal.
        Some(match parts {
            Some(parts) if whole.violated && !parts.violated => parts,
            _ => whole,
        })
    })
}

pub(super) fn symmetric<O: Observer>(
    tensors: &[&NamedTensor],
    tolerance: Option<f64>,
    observer: &Arc<O>,
) -> Result<Vec<Option<Verdict>>, FilesError> {
    each(tensors, observer, |tensor, kind, numbers| {
        let batch = last_two(tensor.shape())?;
        let Batch { rows, columns } = batch;
        if rows != columns {
            let says = format!(
                "{} is {rows} x {columns}, and only a square can be symmetric",
                tensor.name()
            );
            let offender = Offender {
                tensor: tensor.name().to_owned(),
                position: None,
                value: None,
                expected: None,
                tolerance: None,
                says,
            };
            let badness = f64::INFINITY;
            return Some(Verdict { violated: true, badness, offender: Some(offender) });
        }
        let tolerance = tolerance
            .unwrap_or_else(|| 4.0 * kind.epsilon() * finite(numbers.largest()).unwrap_or(0.0));
        Some(judged(tensor, batch, numbers.asymmetry(batch), tolerance, |_, found| {
            let (here, there) = ([found.row, found.column], [found.column, found.row]);
            format!("at {here:?}, which mirrors {there:?}, stands")
        }))
    })
}

/// A verdict on the worst element.
fn judged(
    tensor: &NamedTensor,
    batch: Batch,
    worst: Worst,
    tolerance: f64,
    says: impl Fn(Batch, &Departure) -> String,
) -> Verdict {
    let Some((index, found)) = worst else {
        return Verdict { violated: false, badness: 0.0, offender: None };
    };
    let violated = found.off() > tolerance;
    let many = tensor.numel() > batch.rows * batch.columns;
    let matrix = if many { format!(" (matrix {index})") } else { String::new() };
    let mut position = vec![found.row, found.column];
    if many {
        position.insert(0, index);
    }
    Verdict {
        violated,
        badness: found.off() / tolerance.max(f64::MIN_POSITIVE),
        offender: Some(Offender {
            says: format!(
                "{}{matrix}: {} {}, and {} is expected: off by {}, allowed {}",
                tensor.name(),
                says(batch, &found),
                shown(found.value),
                shown(found.expected),
                shown(found.off()),
                shown(tolerance),
            ),
            tensor: tensor.name().to_owned(),
            position: Some(position),
            value: finite(found.value),
            expected: finite(found.expected),
            tolerance: Some(tolerance),
        }),
    }
}

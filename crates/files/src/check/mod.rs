//! Whether what should hold of a checkpoint does.

mod elementwise;
mod matrices;
mod tied;

use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use serde::Serialize;

use crate::error::FilesError;
use crate::observe::Observer;
use crate::select::Selection;

/// Something that should hold of tensors.
///
/// ```
/// use espalier_files::Invariant;
/// let sparse = Invariant::Sparsity { glob: "*.weight".into(), least: 0.9 };
/// assert_eq!(sparse.name(), "sparsity");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Invariant {
    /// No element is infinite or not a number.
    Finite,
    /// Rows or columns, whichever are fewer, are orthonormal: no element of the smaller Gram matrix is further from the
    /// identity than the tolerance.
    ///
    /// A tensor of more than two dimensions counts as a matrix of its first dimension by the others, as
    /// `torch.nn.init.orthogonal_` takes a convolution's weight; or else as matrices of its last two dimensions, as
    /// `torch.nn.utils.parametrizations.orthogonal` does. Tensors of fewer dimensions are left out.
    ///
    /// The tolerance is that of PyTorch, `10 n eps` with the larger side `n` and the `eps` of F32 or F64. A type of less
    /// precision is computed in F32, and its four `eps` come on top: rounding columns of length 1 moves a product of two of
    /// them by at most one `eps`.
    Orthogonal {
        /// The tensors.
        glob: String,
    },
    /// Of each tensor at least this share of elements is zero; the number is rounded half to even, as it is on pruning.
    Sparsity {
        /// The tensors.
        glob: String,
        /// From 0 to 1.
        least: f64,
    },
    /// Of every `m` elements after each other on the last dimension at most `n` are not zero; a shorter group at the end is
    /// free.
    NOfM {
        /// The tensors.
        glob: String,
        /// How many may not be zero.
        n: usize,
        /// Of how many.
        m: usize,
    },
    /// Two tensors have one type, one shape and the same bytes.
    Tied {
        /// The name of one.
        a: String,
        /// The name of the other.
        b: String,
    },
    /// Matrices, those of the last two dimensions, are equal to their transpose, to four units in the last place of the
    /// larger element. Tensors of fewer than two dimensions are left out.
    Symmetric {
        /// The tensors.
        glob: String,
    },
}

impl Invariant {
    /// Its name on the command line.
    ///
    /// ```
    /// assert_eq!(espalier_files::Invariant::Finite.name(), "finite");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finite => "finite",
            Self::Orthogonal { .. } => "orthogonal",
            Self::Sparsity { .. } => "sparsity",
            Self::NOfM { .. } => "nm",
            Self::Tied { .. } => "tied",
            Self::Symmetric { .. } => "symmetric",
        }
    }

    /// What it is asked of, as on the command line.
    ///
    /// ```
    /// use espalier_files::Invariant;
    /// assert_eq!(Invariant::NOfM { glob: "fc.*".into(), n: 2, m: 4 }.of(), "fc.*=2:4");
    /// ```
    pub fn of(&self) -> String {
        match self {
            Self::Finite => "*".to_owned(),
            Self::Orthogonal { glob } | Self::Symmetric { glob } => glob.clone(),
            Self::Sparsity { glob, least } => format!("{glob}={least}"),
            Self::NOfM { glob, n, m } => format!("{glob}={n}:{m}"),
            Self::Tied { a, b } => format!("{a}={b}"),
        }
    }
}

/// What came of the checks of a file, as `espalier check --json` prints it.
///
/// See [`check`] for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// The file; empty for a checkpoint that was made in memory.
    pub file: String,
    /// Whether all of it holds.
    pub holds: bool,
    /// Each invariant in turn.
    pub checks: Vec<Check>,
}

/// What came of one check.
///
/// See [`check`] for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The invariant's name.
    pub check: &'static str,
    /// What it was asked of.
    pub of: String,
    /// Whether it holds.
    pub holds: bool,
    /// The number of tensors that were looked at.
    pub tensors: u64,
    /// The number of those that violate it.
    pub violations: u64,
    /// The number of tensors that were meant and left out, for the invariant says nothing of their shape or type.
    pub left_out: u64,
    /// The worst element or tensor. Where the invariant holds, the one that is nearest to breaking it, if there is a nearest.
    pub worst: Option<Offender>,
}

/// What breaks an invariant, or comes nearest to it.
///
/// See [`check`] for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offender {
    /// The tensor.
    pub tensor: String,
    /// The index of the element, where there is one: of the first of a group, or in a Gram matrix.
    pub position: Option<Vec<usize>>,
    /// What was found; `None` if it is infinite or not a number.
    pub value: Option<f64>,
    /// What was expected of it.
    pub expected: Option<f64>,
    /// How far it may be from that, where that is not all or nothing.
    pub tolerance: Option<f64>,
    /// All of it in words.
    pub says: String,
}

/// A tensor that was looked at: how bad it is, if it is bad at all, and what to say of it.
struct Verdict {
    violated: bool,
    /// By how much, to find the worst.
    badness: f64,
    offender: Option<Offender>,
}

/// Looks whether each invariant holds.
///
/// Matrices are held in memory one at a time, with their Gram matrix; everything else is read in pieces. The `tolerance`,
/// if there is one, is taken for orthogonal and symmetric matrices instead of those that go with the types.
///
/// # Errors
///
/// [`FilesError::NoMatch`] for a glob or name without a tensor, [`FilesError::NothingToCheck`] for one whose tensors are
/// all left out, [`FilesError::Glob`], what keeps a tensor from being read, and [`FilesError::Cancelled`].
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Invariant, Silent, check};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, 1.0, f32::NAN])?)?;
/// let asked = [Invariant::Finite, Invariant::Sparsity { glob: "w".into(), least: 0.25 }];
/// let found = check(&checkpoint, &asked, None, &Arc::new(Silent))?;
/// assert!(!found.holds && !found.checks[0].holds && found.checks[1].holds);
/// let worst = found.checks[0].worst.as_ref();
/// assert_eq!(worst.map(|worst| &*worst.says), Some("w is NaN at [1, 1]; 1 of 4 elements is not finite"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check<O: Observer>(
    checkpoint: &Checkpoint,
    invariants: &[Invariant],
    tolerance: Option<f64>,
    observer: &Arc<O>,
) -> Result<Checked, FilesError> {
    // All globs first: reading may take long.
    let meant: Vec<Vec<&NamedTensor>> = invariants
        .iter()
        .map(|invariant| meant(checkpoint, invariant))
        .collect::<Result<_, _>>()?;
    let mut checks = Vec::new();
    for (invariant, meant) in invariants.iter().zip(meant) {
        let verdicts = match invariant {
            Invariant::Finite => elementwise::finite(&meant, observer)?,
            Invariant::Sparsity { least, .. } => elementwise::sparsity(&meant, *least, observer)?,
            Invariant::NOfM { n, m, .. } => elementwise::n_of_m(&meant, (*n, *m), observer)?,
            Invariant::Tied { .. } => tied::tied(&meant, observer)?,
            Invariant::Orthogonal { .. } => matrices::orthogonal(&meant, tolerance, observer)?,
            Invariant::Symmetric { .. } => matrices::symmetric(&meant, tolerance, observer)?,
        };
        checks.push(summed(invariant, &meant, verdicts)?);
    }
    let origin = checkpoint.origin.as_ref();
    Ok(Checked {
        file: origin.map(|origin| origin.path.display().to_string()).unwrap_or_default(),
        holds: checks.iter().all(|check: &Check| check.holds),
        checks,
    })
}

/// The tensors that an invariant is asked of.
fn meant<'a>(
    checkpoint: &'a Checkpoint,
    invariant: &Invariant,
) -> Result<Vec<&'a NamedTensor>, FilesError> {
    match invariant {
        Invariant::Finite => Ok(checkpoint.iter().collect()),
        Invariant::Tied { a, b } => [a, b]
            .into_iter()
            .map(|name| {
                checkpoint.get(name).ok_or_else(|| FilesError::NoMatch {
                    glob: name.clone(),
                    nearest: crate::nearest::nearest(name, checkpoint.names()),
                })
            })
            .collect(),
        Invariant::Orthogonal { glob }
        | Invariant::Symmetric { glob }
        | Invariant::Sparsity { glob, .. }
        | Invariant::NOfM { glob, .. } => {
            // A name that reads as another glob is a name.
            if let Some(tensor) = checkpoint.get(glob) {
                return Ok(vec![tensor]);
            }
            let chosen = Selection::new(&[glob], &[])?.of(checkpoint)?;
            let tensors = checkpoint.iter().zip(chosen);
            Ok(tensors.filter_map(|(tensor, chosen)| chosen.then_some(tensor)).collect())
        }
    }
}

/// Verdicts on tensors, and none on those that are left out, together.
fn summed(
    invariant: &Invariant,
    meant: &[&NamedTensor],
    verdicts: Vec<Option<Verdict>>,
) -> Result<Check, FilesError> {
    let left_out = verdicts.iter().filter(|verdict| verdict.is_none()).count();
    let verdicts: Vec<Verdict> = verdicts.into_iter().flatten().collect();
    if verdicts.is_empty() && left_out > 0 && *invariant != Invariant::Finite {
        let tensor = meant
            .first()
            .map(|tensor| format!("{} is {} {:?}", tensor.name(), tensor.dtype(), tensor.shape()));
        return Err(FilesError::NothingToCheck {
            check: invariant.name(),
            of: invariant.of(),
            found: tensor.unwrap_or_default(),
        });
    }
    let violations = verdicts.iter().filter(|verdict| verdict.violated).count();
    let tensors = verdicts.len();
    let worst = verdicts
        .into_iter()
        .filter(|verdict| verdict.offender.is_some())
        .reduce(|worst, next| {
            let rank = |verdict: &Verdict| (verdict.violated, verdict.badness);
            if rank(&next).partial_cmp(&rank(&worst)).is_some_and(|order| order.is_gt()) {
                next
            } else {
                worst
            }
        })
        .and_then(|verdict| verdict.offender);
    Ok(Check {
        check: invariant.name(),
        of: invariant.of(),
        holds: violations == 0,
        tensors: tensors as u64,
        violations: violations as u64,
        left_out: left_out as u64,
        worst,
    })
}

/// A number for words: all digits that tell it from its neighbours.
fn shown(value: f64) -> String {
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// A number for JSON, which knows finite ones only.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests;

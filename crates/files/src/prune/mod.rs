//! Pruning whole files.

mod fault;
mod plan;
mod ranked;
mod report;
mod rule;

use std::collections::HashMap;
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor, Provider};
use espalier_kernels::count_to_prune;

pub use self::fault::PruneFault;
use self::plan::Planned;
pub use self::report::{PruneReport, PruneRow, PruneTotal};
use self::rule::{Mask, PrunedValues, Rule};
use crate::error::FilesError;
use crate::mapped::Mapped;
use crate::observe::Observer;
use crate::pieces::is_real;
use crate::select::Selection;

/// How much goes: of elements, or of channels.
///
/// ```
/// use espalier_files::Amount;
/// assert_eq!("0.5".parse(), Amount::fraction(0.5));
/// // One, and all: as in PyTorch the dot counts.
/// assert_eq!(("1".parse(), "1.0".parse()), (Ok(Amount::Count(1)), Amount::fraction(1.0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// A share from 0 to 1, rounded half to even.
    Fraction(f64),
    /// So many.
    Count(usize),
}

impl Amount {
    /// A share from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`PruneFault::Fraction`] for any other number.
    ///
    /// ```
    /// assert!(espalier_files::Amount::fraction(-0.1).is_err());
    /// ```
    pub fn fraction(share: f64) -> Result<Self, PruneFault> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self::Fraction(share))
        } else {
            Err(PruneFault::Fraction { found: share })
        }
    }

    /// How many of `total`; `what` tells of what, for the error.
    fn of(
        self,
        total: usize,
        what: impl FnOnce() -> (Option<String>, &'static str),
    ) -> Result<usize, PruneFault> {
        match self {
            Self::Fraction(share) => {
                Ok(count_to_prune(Self::fraction(share).and(Ok(share))?, total))
            }
            Self::Count(count) if count <= total => Ok(count),
            Self::Count(asked) => {
                let (tensor, what) = what();
                Err(PruneFault::TooMany { tensor, what, asked, found: total })
            }
        }
    }
}

impl std::str::FromStr for Amount {
    type Err = PruneFault;

    fn from_str(text: &str) -> Result<Self, PruneFault> {
        match text.parse() {
            Ok(count) => Ok(Self::Count(count)),
            Err(_) => Self::fraction(text.parse().unwrap_or(f64::NAN)),
        }
    }
}

/// What is ranked together.
///
/// ```
/// assert_eq!(espalier_files::PruneScope::default(), espalier_files::PruneScope::Global);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PruneScope {
    /// The elements of all tensors together: the amount is of all of them.
    #[default]
    Global,
    /// The elements of each tensor by itself: the amount is of each.
    Layer,
}

/// What goes together.
///
/// ```
/// use espalier_files::{Amount, PrunePattern, PruneScope};
/// let half = PrunePattern::Elements { amount: Amount::Fraction(0.5), scope: PruneScope::Global };
/// assert_ne!(half, PrunePattern::Groups { n: 2, m: 4 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum PrunePattern {
    /// Single elements.
    Elements {
        /// How many.
        amount: Amount,
        /// Of what.
        scope: PruneScope,
    },
    /// Of every `m` elements along the last dimension all but `n`; a shorter last group stays.
    Groups {
        /// Elements of a group that stay.
        n: usize,
        /// Elements of a group.
        m: usize,
    },
    /// Whole channels of each tensor: everything at one index of a dimension.
    Channels {
        /// How many channels of each tensor.
        amount: Amount,
        /// The norm that they are ranked by: `p` of the `p`-norm, as PyTorch's `norm` takes it.
        norm: f64,
        /// The dimension; from the end if it is negative.
        dim: isize,
    },
}

/// What elements are ranked by.
///
/// ```
/// assert_eq!(espalier_files::PruneMethod::default(), espalier_files::PruneMethod::L1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PruneMethod {
    /// By magnitude, the lowest first; channels by their norm.
    #[default]
    L1,
    /// At random: the same for a seed, whatever the number of threads.
    Random {
        /// Another one prunes others.
        seed: u64,
    },
}

/// Pruning of a file, as `torch.nn.utils.prune` prunes the modules that it belongs to.
///
/// Chosen are the floating tensors (F16, BF16, F32, F64) with two or more dimensions; if the selection has an
/// include, those that it matches, with any number of dimensions. Of equal ranks the earlier goes first, in the order of the
/// file, so that exactly the amount goes. Tied tensors are pruned as one, and stay tied.
///
/// A tensor that is pruned already, as `X_orig` and `X_mask`, is refused: apply its mask first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pruning {
    /// What goes together.
    pub pattern: PrunePattern,
    /// What it is ranked by.
    pub method: PruneMethod,
    /// Whether `X_orig` and `X_mask` take the place of `X`, both in its type, as PyTorch saves a module whose
    /// pruning is not made permanent.
    pub keep_mask: bool,
}

/// A checkpoint that is pruned as it is written, and what that comes to.
///
/// See [`Pruning::of`] for an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pruned {
    /// The tensors.
    pub checkpoint: Checkpoint,
    /// What was pruned.
    pub report: PruneReport,
}

impl Pruning {
    /// Ranks the tensors of a checkpoint, in memory that does not grow with it. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`FilesError::Prune`] with the [`PruneFault`], [`FilesError::NoMatch`] for a glob that matches nothing, what
    /// keeps tensors from being read, [`FilesError::Cancelled`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// use espalier_files::{Amount, PruneMethod, PrunePattern, PruneScope, Pruning, Selection, Silent};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("fc.weight", vec![2, 2], &[3.0, -1.0, 2.0, 0.5])?)?;
    /// let pruning = Pruning {
    ///     pattern: PrunePattern::Elements { amount: Amount::Fraction(0.5), scope: PruneScope::Global },
    ///     method: PruneMethod::L1,
    ///     keep_mask: false,
    /// };
    /// let pruned = pruning.of(&checkpoint, &Selection::default(), &Arc::new(Silent))?;
    /// assert_eq!((pruned.report.total.zeros_after, pruned.report.threshold), (2, Some(1.0)));
    /// let weight = pruned.checkpoint.get("fc.weight").map(|weight| weight.to_f32_vec()).transpose()?;
    /// assert_eq!(weight, Some(vec![3.0, 0.0, 2.0, 0.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of<O: Observer>(
        &self,
        checkpoint: &Checkpoint,
        selection: &Selection,
        observer: &Arc<O>,
    ) -> Result<Pruned, FilesError> {
        let chosen = chosen(checkpoint, selection)?;
        let tensors: Vec<&NamedTensor> =
            chosen.iter().filter_map(|name| checkpoint.get(name)).collect();
        let mut planned = self.plan(&tensors, &**observer)?;
        if planned.iter().any(|planned| planned.zeros.is_none()) {
            let rules = tensors.iter().copied().zip(planned.iter().map(|planned| &planned.rule));
            let zeros = plan::count(&rules.collect::<Vec<_>>(), &**observer)?;
            planned.iter_mut().zip(zeros).for_each(|(planned, zeros)| planned.zeros = Some(zeros));
        }
        let global =
            matches!(self.pattern, PrunePattern::Elements { scope: PruneScope::Global, .. });
        let threshold = planned.first().and_then(|first| first.threshold).filter(|_| global);
        let row = |(tensor, planned): (&&NamedTensor, &Planned)| {
            let (zeros_before, zeros_after) = planned.zeros.unwrap_or_default();
            PruneRow {
                name: tensor.name().to_owned(),
                shape: tensor.shape().to_vec(),
                numel: tensor.numel(),
                zeros_before,
                zeros_after,
                threshold: planned.threshold.filter(|_| !global),
            }
        };
        let rows = tensors.iter().zip(&planned).map(row).collect();
        let rules = planned.into_iter().map(|planned| Arc::new(planned.rule));
        let rules = chosen.iter().map(String::as_str).zip(rules).collect();
        let checkpoint = self.apply(checkpoint, &rules)?;
        Ok(Pruned { checkpoint, report: PruneReport::new(rows, threshold) })
    }

    fn plan<O: Observer>(
        &self,
        tensors: &[&NamedTensor],
        observer: &O,
    ) -> Result<Vec<Planned>, FilesError> {
        let each = || tensors.iter().copied().enumerate();
        let rank = |at| plan::rank(self.method, at);
        match self.pattern {
            PrunePattern::Elements { amount, scope: PruneScope::Global } => {
                plan::lowest(tensors, 0, (self.method, amount), observer)
            }
            PrunePattern::Elements { amount, scope: PruneScope::Layer } => {
                let how = (self.method, amount);
                let layers = each().map(|(at, tensor)| plan::lowest(&[tensor], at, how, observer));
                Ok(layers.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            }
            PrunePattern::Groups { n, m } => {
                if m == 0 || n > m {
                    return Err(PruneFault::Groups { n, m }.into());
                }
                self.refuse_nan(tensors, observer)?;
                let planned = each().map(|(at, tensor)| {
                    let row = tensor.shape().last().copied().unwrap_or(1).max(1);
                    let rule = Rule::Groups { rank: rank(at), n, m, row };
                    Planned { rule, zeros: None, threshold: None }
                });
                Ok(planned.collect())
            }
            PrunePattern::Channels { amount, norm, dim } => {
                self.refuse_nan(tensors, observer)?;
                let how = (amount, norm, dim);
                each().map(|(at, tensor)| plan::channels(tensor, rank(at), how, observer)).collect()
            }
        }
    }

    fn refuse_nan<O: Observer>(
        &self,
        tensors: &[&NamedTensor],
        observer: &O,
    ) -> Result<(), FilesError> {
        if self.method == PruneMethod::L1
            && let Some(fault) = plan::first_nan(tensors, observer)?
        {
            return Err(fault.into());
        }
        Ok(())
    }

    /// The checkpoint in which tensors of these names are pruned.
    fn apply(
        &self,
        checkpoint: &Checkpoint,
        rules: &HashMap<&str, Arc<Rule>>,
    ) -> Result<Checkpoint, FilesError> {
        let ties: HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
        let mut out = Checkpoint::new();
        out.metadata.clone_from(&checkpoint.metadata);
        out.origin.clone_from(&checkpoint.origin);
        let suffixes: &[&str] = if self.keep_mask { &["_orig", "_mask"] } else { &[""] };
        for tensor in checkpoint {
            let name = tensor.name();
            let first = ties.get(name).copied().unwrap_or(name);
            let Some(rule) = rules.get(first) else {
                out.push(tensor.clone())?;
                continue;
            };
            for suffix in suffixes {
                let named = format!("{name}{suffix}");
                let tied = out.get(&format!("{first}{suffix}")).filter(|_| first != name);
                let made = match (tied, *suffix) {
                    (Some(tied), _) => tied.clone().with_name(named),
                    (None, "_orig") => tensor.clone().with_name(named),
                    (None, suffix) => made(tensor, rule, named, suffix == "_mask")?,
                };
                out.push(made)?;
            }
        }
        Ok(out)
    }
}

/// A tensor that is made from another when it is written: its pruned values, or its mask.
fn made(
    tensor: &NamedTensor,
    rule: &Arc<Rule>,
    name: String,
    mask: bool,
) -> Result<NamedTensor, FilesError> {
    let (dtype, rule) = (tensor.dtype(), Arc::clone(rule));
    let (cuts, tensor, shape) =
        (rule.cuts(tensor.numel()), tensor.clone(), tensor.shape().to_vec());
    let provider: Arc<dyn Provider> = if mask {
        Arc::new(Mapped { tensor, cuts, map: Mask { rule, dtype } })
    } else {
        Arc::new(Mapped { tensor, cuts, map: PrunedValues { rule, dtype } })
    };
    Ok(NamedTensor::lazy(name, dtype, shape, provider)?)
}

/// The names of the tensors to prune, in order: of tied ones the first.
fn chosen(checkpoint: &Checkpoint, selection: &Selection) -> Result<Vec<String>, FilesError> {
    let meant = selection.of(checkpoint)?;
    let ties: HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
    let by_name = selection.has_include();
    let is_fit =
        |tensor: &NamedTensor| is_real(tensor.dtype()) && (by_name || tensor.shape().len() >= 2);
    let mut names: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (tensor, _) in checkpoint.iter().zip(&meant).filter(|(t, meant)| **meant && is_fit(t)) {
        let first = ties.get(tensor.name()).copied().unwrap_or(tensor.name());
        for stem in [tensor.name().strip_suffix("_orig"), tensor.name().strip_suffix("_mask")] {
            let Some(stem) = stem else { continue };
            let (orig, mask) = (format!("{stem}_orig"), format!("{stem}_mask"));
            if checkpoint.get(&orig).is_some() && checkpoint.get(&mask).is_some() {
                return Err(PruneFault::Masked { orig, mask }.into());
            }
        }
        if seen.insert(first) {
            names.push(first);
        }
    }
    if names.is_empty() {
        let chosen = meant.iter().filter(|meant| **meant).count();
        return Err(PruneFault::Nothing { tensors: checkpoint.len(), chosen, by_name }.into());
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;

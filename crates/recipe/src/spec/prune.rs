//! `[prune]`: rounds of pruning within training.

use super::select::{self, Select};
use espalier_network::text::{Bound, Cursor, LARGEST, Spanned, integer_text, one_of};

/// `[prune]`
#[derive(Debug, Clone, PartialEq)]
pub struct PruneSpec {
    /// The parameters that lose elements.
    pub select: Spanned<Select>,
    /// Which elements go first.
    pub method: PruneMethod,
    /// Among which elements the method compares.
    pub scope: PruneScope,
    /// What the sparsities are fractions of.
    pub of: PruneOf,
    /// What becomes of what stays.
    pub rewind: Rewind,
    /// The rounds in order, at least one; each with the place of its sparsity.
    pub rounds: Vec<Spanned<PruneRound>>,
}

/// One round: an element of `epochs` with the one of `sparsity` that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruneRound {
    /// The epoch, from 0, at whose start the round happens; above the last round's, below
    /// `train.epochs`.
    pub epoch: usize,
    /// The fraction that is zero after the round, earlier rounds included, strictly between 0 and
    /// 1; above the last round's.
    pub sparsity: f64,
}

/// Which elements go first. Dimensions are those of PyTorch's layout, the output features first.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum PruneMethod {
    /// `l1_unstructured`: single elements, those of least magnitude first.
    L1Unstructured,
    /// `random_unstructured`: single elements, drawn by the recipe's seed.
    RandomUnstructured,
    /// `ln_structured`: whole slices along a dimension, those of the least norm first.
    LnStructured {
        /// The norm's exponent, above 0; default 2.
        norm: f64,
        /// The dimension; default 0, the output features.
        dim: usize,
    },
    /// `random_structured`: whole slices along a dimension, drawn by the recipe's seed.
    RandomStructured {
        /// The dimension; default 0, the output features.
        dim: usize,
    },
    /// `n_of_m`: of every `m` elements in a row the `n` of greatest magnitude stay; one round, without
    /// a sparsity.
    NOfM {
        /// At least 1, below `m`.
        n: usize,
        /// At least 2.
        m: usize,
    },
}

/// What becomes of the elements that stay after a round: the lottery ticket's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewind {
    /// `none`, the default: they go on.
    None,
    /// `start`: they go back to their values before the first step.
    Start,
    /// `random`: they get new initial values, the control of the experiment.
    Random,
}

/// Among which elements a method compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneScope {
    /// `global`: all selected parameters together.
    Global,
    /// `layer`: each selected parameter by itself.
    Layer,
}

/// What a sparsity is a fraction of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneOf {
    /// `selected`, the default: the selected parameters' elements.
    Selected,
    /// `network`: all of the network's weights (its parameters of two or more dimensions), selected
    /// or not.
    Network,
}

type Reader = fn(&mut Cursor<'_>) -> Option<PruneMethod>;

const METHODS: &[(&str, Reader)] = &[
    ("l1_unstructured", |_| Some(PruneMethod::L1Unstructured)),
    ("random_unstructured", |_| Some(PruneMethod::RandomUnstructured)),
    ("ln_structured", |table| {
        let norm = table.real_or("norm", Bound::Positive, 2.0);
        Some(PruneMethod::LnStructured { norm, dim: table.count_or("dim", 0, 0) })
    }),
    ("random_structured", |table| {
        Some(PruneMethod::RandomStructured { dim: table.count_or("dim", 0, 0) })
    }),
    ("n_of_m", |table| {
        let m = table.require("m", "an integer of at least 2");
        let (n, size) = (table.count("n", 1), m.as_ref().and_then(|node| node.count(2)));
        let (n, m, node) = (n?, size?, m?);
        if n >= m {
            node.refuse(format!("found {m}"), format!("more than n, {n}"), None);
        }
        Some(PruneMethod::NOfM { n, m })
    }),
];
const REWINDS: &[(&str, Rewind)] =
    &[("none", Rewind::None), ("start", Rewind::Start), ("random", Rewind::Random)];
const SCOPES: &[(&str, PruneScope)] =
    &[("global", PruneScope::Global), ("layer", PruneScope::Layer)];
const OFS: &[(&str, PruneOf)] = &[("selected", PruneOf::Selected), ("network", PruneOf::Network)];

/// The pruning, if the recipe has any; `epochs` is the length of the training, if that is known.
pub(crate) fn prune(root: &mut Cursor<'_>, epochs: Option<usize>) -> Option<Spanned<PruneSpec>> {
    let mut table = root.optional_section("prune")?;
    let select = select::required(&mut table);
    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    let node = table.require("method", &one_of(&names));
    let method = node.as_ref().and_then(|node| node.choice(METHODS)?(&mut table));
    let scope = match &method {
        // These compare within a parameter by their nature.
        Some(
            PruneMethod::LnStructured { .. }
            | PruneMethod::RandomStructured { .. }
            | PruneMethod::NOfM { .. },
        ) => Some(table.choice_or("scope", &SCOPES[1..], PruneScope::Layer)),
        _ => table.choice("scope", SCOPES),
    };
    let of = table.choice_or("of", OFS, PruneOf::Selected);
    let rewind = table.choice_or("rewind", REWINDS, Rewind::None);
    let rounds = match &method {
        Some(PruneMethod::NOfM { n, m }) => one_round(&mut table, epochs, *n as f64 / *m as f64),
        _ if table.has("schedule") => scheduled(&mut table, epochs),
        _ => rounds(&mut table, epochs),
    };
    table.finish();
    Some(table.spanned(PruneSpec {
        select: select?,
        method: method?,
        scope: scope?,
        of,
        rewind,
        rounds: rounds?,
    }))
}

/// The only round of a method that knows its sparsity; `kept` is the part that stays.
fn one_round(
    table: &mut Cursor<'_>,
    length: Option<usize>,
    kept: f64,
) -> Option<Vec<Spanned<PruneRound>>> {
    let most = length.map_or(LARGEST, |length| length as i64 - 1);
    let node = table.require("epoch", &integer_text(0, most))?;
    let epoch = usize::try_from(node.integer(0, most)?).ok()?;
    Some(vec![node.spanned(PruneRound { epoch, sparsity: 1.0 - kept })])
}

/// `[prune.schedule]`: a round every `every` epochs from `begin` to `end`, each with the sparsity
/// `target + (initial - target) (1 - t)^power`, `t` being the part of the way that is done: 3 as in
/// Zhu & Gupta, 2017, arXiv:1710.01878.
fn scheduled(table: &mut Cursor<'_>, length: Option<usize>) -> Option<Vec<Spanned<PruneRound>>> {
    let mut own = table.optional_section("schedule")?;
    let place = own.spanned(());
    let target = own.real("target", Bound::Inside);
    let initial = own.real_or("initial", Bound::BelowOne, 0.0);
    let power = own.real_or("power", Bound::Positive, 3.0);
    let begin = own.count_or("begin", 0, 0);
    let every = own.count_or("every", 1, 1);
    let most = length.map_or(LARGEST, |length| length as i64 - 1);
    let end = own.require("end", &integer_text(0, most));
    let last = end.as_ref().and_then(|node| node.integer(0, most));
    own.finish();
    let (target, end, last) = (target?, end?, usize::try_from(last?).ok()?);
    if last < begin {
        end.refuse(format!("found {last}"), format!("at least begin, {begin}"), None);
        return None;
    }
    if initial >= target {
        own.refuse("found an initial sparsity that is not below the target", "one below it");
        return None;
    }
    // The last round is at the end, whatever `every` leaves over.
    let mut epochs: Vec<usize> = (begin..last).step_by(every).collect();
    epochs.push(last);
    let length = (last - begin).max(1) as f64;
    let at = |epoch: usize| {
        let done = if last == begin { 1.0 } else { (epoch - begin) as f64 / length };
        target + (initial - target) * (1.0 - done).powf(power)
    };
    let rounds = epochs.into_iter().map(|epoch| PruneRound { epoch, sparsity: at(epoch) });
    // A round at the initial sparsity of 0 prunes nothing.
    let rounds = rounds.filter(|round| round.sparsity > 0.0);
    Some(rounds.map(|round| Spanned::new(round, place.span.clone())).collect())
}

fn rounds(table: &mut Cursor<'_>, length: Option<usize>) -> Option<Vec<Spanned<PruneRound>>> {
    let integers = "an array of integers that increase, each at least 0 and below `train.epochs`";
    let fractions = "an array of numbers that increase, each strictly between 0 and 1, one for each of `prune.epochs`";
    let epochs = table.require("epochs", integers);
    let sparsity = table.require("sparsity", fractions);
    let starts = epochs.as_ref().and_then(|node| {
        let starts = node.list(integers, |node| {
            let epoch = node.count(0)?;
            match length {
                Some(length) if epoch >= length => {
                    let expected = format!("an integer below `train.epochs`, {length}");
                    node.refuse(format!("found {epoch}"), expected, None);
                    None
                }
                _ => Some(epoch),
            }
        })?;
        node.increasing(&starts).then_some(starts)
    });
    let targets = sparsity.as_ref().and_then(|node| {
        let targets = node.list(fractions, |node| node.real(Bound::Inside))?;
        node.increasing(&targets).then_some(targets)
    });
    // The lengths are compared also where a value is wrong.
    let (epochs, sparsity) = (epochs?, sparsity?);
    if epochs.is_array() && sparsity.is_array() {
        let (rounds, values) =
            (epochs.elements(integers)?.len(), sparsity.elements(fractions)?.len());
        if rounds != values && rounds > 0 && values > 0 {
            let expected = format!("{rounds}, one for each of `prune.epochs`");
            sparsity.refuse(format!("found an array of {values}"), expected, None);
        }
    }
    let pair = |(epoch, sparsity): (Spanned<usize>, Spanned<f64>)| {
        Spanned::new(PruneRound { epoch: epoch.value, sparsity: sparsity.value }, sparsity.span)
    };
    Some(starts?.into_iter().zip(targets?).map(pair).collect())
}

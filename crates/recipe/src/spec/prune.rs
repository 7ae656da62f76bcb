//! `[prune]`: rounds of pruning within training.

use super::select::{self, Select};
use espalier_network::text::{Bound, Cursor, Spanned};

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

/// Which elements go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PruneMethod {
    /// `l1_unstructured`: single elements, those of least magnitude first.
    L1Unstructured,
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

const METHODS: &[(&str, PruneMethod)] = &[("l1_unstructured", PruneMethod::L1Unstructured)];
const SCOPES: &[(&str, PruneScope)] =
    &[("global", PruneScope::Global), ("layer", PruneScope::Layer)];
const OFS: &[(&str, PruneOf)] = &[("selected", PruneOf::Selected), ("network", PruneOf::Network)];

/// The pruning, if the recipe has any; `epochs` is the length of the training, if that is known.
pub(crate) fn prune(root: &mut Cursor<'_>, epochs: Option<usize>) -> Option<Spanned<PruneSpec>> {
    let mut table = root.optional_section("prune")?;
    let select = select::required(&mut table);
    let method = table.choice("method", METHODS);
    let scope = table.choice("scope", SCOPES);
    let of = table.choice_or("of", OFS, PruneOf::Selected);
    let rounds = rounds(&mut table, epochs);
    table.finish();
    Some(table.spanned(PruneSpec {
        select: select?,
        method: method?,
        scope: scope?,
        of,
        rounds: rounds?,
    }))
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

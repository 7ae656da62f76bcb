//! `[prune]`: how many values each round takes, and from where.

use std::collections::BTreeSet;

use espalier::nn::Graph;
use espalier::prune::{
    Amount, BasePruningMethod, L1Unstructured, LnStructured, NOfM, RandomStructured,
    RandomUnstructured,
};
use espalier::{Error, Parametrized, Selector};

use super::faults::Faults;
use super::names::{Names, Ties, item_key, item_span};
use crate::spec::{PruneMethod, PruneOf, PruneRound, PruneScope, Recipe, Rewind};

/// Pruning resolved against a network.
pub(crate) struct Plan {
    targets: Vec<Target>,
    /// What the sparsities are fractions of, in elements.
    total: usize,
    /// Weights that count towards the total and lose nothing; empty unless it is the network's.
    others: Vec<String>,
    scope: PruneScope,
    of: PruneOf,
    method: PruneMethod,
    pub(crate) rewind: Rewind,
    rounds: Vec<PruneRound>,
    seed: u64,
}

/// A parameter that loses elements.
struct Target {
    path: String,
    size: usize,
    /// In PyTorch's layout.
    shape: Vec<usize>,
}

/// The recipe's pruning for `net`; none if it has none, or if there are faults.
pub(crate) fn plan(
    net: &Parametrized<Graph>,
    names: &Names,
    recipe: &Recipe,
    seed: u64,
    faults: &mut Faults<'_>,
) -> Option<Plan> {
    let spec = &recipe.prune.as_ref()?.value;
    let chosen = names.select(&spec.select, "prune.select", faults)?;
    let ties = Ties::of(net);
    let mut targets: Vec<Target> = Vec::new();
    let mut sound = true;
    for chosen in &chosen {
        if spec.of == PruneOf::Network && chosen.named.info.shape.len() < 2 {
            faults.add(
                item_span(&spec.select, chosen.item),
                item_key(&spec.select, "prune.select", chosen.item),
                format!("`{}` has one dimension", chosen.named.name()),
                "parameters of two or more dimensions, of which `of = \"network\"` takes its \
                 fractions",
                "",
            );
            sound = false;
        }
        let path = ties.canonical(&chosen.named.path).to_owned();
        if targets.iter().all(|target| target.path != path) {
            let size = chosen.named.info.numel();
            targets.push(Target { path, size, shape: chosen.named.shape() });
        }
    }
    let taken: BTreeSet<&str> = targets.iter().map(|target| target.path.as_str()).collect();
    let selected: usize = targets.iter().map(|target| target.size).sum();
    let (total, others) = match spec.of {
        PruneOf::Selected => (selected, Vec::new()),
        PruneOf::Network => {
            let others: Vec<_> = names
                .iter()
                .filter(|named| named.info.shape.len() >= 2)
                .filter(|named| ties.canonical(&named.path) == named.path)
                .filter(|named| !taken.contains(named.path.as_str()))
                .collect();
            let rest: usize = others.iter().map(|named| named.info.numel()).sum();
            let others = others.iter().map(|named| named.path.clone()).collect();
            (selected + rest, others)
        }
    };
    if let PruneMethod::LnStructured { dim, .. } | PruneMethod::RandomStructured { dim } =
        spec.method
    {
        for chosen in chosen.iter().filter(|chosen| chosen.named.info.shape.len() <= dim.max(1)) {
            faults.add(
                item_span(&spec.select, chosen.item),
                item_key(&spec.select, "prune.select", chosen.item),
                format!("`{}` has shape {:?}", chosen.named.name(), chosen.named.shape()),
                format!("parameters with slices along dimension {dim}"),
                "",
            );
            sound = false;
        }
    }
    for (index, round) in spec.rounds.iter().enumerate() {
        let wanted = zeros(round.value.sparsity, total);
        if sound && wanted > selected {
            faults.add(
                &round.span,
                format!("prune.sparsity[{index}]"),
                format!(
                    "{wanted} of the network's {total} weights, but only {selected} are selected"
                ),
                format!("at most {:.4}", selected as f64 / total.max(1) as f64),
                "select more parameters",
            );
            sound = false;
        }
    }
    sound.then(|| Plan {
        targets,
        total,
        others,
        scope: spec.scope,
        of: spec.of,
        method: spec.method,
        rewind: spec.rewind,
        seed,
        rounds: spec.rounds.iter().map(|round| round.value).collect(),
    })
}

/// `fraction` of `total`, half to even.
fn zeros(fraction: f64, total: usize) -> usize {
    Amount::fraction(fraction).of(total).unwrap_or(total)
}

impl Plan {
    /// The epoch and the sparsity of each round.
    pub(crate) fn rounds(&self) -> &[PruneRound] {
        &self.rounds
    }

    /// The round at the start of `epoch` (from 0), by its place in the list.
    pub(crate) fn round_at(&self, epoch: usize) -> Option<usize> {
        self.rounds.iter().position(|round| round.epoch == epoch)
    }

    /// Does one round and says what it did.
    ///
    /// # Errors
    ///
    /// What the library refuses.
    pub(crate) fn apply(
        &self,
        net: &mut Parametrized<Graph>,
        round: usize,
    ) -> Result<String, Error> {
        let PruneRound { epoch, sparsity } = self.rounds[round];
        let mut elsewhere = 0;
        for path in &self.others {
            elsewhere += net.zeros(path)?;
        }
        let masked = self
            .targets
            .iter()
            .map(|target| masked(net, &target.path))
            .collect::<Result<Vec<usize>, Error>>()?;
        let wanted = zeros(sparsity, self.total).saturating_sub(elsewhere);
        let sizes: Vec<usize> = self.targets.iter().map(|target| target.size).collect();
        let all = || Selector::any(self.targets.iter().map(|target| Selector::path(&target.path)));
        let seed = self.seed.wrapping_add(round as u64);
        // Zeros that each parameter is to have, where it loses its own.
        let counts: Vec<usize> = match self.of {
            PruneOf::Selected => sizes.iter().map(|size| zeros(sparsity, *size)).collect(),
            PruneOf::Network => shares(wanted, &sizes, &masked),
        };
        match self.method {
            PruneMethod::L1Unstructured | PruneMethod::RandomUnstructured => match self.scope {
                PruneScope::Global => {
                    let more = Amount::count(wanted.saturating_sub(masked.iter().sum()));
                    match self.method {
                        PruneMethod::RandomUnstructured => {
                            net.prune_global(all(), RandomUnstructured::new(more, seed))?;
                        }
                        _ => {
                            net.prune_global(all(), L1Unstructured::new(more))?;
                        }
                    }
                }
                PruneScope::Layer => {
                    for ((target, count), masked) in self.targets.iter().zip(counts).zip(&masked) {
                        let more = Amount::count(count.saturating_sub(*masked));
                        match self.method {
                            PruneMethod::RandomUnstructured => {
                                one(net, target, RandomUnstructured::new(more, seed))?;
                            }
                            _ => one(net, target, L1Unstructured::new(more))?,
                        }
                    }
                }
            },
            PruneMethod::LnStructured { dim, .. } | PruneMethod::RandomStructured { dim } => {
                for ((target, count), masked) in self.targets.iter().zip(counts).zip(&masked) {
                    // Whole slices: as many as come nearest; at least one stays.
                    let slices = target.shape.get(dim).copied().unwrap_or(1).max(1);
                    let each = (target.size / slices).max(1);
                    let gone = (count + each / 2) / each;
                    let more = gone.min(slices - 1).saturating_sub(masked / each);
                    let (more, dim) = (Amount::count(more), dim as isize);
                    match self.method {
                        PruneMethod::LnStructured { norm, .. } => {
                            one(net, target, LnStructured::new(more, norm, dim))?;
                        }
                        _ => one(net, target, RandomStructured::new(more, dim, seed))?,
                    }
                }
            }
            PruneMethod::NOfM { n, m } => {
                net.prune(all(), NOfM::new(n, m))?;
            }
        }
        let mut found = elsewhere;
        for target in &self.targets {
            found += net.zeros(&target.path)?;
        }
        let of = match self.of {
            PruneOf::Selected => "the selected parameters",
            PruneOf::Network => "the network",
        };
        Ok(format!(
            "prune: round {} of {} after {epoch} epochs: sparsity {sparsity} of {of}, {found} of {} \
             values zero",
            round + 1,
            self.rounds.len(),
            self.total
        ))
    }
}

/// Prunes one parameter.
fn one(
    net: &mut Parametrized<Graph>,
    target: &Target,
    method: impl BasePruningMethod,
) -> Result<(), Error> {
    net.prune(Selector::path(&target.path), method).map(drop)
}

/// How many values of `path` are masked.
fn masked(net: &Parametrized<Graph>, path: &str) -> Result<usize, Error> {
    if !net.is_pruned(path) {
        return Ok(0);
    }
    Ok(net.kept(path)?.iter().filter(|kept| !**kept).count())
}

/// `wanted` zeros over tensors of `sizes` in proportion, none below what it has already.
///
/// What whole numbers leave over goes to the largest remainders first, to the earlier of equals.
fn shares(wanted: usize, sizes: &[usize], masked: &[usize]) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>().max(1) as u128;
    let exact = |size: usize| wanted as u128 * size as u128;
    let mut shares: Vec<usize> = sizes
        .iter()
        .zip(masked)
        // The quotient is no larger than `size`.
        .map(|(size, masked)| ((exact(*size) / total) as usize).max(*masked))
        .collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(exact(sizes[*index]) % total));
    let mut left = wanted.saturating_sub(shares.iter().sum());
    for index in order.into_iter().cycle().take(2 * sizes.len()) {
        if left > 0 && shares[index] < sizes[index] {
            shares[index] += 1;
            left -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_round_half_to_even() {
        assert_eq!([zeros(0.5, 3), zeros(0.5, 5), zeros(0.8, 10)], [2, 2, 8]);
    }

    #[test]
    fn shares_are_proportional_and_exact() {
        assert_eq!(shares(5, &[10, 10], &[0, 0]), [3, 2]);
        assert_eq!(shares(7, &[3, 5, 2], &[0, 0, 0]), [2, 4, 1]);
        assert_eq!(shares(10, &[3, 5, 2], &[0, 0, 0]), [3, 5, 2]);
        // What is masked stays masked.
        assert_eq!(shares(4, &[4, 4], &[3, 0]), [3, 2]);
        assert_eq!(shares(0, &[4], &[2]), [2]);
    }
}

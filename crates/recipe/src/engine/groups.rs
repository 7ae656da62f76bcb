//! `[optimizer]` and `[schedule]` on the network.

use std::collections::BTreeMap;

use espalier::nn::Graph;
use espalier::optim::{Adam, AdamW, GroupedOptimizer, Groups, Sgd};
use espalier::{Error, Parametrized, Selector};

use super::faults::Faults;
use super::names::{Names, Ties, any, item_key, item_span};
use super::schedule::{Length, schedule};
use crate::spec::{AdamOptions, Optimizer, Recipe, SgdOptions};

/// The optimizer of a run with its schedule.
pub(crate) struct Grouped {
    pub(crate) optimizer: GroupedOptimizer,
    /// Groups that have parameters.
    used: Vec<String>,
    /// Whether a step has been taken.
    begun: bool,
    /// Whether the schedule looks at the test loss.
    needs_metric: bool,
}

impl Grouped {
    /// Moves the schedule on to the step to come, which may be the first of its epoch; `test_loss` is
    /// that of the epoch before.
    ///
    /// # Errors
    ///
    /// If the schedule is past its end.
    pub(crate) fn begin_step(
        &mut self,
        first_of_epoch: bool,
        test_loss: Option<f64>,
    ) -> Result<(), Error> {
        if std::mem::replace(&mut self.begun, true) {
            self.optimizer.end_step()?;
            match test_loss.filter(|_| self.needs_metric) {
                Some(loss) if first_of_epoch => self.optimizer.end_epoch_with(loss)?,
                _ if first_of_epoch => self.optimizer.end_epoch()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Says that steps have been taken before: a run goes on.
    pub(crate) fn go_on(&mut self) {
        self.begun = true;
    }

    /// The present rates by group.
    pub(crate) fn rates(&self) -> BTreeMap<String, f64> {
        self.optimizer
            .rates()
            .into_iter()
            .filter(|(name, _)| self.used.iter().any(|used| used == name))
            .map(|(name, rate)| (name.to_owned(), rate))
            .collect()
    }
}

/// The recipe's optimizer for `net`. Selectors that match nothing and parameters in two groups are
/// faults; then there is none.
///
/// # Errors
///
/// What else the library refuses.
pub(crate) fn build(
    net: &Parametrized<Graph>,
    names: &Names,
    recipe: &Recipe,
    length: Length,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<Option<Grouped>, Error> {
    let labels = labels(recipe);
    let ties = Ties::of(net);
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let mut members: Vec<Option<Selector>> = Vec::new();
    for (index, group) in recipe.optimizer.groups.iter().enumerate() {
        let select = &group.value.select;
        let key = format!("optimizer.group[{index}].select");
        let Some(chosen) = names.select(select, &key, faults) else {
            members.push(None);
            continue;
        };
        for chosen in &chosen {
            let path = ties.canonical(&chosen.named.path).to_owned();
            let owner = *owners.entry(path).or_insert(index);
            if owner != index {
                faults.add(
                    item_span(select, chosen.item),
                    item_key(select, &key, chosen.item),
                    format!("`{}` is in group `{}` too", chosen.named.name(), labels[owner]),
                    "one group for each parameter",
                    "",
                );
            }
        }
        members.push(Some(any(&chosen)));
    }

    let optimizer = &recipe.optimizer.optimizer.value;
    let mut groups = first(optimizer);
    for ((group, label), select) in recipe.optimizer.groups.iter().zip(&labels).zip(members) {
        let Some(select) = select else {
            return Ok(None);
        };
        groups = add(groups, label, select, &group.value.optimizer)?;
    }
    let (schedule, text) = match schedule(&recipe.schedule.value, length) {
        Ok(found) => found,
        Err(error @ Error::Schedule { .. }) => {
            faults.add(&recipe.schedule.span, "schedule", error.to_string(), "", "");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let needs_metric = schedule.needs_metric();
    let optimizer = match groups.schedule(schedule).build(net) {
        Ok(optimizer) => optimizer,
        // Reported above.
        Err(Error::TwoGroups { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };

    // A tied parameter is one of its source's group and no other.
    let own: Vec<&str> = names
        .iter()
        .map(|named| named.path.as_str())
        .filter(|path| ties.canonical(path) == *path)
        .collect();
    let mut used = Vec::new();
    let mut describe = |label: &str, options: &Optimizer, index: Option<usize>| {
        let count = own.iter().filter(|path| owners.get(**path).copied() == index).count();
        if count == 0 {
            return;
        }
        used.push(label.to_owned());
        let (rate, decay) = rate_and_decay(options);
        let plural = if count == 1 { "" } else { "s" };
        log.push(format!("group: `{label}` {count} parameter{plural}, rate {rate}, decay {decay}"));
    };
    for (index, (group, label)) in recipe.optimizer.groups.iter().zip(&labels).enumerate() {
        describe(label, &group.value.optimizer, Some(index));
    }
    describe(DEFAULT, &recipe.optimizer.optimizer.value, None);

    log.push(format!("schedule: {text}"));
    Ok(Some(Grouped { optimizer, used, begun: false, needs_metric }))
}

/// The group of what no group selects.
const DEFAULT: &str = "default";

/// A name for each group, no two the same: the recipe's own where it can be.
fn labels(recipe: &Recipe) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for (index, group) in recipe.optimizer.groups.iter().enumerate() {
        let mut label = match &group.value.name {
            Some(name) => name.clone(),
            None => format!("group[{index}]"),
        };
        while label == DEFAULT || labels.contains(&label) {
            label = format!("{label} (group[{index}])");
        }
        labels.push(label);
    }
    labels
}

fn first(optimizer: &Optimizer) -> Groups {
    match optimizer {
        Optimizer::AdamW(options) => Groups::new(adamw(options)),
        Optimizer::Adam(options) => Groups::new(adam(options)),
        Optimizer::Sgd(options) => Groups::new(sgd(options)),
    }
}

fn add(
    groups: Groups,
    label: &str,
    select: Selector,
    optimizer: &Optimizer,
) -> Result<Groups, Error> {
    match optimizer {
        Optimizer::AdamW(options) => groups.group_with(label, select, adamw(options)),
        Optimizer::Adam(options) => groups.group_with(label, select, adam(options)),
        Optimizer::Sgd(options) => groups.group_with(label, select, sgd(options)),
    }
}

fn adamw(options: &AdamOptions) -> AdamW {
    AdamW::new()
        .with_rate(options.lr)
        .with_betas(options.betas)
        .with_epsilon(options.eps)
        .with_decay(options.weight_decay)
}

fn adam(options: &AdamOptions) -> Adam {
    Adam::new()
        .with_rate(options.lr)
        .with_betas(options.betas)
        .with_epsilon(options.eps)
        .with_decay(options.weight_decay)
}

fn sgd(options: &SgdOptions) -> Sgd {
    Sgd::new()
        .with_rate(options.lr)
        .with_momentum(options.momentum)
        .with_dampening(options.dampening)
        .with_nesterov(options.nesterov)
        .with_decay(options.weight_decay)
}

fn rate_and_decay(optimizer: &Optimizer) -> (f64, f64) {
    match optimizer {
        Optimizer::AdamW(options) | Optimizer::Adam(options) => (options.lr, options.weight_decay),
        Optimizer::Sgd(options) => (options.lr, options.weight_decay),
    }
}

//! What a training will do, in data.

use super::error::TrainError;
use super::evaluate::{plain, table};
use super::event::TableRow;
use super::prepare::Prepared;
use super::schedule::schedule;
use crate::spec::{Optimizer, ScheduleUnit};

/// Everything that a training will do; what `--dry-run` prints.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// What was found and done in preparing, a line each: data, network, who each rule matched.
    pub lines: Vec<String>,
    /// The network, a row a layer in the order of evaluation.
    pub layers: Vec<LayerRow>,
    /// The parameters as training will start with them.
    pub parameters: Vec<TableRow>,
    /// Who is trained by which options.
    pub groups: Vec<GroupRow>,
    /// The schedule's curve of the first group's rate as a drawing of lines.
    pub curve: String,
    /// Rounds of pruning: the epoch at whose start one happens, and the sparsity after it.
    pub rounds: Vec<(usize, f64)>,
    /// Passes over the training examples, and steps in all.
    pub length: (usize, usize),
}

/// A layer of a [`Description`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// `3` or `3.0.1`.
    pub path: String,
    /// `conv2d`, or `conv2d "stem"`.
    pub layer: String,
    /// The shape of an example's output.
    pub output: Vec<usize>,
    /// What it learns.
    pub parameters: u64,
    /// Multiply-accumulates for an example.
    pub macs: u64,
}

/// A group of a [`Description`].
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRow {
    /// Its name; `default` for what no group selects.
    pub name: String,
    /// The learning rate at the start.
    pub rate: f64,
    /// Weight decay.
    pub decay: f64,
    /// Its parameters, originals of parametrized ones among them.
    pub parameters: Vec<String>,
}

pub(super) fn describe(prepared: &Prepared) -> Result<Description, TrainError> {
    let layers = prepared
        .network
        .layers
        .iter()
        .map(|planned| LayerRow {
            path: planned.path.clone(),
            layer: planned.layer.called(planned.name.as_deref()),
            output: planned.output.clone(),
            parameters: planned.parameters.iter().map(|own| own.numel()).sum(),
            macs: planned.macs,
        })
        .collect();
    let spec = &prepared.recipe.schedule.value;
    let (curve, _) = schedule(spec, prepared.length)?;
    let count = match spec.unit {
        ScheduleUnit::Step => prepared.length.steps,
        ScheduleUnit::Epoch => prepared.length.epochs,
    };
    let rate = match &prepared.recipe.optimizer.optimizer.value {
        Optimizer::AdamW(options) | Optimizer::Adam(options) => options.lr,
        Optimizer::Sgd(options) => options.lr,
    };
    // What waits for a metric has no curve yet.
    let curve = if curve.needs_metric() { String::new() } else { curve.plot(rate, count)? };
    let values = prepared.groups.optimizer.values();
    let groups = prepared
        .groups
        .optimizer
        .plan()
        .groups()
        .iter()
        .filter(|group| !group.parameters.is_empty())
        .map(|group| {
            let own = values.iter().find(|(name, _)| *name == group.name).map(|(_, own)| *own);
            GroupRow {
                name: group.name.clone(),
                rate: own.map_or(0.0, |own| own.rate),
                decay: own.map_or(0.0, |own| own.decay),
                parameters: group
                    .parameters
                    .iter()
                    .map(|(path, _)| prepared.names.name_of(path).to_owned())
                    .collect(),
            }
        })
        .collect();
    let rounds = prepared.plan.as_ref().map(|plan| plan.rounds()).unwrap_or_default();
    Ok(Description {
        lines: prepared.log.clone(),
        layers,
        parameters: table(&plain(&prepared.net))?,
        groups,
        curve,
        rounds: rounds.iter().map(|round| (round.epoch, round.sparsity)).collect(),
        length: (prepared.length.epochs, prepared.length.steps),
    })
}

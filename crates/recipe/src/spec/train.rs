//! `[train]` and `[output]`.

use std::path::PathBuf;

use espalier_network::text::{Bound, Cursor, Spanned};

use super::data::{count_text, path_of};

/// `[train]`
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSpec {
    /// Passes over the training set, at least 1.
    pub epochs: Spanned<usize>,
    /// Examples a step, at least 1.
    pub batch_size: Spanned<usize>,
    /// What is made small; what suits the data by default.
    pub loss: Spanned<Loss>,
    /// Batches whose gradients are averaged before a step; default 1.
    pub accumulate: usize,
    /// Part of each target that is spread over all classes, 0 to below 1; default 0.
    pub label_smoothing: f64,
    /// Gradients together are cut to this norm, if at all.
    pub clip_norm: Option<f64>,
    /// Each gradient is cut to this size, if at all.
    pub clip_value: Option<f64>,
    /// The share that a running average of the network keeps each step, if there is one: it is what is
    /// tested and saved then.
    pub ema: Option<f64>,
    /// When to stop before the last epoch, if ever.
    pub early_stop: Option<Spanned<EarlyStop>>,
    /// Epochs between two states that the run can go on from, at least 1; by default as many as take ten
    /// seconds.
    pub checkpoint_every: Option<usize>,
    /// Parameters that stay as they are.
    pub freeze: Option<Spanned<super::select::Select>>,
    /// A model or run whose weights training starts from, where name and shape agree.
    pub start: Option<Spanned<PathBuf>>,
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// `auto`, the default: `cross_entropy` where targets are classes, otherwise `mse`.
    Auto,
    /// `cross_entropy`, of logits.
    CrossEntropy,
    /// `mse`: mean squared error.
    Mse,
    /// `l1`: mean absolute error.
    L1,
    /// `reconstruction`: mean squared error between output and input; targets are not looked at.
    Reconstruction,
}

/// `train.early_stop`: training ends where the test metric stops getting better. The best network is
/// the one that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStop {
    /// Epochs without improvement that are borne, at least 1.
    pub patience: usize,
    /// What counts as better: by more than this; default 0.
    pub min_delta: f64,
}

/// `[output]`
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// The run's directory; default `runs/NAME`.
    pub directory: Spanned<PathBuf>,
    /// Whether events for TensorBoard are written to `tensorboard` in it; default false.
    pub tensorboard: bool,
    /// Whether `report.html` is; default true.
    pub report: bool,
}

const LOSSES: &[(&str, Loss)] = &[
    ("auto", Loss::Auto),
    ("cross_entropy", Loss::CrossEntropy),
    ("mse", Loss::Mse),
    ("l1", Loss::L1),
    ("reconstruction", Loss::Reconstruction),
];

pub(crate) fn train(root: &mut Cursor<'_>) -> Option<TrainSpec> {
    let mut table = root.section("train")?;
    let expected = count_text();
    let mut count = |key| {
        let node = table.require(key, &expected)?;
        node.count(1).map(|count| node.spanned(count))
    };
    let epochs = count("epochs");
    let batch_size = count("batch_size");
    let place = table.spanned(Loss::Auto);
    let loss = match table.get("loss") {
        Some(node) => node.choice(LOSSES).map(|loss| node.spanned(loss)),
        None => Some(place),
    };
    let accumulate = table.count_or("accumulate", 1, 1);
    let label_smoothing = table.real_or("label_smoothing", Bound::BelowOne, 0.0);
    let clip_norm = table.get("clip_norm").and_then(|node| node.real(Bound::Positive));
    let clip_value = table.get("clip_value").and_then(|node| node.real(Bound::Positive));
    let ema = table.get("ema").and_then(|node| node.real(Bound::Inside));
    let early_stop = table.optional_section("early_stop").and_then(|mut table| {
        let patience = table.count("patience", 1);
        let min_delta = table.real_or("min_delta", Bound::NonNegative, 0.0);
        table.finish();
        Some(table.spanned(EarlyStop { patience: patience?, min_delta }))
    });
    let checkpoint_every = table.get("checkpoint_every").and_then(|node| node.count(1));
    let freeze = table.has("freeze").then(|| super::select::under(&mut table, "freeze")).flatten();
    if freeze.is_none() {
        table.get("freeze");
    }
    let start = table.get("start").and_then(|node| path_of(&node).map(|path| node.spanned(path)));
    table.finish();
    Some(TrainSpec {
        epochs: epochs?,
        batch_size: batch_size?,
        loss: loss?,
        accumulate,
        label_smoothing,
        clip_norm,
        clip_value,
        ema,
        early_stop,
        checkpoint_every,
        freeze,
        start,
    })
}

pub(crate) fn output(root: &mut Cursor<'_>, name: &str) -> OutputSpec {
    let default = root.spanned(PathBuf::from("runs").join(name));
    let Some(mut table) = root.optional_section("output") else {
        return OutputSpec { directory: default, tensorboard: false, report: true };
    };
    let directory = table.get("directory").and_then(|node| {
        let directory = node.string("a directory's path")?;
        if directory.contains('\0') {
            node.refuse("found a path with a NUL character", "a directory's path", None);
        }
        Some(node.spanned(PathBuf::from(directory)))
    });
    let tensorboard = table.flag_or("tensorboard", false);
    let report = table.flag_or("report", true);
    table.finish();
    OutputSpec { directory: directory.unwrap_or(default), tensorboard, report }
}

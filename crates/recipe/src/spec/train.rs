//! `[data]`, `[train]`, `[schedule]` and `[output]`.

use std::path::PathBuf;

use espalier_network::text::{Bound, Cursor, LARGEST, Spanned, integer_text};

/// `[data]`: what the network learns from.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSpec {
    /// The data set.
    pub source: Spanned<DataSource>,
    /// Part of every class that is held out for testing, strictly between 0 and 1; default 0.2.
    pub test_fraction: f64,
    /// Changes to the training images; none where `[data.augment]` is absent.
    pub augment: Option<Spanned<Augment>>,
}

/// A data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataSource {
    /// `digits`: the built-in set of handwritten digits, 8 x 8 grey pixels, ten classes.
    Digits,
}

/// `[data.augment]`: random changes to each training image, drawn anew each epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Augment {
    /// Largest shift along each axis, in pixels, less than the image's side; default 0.
    pub shift: usize,
}

/// `[train]`
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSpec {
    /// Passes over the training set, at least 1.
    pub epochs: Spanned<usize>,
    /// Examples a step, at least 1.
    pub batch_size: Spanned<usize>,
}

/// `[schedule]`: how the learning rates move.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// `constant`, the default.
    Constant,
    /// `multi_step`: the rates are multiplied by `gamma` at each milestone.
    MultiStep {
        /// Counts of finished units, at least 1, increasing.
        milestones: Vec<usize>,
        /// Above 0; default 0.1.
        gamma: f64,
        /// What milestones count.
        unit: ScheduleUnit,
    },
}

/// What a schedule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleUnit {
    /// `epoch`, the default.
    Epoch,
    /// `step`: a batch.
    Step,
}

/// `[output]`
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// The run's directory; default `runs/NAME`.
    pub directory: Spanned<PathBuf>,
}

const SOURCES: &[(&str, DataSource)] = &[("digits", DataSource::Digits)];
/// A shift by a whole side would leave an empty image.
const LARGEST_SHIFT: i64 = 7;
const UNITS: &[(&str, ScheduleUnit)] =
    &[("epoch", ScheduleUnit::Epoch), ("step", ScheduleUnit::Step)];

type Reader = fn(&mut Cursor<'_>) -> Option<Schedule>;

const SCHEDULES: &[(&str, Reader)] =
    &[("multi_step", multi_step), ("constant", |_| Some(Schedule::Constant))];

pub(crate) fn data(root: &mut Cursor<'_>) -> Option<DataSpec> {
    let mut table = root.section("data")?;
    let node = table.require("source", "`digits`");
    let source = node.and_then(|node| node.choice(SOURCES).map(|source| node.spanned(source)));
    let test_fraction = table.real_or("test_fraction", Bound::Inside, 0.2);
    let augment = table.optional_section("augment").map(|mut table| {
        let shift = table.get("shift").and_then(|node| node.integer(0, LARGEST_SHIFT)).unwrap_or(0);
        table.finish();
        table.spanned(Augment { shift: usize::try_from(shift).unwrap_or(0) })
    });
    table.finish();
    Some(DataSpec { source: source?, test_fraction, augment })
}

pub(crate) fn train(root: &mut Cursor<'_>) -> Option<TrainSpec> {
    let mut table = root.section("train")?;
    let expected = integer_text(1, LARGEST);
    let mut count = |key| {
        let node = table.require(key, &expected)?;
        node.count(1).map(|count| node.spanned(count))
    };
    let epochs = count("epochs");
    let batch_size = count("batch_size");
    table.finish();
    Some(TrainSpec { epochs: epochs?, batch_size: batch_size? })
}

/// The schedule, constant at the root's place if the recipe has none.
pub(crate) fn schedule(root: &mut Cursor<'_>) -> Option<Spanned<Schedule>> {
    if !root.has("schedule") {
        root.get("schedule");
        return Some(root.spanned(Schedule::Constant));
    }
    let mut table = root.optional_section("schedule")?;
    let read = table.choice("type", SCHEDULES)?;
    let schedule = read(&mut table);
    table.finish();
    schedule.map(|schedule| table.spanned(schedule))
}

fn multi_step(table: &mut Cursor<'_>) -> Option<Schedule> {
    let expected = "an array of integers that increase, each at least 1";
    let node = table.require("milestones", expected);
    let gamma = table.real_or("gamma", Bound::Positive, 0.1);
    let unit = table.choice_or("unit", UNITS, ScheduleUnit::Epoch);
    let node = node?;
    let milestones = node.list(expected, |node| node.count(1))?;
    node.increasing(&milestones);
    let milestones = milestones.into_iter().map(|milestone| milestone.value).collect();
    Some(Schedule::MultiStep { milestones, gamma, unit })
}

pub(crate) fn output(root: &mut Cursor<'_>, name: &str) -> OutputSpec {
    let default = root.spanned(PathBuf::from("runs").join(name));
    let directory = root.optional_section("output").and_then(|mut table| {
        let node = table.get("directory");
        table.finish();
        let node = node?;
        let directory = node.string("a directory's path")?;
        if directory.contains('\0') {
            node.refuse("found a path with a NUL character", "a directory's path", None);
        }
        Some(node.spanned(PathBuf::from(directory)))
    });
    OutputSpec { directory: directory.unwrap_or(default) }
}

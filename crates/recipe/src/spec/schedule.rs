//! `[schedule]`: how the learning rates move.

use espalier_network::text::{Bound, Cursor, Spanned};

/// `[schedule]`, with the names and defaults of `torch.optim.lr_scheduler`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleSpec {
    /// The curve.
    pub curve: Schedule,
    /// What its times count: epochs by default, steps for `one_cycle`, `cyclic` and `noam`.
    pub unit: ScheduleUnit,
    /// Units over which the rates first rise from near zero in a line; the curve begins after them.
    /// Default 0.
    pub warmup: usize,
}

/// A curve of learning rates. Lengths that are left out are that of the training, in units.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// `constant`, the default.
    Constant,
    /// `step`: times `gamma` every `size` units.
    Step {
        /// At least 1.
        size: usize,
        /// Above 0; default 0.1.
        gamma: f64,
    },
    /// `multi_step`: the rates are multiplied by `gamma` at each milestone.
    MultiStep {
        /// Counts of finished units, at least 1, increasing.
        milestones: Vec<usize>,
        /// Above 0; default 0.1.
        gamma: f64,
    },
    /// `exponential`: times `gamma` each unit.
    Exponential {
        /// Above 0.
        gamma: f64,
    },
    /// `constant_factor`: times `factor` for the first `total` units.
    ConstantFactor {
        /// Above 0, at most 1; default 1/3.
        factor: f64,
        /// Default 5.
        total: usize,
    },
    /// `linear`: from one factor to another in a line.
    Linear {
        /// Above 0, at most 1; default 1/3.
        start_factor: f64,
        /// 0 to 1; default 1.
        end_factor: f64,
        /// Default: the training's length.
        total: Option<usize>,
    },
    /// `polynomial`: `(1 - t / total)^power`.
    Polynomial {
        /// Default: the training's length.
        total: Option<usize>,
        /// Above 0; default 1.
        power: f64,
    },
    /// `cosine`: `CosineAnnealingLR`.
    Cosine {
        /// Default: the training's length.
        t_max: Option<usize>,
        /// The lowest rate; default 0.
        eta_min: f64,
    },
    /// `cosine_warm_restarts`
    CosineWarmRestarts {
        /// Length of the first period, at least 1.
        t_0: usize,
        /// How much longer each next one is, at least 1; default 1.
        t_mult: usize,
        /// The lowest rate; default 0.
        eta_min: f64,
    },
    /// `one_cycle`
    OneCycle {
        /// The highest rate, above 0.
        max_lr: f64,
        /// Default: the training's length.
        total: Option<usize>,
        /// The part in which the rate rises, strictly between 0 and 1; default 0.3.
        pct_start: f64,
        /// The first rate is `max_lr` divided by it; default 25.
        div_factor: f64,
        /// The last rate is the first one divided by it; default 10,000.
        final_div_factor: f64,
    },
    /// `cyclic`: triangles between two rates.
    Cyclic {
        /// The lower rate.
        base_lr: f64,
        /// The upper rate.
        max_lr: f64,
        /// Units from the lower to the upper; default 2000.
        size_up: usize,
    },
    /// `plateau`: lowered where the test loss stops falling; counts epochs.
    Plateau {
        /// What the rates are multiplied by, strictly between 0 and 1; default 0.1.
        factor: f64,
        /// Epochs without improvement that are borne; default 10.
        patience: usize,
        /// By which part of the best a loss must be lower to count; default 1e-4.
        threshold: f64,
    },
    /// `wsd`: warm up in a line, stay, and decay in a line.
    Wsd {
        /// Units of warm-up.
        warmup: usize,
        /// Units at the end in which the rate falls to 0.
        decay: usize,
    },
    /// `noam`: `d^-0.5 min(t^-0.5, t warmup^-1.5)`, times the group's rate.
    Noam {
        /// The network's width `d`.
        model_size: usize,
        /// Units of warm-up.
        warmup: usize,
    },
}

/// What a schedule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleUnit {
    /// `epoch`
    Epoch,
    /// `step`: a batch.
    Step,
}

const UNITS: &[(&str, ScheduleUnit)] =
    &[("epoch", ScheduleUnit::Epoch), ("step", ScheduleUnit::Step)];

type Reader = fn(&mut Cursor<'_>) -> Option<Schedule>;

const SCHEDULES: &[(&str, Reader)] = &[
    ("constant", |_| Some(Schedule::Constant)),
    ("step", |table| {
        let gamma = table.real_or("gamma", Bound::Positive, 0.1);
        Some(Schedule::Step { size: table.count("size", 1)?, gamma })
    }),
    ("multi_step", multi_step),
    ("exponential", |table| {
        Some(Schedule::Exponential { gamma: table.real("gamma", Bound::Positive)? })
    }),
    ("constant_factor", |table| {
        let factor = table.real_or("factor", Bound::Positive, 1.0 / 3.0);
        Some(Schedule::ConstantFactor { factor, total: table.count_or("total", 1, 5) })
    }),
    ("linear", |table| {
        Some(Schedule::Linear {
            start_factor: table.real_or("start_factor", Bound::Positive, 1.0 / 3.0),
            end_factor: table.real_or("end_factor", Bound::Fraction, 1.0),
            total: optional(table, "total"),
        })
    }),
    ("polynomial", |table| {
        let power = table.real_or("power", Bound::Positive, 1.0);
        Some(Schedule::Polynomial { total: optional(table, "total"), power })
    }),
    ("cosine", |table| {
        let eta_min = table.real_or("eta_min", Bound::NonNegative, 0.0);
        Some(Schedule::Cosine { t_max: optional(table, "t_max"), eta_min })
    }),
    ("cosine_warm_restarts", |table| {
        let t_mult = table.count_or("t_mult", 1, 1);
        let eta_min = table.real_or("eta_min", Bound::NonNegative, 0.0);
        Some(Schedule::CosineWarmRestarts { t_0: table.count("t_0", 1)?, t_mult, eta_min })
    }),
    ("one_cycle", |table| {
        let total = optional(table, "total");
        let pct_start = table.real_or("pct_start", Bound::Inside, 0.3);
        let div_factor = table.real_or("div_factor", Bound::Positive, 25.0);
        let final_div_factor = table.real_or("final_div_factor", Bound::Positive, 1e4);
        let max_lr = table.real("max_lr", Bound::Positive)?;
        Some(Schedule::OneCycle { max_lr, total, pct_start, div_factor, final_div_factor })
    }),
    ("cyclic", |table| {
        let size_up = table.count_or("size_up", 1, 2000);
        let (base_lr, max_lr) =
            (table.real("base_lr", Bound::Positive), table.real("max_lr", Bound::Positive));
        Some(Schedule::Cyclic { base_lr: base_lr?, max_lr: max_lr?, size_up })
    }),
    ("plateau", |table| {
        Some(Schedule::Plateau {
            factor: table.real_or("factor", Bound::Inside, 0.1),
            patience: table.count_or("patience", 0, 10),
            threshold: table.real_or("threshold", Bound::NonNegative, 1e-4),
        })
    }),
    ("wsd", |table| {
        let (warmup, decay) = (table.count("warmup", 0), table.count("decay", 1));
        Some(Schedule::Wsd { warmup: warmup?, decay: decay? })
    }),
    ("noam", |table| {
        let (model_size, warmup) = (table.count("model_size", 1), table.count("warmup", 1));
        Some(Schedule::Noam { model_size: model_size?, warmup: warmup? })
    }),
];

fn optional(table: &mut Cursor<'_>, key: &'static str) -> Option<usize> {
    table.get(key).and_then(|node| node.count(1))
}

/// The schedule, constant at the root's place if the recipe has none.
pub(crate) fn schedule(root: &mut Cursor<'_>) -> Option<Spanned<ScheduleSpec>> {
    if !root.has("schedule") {
        root.get("schedule");
        let curve = Schedule::Constant;
        let spec = ScheduleSpec { curve, unit: ScheduleUnit::Epoch, warmup: 0 };
        return Some(root.spanned(spec));
    }
    let mut table = root.optional_section("schedule")?;
    let read = table.choice("type", SCHEDULES)?;
    let curve = read(&mut table);
    let by_step = matches!(
        curve,
        Some(Schedule::OneCycle { .. } | Schedule::Cyclic { .. } | Schedule::Noam { .. })
    );
    let default = if by_step { ScheduleUnit::Step } else { ScheduleUnit::Epoch };
    let unit = table.choice_or("unit", UNITS, default);
    let warmup = match curve {
        // These have a warm-up of their own under the same key.
        Some(Schedule::Wsd { .. } | Schedule::Noam { .. }) => 0,
        Some(_) => table.count_or("warmup", 0, 0),
        // The key is known whatever is wrong with the others.
        None => {
            table.get("warmup");
            0
        }
    };
    if let Some(node) = table.get("unit")
        && matches!(curve, Some(Schedule::Plateau { .. }))
        && unit == ScheduleUnit::Step
    {
        node.refuse("found `step` for `plateau`", "`epoch`: it looks at the test loss", None);
    }
    table.finish();
    curve.map(|curve| table.spanned(ScheduleSpec { curve, unit, warmup }))
}

fn multi_step(table: &mut Cursor<'_>) -> Option<Schedule> {
    let expected = "an array of integers that increase, each at least 1";
    let node = table.require("milestones", expected);
    let gamma = table.real_or("gamma", Bound::Positive, 0.1);
    let node = node?;
    let milestones = node.list(expected, |node| node.count(1))?;
    node.increasing(&milestones);
    let milestones = milestones.into_iter().map(|milestone| milestone.value).collect();
    Some(Schedule::MultiStep { milestones, gamma })
}

//! Schedules from the descriptions in golden files.

use espalier::Error;
use espalier::schedule::{
    Anneal, Cyclic, CyclicMode, DecayShape, Mode, OneCycle, Plateau, Schedule, Threshold, Wsd,
};
use serde_json::Value;

struct Spec<'a>(&'a Value);

impl Spec<'_> {
    fn number(&self, key: &str) -> Option<f64> {
        self.0.get(key).map(|value| value.as_f64().unwrap())
    }
    fn count(&self, key: &str) -> Option<usize> {
        self.0.get(key).map(|value| value.as_u64().unwrap() as usize)
    }
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str().unwrap())
    }
    fn counts(&self, key: &str) -> Vec<usize> {
        let list = self.0[key].as_array().unwrap();
        list.iter().map(|value| value.as_u64().unwrap() as usize).collect()
    }
    fn parts(&self) -> Result<Vec<Schedule>, Error> {
        self.0["parts"].as_array().unwrap().iter().map(schedule).collect()
    }
    fn anneal(&self, key: &str) -> Anneal {
        match self.text(key) {
            Some("linear") => Anneal::Linear,
            None | Some("cos" | "cosine") => Anneal::Cosine,
            Some(other) => panic!("{other}"),
        }
    }
    /// The pair of PyTorch's options, ours being `None` where it does not cycle.
    fn momentum(&self, defaults: (f64, f64)) -> Option<(f64, f64)> {
        if self.0.get("cycle_momentum") == Some(&Value::Bool(false)) {
            return None;
        }
        let lowest = self.number("base_momentum").unwrap_or(defaults.0);
        Some((lowest, self.number("max_momentum").unwrap_or(defaults.1)))
    }
}

fn function(name: &str) -> fn(usize) -> f64 {
    match name {
        "inverse_root" => |t| (1.0 + t as f64).powf(-0.5),
        "halve_at_0_3_50" => |t| if [0, 3, 50].contains(&t) { 0.5 } else { 1.0 },
        other => panic!("{other}"),
    }
}

/// Our schedule for a spec.
pub fn schedule(spec: &Value) -> Result<Schedule, Error> {
    let spec = Spec(spec);
    let number = |key: &str| spec.number(key).unwrap();
    let count = |key: &str| spec.count(key).unwrap();
    let text = |key: &str| spec.text(key).unwrap();
    match text("kind") {
        "lambda" => Ok(Schedule::lambda(function(text("function")))),
        "multiplicative" => Ok(Schedule::multiplicative(function(text("function")))),
        "step" => Schedule::step(count("step_size"), number("gamma")),
        "multi_step" => Schedule::multi_step(&spec.counts("milestones"), number("gamma")),
        "constant_factor" => Schedule::constant_factor(number("factor"), count("total_iters")),
        "linear" => {
            Schedule::linear(number("start_factor"), number("end_factor"), count("total_iters"))
        }
        "exponential" => Schedule::exponential(number("gamma")),
        "polynomial" => Schedule::polynomial(count("total_iters"), number("power")),
        "cosine_annealing" => Schedule::cosine_annealing(count("T_max"), number("eta_min")),
        "cosine_annealing_warm_restarts" => Schedule::cosine_annealing_warm_restarts(
            count("T_0"),
            count("T_mult"),
            number("eta_min"),
        ),
        "one_cycle" => {
            let default = OneCycle::new(number("max_lr"), count("total_steps"));
            Schedule::one_cycle(OneCycle {
                pct_start: spec.number("pct_start").unwrap_or(default.pct_start),
                anneal: spec.anneal("anneal_strategy"),
                momentum: spec.momentum((0.85, 0.95)),
                div_factor: spec.number("div_factor").unwrap_or(default.div_factor),
                final_div_factor: spec
                    .number("final_div_factor")
                    .unwrap_or(default.final_div_factor),
                three_phase: spec.0.get("three_phase") == Some(&Value::Bool(true)),
                ..default
            })
        }
        "cyclic" => Schedule::cyclic(Cyclic {
            step_size_up: count("step_size_up"),
            step_size_down: spec.count("step_size_down"),
            mode: match spec.text("mode") {
                None => CyclicMode::Triangular,
                Some("triangular2") => CyclicMode::Triangular2,
                Some("exp_range") => CyclicMode::ExpRange { gamma: number("gamma") },
                Some(other) => panic!("{other}"),
            },
            momentum: spec.momentum((0.8, 0.9)),
            ..Cyclic::new(number("base_lr"), number("max_lr"))
        }),
        "reduce_on_plateau" => {
            let default = Plateau::default();
            let threshold = spec.number("threshold").unwrap_or(1e-4);
            Schedule::reduce_on_plateau(Plateau {
                mode: if spec.text("mode") == Some("max") { Mode::Max } else { Mode::Min },
                factor: spec.number("factor").unwrap_or(default.factor),
                patience: spec.count("patience").unwrap_or(default.patience),
                threshold: match spec.text("threshold_mode") {
                    Some("abs") => Threshold::Abs(threshold),
                    _ => Threshold::Rel(threshold),
                },
                cooldown: spec.count("cooldown").unwrap_or(default.cooldown),
                min: spec.number("min_lr").unwrap_or(default.min),
                eps: spec.number("eps").unwrap_or(default.eps),
            })
        }
        "swa" => {
            Schedule::swa(number("swa_lr"), count("anneal_epochs"), spec.anneal("anneal_strategy"))
        }
        "noam" => Schedule::noam(count("size"), count("warmup")),
        "wsd" => Schedule::wsd(Wsd {
            warmup_shape: spec.anneal("warmup_shape"),
            decay_shape: match text("decay_shape") {
                "linear" => DecayShape::Linear,
                "cosine" => DecayShape::Cosine,
                "1-sqrt" => DecayShape::OneMinusSqrt,
                other => panic!("{other}"),
            },
            start_factor: number("start"),
            end_factor: number("end"),
            ..Wsd::new(count("warmup"), count("stable"), count("decay"))
        }),
        "sequential" => Schedule::sequential(spec.parts()?, &spec.counts("milestones")),
        "chained" => Schedule::chained(spec.parts()?),
        other => panic!("{other}"),
    }
    // Composed ones need the same unit in all parts; PyTorch has none.
    .map(Schedule::per_step)
}

//! `[schedule]` as the library's.

use espalier::Error;
use espalier::schedule::{Cyclic, OneCycle, Plateau, Schedule, Threshold, Wsd};

use crate::spec::{self, ScheduleSpec, ScheduleUnit};

/// How long a training is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    pub(crate) epochs: usize,
    pub(crate) steps: usize,
}

impl Length {
    /// Steps that are done after so many epochs.
    pub(crate) fn steps_after(self, epochs: usize) -> usize {
        self.steps / self.epochs.max(1) * epochs
    }
}

/// Warm-up starts from this part of the rates: nothing would be learnt at 0.
const FIRST: f64 = 1e-2;

/// The library's schedule, and what it does in words.
///
/// # Errors
///
/// What the library refuses of the options.
pub(crate) fn schedule(spec: &ScheduleSpec, length: Length) -> Result<(Schedule, String), Error> {
    let (total, unit) = match spec.unit {
        ScheduleUnit::Epoch => (length.epochs, "epochs"),
        ScheduleUnit::Step => (length.steps, "steps"),
    };
    let rest = total.saturating_sub(spec.warmup).max(1);
    let (curve, text) = curve(&spec.curve, rest, unit)?;
    let (schedule, text) = match spec.warmup {
        0 => (curve, text),
        warmup => {
            let rise = Schedule::linear(FIRST, 1.0, warmup)?;
            let whole = Schedule::sequential(vec![rise, curve], &[warmup])?;
            (whole, format!("{warmup} {unit} of warm-up, then {text}"))
        }
    };
    let schedule = match spec.unit {
        ScheduleUnit::Epoch => schedule.per_epoch(),
        ScheduleUnit::Step => schedule.per_step(),
    };
    Ok((schedule, text))
}

fn curve(curve: &spec::Schedule, total: usize, unit: &str) -> Result<(Schedule, String), Error> {
    use spec::Schedule as Spec;
    Ok(match curve {
        Spec::Constant => (Schedule::constant(), "constant rates".to_owned()),
        Spec::Step { size, gamma } => {
            (Schedule::step(*size, *gamma)?, format!("rates times {gamma} every {size} {unit}"))
        }
        Spec::MultiStep { milestones, gamma } => {
            let times: Vec<String> = milestones.iter().map(ToString::to_string).collect();
            let text = format!("rates times {gamma} after {} {unit}", times.join(", "));
            (Schedule::multi_step(milestones, *gamma)?, text)
        }
        Spec::Exponential { gamma } => {
            let text = format!("rates times {gamma} every {}", unit.trim_end_matches('s'));
            (Schedule::exponential(*gamma)?, text)
        }
        Spec::ConstantFactor { factor, total } => (
            Schedule::constant_factor(*factor, *total)?,
            format!("rates times {factor} for {total} {unit}"),
        ),
        Spec::Linear { start_factor, end_factor, total: own } => {
            let total = own.unwrap_or(total);
            (
                Schedule::linear(*start_factor, *end_factor, total)?,
                format!("rates times {start_factor} to {end_factor} over {total} {unit}"),
            )
        }
        Spec::Polynomial { total: own, power } => {
            let total = own.unwrap_or(total);
            let text = format!("rates to 0 over {total} {unit}, power {power}");
            (Schedule::polynomial(total, *power)?, text)
        }
        Spec::Cosine { t_max, eta_min } => {
            let t_max = t_max.unwrap_or(total);
            let text = format!("rates by a cosine to {eta_min} over {t_max} {unit}");
            (Schedule::cosine_annealing(t_max, *eta_min)?, text)
        }
        Spec::CosineWarmRestarts { t_0, t_mult, eta_min } => (
            Schedule::cosine_annealing_warm_restarts(*t_0, *t_mult, *eta_min)?,
            format!("rates by cosines to {eta_min}, the first over {t_0} {unit}"),
        ),
        Spec::OneCycle { max_lr, total: own, pct_start, div_factor, final_div_factor } => {
            let total = own.unwrap_or(total);
            let options = OneCycle {
                pct_start: *pct_start,
                div_factor: *div_factor,
                final_div_factor: *final_div_factor,
                momentum: None,
                ..OneCycle::new(*max_lr, total)
            };
            (Schedule::one_cycle(options)?, format!("one cycle to {max_lr} over {total} {unit}"))
        }
        Spec::Cyclic { base_lr, max_lr, size_up } => {
            let options =
                Cyclic { step_size_up: *size_up, momentum: None, ..Cyclic::new(*base_lr, *max_lr) };
            let text = format!("rates from {base_lr} to {max_lr} and back, {size_up} {unit} up");
            (Schedule::cyclic(options)?, text)
        }
        Spec::Plateau { factor, patience, threshold } => {
            let options = Plateau {
                factor: *factor,
                patience: *patience,
                threshold: Threshold::Rel(*threshold),
                ..Plateau::default()
            };
            let text = format!(
                "rates times {factor} where the test loss has not fallen for more than {patience} \
                 epochs"
            );
            (Schedule::reduce_on_plateau(options)?, text)
        }
        Spec::Wsd { warmup, decay } => {
            let stable = total.saturating_sub(warmup + decay);
            let text = format!("{warmup} {unit} up, {stable} steady, {decay} down to 0");
            (Schedule::wsd(Wsd::new(*warmup, stable, *decay))?, text)
        }
        Spec::Noam { model_size, warmup } => (
            Schedule::noam(*model_size, *warmup)?,
            format!("as the Transformer's of width {model_size}, {warmup} {unit} up"),
        ),
    })
}

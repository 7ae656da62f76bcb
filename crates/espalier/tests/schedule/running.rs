//! Saved, restored, displayed, refused.

use espalier::Error;
use espalier::schedule::{
    Cyclic, OneCycle, Plateau, Schedule, Scheduler, SchedulerState, Target, Threshold, Unit,
    Values, Wsd,
};

use crate::common::Golden;
use crate::golden::{FILES, curves, metrics, start};

#[test]
fn a_restored_scheduler_goes_on_to_the_bit() {
    let metrics = metrics();
    for file in FILES {
        for (name, schedule) in curves(&Golden::open(file)) {
            for saved_at in [0, 1, 25, 47] {
                let mut whole = Scheduler::new(schedule.clone(), &start(0.1)).unwrap();
                for metric in &metrics[..saved_at] {
                    whole.step_with(*metric).unwrap();
                }
                let text = serde_json::to_string(&whole.state()).unwrap();
                let state: SchedulerState = serde_json::from_str(&text).unwrap();
                assert_eq!(state, whole.state(), "{name}");
                // The start of the new one is overwritten by the state.
                let mut restored = Scheduler::new(schedule.clone(), &start(0.7)).unwrap();
                restored.load_state(&state).unwrap();
                for metric in &metrics[saved_at..50] {
                    let (mut a, mut b) = (start(0.1), start(0.1));
                    whole.apply(&mut a);
                    restored.apply(&mut b);
                    assert_eq!(a.rate.to_bits(), b.rate.to_bits(), "{name}");
                    assert_eq!(a.momentum.to_bits(), b.momentum.to_bits(), "{name}");
                    whole.step_with(*metric).unwrap();
                    restored.step_with(*metric).unwrap();
                }
                assert_eq!(whole.state(), restored.state(), "{name}");
            }
        }
    }
}

#[test]
fn a_state_of_another_schedule_is_refused() {
    let new = |schedule: Schedule| Scheduler::new(schedule, &start(0.1)).unwrap();
    let state = new(Schedule::step(3, 0.5).unwrap()).state();
    assert_eq!(state.schedule(), "step (every 3, gamma 0.5) on the rate, per epoch");
    for other in [
        Schedule::step(4, 0.5).unwrap(),
        Schedule::step(3, 0.5).unwrap().per_step(),
        Schedule::step(3, 0.5).unwrap().on(Target::Decay),
        Schedule::exponential(0.5).unwrap(),
    ] {
        let mut scheduler = new(other);
        let before = scheduler.state();
        let error = scheduler.load_state(&state).unwrap_err();
        assert!(matches!(error, Error::ScheduleState { .. }), "{error}");
        assert!(error.to_string().contains("step (every 3, gamma 0.5)"), "{error}");
        assert_eq!(scheduler.state(), before);
    }
    // A text that claims to be of the schedule and is not.
    let parts = vec![Schedule::exponential(0.5).unwrap(), Schedule::step(3, 0.5).unwrap()];
    let mut scheduler = new(Schedule::chained(parts).unwrap());
    let text = serde_json::to_string(&scheduler.state()).unwrap();
    let cut = text.replace(r#""memory":{"children":["#, r#""memory":{"children":[],"x":["#);
    assert_ne!(cut, text);
    assert!(serde_json::from_str::<SchedulerState>(&cut).is_err());
    let bare = text.split_once(r#""memory":"#).unwrap().0.to_owned() + r#""memory":"none"}}"#;
    let state = serde_json::from_str(&bare).unwrap();
    assert!(scheduler.load_state(&state).is_err());
}

#[test]
fn units_are_epochs_but_for_four() {
    let steps = [
        Schedule::one_cycle(OneCycle::new(0.1, 10)),
        Schedule::cyclic(Cyclic::new(0.1, 0.2)),
        Schedule::noam(64, 10),
        Schedule::wsd(Wsd::new(1, 2, 3)),
    ];
    for schedule in steps {
        let schedule = schedule.unwrap();
        assert_eq!(schedule.unit(), Unit::Step, "{schedule}");
        assert_eq!(schedule.per_epoch().unit(), Unit::Epoch);
    }
    let exponential = Schedule::exponential(0.9).unwrap();
    assert_eq!(exponential.unit(), Unit::Epoch);
    // A composed schedule counts what its parts count, and does not guess.
    let cycle = Schedule::one_cycle(OneCycle::new(0.1, 10)).unwrap();
    let parts = vec![exponential.clone(), cycle.clone()];
    let error = Schedule::sequential(parts, &[3]).unwrap_err();
    assert!(error.to_string().contains("`per_step` or `per_epoch`"), "{error}");
    let parts = vec![exponential.clone().per_step(), cycle];
    assert_eq!(Schedule::sequential(parts, &[3]).unwrap().unit(), Unit::Step);
    let parts = vec![exponential.clone(), exponential.on(Target::Momentum)];
    assert!(Schedule::chained(parts).unwrap_err().to_string().contains("two schedules"));
}

#[test]
fn multi_step_counts_epochs_whatever_the_batches() {
    for batches in [1, 7, 100] {
        let schedule = Schedule::multi_step(&[10, 20], 0.1).unwrap();
        let mut values = start(1.0);
        let mut scheduler = Scheduler::new(schedule, &values).unwrap();
        let mut rates = Vec::new();
        for _ in 0..25 {
            for _ in 0..batches {
                if scheduler.unit() == Unit::Step {
                    scheduler.step().unwrap();
                }
            }
            scheduler.apply(&mut values);
            rates.push(values.rate);
            scheduler.step().unwrap();
        }
        assert_eq!((rates[9], rates[10], rates[19]), (1.0, 0.1, 0.1));
        assert!((rates[20] - 0.01).abs() < 1e-15);
    }
}

#[test]
fn the_end_of_a_one_cycle_and_a_missing_metric_are_told() {
    let error = Schedule::one_cycle(OneCycle::new(0.1, 5)).unwrap().curve(0.1, 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "one_cycle ends after 5 steps: give it the number of steps of the whole training, or stop \
         stepping it"
    );
    let plateau = Schedule::reduce_on_plateau(Plateau::default()).unwrap();
    let mut scheduler = Scheduler::new(plateau.clone(), &start(0.1)).unwrap();
    assert!(scheduler.needs_metric());
    let error = scheduler.step().unwrap_err();
    assert_eq!(
        error.to_string(),
        "reduce_on_plateau needs a metric at each step: call `step_with(metric)`; for groups, \
         `end_step_with` or `end_epoch_with`"
    );
    assert_eq!(scheduler.time(), 0);
    assert!(matches!(plateau.curve(0.1, 2), Err(Error::ScheduleMetric { .. })));
    assert_eq!(plateau.curve(0.1, 1).unwrap(), [0.1]);
}

#[test]
fn a_metric_that_is_nan_is_a_bad_one() {
    let options = Plateau { patience: 2, factor: 0.5, ..Plateau::default() };
    let schedule = Schedule::reduce_on_plateau(options).unwrap();
    let mut scheduler = Scheduler::new(schedule, &start(0.1)).unwrap();
    for metric in [1.0, f64::NAN, f64::NAN, f64::NAN] {
        assert_eq!(scheduler.value(), 0.1);
        scheduler.step_with(metric).unwrap();
    }
    assert_eq!(scheduler.value(), 0.05);
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let nan = Values { rate: f64::NAN, ..start(0.1) };
    assert!(Scheduler::new(Schedule::constant(), &nan).is_err());
    assert!(Scheduler::new(Schedule::constant().on(Target::Decay), &nan).is_ok());
    let late = Schedule::lambda(|t| if t == 3 { f64::NAN } else { 1.0 });
    let mut scheduler = Scheduler::new(late, &start(0.1)).unwrap();
    scheduler.step().unwrap();
    scheduler.step().unwrap();
    let error = scheduler.step().unwrap_err();
    assert_eq!(error.to_string(), "lambda: the rate at epoch 3 is a number, found NaN");
    assert_eq!((scheduler.time(), scheduler.value()), (2, 0.1));
}

#[test]
fn impossible_options_are_refused() {
    let nan = f64::NAN;
    let one_cycle = OneCycle::new(0.1, 10);
    let (cyclic, plateau) = (Cyclic::new(0.1, 0.2), Plateau::default());
    let refused = [
        Schedule::step(0, 0.5),
        Schedule::step(1, nan),
        Schedule::multi_step(&[1], 0.0),
        Schedule::multi_step(&[1], -0.5),
        Schedule::exponential(f64::INFINITY),
        Schedule::constant_factor(nan, 1),
        Schedule::constant_factor(0.5, 0),
        Schedule::linear(nan, 1.0, 1),
        Schedule::linear(0.5, nan, 1),
        Schedule::linear(0.5, 1.0, 0),
        Schedule::polynomial(0, 1.0),
        Schedule::polynomial(3, nan),
        Schedule::cosine_annealing(0, 0.0),
        Schedule::cosine_annealing(3, nan),
        Schedule::cosine_annealing_warm_restarts(3, 1, nan),
        Schedule::one_cycle(OneCycle { pct_start: nan, ..one_cycle }),
        Schedule::one_cycle(OneCycle { max_rate: nan, ..one_cycle }),
        Schedule::one_cycle(OneCycle { div_factor: 0.0, ..one_cycle }),
        Schedule::one_cycle(OneCycle { final_div_factor: nan, ..one_cycle }),
        Schedule::one_cycle(OneCycle { momentum: Some((0.1, nan)), ..one_cycle }),
        Schedule::cyclic(Cyclic { step_size_up: 0, ..cyclic }),
        Schedule::cyclic(Cyclic { base_rate: nan, ..cyclic }),
        Schedule::reduce_on_plateau(Plateau { factor: nan, ..plateau }),
        Schedule::reduce_on_plateau(Plateau { threshold: Threshold::Abs(nan), ..plateau }),
        Schedule::swa(nan, 1, espalier::schedule::Anneal::Linear),
        Schedule::wsd(Wsd::new(0, 0, 0)),
        Schedule::wsd(Wsd { end_factor: 1.5, ..Wsd::new(1, 1, 1) }),
        Schedule::noam(0, 1),
        Schedule::noam(1, 0),
        Schedule::sequential(vec![Schedule::constant(); 3], &[5, 4]),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Schedule { .. })), "{refused:?}");
    }
}

#[test]
fn composed_parts_of_a_sequence_start_at_their_own_time_zero() {
    // PyTorch fails on these; they are what the parts are alone, one after the other.
    let exponential = || Schedule::exponential(0.5).unwrap();
    let inner = || {
        let parts = vec![Schedule::constant_factor(0.5, 2).unwrap(), exponential()];
        Schedule::chained(parts).unwrap()
    };
    let alone = inner().curve(1.0, 4).unwrap();
    let nested = Schedule::sequential(vec![exponential(), inner()], &[3]).unwrap();
    let found = nested.curve(1.0, 7).unwrap();
    assert_eq!(found[..3], [1.0, 0.5, 0.25]);
    assert_eq!(found[3..], alone);
    let sequence = Schedule::sequential(vec![inner(), exponential()], &[2]).unwrap();
    let nested = Schedule::sequential(vec![sequence.clone(), sequence.clone()], &[4]).unwrap();
    let alone = sequence.curve(1.0, 4).unwrap();
    assert_eq!(alone, [0.5, 0.25, 1.0, 0.5]);
    assert_eq!(nested.curve(1.0, 8).unwrap(), [alone.clone(), alone].concat());
}

#[test]
fn displays_and_plots_say_what_happens() {
    let warm = Schedule::linear(0.1, 1.0, 5).unwrap();
    let cosine = Schedule::cosine_annealing(15, 0.0).unwrap();
    let schedule = Schedule::sequential(vec![warm, cosine], &[5]).unwrap();
    assert_eq!(
        schedule.to_string(),
        "sequential (linear (factor 0.1 to 1 until 5), from 5 cosine_annealing (to 0 at 15)) on the \
         rate, per epoch"
    );
    let plot = schedule.plot(0.1, 21).unwrap();
    let lines: Vec<&str> = plot.lines().collect();
    assert_eq!(lines.len(), 12, "{plot}");
    assert!(lines[1].starts_with("0.1 |     *"), "{plot}");
    assert!(lines[11].ends_with("epoch 20"), "{plot}");
    assert_eq!(plot.matches('*').count(), 21, "{plot}");
    assert!(Schedule::constant().plot(0.1, 0).unwrap().contains("no values"));
    assert!(Schedule::constant().plot(0.1, 500).unwrap().contains("epoch 499"));
    for empty in [Schedule::constant(), Schedule::lambda(|_| 1.0)] {
        let text = format!("{} on the rate, per epoch", empty.name());
        assert_eq!(empty.to_string(), text);
    }
}

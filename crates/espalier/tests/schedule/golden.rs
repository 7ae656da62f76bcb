//! Every curve and refusal of the golden files.

use espalier::Error;
use espalier::schedule::{Schedule, Scheduler, Target, Values};

use crate::common::{Golden, Tolerance, assert_close};
use crate::spec::schedule;

pub const FILES: [&str; 2] = ["schedules", "schedules_composed"];

/// Base value, metrics, and each case with its schedule.
pub fn curves(golden: &Golden) -> Vec<(String, Schedule)> {
    let mut found = Vec::new();
    for name in golden.names() {
        if !name.starts_with("refused_") {
            let [_, case] = golden.case(name);
            found.push((name.to_owned(), schedule(&case.note["spec"]).unwrap()));
        }
    }
    found
}

pub fn start(base: f64) -> Values {
    Values { rate: base, momentum: 0.9, decay: 0.01 }
}

/// The metrics that all plateau cases see.
pub fn metrics() -> Vec<f64> {
    Golden::open("schedules").case("plateau")[1].values("metric")
}

#[test]
fn every_curve_agrees_with_pytorch() {
    let metrics = metrics();
    let mut tested = 0;
    for file in FILES {
        let golden = Golden::open(file);
        for (name, schedule) in curves(&golden) {
            let [_, case] = golden.case(&name);
            let expected = case.values("rate");
            let base = case.note["base"].as_f64().unwrap();
            let mut values = start(base);
            let mut scheduler = Scheduler::new(schedule.clone(), &values).unwrap();
            let (mut rates, mut momenta) = (Vec::new(), Vec::new());
            for t in 0..expected.len() {
                if t > 0 {
                    scheduler.step_with(metrics[t - 1]).unwrap();
                }
                scheduler.apply(&mut values);
                rates.push(values.rate);
                momenta.push(values.momentum);
            }
            let tolerance = Tolerance::new(1e-12, 1e-17);
            assert_close(&name, &rates, &expected, tolerance);
            if case.note["moves_momentum"] == true {
                assert_close(&name, &momenta, &case.values("momentum"), tolerance);
            } else {
                assert!(momenta.iter().all(|momentum| *momentum == momenta[0]), "{name}");
            }
            assert_eq!(values.decay, 0.01);
            if let Some(after) = case.note["error_after"].as_u64() {
                assert_eq!(scheduler.time() as u64, after, "{name}");
                let before = scheduler.state();
                let error = scheduler.step().unwrap_err();
                assert!(matches!(error, Error::ScheduleEnd { .. }), "{error}");
                assert_eq!(scheduler.state(), before, "a failed step changes nothing");
            }
            if !schedule.needs_metric() {
                assert_close(&name, &schedule.curve(base, rates.len()).unwrap(), &rates, tolerance);
                // The same formula on the decay, the momentum left alone.
                let decay = schedule.on(Target::Decay);
                let values = decay.values(&Values { decay: base, ..start(0.5) }, 20).unwrap();
                let found: Vec<f64> = values.iter().map(|values| values.decay).collect();
                assert_close(&name, &found, &rates[..20], tolerance);
                assert!(values.iter().all(|values| (values.rate, values.momentum) == (0.5, 0.9)));
            }
            tested += 1;
        }
    }
    assert!(tested > 60, "{tested}");
}

#[test]
fn what_pytorch_refuses_is_refused() {
    let golden = Golden::open("schedules");
    let mut refused = 0;
    for name in golden.names().into_iter().filter(|name| name.starts_with("refused_")) {
        let [_, case] = golden.case(name);
        let spec = &case.note["spec"];
        let error = schedule(spec).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Schedule { .. }), "{name}: {text}");
        let kind = spec["kind"].as_str().unwrap();
        assert!(text.starts_with(&format!("{kind}: ")), "{name}: {text}");
        refused += 1;
    }
    assert_eq!(refused, 17);
}

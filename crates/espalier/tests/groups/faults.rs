//! Groups under hostile use: names that collide, numbers that are none, halves of a state.

use espalier::Error;
use espalier::optim::{Adam, AdamW, Groups, Options, Sgd};
use espalier::schedule::{OneCycle, Plateau, Schedule, Target, Values};

use crate::common::{net, train, values};

#[test]
fn parts_of_one_name_stay_apart() {
    let plan = Groups::new(AdamW::new().with_decay(0.5))
        .group("default (no decay)", "4.*", Options::new().rate(0.7))
        .unwrap()
        .no_decay_on_bias_and_norm()
        .plan(&net())
        .unwrap();
    let of = |path| {
        let values = plan.group_of(path).unwrap().values;
        (values.rate, values.decay)
    };
    assert_eq!(of("0.bias"), (1e-3, 0.0));
    assert_eq!(of("4.weight"), (0.7, 0.5), "not the part of another group");
    assert_eq!(of("4.bias"), (0.7, 0.0));
}

#[test]
fn names_of_parts_are_unique_so_that_a_state_finds_them() {
    let optim = || {
        Groups::new(AdamW::new())
            .group("default (no decay)", "4.*", Options::new().rate(0.7))
            .unwrap()
            .no_decay_on_bias_and_norm()
            .schedule(Schedule::exponential(0.5).unwrap())
            .build(&net())
            .unwrap()
    };
    let mut first = optim();
    first.end_epoch().unwrap();
    let mut names: Vec<&str> = first.rates().into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), first.rates().len());
    let mut second = optim();
    second.load_state(&first.state()).unwrap();
    assert_eq!(second.values(), first.values());
}

#[test]
fn two_ladders_of_layers_have_their_own_rates() {
    let groups = Groups::new(Sgd::new().with_rate(1.0))
        .layer_wise_rate_decay(0.5, ["0.*", "1.*"])
        .and_then(|groups| groups.layer_wise_rate_decay(0.1, ["3.*", "4.*"]))
        .unwrap();
    let plan = groups.plan(&net()).unwrap();
    let rate = |path| plan.group_of(path).unwrap().values.rate;
    assert_eq!([rate("0.weight"), rate("1.gamma"), rate("4.weight")], [0.5, 1.0, 1.0]);
    assert_eq!(rate("3.weight"), 0.1);
    let overlap = Groups::new(Sgd::new())
        .layer_wise_rate_decay(0.5, ["0.*", "1.*"])
        .and_then(|groups| groups.layer_wise_rate_decay(0.1, ["0.*", "4.*"]))
        .unwrap();
    assert!(matches!(overlap.plan(&net()), Err(Error::TwoGroups { .. })));
}

#[test]
fn options_of_the_first_optimizer_are_checked_too() {
    let refused = |groups: Groups| groups.build(&net()).unwrap_err().to_string();
    let nan = refused(Groups::new(AdamW::new().with_rate(f64::NAN)));
    assert_eq!(nan, "group `default`: `rate` is 0 or a positive number, found NaN");
    assert!(refused(Groups::new(Sgd::new().with_rate(-1.0))).contains("`rate`"));
    assert!(refused(Groups::new(Sgd::new().with_momentum(1.0))).contains("`momentum`"));
    assert!(refused(Groups::new(Sgd::new().with_dampening(f64::NAN))).contains("`dampening`"));
    assert!(refused(Groups::new(Adam::new().with_betas([0.9, 1.0]))).contains("`betas`"));
    assert!(refused(Groups::new(Adam::new().with_epsilon(-1.0))).contains("`epsilon`"));
    assert!(refused(Groups::new(Adam::new().with_decay(f64::INFINITY))).contains("`decay`"));
    let with = Groups::new(Sgd::new())
        .group_with("x", "0.*", Adam::new().with_rate(f64::NAN))
        .and_then(|groups| groups.build(&net()));
    assert!(with.unwrap_err().to_string().starts_with("group `x`: `rate`"));
}

#[test]
fn start_values_that_make_no_sense_change_nothing() {
    let mut optim = Groups::new(Sgd::new().with_rate(0.1)).build(&net()).unwrap();
    let before = optim.start("default").unwrap();
    for bad in [
        Values { rate: f64::NAN, ..before },
        Values { rate: -1.0, ..before },
        Values { momentum: 1.0, ..before },
        Values { decay: f64::INFINITY, ..before },
    ] {
        assert!(matches!(optim.set_start("default", bad), Err(Error::Options { .. })));
        assert_eq!(optim.start("default").unwrap(), before);
        assert_eq!(optim.rates(), [("default", 0.1)]);
    }
}

#[test]
fn a_start_that_a_schedule_overwrites_is_refused() {
    let mut optim = Groups::new(Sgd::new().with_rate(1.0))
        .schedule(Schedule::exponential(0.5).unwrap())
        .build(&net())
        .unwrap();
    let start = optim.start("default").unwrap();
    // The decay has no schedule.
    optim.set_start("default", Values { decay: 0.3, ..start }).unwrap();
    assert_eq!(optim.values()[0].1.decay, 0.3);
    let error = optim.set_start("default", Values { rate: 0.1, ..start }).unwrap_err();
    assert!(error.to_string().contains("rate"), "{error}");
}

#[test]
fn schedules_that_would_overwrite_each_other_are_refused() {
    let halving = || Schedule::exponential(0.5).unwrap();
    let error = Groups::new(Sgd::new()).schedule(halving()).schedule(halving().per_step());
    let text = error.build(&net()).unwrap_err().to_string();
    assert!(text.starts_with("group `default`: two schedules move the rate"), "{text}");
    // A one-cycle moves the momentum, too.
    let cycle = Schedule::one_cycle(OneCycle::new(0.1, 10)).unwrap().on(Target::Rate);
    let both = Groups::new(Sgd::new()).schedule(cycle).schedule(halving().on(Target::Momentum));
    assert!(both.build(&net()).is_err());
    // What one group has for itself stands in the place of what all have.
    for own_first in [true, false] {
        let own = Schedule::exponential(0.1).unwrap();
        let mut groups =
            Groups::new(Sgd::new().with_rate(1.0)).group("head", "4.*", Options::new()).unwrap();
        if own_first {
            groups = groups.schedule_group("head", own).unwrap().schedule(halving());
        } else {
            groups = groups.schedule(halving()).schedule_group("head", own).unwrap();
        }
        let mut optim = groups.build(&net()).unwrap();
        optim.end_epoch().unwrap();
        assert_eq!(optim.rates(), [("default", 0.5), ("head", 0.1)]);
    }
}

#[test]
fn a_schedule_that_every_group_replaces_does_not_run() {
    let short = OneCycle { momentum: None, ..OneCycle::new(0.1, 2) };
    let own = || Schedule::exponential(0.5).unwrap().per_step();
    let mut optim = Groups::new(Sgd::new().with_rate(1.0))
        .schedule(Schedule::one_cycle(short).unwrap())
        .schedule_group("default", own())
        .unwrap()
        .build(&net())
        .unwrap();
    for _ in 0..4 {
        optim.end_step().unwrap();
    }
    assert_eq!(optim.rates(), [("default", 0.0625)]);
}

#[test]
fn a_momentum_that_a_schedule_takes_out_of_range_is_refused() {
    let up = Schedule::multiplicative(|_| 2.0).on(Target::Momentum);
    let mut optim =
        Groups::new(Adam::new().with_betas([0.4, 0.9])).schedule(up).build(&net()).unwrap();
    optim.end_epoch().unwrap();
    let error = optim.end_epoch().unwrap_err().to_string();
    assert!(error.starts_with("group `default`: "), "{error}");
    assert!(error.contains("found 1.6"), "{error}");
    assert_eq!(optim.values()[0].1.momentum, 0.8, "and nothing has moved");
}

#[test]
fn half_a_state_is_refused() {
    let groups = || {
        Groups::new(Sgd::new())
            .group("head", "4.*", Options::new())
            .unwrap()
            .schedule(Schedule::exponential(0.5).unwrap())
    };
    let mut optim = groups().build(&net()).unwrap();
    optim.end_epoch().unwrap();
    let mut json: serde_json::Value = serde_json::to_value(optim.state()).unwrap();
    json["groups"].as_array_mut().unwrap().pop();
    let before = optim.state();
    optim.end_epoch().unwrap();
    let after = optim.state();
    let error = optim.load_state(&serde_json::from_value(json).unwrap()).unwrap_err();
    assert!(error.to_string().contains("`head`"), "{error}");
    assert_eq!(optim.state(), after, "nothing is changed");
    optim.load_state(&before).unwrap();
    assert_eq!(optim.state(), before);
}

#[test]
fn start_values_are_saved_to_the_bit() {
    let mut rate = 0.1f64;
    for _ in 0..400 {
        rate = (rate * 1.61803 + 1e-7).fract();
        let mut optim = Groups::new(Sgd::new().with_rate(rate)).build(&net()).unwrap();
        let state = optim.state();
        let text = serde_json::to_string(&state).unwrap();
        let read = serde_json::from_str(&text).unwrap();
        assert_eq!(state, read, "{rate}");
        optim.load_state(&read).unwrap();
        assert_eq!(optim.rates()[0].1.to_bits(), rate.to_bits());
    }
}

#[test]
fn a_schedule_past_its_end_names_its_group_and_nothing_moves() {
    let cycle = |steps| Schedule::one_cycle(OneCycle::new(0.1, steps)).unwrap();
    let mut optim = Groups::new(Sgd::new().with_momentum(0.9))
        .group("head", "4.*", Options::new())
        .and_then(|groups| groups.schedule_group("head", cycle(3)))
        .and_then(|groups| groups.schedule_group("default", cycle(30)))
        .unwrap()
        .build(&net())
        .unwrap();
    for _ in 0..3 {
        optim.end_step().unwrap();
    }
    let (before, state) = (format!("{:?}", optim.values()), optim.state());
    let error = optim.end_step().unwrap_err();
    assert_eq!(
        error.to_string(),
        "group `head`: one_cycle ends after 3 steps: give it the number of steps of the whole \
         training, or stop stepping it"
    );
    assert_eq!((format!("{:?}", optim.values()), optim.state()), (before, state));
    optim.end_epoch().unwrap();
}

#[test]
fn plateaus_in_groups_wait_for_metrics() {
    let options = Plateau { patience: 0, factor: 0.5, ..Plateau::default() };
    let plateau = || Schedule::reduce_on_plateau(options).unwrap();
    let mut optim = Groups::new(Sgd::new().with_rate(1.0))
        .group("head", "4.*", Options::new())
        .and_then(|groups| groups.schedule_group("head", plateau().per_step()))
        .unwrap()
        .schedule(plateau())
        .build(&net())
        .unwrap();
    assert!(optim.end_epoch().is_err() && optim.end_step().is_err());
    for loss in [1.0, 1.0] {
        optim.end_epoch_with(loss).unwrap();
    }
    assert_eq!(optim.rates(), [("default", 0.5), ("head", 1.0)]);
    for loss in [1.0, 1.0, f64::NAN] {
        optim.end_step_with(loss).unwrap();
    }
    assert_eq!(optim.rates(), [("default", 0.5), ("head", 0.25)]);
}

#[test]
fn a_momentum_that_passes_through_zero_keeps_its_velocity() {
    // torch.optim.SGD leaves the buffer alone while the momentum is 0.
    let on = Schedule::lambda(|t| if t == 2 { 0.0 } else { 1.0 }).on(Target::Momentum).per_step();
    let start = net();
    let sgd = || Sgd::new().with_rate(0.01).with_momentum(0.9);
    let mut optim = Groups::new(sgd()).schedule(on).build(&start).unwrap();
    let mut net = start.deep_copy();
    let mut weights = vec![values::<2>(&net, "4.weight")];
    for _ in 0..4 {
        net = train(net, &mut optim, 1);
        weights.push(values::<2>(&net, "4.weight"));
    }
    let step = |t: usize| -> Vec<f32> {
        weights[t].iter().zip(&weights[t - 1]).map(|(new, old)| old - new).collect()
    };
    // The third step follows the gradient alone; the fourth the velocity of the second, too.
    let mut plain = Groups::new(sgd().with_momentum(0.0)).build(&start).unwrap();
    let mut again = start.deep_copy();
    let mut second = Groups::new(sgd()).build(&start).unwrap();
    again = train(again, &mut second, 2);
    again = train(again, &mut plain, 1);
    assert_eq!(values::<2>(&again, "4.weight"), weights[3]);
    let gradient = {
        let before = values::<2>(&again, "4.weight");
        again = train(again, &mut plain, 1);
        let after = values::<2>(&again, "4.weight");
        before.iter().zip(after).map(|(a, b)| a - b).collect::<Vec<_>>()
    };
    for ((found, fresh), old) in step(4).iter().zip(gradient).zip(step(2)) {
        assert!((found - (fresh + 0.9 * old)).abs() < 1e-6, "{found}: {fresh} and {old}");
    }
}

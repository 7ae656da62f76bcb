//! Schedules of groups, and what is saved of them.

use espalier::optim::{AdamW, Groups, Options, Sgd};
use espalier::schedule::Schedule;

use crate::common::{net, train, values};

fn halving() -> Schedule {
    Schedule::multi_step(&[1, 2, 3, 4, 5, 6, 7, 8], 0.5).unwrap()
}

#[test]
fn milestones_are_epochs_whatever_the_number_of_steps() {
    for steps in [1, 7] {
        let net = net();
        let schedule = Schedule::multi_step(&[2, 3], 0.1).unwrap();
        let base = Sgd::new().with_rate(1.0);
        let mut optim = Groups::new(base).schedule(schedule).build(&net).unwrap();
        let mut net = net;
        let mut rates = Vec::new();
        for _ in 0..4 {
            rates.push(optim.rates()[0].1);
            net = train(net, &mut optim, steps);
            optim.end_epoch().unwrap();
        }
        assert_eq!(rates, [1.0, 1.0, 0.1, 0.1 * 0.1]);
    }
}

#[test]
fn groups_have_schedules_and_multipliers_of_their_own() {
    let net = net();
    let mut optim = Groups::new(Sgd::new().with_rate(1.0))
        .group("head", "4.*", Options::new().rate(8.0))
        .and_then(|groups| groups.group("body", "3.*", Options::new().rate_multiplier(0.1)))
        .and_then(|groups| groups.schedule_group("head", halving().per_step()))
        .unwrap()
        .schedule(halving())
        .build(&net)
        .unwrap();
    let rates = |optim: &espalier::optim::GroupedOptimizer| -> Vec<f64> {
        optim.rates().into_iter().map(|(_, rate)| rate).collect()
    };
    assert_eq!(rates(&optim), [1.0, 8.0, 0.1]);
    optim.end_epoch().unwrap();
    assert_eq!(rates(&optim)[0], 0.5);
    assert_eq!(rates(&optim)[2], 0.05, "a multiplier stays on top of a schedule");
    let unknown = Groups::new(Sgd::new()).schedule_group("hed", halving());
    assert_eq!(unknown.unwrap_err().to_string(), "there is no group `hed`; there are default");
}

#[test]
fn a_resumed_run_goes_on_to_the_bit() {
    let groups = || {
        Groups::new(AdamW::new().with_rate(0.1))
            .group("head", "4.*", Options::new().rate(0.2))
            .unwrap()
            .schedule(halving().per_step())
            .no_decay_on_bias_and_norm()
    };
    let mut optim = groups().build(&net()).unwrap();
    let half = train(net(), &mut optim, 3);
    let (state, record) = (optim.state(), optim.to_record());
    let saved = serde_json::to_string(&state).unwrap();

    let mut again = groups().build(&half).unwrap().load_record(record);
    again.load_state(&serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(again.rates(), optim.rates());
    let on = train(half.deep_copy(), &mut optim, 3);
    let resumed = train(half, &mut again, 3);
    for path in ["0.weight", "3.weight", "4.weight"] {
        assert_eq!(values::<2>(&on, path), values::<2>(&resumed, path));
    }
}

#[test]
fn a_state_of_other_groups_is_refused() {
    let state = Groups::new(Sgd::new())
        .group("head", "4.*", Options::new())
        .unwrap()
        .build(&net())
        .unwrap()
        .state();
    let mut other = Groups::new(Sgd::new()).build(&net()).unwrap();
    assert_eq!(
        other.load_state(&state).unwrap_err().to_string(),
        "there is no group `head`; there are default"
    );
    let scheduled = Groups::new(Sgd::new()).schedule(halving()).build(&net()).unwrap().state();
    let error = other.load_state(&scheduled).unwrap_err().to_string();
    assert!(error.contains("there are 0 schedules, the saved group has 1"), "{error}");
}

#[test]
fn start_values_can_be_set_by_hand() {
    let mut optim = Groups::new(Sgd::new().with_rate(1.0))
        .multiply("4.*", Options::new().rate_multiplier(0.5))
        .unwrap()
        .build(&net())
        .unwrap();
    let mut start = optim.start("default").unwrap();
    start.rate = 0.3;
    optim.set_start("default", start).unwrap();
    assert_eq!(optim.rates()[0], ("default", 0.3));
    assert_eq!(optim.rates()[1].1, 0.15, "and its part, with its multiplier");
    assert!(optim.set_start("nobody", start).is_err());
}

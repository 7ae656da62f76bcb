//! What a group sets, inherits, and may not set.

use burn::optim::LionConfig;
use espalier::Selector;
use espalier::optim::{Adam, AdamW, BurnOptimizer, Groups, Options, Sgd};
use espalier::schedule::{OneCycle, Schedule, Target, Values};

use crate::common::{grads, net, train, values};

#[test]
fn unset_options_are_the_first_groups() {
    let base = Sgd::new().with_rate(0.5).with_momentum(0.9).with_decay(0.1);
    let groups = Groups::new(base)
        .group("slow", "0.*", Options::new().rate(0.01))
        .and_then(|groups| groups.group("heavy", "3.*", Options::new().momentum(0.5).decay(0.0)))
        .unwrap();
    let optim = groups.build(&net()).unwrap();
    let expected = [
        ("default", Values { rate: 0.5, momentum: 0.9, decay: 0.1 }),
        ("slow", Values { rate: 0.01, momentum: 0.9, decay: 0.1 }),
        ("heavy", Values { rate: 0.5, momentum: 0.5, decay: 0.0 }),
    ];
    assert_eq!(optim.values(), expected);
}

/// A group moves as a whole network with its options would.
#[test]
fn each_group_is_stepped_with_its_own_options() {
    let start = net();
    let base = AdamW::new().with_rate(0.1);
    let special = Options::new().rate(0.02).betas([0.5, 0.6]).epsilon(0.1).decay(0.3);
    let mut mixed =
        Groups::new(base.clone()).group("last", "4.*", special).unwrap().build(&start).unwrap();
    let mut plain = Groups::new(base.clone()).build(&start).unwrap();
    let own = base.with_rate(0.02).with_betas([0.5, 0.6]).with_epsilon(0.1).with_decay(0.3);
    let mut other = Groups::new(own).build(&start).unwrap();

    // One step: later ones see each other's changes.
    let step = |optim: &mut _| train(start.deep_copy(), optim, 1);
    let (mixed, plain, other) = (step(&mut mixed), step(&mut plain), step(&mut other));
    for path in ["0.weight", "3.weight"] {
        assert_eq!(values::<2>(&mixed, path), values::<2>(&plain, path));
        assert_ne!(values::<2>(&mixed, path), values::<2>(&other, path));
    }
    assert_eq!(values::<2>(&mixed, "4.weight"), values::<2>(&other, "4.weight"));
    assert_eq!(values::<1>(&mixed, "4.bias"), values::<1>(&other, "4.bias"));
    assert_ne!(values::<2>(&mixed, "4.weight"), values::<2>(&plain, "4.weight"));
}

#[test]
fn a_rate_of_zero_leaves_a_group_where_it_is() {
    let net = net();
    let before = values::<2>(&net, "3.weight");
    let still = Options::new().rate(0.0);
    let mut optim =
        Groups::new(Adam::new()).group("still", "3.weight", still).unwrap().build(&net).unwrap();
    let net = train(net, &mut optim, 3);
    assert_eq!(values::<2>(&net, "3.weight"), before);
}

#[test]
fn groups_of_burns_optimizers_have_a_rate_and_nothing_else() {
    let lion = || BurnOptimizer::new("Lion", LionConfig::new().build(), 1e-2);
    let net = net();
    let mut optim = Groups::new(Sgd::new())
        .group_with("signs", "4.weight", lion())
        .unwrap()
        .build(&net)
        .unwrap();
    let before = values::<2>(&net, "4.weight");
    let net = train(net, &mut optim, 1);
    // Lion goes one rate along the sign, less its decay.
    for (new, old) in values::<2>(&net, "4.weight").iter().zip(before) {
        assert!((0.009..0.011).contains(&(new - old).abs()), "{old} -> {new}");
    }
    let error = Groups::new(lion()).group("x", "0.*", Options::new().decay(0.1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "group `x`: Lion has no option `decay` that a group can set; it has rate"
    );
}

#[test]
fn a_schedule_of_what_cannot_follow_it_is_an_error() {
    let lion = || BurnOptimizer::new("Lion", LionConfig::new().build(), 1e-2);
    let cycle = Schedule::one_cycle(OneCycle::new(0.1, 10)).unwrap();
    let error = Groups::new(lion()).schedule(cycle.clone()).build(&net()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "group `default`: the momentum of Lion cannot be scheduled: it is fixed when it is built"
    );
    let decay = Schedule::exponential(0.9).unwrap().on(Target::Decay);
    assert!(Groups::new(lion()).schedule(decay.clone()).build(&net()).is_err());
    assert!(Groups::new(Sgd::new()).schedule(decay).schedule(cycle).build(&net()).is_ok());
}

#[test]
fn what_an_optimizer_cannot_take_is_an_error() {
    let refused =
        |optim: Groups, options: Options| optim.group("g", "0.*", options).unwrap_err().to_string();
    assert_eq!(
        refused(Groups::new(AdamW::new()), Options::new().momentum(0.9)),
        "group `g`: AdamW has no option `momentum` that a group can set; it has rate, betas, \
         epsilon, decay"
    );
    assert_eq!(
        refused(Groups::new(Sgd::new()), Options::new().betas([0.9, 0.99])),
        "group `g`: SGD has no option `betas` that a group can set; it has rate, momentum, decay"
    );
    assert_eq!(
        refused(Groups::new(Sgd::new()), Options::new().rate(-0.1)),
        "group `g`: `rate` is 0 or a positive number, found -0.1"
    );
    assert_eq!(
        refused(Groups::new(Adam::new()), Options::new().betas([0.9, 1.0])),
        "group `g`: `betas` is at least 0 and below 1, found 1"
    );
    assert!(refused(Groups::new(Adam::new()), Options::new().rate(f64::NAN)).contains("found NaN"));
    let twice = Groups::new(Sgd::new())
        .group("a", "0.*", Options::new())
        .and_then(|groups| groups.group("a", "3.*", Options::new()));
    assert_eq!(
        twice.unwrap_err().to_string(),
        "there is a group `a` already; give this one another name"
    );
    let taken = Groups::new(Sgd::new()).group("default", "0.*", Options::new());
    assert!(taken.unwrap_err().to_string().contains("`default`"));
    let empty = Groups::new(Sgd::new())
        .group("e", Selector::layer("LayerNorm"), Options::new())
        .and_then(|groups| groups.build(&net()));
    assert!(empty.unwrap_err().to_string().contains("`LayerNorm` matches no parameter"));
}

#[test]
fn frozen_parameters_stay() {
    use burn::module::Module;
    let net = net().freeze();
    let before = values::<2>(&net, "0.weight");
    let mut optim = Groups::new(Sgd::new().with_rate(1.0).with_decay(0.5)).build(&net).unwrap();
    let nothing = burn::optim::GradientsParams::new();
    let net = optim.step(net, nothing);
    assert_eq!(values::<2>(&net, "0.weight"), before);
    assert!(!grads(&crate::common::net()).is_empty());
}

//! Training, validation, devices, freezing, removal.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, Own, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{Kind, Leave, Parametrized};

use crate::common::{Identity, device, output, plain, train, values, wrapped};

fn net() -> Parametrized<Sequential> {
    let mut net = wrapped(5);
    net.register("3.weight", Orthogonal::cayley()).unwrap();
    net.register("5.weight", WeightNorm::dim(0)).unwrap();
    net.prune("5.weight", L1Unstructured::new(0.5)).unwrap();
    net.tie("3.bias", "0.bias").unwrap();
    net
}

#[test]
fn validation_and_back_changes_nothing() {
    let net = train(net(), &mut SgdConfig::new().init(), 2);
    let state = StateDict::of(&net);
    let valid = net.valid();
    for path in ["3.weight", "5.weight"] {
        assert_eq!(values::<2>(&valid, path), values::<2>(&net, path));
    }
    let back = valid.valid().train();
    assert_eq!(StateDict::of(&back), state);
    let trainable = |net: &Parametrized<Sequential>| -> Vec<bool> {
        net.entries().into_iter().map(|p| p.trainable).collect()
    };
    assert_eq!(trainable(&back), trainable(&net));
    // It still trains, as the one that never left.
    let a = train(back, &mut SgdConfig::new().init(), 2);
    let b = train(net.deep_copy(), &mut SgdConfig::new().init(), 2);
    assert_eq!(StateDict::of(&a), StateDict::of(&b));
}

#[test]
fn validation_computes_each_rule_once() {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    let mut net = wrapped(5);
    net.register("3.weight", Own::new("identity", Identity { counter: &COUNTER })).unwrap();
    let valid = net.valid();
    let evaluated = COUNTER.load(Ordering::Relaxed);
    for seed in 0..5 {
        output(&valid, seed);
    }
    assert_eq!(COUNTER.load(Ordering::Relaxed), evaluated, "inference recomputes nothing");
    output(&net, 0);
    output(&net, 0);
    assert_eq!(COUNTER.load(Ordering::Relaxed), evaluated + 2, "once for each effective()");
}

#[test]
fn a_validation_snapshot_is_never_stale() {
    let mut valid = net().valid();
    let value = valid.get::<2>("3.weight").unwrap().flip([0]);
    valid.set("3.weight", value.clone()).unwrap();
    let linear = valid.effective();
    let effective = linear[3].get::<Linear>().unwrap().weight.val();
    effective.into_data().assert_eq(&value.into_data(), true);

    let loaded = valid.load_record(net().into_record());
    let fresh = output(&net().valid(), 1);
    assert_eq!(output(&loaded, 1), fresh);
}

#[test]
fn it_moves_and_forks_with_all_its_parts() {
    let net = net();
    let expected = StateDict::of(&net);
    let plain_device = Device::default();
    let moved = net.clone().valid().to_device(&plain_device);
    assert_eq!(StateDict::of(&moved), expected);
    assert_eq!(moved.devices(), std::slice::from_ref(&plain_device));
    let forked = net.clone().fork(&device());
    assert_eq!(StateDict::of(&forked), expected);
    let trained = train(forked, &mut SgdConfig::new().init(), 1);
    assert_ne!(StateDict::of(&trained), expected, "a fork trains");
}

#[test]
fn freezing_stops_originals_and_unfreezing_never_trains_a_base() {
    let frozen = net().freeze();
    assert!(frozen.entries().iter().all(|p| !p.trainable));
    let thawed = frozen.unfreeze();
    let base = |net: &Parametrized<Sequential>| {
        StateDict::of(net).checkpoint().get("3.parametrizations.weight.0.base").cloned()
    };
    let before = base(&thawed);
    let after = train(thawed, &mut SgdConfig::new().init(), 3);
    assert_eq!(base(&after), before);
    assert!(after.entries().iter().all(|p| p.trainable || p.kind == Kind::Buffer));

    let part = net();
    let group = part.group("3.weight").unwrap();
    let part = part.freeze_group(group);
    let before = values::<2>(&part, "3.weight");
    let part = train(part, &mut SgdConfig::new().init(), 2);
    assert_eq!(values::<2>(&part, "3.weight"), before);
}

#[test]
fn removal_leaves_the_value_or_the_original() {
    let net = train(net(), &mut SgdConfig::new().init(), 2);
    let before = output(&net.valid(), 4);
    let mut left = net.clone();
    left.remove("{3,5}.weight".replace("{3,5}", "*").as_str(), Leave::Parametrized).unwrap_err();
    left.remove("3.weight", Leave::Parametrized).unwrap();
    left.remove("5.weight", Leave::Parametrized).unwrap();
    assert!(!left.is_parametrized("3.weight") && !left.is_pruned("5.weight"));
    assert_eq!(output(&left.valid(), 4), before);

    let mut symmetric = wrapped(6);
    symmetric.register("3.weight", Symmetric::new()).unwrap();
    let id = symmetric.entries().into_iter().find(|p| p.path == "3.weight").unwrap().id;
    symmetric.remove("3.weight", Leave::Original).unwrap();
    let now = symmetric.entries().into_iter().find(|p| p.path == "3.weight").unwrap().id;
    assert_eq!(now, id, "the parameter keeps its identity");
    let lower: Tensor<2> = symmetric.get("3.weight").unwrap().transpose().tril(-1);
    assert_eq!(lower.abs().sum().into_scalar::<f32>(), 0.0, "the original is the triangle");
}

#[test]
fn folding_gives_a_plain_module_that_computes_the_same() {
    let net = train(net(), &mut SgdConfig::new().init(), 2);
    let expected = output(&net.valid(), 2);
    let folded: Sequential = net.clone().fold();
    let names: Vec<String> =
        StateDict::of(&folded).shapes().into_iter().map(|(n, _)| n.to_owned()).collect();
    assert_eq!(names[6], "3.weight");
    assert!(names.iter().all(|n| !n.contains("parametrizations") && !n.contains("_mask")));
    assert_eq!(output(&Parametrized::new(folded).valid(), 2), expected);
    assert_eq!(output(&net.valid().materialize(), 2), expected);
    assert_eq!(output(&Parametrized::new(net.valid().fold()), 2), expected);
}

#[test]
fn lazy_parameters_are_initialized_in_visit_order() {
    let device = Device::default();
    let linear = |seed: u64| {
        device.seed(seed);
        Parametrized::new(LinearConfig::new(4, 4).init(&device))
    };
    let (a, b) = (linear(9), linear(9));
    let bias_first = a.get::<1>("bias").unwrap().into_data();
    let weight = a.get::<2>("weight").unwrap().into_data();
    b.get::<2>("weight").unwrap().into_data().assert_eq(&weight, true);
    b.get::<1>("bias").unwrap().into_data().assert_eq(&bias_first, true);
    let _ = plain(&device, 0);
}

#[test]
fn an_edit_through_a_tie_is_one_edit() {
    let mut net = net();
    let hundred = Tensor::<1>::full([8], 100.0, &Device::default());
    net.set("3.bias", hundred).unwrap();
    assert_eq!(values::<1>(&net, "0.bias"), [100.0; 8]);
    net.prune("3.bias", L1Unstructured::new(2)).unwrap();
    assert!(net.is_pruned("0.bias"));
    assert_eq!(values::<1>(&net, "0.bias")[..2], [0.0; 2]);
    net.untie("3.bias").unwrap();
    net.set("3.bias", Tensor::<1>::full([8], 1.0, &Device::default())).unwrap();
    assert_eq!(values::<1>(&net, "0.bias")[7], 100.0);
}

//! A parametrization that is itself parametrized.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{AdamConfig, SgdConfig};
use burn::tensor::Tensor;
use espalier::parametrize::{Own, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Error, Leave, ParameterTree, Parametrized};

use crate::common::*;

const DIRECTION: &str = "parametrizations.weight.original1";

fn nested() -> Parametrized<burn::nn::Linear> {
    let mut net = square(1);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    net.register(DIRECTION, Symmetric::new()).unwrap();
    net
}

#[test]
fn originals_are_named_as_in_pytorch() {
    assert_eq!(
        names(&nested()),
        [
            "parametrizations.weight.original0",
            "parametrizations.weight.parametrizations.original1.original",
        ]
    );
    // A third level, of several originals, in PyTorch's order: tensors before parts.
    let mut net = nested();
    let inner = "parametrizations.weight.parametrizations.original1.original";
    net.register(inner, WeightNorm::whole()).unwrap();
    assert_eq!(
        names(&net)[1..],
        [
            "parametrizations.weight.parametrizations.original1.parametrizations.original.original0",
            "parametrizations.weight.parametrizations.original1.parametrizations.original.original1",
        ]
    );
    let list = net.parametrizations(DIRECTION).unwrap();
    assert_eq!(list.original_paths(), [inner]);
    assert!(net.is_parametrized(inner) && net.is_parametrized(DIRECTION));
}

#[test]
fn the_value_is_that_of_both() {
    let net = nested();
    let v = weight(&net, DIRECTION);
    assert_equal(v.clone(), v.clone().transpose());
    let g = weight(&net, "parametrizations.weight.original0");
    let norm = v.clone().square().sum_dim(0).sqrt();
    assert_near(weight(&net, "weight"), g * v / norm);
    // The same through the module and in a scope.
    assert_equal(net.effective().weight.val(), weight(&net, "weight"));
    assert_equal(net.cached().effective().weight.val(), weight(&net, "weight"));
    assert_equal(net.valid().effective().weight.val(), weight(&net, "weight").inner());
}

#[test]
fn gradients_reach_the_innermost_and_training_keeps_the_constraint() {
    let mut net = nested();
    let before = weight(&net, "weight");
    let mut optim = AdamConfig::new().init();
    for _ in 0..5 {
        let grads = {
            let y = net.effective().forward(numbers([3, 4], 2));
            net.grads((y - 1.0).square().mean().backward()).unwrap()
        };
        assert_eq!(grads.len(), 2);
        net = optim.step(0.05, net, grads);
    }
    let v = weight(&net, DIRECTION);
    assert_equal(v.clone(), v.transpose());
    let moved = (weight(&net, "weight") - before).abs().max().into_scalar::<f32>();
    assert!(moved > 1e-2, "{moved}");
}

#[test]
fn assignment_goes_through_both() {
    let mut net = nested();
    let symmetric = numbers::<2>([4, 4], 7);
    let symmetric = symmetric.clone() + symmetric.transpose();
    net.set("weight", symmetric.clone()).unwrap();
    assert_near(weight(&net, "weight"), symmetric);
    // To the original by its own name.
    net.set(DIRECTION, Tensor::<2>::ones([4, 4], &device())).unwrap();
    assert_equal(weight(&net, DIRECTION), Tensor::ones([4, 4], &device()));
    let inner = "parametrizations.weight.parametrizations.original1.original";
    let identity = Tensor::<2>::eye(4, &device());
    net.set(inner, identity.clone()).unwrap();
    assert_equal(weight(&net, inner), identity.clone());
    assert_equal(weight(&net, DIRECTION), identity);
}

#[test]
fn removal_takes_the_levels_one_by_one() {
    let mut net = nested();
    let value = weight(&net, "weight");
    let direction = weight(&net, DIRECTION);
    net.remove(DIRECTION, Leave::Parametrized).unwrap();
    assert_equal(weight(&net, DIRECTION), direction);
    assert_equal(weight(&net, "weight"), value.clone());
    assert_eq!(names(&net)[1], DIRECTION);

    let mut net = nested();
    net.remove("weight", Leave::Parametrized).unwrap();
    assert_equal(weight(&net, "weight"), value);
    assert_eq!(names(&net), ["weight"]);

    // What is left of a chain whose original is parametrized is that original, parametrized.
    let mut net = square(3);
    net.register("weight", Own::new("scaled", scaled(2.0))).unwrap();
    net.register("parametrizations.weight.original", Symmetric::new()).unwrap();
    let original = weight(&net, "parametrizations.weight.original");
    net.remove("weight", Leave::Original).unwrap();
    assert_equal(weight(&net, "weight"), original);
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["symmetric"]);
    assert_eq!(names(&net), ["parametrizations.weight.original"]);
}

#[test]
fn files_bring_both_back() {
    let net = nested();
    let state = StateDict::of(&net);
    let dir = tempfile::tempdir().unwrap();

    let path = dir.path().join("net.safetensors");
    state.save(&path).unwrap();
    let state = StateDict::open(&path).unwrap();
    let mut other = square(9);
    other.apply_description(state.description().unwrap(), &rules()).unwrap();
    let other = state.load_into(other, Strict::Yes).unwrap();
    assert_equal(weight(&other, "weight"), weight(&net, "weight"));
    assert_eq!(other.description(), net.description());

    let path = dir.path().join("net.bpk");
    net.clone().save_file(&path).unwrap();
    let other = square(10).try_load_file(&path).unwrap();
    assert_equal(weight(&other, "weight"), weight(&net, "weight"));
}

/// An original of a `Linear` weight is saved in PyTorch's layout at every depth.
#[test]
fn nested_originals_have_pytorchs_layout() {
    let linear = LinearConfig::new(5, 3).init(&device());
    let mut net = Parametrized::new(linear);
    net.register("weight", Own::new("halves", Halves {})).unwrap();
    net.register(DIRECTION, Own::new("halves", Halves {})).unwrap();
    let state = StateDict::of(&net);
    let shape = |name: &str| state.checkpoint().get(name).unwrap().shape().to_vec();
    assert_eq!(shape("parametrizations.weight.original0"), [3, 5]);
    assert_eq!(shape("parametrizations.weight.parametrizations.original1.original0"), [3, 5]);
}

#[test]
fn an_original_can_be_pruned() {
    let mut net = square(4);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    net.prune(DIRECTION, L1Unstructured::new(6)).unwrap();
    assert!(net.is_pruned(DIRECTION) && !net.is_pruned("weight"));
    assert_eq!(net.zeros(DIRECTION).unwrap(), 6);
    assert_eq!(net.zeros("weight").unwrap(), 6, "a direction of zero has no length");
    assert_eq!(names(&net)[1], "parametrizations.weight.original1_orig");
    let buffers: Vec<String> = net.named_buffers().into_iter().map(|info| info.path).collect();
    assert_eq!(buffers, ["parametrizations.weight.original1_mask"]);

    let mut other = square(5);
    other.apply_description(&net.description(), &rules()).unwrap();
    let other = StateDict::of(&net).load_into(other, Strict::Yes).unwrap();
    assert_equal(weight(&other, "weight"), weight(&net, "weight"));
}

#[test]
fn a_nested_rule_keeps_the_shape_and_a_failed_one_changes_nothing() {
    let mut net = nested();
    let before = everything(&net);
    assert!(matches!(
        net.register("parametrizations.weight.original0", Symmetric::new()).unwrap_err(),
        Error::Rule { path, .. } if path == "parametrizations.weight.original0"
    ));
    assert!(matches!(
        net.register("parametrizations.weight.original7", Symmetric::new()).unwrap_err(),
        Error::NoMatch { .. }
    ));
    assert!(matches!(net.tie(DIRECTION, "weight").unwrap_err(), Error::NoMatch { .. }));
    assert_eq!(everything(&net), before);
}

/// The identity of a single original, and with it the optimizer's momentum, outlives nesting.
#[test]
fn nesting_keeps_the_identity_of_the_original() {
    let mut net = square(6);
    let id = net.named_parameters()[0].id;
    net.register("weight", Own::new("scaled", scaled(1.0))).unwrap();
    net.register("parametrizations.weight.original", Own::new("plus_one", PlusOne {})).unwrap();
    assert_eq!(net.named_parameters()[0].path, "parametrizations.weight.0.scale");
    assert_eq!(net.named_parameters()[1].id, id);
    let grads = net.grads(net.effective().weight.val().sum().backward()).unwrap();
    let net = SgdConfig::new().init().step(0.1, net, grads);
    net.named_parameters().iter().for_each(|info| assert!(info.trainable));
}

#[test]
fn gradients_and_summaries_speak_of_originals_too() {
    let net = nested();
    let grads = net.grads(net.effective().weight.val().square().sum().backward()).unwrap();
    let inner = "parametrizations.weight.parametrizations.original1.original";
    let by_original = net.gradient::<2>(DIRECTION, &grads).unwrap().unwrap();
    assert_equal(by_original, net.gradient::<2>(inner, &grads).unwrap().unwrap());
    assert!(matches!(
        net.gradient::<2>("weight", &grads),
        Err(Error::ComputedGradient { originals, .. }) if originals[1] == inner
    ));
    let summary = net.summary();
    let how = &summary.rows()[0].how;
    assert_eq!(how, "weight_norm(dim 0), original1 by (symmetric)");
}

//! A buffer that is parametrized.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::optim::SgdConfig;
use burn::tensor::Tensor;
use espalier::parametrize::{Own, Symmetric};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Buffer, Error, Kind, Leave, ParameterTree, Parametrized};

use crate::common::*;

/// A fixed matrix and a trained one, and statistics.
#[derive(Module, Debug)]
struct Layer {
    fixed: Buffer<2>,
    trained: Param<Tensor<2>>,
    norm: BatchNorm,
}

fn layer() -> Parametrized<Layer> {
    Parametrized::new(Layer {
        fixed: Buffer::new(numbers([4, 4], 1)),
        trained: Param::from_tensor(numbers([4, 4], 2)),
        norm: BatchNormConfig::new(4).init(&device()),
    })
}

fn buffers(net: &Parametrized<Layer>) -> Vec<String> {
    net.named_buffers().into_iter().map(|info| info.path).collect()
}

#[test]
fn the_original_of_a_buffer_is_a_buffer() {
    let mut net = layer();
    let before = weight(&net, "fixed");
    net.register("fixed", Symmetric::new()).unwrap();
    assert_eq!(
        buffers(&net),
        ["parametrizations.fixed.original", "norm.running_mean", "norm.running_var"]
    );
    let fixed = net.effective().fixed.value();
    assert_equal(fixed.clone(), fixed.clone().transpose());
    assert_equal(fixed.clone(), weight(&net, "fixed"));
    assert_equal(fixed.triu(0), before.triu(0));
    assert!(net.entries().iter().all(|info| info.path != "fixed" || info.kind == Kind::Buffer));

    // It is not trained, nor ever will be.
    let mut net = net.freeze().unfreeze();
    let kept = weight(&net, "fixed");
    let loss = (net.effective().fixed.value().matmul(net.effective().trained.val())).sum();
    let grads = net.grads(loss.backward()).unwrap();
    assert_eq!(grads.len(), 1);
    net = SgdConfig::new().init().step(0.1, net, grads);
    assert_equal(weight(&net, "fixed"), kept.clone());

    net.remove("fixed", Leave::Parametrized).unwrap();
    assert_equal(net.effective().fixed.value(), kept.clone());
    assert_eq!(buffers(&net)[0], "fixed");
    assert_equal(net.fold().fixed.value(), kept);
}

/// As in PyTorch: what the rule itself learns, it learns through the buffer.
#[test]
fn gradients_reach_the_parameters_of_the_rule() {
    let mut net = layer();
    net.register("fixed", Own::new("scaled", scaled(2.0))).unwrap();
    let grads = net.grads(net.effective().fixed.value().sum().backward()).unwrap();
    let expected = weight(&net, "fixed").sum().into_scalar::<f32>() / 2.0;
    let found = net.named_parameters().iter().find_map(|info| grads.get::<1>(info.id)).unwrap();
    assert!((found.into_scalar::<f32>() - expected).abs() < 1e-4);
    let net = SgdConfig::new().init().step(0.1, net, grads);
    let valid = net.valid();
    assert_equal(valid.effective().fixed.value(), weight(&net, "fixed").inner());
}

#[test]
fn a_parametrized_buffer_is_saved_and_assigned() {
    let mut net = layer();
    net.register("fixed", Symmetric::new()).unwrap();
    let symmetric = Tensor::<2>::ones([4, 4], &device());
    net.set("fixed", symmetric.clone()).unwrap();
    assert_equal(weight(&net, "fixed"), symmetric.clone());
    let state = StateDict::of(&net);
    let mut other = layer();
    other.apply_description(&net.description(), &rules()).unwrap();
    let other = state.load_into(other, Strict::Yes).unwrap();
    assert_equal(weight(&other, "fixed"), symmetric);
    let copy = other.deep_copy();
    assert_equal(weight(&copy, "fixed"), weight(&other, "fixed"));
    assert_eq!(buffers(&copy), buffers(&net));
}

#[test]
fn running_statistics_and_masks_on_buffers_are_refused() {
    let mut net = layer();
    let before = everything(&net);
    let error = net.register("norm.running_mean", Own::new("halves", Halves {})).unwrap_err();
    assert!(matches!(&error, Error::RunningStatistic { path } if path == "norm.running_mean"));
    let error = net.prune("fixed", L1Unstructured::new(1)).unwrap_err();
    assert!(matches!(&error, Error::Kind { path, expected: Kind::Parameter } if path == "fixed"));
    assert_eq!(everything(&net), before);
}

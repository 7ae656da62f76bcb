//! The modules of a wrapper with ties, and of layers that stand in for others.

use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::tensor::Tensor;
use espalier::nn::lazy::LazyLinearConfig;
use espalier::nn::{Hooked, ModuleList, Sequential};
use espalier::parametrize::Orthogonal;
use espalier::prune::L1Unstructured;
use espalier::{ParameterTree, Parametrized};

use crate::common::{device, linear, lines};

#[test]
fn a_layer_placed_twice_is_one_module() {
    let layer = linear(3, 3);
    let net = Sequential::new().with(layer.clone()).with(Relu::new()).with(layer);
    let mut net = Parametrized::new(net.with(linear(3, 2)));
    let modules = ["Parametrized (20)", "0: Linear (12)", "1: Relu", "3: Linear (8)"];
    assert_eq!(lines(&net.named_modules()), modules);
    assert_eq!(lines(&net.named_children()), modules[1..]);
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    assert_eq!(lines(&net.named_modules()), modules);
    net.register("2.weight", Orthogonal::cayley()).unwrap();
    let paths: Vec<_> = net.named_modules().into_iter().map(|module| module.path).collect();
    let rule = ["0.parametrizations", "0.parametrizations.weight", "0.parametrizations.weight.0"];
    assert_eq!(paths, ["", "0", rule[0], rule[1], rule[2], "1", "3"]);
}

#[test]
fn a_module_with_something_of_its_own_is_another() {
    let mut net = Sequential::new();
    for _ in 0..2 {
        let block = Sequential::new().with(linear(3, 3));
        net = net.with(block.with(BatchNormConfig::new(3).init(&device())));
    }
    let mut net = Parametrized::new(net);
    net.tie_layers("1", "0").unwrap();
    let modules = [
        "Parametrized (18)",
        "0: Sequential (18)",
        "0.0: Linear (12)",
        "0.1: BatchNorm (6)",
        "1: Sequential",
        "1.1: BatchNorm",
    ];
    assert_eq!(lines(&net.named_modules()), modules);
    // One with a bias is not the one without.
    let bare = LinearConfig::new(3, 3).with_bias(false).init(&device());
    let mut net = Parametrized::new(Sequential::new().with(linear(3, 3)).with(bare));
    net.tie("1.weight", "0.weight").unwrap();
    assert_eq!(lines(&net.named_modules()), ["Parametrized (12)", "0: Linear (12)", "1: Linear"]);
    let mut net = Parametrized::new(Sequential::new().with(linear(3, 3)).with(linear(3, 3)));
    net.tie_transposed("1.weight", "0.weight").unwrap();
    net.tie("1.bias", "0.bias").unwrap();
    assert_eq!(lines(&net.named_modules()), ["Parametrized (12)", "0: Linear (12)", "1: Linear"]);
}

#[test]
fn a_layer_with_hooks_or_once_lazy_is_named_as_the_layer() {
    let lazy = LazyLinearConfig::new(2).init(&device());
    let mut list = ModuleList::new();
    list.push(lazy.clone());
    list.push(Hooked::new(linear(2, 2)));
    assert_eq!(lines(&list.named_children()), ["0: LazyLinear", "1: Linear (6)"]);
    lazy.forward(Tensor::<2>::ones([1, 3], &device())).unwrap();
    assert_eq!(lines(&list.named_children()), ["0: Linear (8)", "1: Linear (6)"]);
}

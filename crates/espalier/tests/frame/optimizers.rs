//! Any Burn optimizer, with groups, before and after registering.

use std::sync::atomic::AtomicUsize;

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, ModuleOptimizer, RmsPropConfig, SgdConfig,
};
use burn::tensor::Tensor;
use espalier::Parametrized;
use espalier::nn::Sequential;
use espalier::optim::{Groups, Options, Sgd};
use espalier::parametrize::{Orthogonal, Own, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;

use crate::common::{Identity, device, inputs, loss_grads, train, values, wrapped};

fn loss(net: &Parametrized<Sequential>) -> f32 {
    let valid = net.valid();
    let device = valid.devices().remove(0);
    let y: Tensor<2> = valid.effective().forward(inputs(&device, 0)).unwrap();
    (y - 0.5).square().mean().into_scalar()
}

#[test]
fn every_optimizer_trains_the_wrapper_and_constraints_hold() {
    let optimizers: Vec<(&str, ModuleOptimizer)> = vec![
        ("sgd", SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init()),
        ("adam", AdamConfig::new().init()),
        ("adamw", AdamWConfig::new().with_weight_decay(0.1).init()),
        ("rmsprop", RmsPropConfig::new().init()),
        ("adagrad", AdaGradConfig::new().init()),
    ];
    for (name, mut optim) in optimizers {
        let mut net = wrapped(7);
        net.register("3.weight", Orthogonal::cayley()).unwrap();
        net.register("5.weight", WeightNorm::dim(0)).unwrap();
        net.prune("5.weight", L1Unstructured::new(0.5)).unwrap();
        let zero = values::<2>(&net, "5.weight").iter().map(|w| *w == 0.0).collect::<Vec<_>>();
        let before = loss(&net);
        net = train(net, &mut optim, 30);
        assert!(loss(&net) < before, "{name}: {} then {}", before, loss(&net));
        let q: Tensor<2> = net.get("3.weight").unwrap();
        let gram = q.clone().transpose().matmul(q);
        let off = (gram - Tensor::eye(8, &device())).abs().max().into_scalar::<f32>();
        assert!(off < 1e-5 * 8f32.sqrt(), "{name}: off orthogonal by {off}");
        let still: Vec<bool> = values::<2>(&net, "5.weight").iter().map(|w| *w == 0.0).collect();
        assert_eq!(still, zero, "{name}: what was pruned, and only that, is zero");
    }
}

#[test]
fn burn_groups_select_by_effective_names() {
    let mut net = wrapped(8);
    net.register("3.weight", WeightNorm::dim(0)).unwrap();
    let still = net.group("3.*").unwrap();
    let mut optim = AdamWConfig::new().init().with_group(still, Frozen, None);
    let (w3, w5) = (values::<2>(&net, "3.weight"), values::<2>(&net, "5.weight"));
    net = train(net, &mut optim, 2);
    assert_eq!(values::<2>(&net, "3.weight"), w3);
    assert_ne!(values::<2>(&net, "5.weight"), w5);
}

/// An optimizer that leaves everything as it is: to see who is in its group.
#[derive(Clone)]
struct Frozen;

impl burn::optim::Optimizer for Frozen {
    type State<const D: usize> = <burn::optim::Sgd as burn::optim::Optimizer>::State<D>;
    fn step<const D: usize>(
        &self,
        _: f64,
        tensor: Tensor<D>,
        _: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        (tensor, state)
    }
    fn to_device<const D: usize>(
        state: Self::State<D>,
        device: &burn::tensor::Device,
    ) -> Self::State<D> {
        burn::optim::Sgd::to_device(state, device)
    }
}

#[test]
fn optimizer_state_survives_registering_and_removing() {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    let adam = || AdamConfig::new().init();
    let (mut plain, mut plain_optim) = (wrapped(9), adam());
    let (mut net, mut optim) = (wrapped(9), adam());
    plain = train(plain, &mut plain_optim, 6);
    net = train(net, &mut optim, 3);
    net.register("3.weight", Own::new("identity", Identity { counter: &COUNTER })).unwrap();
    net.prune("0.weight", L1Unstructured::new(0)).unwrap();
    for step in 3..5 {
        let grads = loss_grads(&net, step);
        net = optim.step(0.05, net, grads);
    }
    net.remove("3.weight", espalier::Leave::Parametrized).unwrap();
    net.remove("0.weight", espalier::Leave::Original).unwrap();
    let grads = loss_grads(&net, 5);
    net = optim.step(0.05, net, grads);
    // Had a moment been lost on the way, Adam's steps would differ.
    assert_eq!(StateDict::of(&net), StateDict::of(&plain));
}

#[test]
fn new_originals_join_the_group_of_the_parameter_they_replace() {
    for still in ["3.weight", "5.weight"] {
        let mut net = wrapped(10);
        let mut optim = Groups::new(Sgd::new().with_rate(0.1))
            .group("still", still, Options::new().rate(0.0))
            .unwrap()
            .build(&net)
            .unwrap();
        for step in 0..2 {
            let grads = loss_grads(&net, step);
            net = optim.step(net, grads);
        }
        // Two originals with new identities, registered after some steps.
        net.register("3.weight", WeightNorm::dim(0)).unwrap();
        let (w3, w5) = (values::<2>(&net, "3.weight"), values::<2>(&net, "5.weight"));
        for step in 2..4 {
            let grads = loss_grads(&net, step);
            net = optim.step(net, grads);
        }
        assert_eq!(values::<2>(&net, "3.weight") == w3, still == "3.weight");
        assert_eq!(values::<2>(&net, "5.weight") == w5, still == "5.weight");
    }
}

#[test]
fn a_loss_that_bypasses_the_wrapper_is_an_error() {
    let mut net = wrapped(11);
    net.register("3.weight", Symmetric::new()).unwrap();
    net.register("5.weight", WeightNorm::dim(0)).unwrap();
    let other = wrapped(12).effective();
    let y: Tensor<2> = other.forward(inputs(&device(), 0)).unwrap();
    let error = net.grads(y.sum().backward()).unwrap_err();
    assert!(error.to_string().starts_with("no gradient for 3.weight, 5.weight; "), "{error}");
    // A frozen one needs none.
    let net = net.freeze();
    assert!(net.grads(Tensor::<1>::ones([1], &device()).require_grad().sum().backward()).is_ok());
}

#[test]
fn gradients_of_tied_paths_add_up() {
    let mut tied = wrapped(12);
    let w: Tensor<2> = tied.get("3.weight").unwrap();
    let mut apart = tied.deep_copy();
    // Layers 0 and 3 differ in shape; their biases do not.
    tied.tie("3.bias", "0.bias").unwrap();
    apart.set("3.bias", apart.get::<1>("0.bias").unwrap().detach()).unwrap();
    let id = |net: &Parametrized<Sequential>, path: &str| {
        net.entries().into_iter().find(|p| p.path == path).unwrap().id
    };
    let (both, single) = (loss_grads(&tied, 0), loss_grads(&apart, 0));
    let sum = single.get::<1>(id(&apart, "0.bias")).unwrap()
        + single.get::<1>(id(&apart, "3.bias")).unwrap();
    let found = both.get::<1>(id(&tied, "0.bias")).unwrap();
    found
        .into_data()
        .assert_approx_eq::<f32>(&sum.into_data(), burn::tensor::Tolerance::absolute(1e-7));
    assert_eq!(w.dims(), [8, 8]);
}

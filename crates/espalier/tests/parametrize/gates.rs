//! Gates that are trained, and the masks they become.

use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::Tensor;
use espalier::parametrize::{Scale, SigmoidMask, SigmoidMaskLink, WeightNorm};
use espalier::prune::{Amount, L1Unstructured};
use espalier::{Error, Parametrized};

use crate::common::*;

fn gates(net: &Parametrized<burn::nn::Linear>) -> SigmoidMaskLink<2> {
    let list = net.parametrizations("weight").unwrap();
    let last = list.len() - 1;
    list.link::<SigmoidMaskLink<2>>(last).unwrap().clone()
}

fn linear() -> Parametrized<burn::nn::Linear> {
    Parametrized::new(burn::nn::LinearConfig::new(6, 5).init(&device()))
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn the_penalty_closes_gates_to_the_target() {
    let mut net = linear();
    net.register("weight", SigmoidMask::new().target_sparsity(0.8).temperature(0.5)).unwrap();
    let mut optim = AdamConfig::new().init();
    for _ in 0..200 {
        let grads = {
            let step = net.effective();
            let x = Tensor::<2>::ones([2, 6], &device());
            let loss = step.forward(x).square().mean() * 0.01 + gates(&net).penalty();
            net.grads(loss.backward()).unwrap()
        };
        net = optim.step(0.05, net, grads);
    }
    let mean = gates(&net).gates().mean().into_scalar::<f32>();
    assert!((mean - 0.2).abs() < 0.05, "{mean}");
    assert!(gates(&net).sparsity() > 0.5);
}

#[test]
fn hardened_values_are_those_without_gates_or_zero() {
    let mut net = linear();
    net.register("weight", WeightNorm::dim(0)).unwrap();
    let dense = numbers(net.get::<2>("weight").unwrap());
    net.register("weight", SigmoidMask::new().target_sparsity(0.7)).unwrap();
    net.prune("weight", L1Unstructured, Amount::count(4)).unwrap();
    let pruned = net.kept("weight").unwrap();
    net.harden("weight").unwrap();
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["weight_norm"]);
    let kept = net.kept("weight").unwrap();
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 9);
    assert!(kept.iter().zip(&pruned).all(|(kept, before)| *before || !*kept));
    for (found, dense) in numbers(net.get::<2>("weight").unwrap()).iter().zip(&dense) {
        assert!(*found == 0.0 || found == dense);
    }
}

#[test]
fn hardening_without_a_target_goes_by_the_half() {
    let mut net = linear();
    net.register("weight", SigmoidMask::new().initial(-0.1)).unwrap();
    net.register("bias", SigmoidMask::new()).unwrap();
    let id = |net: &Parametrized<burn::nn::Linear>| net.entries()[0].id;
    let before = id(&net);
    net.harden("*").unwrap();
    assert_eq!((net.zeros("weight").unwrap(), net.zeros("bias").unwrap()), (30, 0));
    assert_eq!(id(&net), before);
    assert_eq!(net.fold().num_params(), 35);
}

#[test]
fn hardening_under_a_nested_chain_keeps_the_chain() {
    let mut net = linear();
    net.register("weight", SigmoidMask::new().target_sparsity(0.5)).unwrap();
    net.register("parametrizations.weight.original", Scale::by(2.0)).unwrap();
    net.harden("weight").unwrap();
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["scale"]);
    assert_eq!(net.zeros("weight").unwrap(), 15);
}

#[test]
fn what_is_no_gate_is_refused_and_nothing_changes() {
    let mut net = linear();
    net.register("weight", SigmoidMask::new()).unwrap();
    net.register("weight", Scale::by(2.0)).unwrap();
    net.register("bias", SigmoidMask::new()).unwrap();
    let before = net.description();
    let error = net.harden("*").unwrap_err();
    assert!(matches!(&error, Error::LastLink { found, .. } if found == "scale"), "{error}");
    assert_eq!(net.description(), before);
    let error = linear().harden("weight").unwrap_err();
    assert!(matches!(&error, Error::NotParametrized { path } if path == "weight"), "{error}");
}

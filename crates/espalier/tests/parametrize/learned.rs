//! Rules that learn themselves: adapters and soft masks.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::optim::AdamConfig;
use burn::tensor::Tensor;
use espalier::parametrize::{
    Lora, RuleError, Rules, SigmoidMask, SigmoidMaskLink, Symmetric, WeightNorm,
};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Error, ParameterTree, Parametrized};

use crate::common::*;

const A: &str = "parametrizations.weight.0.lora_A";
const B: &str = "parametrizations.weight.0.lora_B";

fn rule_error(error: Error) -> RuleError {
    match error {
        Error::Rule { source, .. } => source,
        other => panic!("{other}"),
    }
}

fn parameter(net: &Parametrized<impl Module>, path: &str) -> Tensor<2> {
    net.get_parameter(path).unwrap()
}

#[test]
fn an_adapter_adds_the_scaled_product_in_pytorchs_orientation() {
    let mut net = square(3);
    let start = weight(&net, "weight");
    net.register("weight", Lora::new(2).alpha(6.0).seed(4)).unwrap();
    assert_equal(weight(&net, "weight"), start.clone());
    let mut optim = AdamConfig::new().init();
    for _ in 0..5 {
        let loss = net.effective().forward(numbers([3, 4], 5)).square().mean();
        let grads = net.grads(loss.backward()).unwrap();
        assert_eq!(grads.len(), 3);
        net = optim.step(0.05, net, grads);
    }
    let (a, b) = (parameter(&net, A), parameter(&net, B));
    assert_eq!((a.dims(), b.dims()), ([2, 4], [4, 2]));
    let original: Tensor<2> = net.get("parametrizations.weight.original").unwrap();
    // [out, in] in PyTorch, [in, out] in Burn.
    let expected = original + b.matmul(a).transpose() * 3.0;
    assert_near(weight(&net, "weight"), expected);

    // Assigned, it keeps the adapter and moves the original.
    net.set("weight", start.clone()).unwrap();
    assert_near(weight(&net, "weight"), start);
    let state = StateDict::of(&net);
    let mut fresh = square(9);
    fresh.apply_description(&net.description(), &Rules::builtin()).unwrap();
    let fresh = state.load_into(fresh, Strict::Yes).unwrap();
    assert_equal(weight(&fresh, "weight"), weight(&net, "weight"));
}

#[test]
fn an_adapter_of_a_convolution_spans_inputs_and_kernel() {
    let conv = Conv2dConfig::new([2, 6], [3, 3]).init(&device());
    let mut net = Parametrized::new(conv);
    net.register("weight", Lora::new(3)).unwrap();
    let (a, b) = (parameter(&net, A), parameter(&net, B));
    assert_eq!((a.dims(), b.dims()), ([3, 18], [6, 3]));
    let bound = 1.0 / 18f32.sqrt();
    let largest = a.abs().max().into_scalar::<f32>();
    assert!(largest <= bound && largest > 0.8 * bound);
    assert_eq!(b.abs().max().into_scalar::<f32>(), 0.0);
}

#[test]
fn an_adapter_a_rule_and_a_mask_share_a_tensor() {
    let mut net = square(3);
    net.register("weight", Lora::new(1)).unwrap();
    net.register("weight", WeightNorm::dim(0)).unwrap_err(); // of two originals: only as the first
    net.register("weight", Symmetric::new()).unwrap();
    net.prune("weight", L1Unstructured::new(0.5)).unwrap();
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["lora", "symmetric"]);
    let kept = net.kept("weight").unwrap();
    let mut optim = AdamConfig::new().init();
    for _ in 0..3 {
        let loss = net.effective().forward(numbers([3, 4], 5)).square().mean();
        let grads = net.grads(loss.backward()).unwrap();
        net = optim.step(0.05, net, grads);
    }
    let value: Vec<f32> = weight(&net, "weight").transpose().into_data().iter().collect();
    for (value, kept) in value.iter().zip(kept) {
        assert_eq!(*value != 0.0, kept);
    }
    net.remove_link("weight", 0).unwrap();
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["symmetric"]);
}

#[test]
fn ranks_that_no_matrix_has_are_refused() {
    for rank in [0, 5] {
        let mut net = square(3);
        let error = rule_error(net.register("weight", Lora::new(rank)).unwrap_err());
        let text = format!("option `rank`: expected a number from 1 to 4, found {rank}");
        assert_eq!(error.to_string(), text);
    }
}

fn mask(net: &Parametrized<impl Module>) -> SigmoidMaskLink<2> {
    let list = net.parametrizations("weight").unwrap();
    list.link::<SigmoidMaskLink<2>>(list.len() - 1).unwrap().clone()
}

#[test]
fn a_soft_mask_reaches_its_target_and_hardens_to_it_exactly() {
    let mut net = square(6);
    let start = weight(&net, "weight");
    let rule = SigmoidMask::new().target_sparsity(0.75).temperature(0.5).initial(1.0);
    net.register("weight", rule).unwrap();
    assert_near(weight(&net, "weight"), start);
    assert!((mask(&net).sparsity() - (1.0 - 1.0 / (1.0 + (-2.0f64).exp()))).abs() < 1e-6);
    let mut optim = AdamConfig::new().init();
    for _ in 0..200 {
        let fit = (net.effective().forward(numbers([8, 4], 7)) - 0.5).square().mean();
        let grads = net.grads((fit + mask(&net).penalty() * 10.0).backward()).unwrap();
        assert_eq!(grads.len(), 2);
        net = optim.step(0.05, net, grads);
    }
    assert!((mask(&net).sparsity() - 0.75).abs() < 0.05, "{}", mask(&net).sparsity());

    let gates: Vec<f32> = mask(&net).gates().into_data().iter().collect();
    let before: Tensor<2> = net.get("parametrizations.weight.original").unwrap();
    net.harden("weight").unwrap();
    assert_eq!(net.zeros("weight").unwrap(), 12);
    let kept = net.kept("weight").unwrap();
    let least_kept = gates.iter().zip(&kept).filter(|(_, k)| **k).map(|(g, _)| *g);
    let greatest_closed = gates.iter().zip(&kept).filter(|(_, k)| !**k).map(|(g, _)| *g);
    assert!(least_kept.fold(1.0, f32::min) >= greatest_closed.fold(0.0, f32::max));
    let (value, original): (Vec<f32>, Vec<f32>) = (
        weight(&net, "weight").transpose().into_data().iter().collect(),
        before.transpose().into_data().iter().collect(),
    );
    for ((value, original), kept) in value.iter().zip(original).zip(kept) {
        assert_eq!(*value, if kept { original } else { 0.0 });
    }
}

#[test]
fn hardening_joins_a_mask_and_keeps_the_links_before() {
    let mut net = square(6);
    net.register("weight", Symmetric::new()).unwrap();
    net.register("weight", SigmoidMask::new()).unwrap();
    net.prune("weight", L1Unstructured::new(5)).unwrap();
    net.harden("weight").unwrap();
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["symmetric"]);
    assert_eq!(net.zeros("weight").unwrap(), 5, "open gates close nothing more");
}

#[test]
fn what_cannot_be_hardened_or_asked_for_is_refused() {
    let mut net = square(6);
    let error = net.harden("weight").unwrap_err();
    assert!(matches!(&error, Error::NotParametrized { path } if path == "weight"), "{error}");
    net.register("weight", SigmoidMask::new()).unwrap();
    net.register("weight", Symmetric::new()).unwrap();
    let before = everything(&net);
    let error = rule_error(net.harden("weight").unwrap_err());
    assert_eq!(error, RuleError::NotLast { expected: "sigmoid_mask" });
    assert_eq!(everything(&net), before);
    for (rule, name) in [
        (SigmoidMask::new().target_sparsity(1.5), "target_sparsity"),
        (SigmoidMask::new().target_sparsity(f64::NAN), "target_sparsity"),
        (SigmoidMask::new().temperature(0.0), "temperature"),
        (SigmoidMask::new().initial(f64::INFINITY), "initial"),
    ] {
        let error = rule_error(square(6).register("weight", rule).unwrap_err());
        assert!(matches!(error, RuleError::Option { option, .. } if option == name), "{error}");
    }
}

/// Without links, what computes a nested original computes the value.
#[test]
fn hardening_under_a_nested_chain_keeps_the_chain() {
    let mut net = square(3);
    net.register("weight", SigmoidMask::new().target_sparsity(0.5)).unwrap();
    net.register("parametrizations.weight.original", Symmetric::new()).unwrap();
    net.harden("weight").unwrap();
    assert_eq!(net.parametrizations("weight").unwrap().rules, ["symmetric"]);
    assert_eq!(net.zeros("weight").unwrap(), 8);
}

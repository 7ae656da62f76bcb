//! Chains: order, assignment, links put in and taken out.

use burn::module::{Module, Param};
use burn::optim::AdamConfig;
use burn::tensor::Tensor;
use espalier::parametrize::{Own, Parametrization, RuleError, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Error, Leave, ParameterTree, Parametrized};

use crate::common::*;

fn rules_of<M: Module>(net: &Parametrized<M>) -> Vec<String> {
    net.parametrizations("weight").unwrap().rules
}

/// `2 (x + 1)` is not `2 x + 1`.
#[test]
fn links_apply_in_order() {
    let x = weight(&square(1), "weight");
    let counts = counter();
    let mut net = square(1);
    net.register("weight", Own::new("plus_one", PlusOne {})).unwrap();
    net.register("weight", Own::new("doubled", Doubled { counter: counts })).unwrap();
    assert_near(weight(&net, "weight"), (x.clone() + 1.0) * 2.0);
    net.insert_link("weight", 2, Own::new("plus_one", PlusOne {})).unwrap();
    assert_near(weight(&net, "weight"), (x + 1.0) * 2.0 + 1.0);
    assert_eq!(rules_of(&net), ["plus_one", "doubled", "plus_one"]);
}

/// Adds a number that its inverse takes away: what is assigned last to first comes back.
#[derive(Module, Debug)]
struct Plus {
    #[module(skip)]
    number: f32,
}

impl Parametrization<2> for Plus {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() + self.number
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value - self.number])
    }
}

#[test]
fn assignment_goes_from_last_to_first() {
    let mut net = square(2);
    net.register("weight", Own::new("plus", Plus { number: 3.0 })).unwrap();
    net.register("weight", Own::new("scaled", scaled(2.0))).unwrap();
    let value = numbers::<2>([4, 4], 3);
    net.set("weight", value.clone()).unwrap();
    assert_near(weight(&net, "parametrizations.weight.original"), value.clone() / 2.0 - 3.0);
    assert_near(weight(&net, "weight"), value.clone());
    let list = net.parametrizations("weight").unwrap();
    let originals = list.right_inverse(value.clone() * 2.0).unwrap();
    assert_near(originals[0].clone().into_rank().unwrap(), value.clone() - 3.0);
    assert_near(weight(&net, "weight"), value.clone());
    // One without an inverse anywhere in the chain, and nothing is assigned.
    net.register("weight", Own::new("plus_one", PlusOne {})).unwrap();
    let before = everything(&net);
    let error = net.set("weight", value).unwrap_err();
    assert!(matches!(&error, Error::Rule { rule, source: RuleError::NoRightInverse { .. }, .. }
        if rule == "plus_one"));
    assert_eq!(everything(&net), before);
}

/// Rows to columns and twice as many: only with `unsafe`.
#[derive(Module, Debug)]
struct Stacked {}

impl Parametrization<2> for Stacked {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        Tensor::cat(vec![originals[0].clone(), originals[0].clone()], 0)
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value])
    }
}

#[test]
fn unsafe_accumulates() {
    let mut net = square(4);
    let stacked = || Own::new("stacked", Stacked {});
    let before = everything(&net);
    let error = net.register("weight", stacked()).unwrap_err();
    assert!(
        matches!(&error, Error::Rule { source: RuleError::ChangesShape { expected, found }, .. }
        if expected == &[4, 4] && found == &[8, 4])
    );
    assert_eq!(everything(&net), before);
    net.register("weight", Own::new("scaled", scaled(1.0))).unwrap();
    assert!(!net.parametrizations("weight").unwrap().is_unsafe);
    net.register_unsafe("weight", stacked()).unwrap();
    assert_eq!(weight(&net, "weight").dims(), [8, 4]);
    // A later one need not be unsafe for the chain to stay so.
    net.register("weight", Own::new("scaled", scaled(1.0))).unwrap();
    assert!(net.parametrizations("weight").unwrap().is_unsafe);
}

#[test]
fn a_link_in_the_middle_is_taken_out_and_the_value_stays() {
    let mut net = square(5);
    let id = net.named_parameters()[0].id;
    net.register("weight", Own::new("plus", Plus { number: 1.0 })).unwrap();
    net.register("weight", Own::new("scaled", scaled(3.0))).unwrap();
    net.register("weight", Symmetric::new()).unwrap();
    let value = weight(&net, "weight");
    let link = net.remove_link("weight", 1).unwrap();
    assert_eq!(link.rule(), "scaled");
    assert!(link.get::<Scaled>().is_some());
    assert_near(weight(&net, "weight"), value.clone());
    assert_eq!(rules_of(&net), ["plus", "symmetric"]);
    assert_eq!(net.named_parameters()[0].id, id, "the original is the parameter that it was");

    net.remove_link("weight", 0).unwrap();
    assert_near(weight(&net, "weight"), value.clone());
    net.remove_link("weight", 0).unwrap();
    assert_near(weight(&net, "weight"), value);
    assert!(!net.is_parametrized("weight"));
    assert_eq!(names(&net), ["weight"]);
    assert_eq!(net.named_parameters()[0].id, id);
}

#[test]
fn a_value_that_the_other_links_cannot_hold_is_an_error() {
    let mut skew = square(7);
    skew.register("weight", Symmetric::new()).unwrap();
    skew.register("weight", Own::new("triangle", Triangle {})).unwrap();
    let before = everything(&skew);
    let error = skew.remove_link("weight", 1).unwrap_err();
    assert!(
        matches!(&error, Error::Rule { path, rule, source: RuleError::ValueChanges { by } }
        if path == "weight" && rule == "symmetric" && *by > 0.1),
        "{error}"
    );
    assert!(error.to_string().contains("remove them too"));
    assert_eq!(everything(&skew), before);
    // The other way it can: a triangle is one without the rule before.
    skew.remove_link("weight", 0).unwrap();
    assert_eq!(rules_of(&skew), ["triangle"]);

    let mut net = square(8);
    net.register("weight", Own::new("plus_one", PlusOne {})).unwrap();
    net.register("weight", Symmetric::new()).unwrap();
    let error = net.remove_link("weight", 1).unwrap_err();
    assert!(matches!(&error, Error::Rule { source: RuleError::NoRightInverse { .. }, .. }));
    assert!(matches!(net.remove_link("weight", 2), Err(Error::Index { index: 2, len: 2 })));
    assert!(matches!(
        net.insert_link("weight", 3, Symmetric::new()),
        Err(Error::Index { index: 3, len: 2 })
    ));
    assert!(matches!(net.remove_link("wieght", 0), Err(Error::NoMatch { .. })));
    let mut plain = square(8);
    assert!(matches!(plain.remove_link("weight", 0), Err(Error::NotParametrized { .. })));
}

/// The upper triangle.
#[derive(Module, Debug)]
struct Triangle {}

impl Parametrization<2> for Triangle {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone().triu(0)
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value])
    }
}

#[test]
fn a_link_is_put_in_before_another() {
    let mut net = square(9);
    net.register("weight", Symmetric::new()).unwrap();
    let value = weight(&net, "weight");
    net.insert_link("weight", 0, WeightNorm::dim(0)).unwrap();
    assert_eq!(rules_of(&net), ["weight_norm", "symmetric"]);
    assert_near(weight(&net, "weight"), value.clone());
    assert_eq!(net.parametrizations("weight").unwrap().values().len(), 2);
    // A rule of one original cannot stand before one of two.
    let before = everything(&net);
    let error = net.insert_link("weight", 0, Symmetric::new()).unwrap_err();
    assert!(matches!(&error, Error::Rule { source: RuleError::Originals { .. }, .. }));
    assert_eq!(everything(&net), before);
    net.remove_link("weight", 0).unwrap();
    assert_near(weight(&net, "weight"), value);
    assert_eq!(names(&net), ["parametrizations.weight.original"]);
}

#[test]
fn a_mask_and_a_chain_share_a_tensor_and_links_go_under_the_mask() {
    let mut net = pair(10);
    net.tie("2.weight", "0.weight").unwrap();
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.prune("0.weight", L1Unstructured::new(5)).unwrap();
    net.register("2.weight", Symmetric::new()).unwrap();
    assert_eq!(
        net.parametrizations("0.weight").unwrap().to_string(),
        "weight_norm, then symmetric, then mask of [[1, 4], [4, 4]]"
    );
    let kept = net.kept("0.weight").unwrap();
    let value = weight(&net, "0.weight");
    net.remove_link("2.weight", 0).unwrap();
    assert_near(weight(&net, "0.weight"), value.clone());
    assert_near(weight(&net, "2.weight"), value.clone());
    net.remove_link("0.weight", 0).unwrap();
    assert!(net.is_pruned("0.weight") && !net.is_parametrized("0.weight"));
    assert_near(weight(&net, "0.weight"), value);
    assert_eq!(net.kept("0.weight").unwrap(), kept);
    assert_eq!(names(&net)[0], "0.weight_orig");
}

#[test]
fn the_order_is_saved_and_restored() {
    let mut net = square(11);
    net.register("weight", Symmetric::new()).unwrap();
    net.insert_link("weight", 0, Own::new("halves", Halves {})).unwrap();
    net.insert_link("weight", 1, Own::new("scaled", scaled(2.0))).unwrap();
    net.prune("weight", L1Unstructured::new(3)).unwrap();
    let mut other = square(12);
    other.apply_description(&net.description(), &rules()).unwrap();
    assert_eq!(rules_of(&other), ["halves", "scaled", "symmetric"]);
    let other = StateDict::of(&net).load_into(other, Strict::Yes).unwrap();
    assert_equal(weight(&other, "weight"), weight(&net, "weight"));
}

/// A step, an assignment and a load all show in what is computed next, snapshots included.
#[test]
fn values_are_never_stale() {
    let mut net = square(13);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    let x = numbers::<2>([3, 4], 1);
    let seen = |net: &Parametrized<burn::nn::Linear>| {
        (weight(net, "weight"), net.effective().weight.val())
    };
    let mut optim = AdamConfig::new().init();
    let mut last = weight(&net, "weight");
    for step in 0..3 {
        let grads = net.grads(net.effective().forward(x.clone()).sum().backward()).unwrap();
        net = optim.step(0.1, net, grads);
        let (get, effective) = seen(&net);
        assert_equal(get.clone(), effective);
        assert!((get.clone() - last).abs().max().into_scalar::<f32>() > 1e-3, "step {step}");
        last = get;
    }
    let state = StateDict::of(&net);
    let valid = net.valid();
    assert_equal(valid.effective().weight.val(), last.clone().inner());
    net.set("weight", Tensor::<2>::ones([4, 4], &device())).unwrap();
    assert_near(net.effective().weight.val(), Tensor::ones([4, 4], &device()));
    assert_equal(valid.effective().weight.val(), last.clone().inner());
    // A snapshot of its own: assigned to, and loaded.
    let mut valid = net.valid();
    valid.set("weight", Tensor::<2>::full([4, 4], 2.0, &burn::tensor::Device::default())).unwrap();
    assert_near(valid.effective().weight.val(), Tensor::full([4, 4], 2.0, &Default::default()));
    let valid = state.load_into(valid, Strict::Yes).unwrap();
    assert_equal(valid.effective().weight.val(), last.clone().inner());
    let net = state.load_into(net, Strict::Yes).unwrap();
    assert_equal(net.effective().weight.val(), last);
}

/// Dropout of connections: in training only.
#[derive(Module, Debug)]
struct Dropped {
    kept: Param<Tensor<2>>,
}

impl Parametrization<2> for Dropped {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        let x = originals[0].clone();
        if x.device().is_autodiff() { x * self.kept.val() } else { x }
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value])
    }
}

#[test]
fn a_rule_may_differ_in_evaluation() {
    let mut net = square(14);
    let plain = weight(&net, "weight");
    let kept = Param::from_tensor(Tensor::<2>::zeros([4, 4], &device()));
    net.register("weight", Own::new("dropped", Dropped { kept })).unwrap();
    assert_equal(weight(&net, "weight"), Tensor::zeros([4, 4], &device()));
    let valid = net.valid();
    assert_equal(valid.effective().weight.val(), plain.clone().inner());
    assert_equal(weight(&valid, "weight"), plain.inner());
    let back = valid.train();
    assert_equal(weight(&back, "weight"), Tensor::zeros([4, 4], &device()));
}

#[test]
fn removal_leaves_either() {
    let mut net = square(15);
    let original = weight(&net, "weight");
    net.register("weight", Own::new("plus_one", PlusOne {})).unwrap();
    let mut copy = net.deep_copy();
    net.remove("weight", Leave::Original).unwrap();
    assert_equal(weight(&net, "weight"), original.clone());
    copy.remove("weight", Leave::Parametrized).unwrap();
    assert_equal(weight(&copy, "weight"), original + 1.0);
}

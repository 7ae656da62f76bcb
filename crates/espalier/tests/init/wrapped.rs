//! Initial values for what is parametrized, pruned, tied, frozen.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{Error, ParameterTree, Parametrized, Selector};

fn plain() -> Sequential {
    let device = Device::default().autodiff();
    let linear = || LinearConfig::new(4, 4).init(&device);
    Sequential::new().with(linear()).with(linear()).with(linear())
}

fn values(net: &Parametrized<Sequential>, path: &str) -> Vec<f32> {
    net.get::<2>(path).unwrap().into_data().try_to_vec().unwrap()
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-6 * (1.0 + expected.abs()), "{found} {expected}");
    }
}

#[test]
fn an_unslotted_parameter_has_the_values_of_the_plain_module() {
    let normal = Init::Normal(0.0, 1.0);
    let expected = normal.apply(plain(), &Selector::path("1.weight"), 5).unwrap();
    let mut net = Parametrized::new(plain());
    let ids: Vec<_> = net.named_parameters().iter().map(|p| p.id).collect();
    assert_eq!(net.init("1.weight", normal, 5).unwrap(), ["1.weight"]);
    let found = StateDict::of(&net);
    let (found, expected) = (found.checkpoint(), StateDict::of(&expected));
    assert_eq!(found.get("1.weight"), expected.checkpoint().get("1.weight"));
    let after = net.named_parameters();
    assert_eq!(after.iter().map(|p| p.id).collect::<Vec<_>>(), ids, "identities stay");
    assert!(after.iter().all(|p| p.trainable));
}

#[test]
fn a_parametrized_parameter_has_the_values_after() {
    // In PyTorch the values written into a parametrized weight are gone at the next access.
    let mut expected = Parametrized::new(plain());
    expected.init("*.weight", Init::Normal(0.0, 1.0), 5).unwrap();
    let mut net = Parametrized::new(plain());
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.init("*.weight", Init::Normal(0.0, 1.0), 5).unwrap();
    for path in ["0.weight", "1.weight", "2.weight"] {
        close(&values(&net, path), &values(&expected, path));
    }
    assert!(net.is_parametrized("0.weight"), "what computes it stays");

    net.register("1.weight", Orthogonal::cayley()).unwrap();
    net.init("1.weight", Init::Orthogonal(1.0), 8).unwrap();
    expected.init("1.weight", Init::Orthogonal(1.0), 8).unwrap();
    close(&values(&net, "1.weight"), &values(&expected, "1.weight"));

    net.register("2.weight", Symmetric::new()).unwrap();
    net.init("2.weight", Init::Constant(0.25), 0).unwrap();
    assert_eq!(values(&net, "2.weight"), [0.25; 16]);
}

#[test]
fn what_a_rule_cannot_take_is_refused_everywhere() {
    let mut net = Parametrized::new(plain());
    net.register("1.weight", Orthogonal::cayley()).unwrap();
    let before = StateDict::of(&net);
    let error = net.init("*.weight", Init::Constant(f64::NAN), 0).unwrap_err();
    assert!(matches!(error, Error::Rule { path, .. } if path == "1.weight"));
    assert_eq!(StateDict::of(&net), before);
}

#[test]
fn a_pruned_parameter_keeps_its_mask() {
    let mut net = Parametrized::new(plain());
    net.prune("0.weight", L1Unstructured::new(7)).unwrap();
    let kept = net.kept("0.weight").unwrap();
    net.init("0.weight", Init::Constant(3.0), 0).unwrap();
    assert_eq!(net.kept("0.weight").unwrap(), kept);
    assert_eq!(net.zeros("0.weight").unwrap(), 7);
    let sum: f32 = values(&net, "0.weight").iter().sum();
    assert_eq!(sum, 27.0);
}

#[test]
fn a_tied_parameter_is_filled_once_under_either_name() {
    for name in ["0.weight", "2.weight"] {
        let mut net = Parametrized::new(plain());
        net.tie("2.weight", "0.weight").unwrap();
        assert_eq!(net.init(name, Init::Normal(0.0, 1.0), 5).unwrap(), ["0.weight"]);
        assert_eq!(values(&net, "0.weight"), values(&net, "2.weight"));
        let mut expected = Parametrized::new(plain());
        expected.init("0.weight", Init::Normal(0.0, 1.0), 5).unwrap();
        assert_eq!(values(&net, "0.weight"), values(&expected, "0.weight"));
    }
}

#[test]
fn a_closure_sees_effective_names_and_frozen_stays_frozen() {
    let mut net = Parametrized::new(plain()).freeze();
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.tie("2.weight", "1.weight").unwrap();
    let mut asked = Vec::new();
    let filled = net
        .init_with(1, |info, _: &mut Rng| {
            asked.push(info.path.clone());
            (info.name() == "bias").then_some(Init::Ones)
        })
        .unwrap();
    assert_eq!(asked, ["0.weight", "0.bias", "1.weight", "1.bias", "2.bias"]);
    assert_eq!(filled, ["0.bias", "1.bias", "2.bias"]);
    assert!(net.entries().iter().all(|info| !info.trainable));
    let bias: Tensor<1> = net.get("2.bias").unwrap();
    assert_eq!(bias.into_data().try_to_vec::<f32>().unwrap(), [1.0; 4]);
}

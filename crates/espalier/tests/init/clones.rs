//! A layer in two places of a plain module is filled as the one parameter it is.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use espalier::init::{Init, apply_with};
use espalier::nn::Sequential;
use espalier::{ParameterTree, Parametrized, Selector};

fn linear() -> Linear {
    LinearConfig::new(3, 3).init(&Device::default())
}

fn shared() -> Sequential {
    let layer = linear();
    Sequential::new().with(linear()).with(layer.clone()).with(layer).with(linear())
}

fn weight(net: &impl ParameterTree, path: &str) -> Vec<f32> {
    let weight: Tensor<2> = net.get_parameter(path).unwrap();
    weight.into_data().try_to_vec().unwrap()
}

const NORMAL: Init = Init::Normal(0.0, 1.0);

#[test]
fn whichever_name_selects_it() {
    let net = shared();
    let all = NORMAL.apply(net.clone(), &Selector::glob("*.weight").unwrap(), 3).unwrap();
    let second = NORMAL.apply(net.clone(), &Selector::path("2.weight"), 3).unwrap();
    for filled in [&all, &second] {
        assert_eq!(weight(filled, "1.weight"), weight(filled, "2.weight"));
        assert_eq!(weight(filled, "1.weight"), weight(&all, "1.weight"));
    }
    assert_ne!(weight(&all, "1.weight"), weight(&net, "1.weight"));
    assert_eq!(weight(&second, "0.weight"), weight(&net, "0.weight"));

    let mut wrapped = Parametrized::new(net);
    wrapped.init("*.weight", NORMAL, 3).unwrap();
    let wrapped = wrapped.fold();
    for path in ["0.weight", "1.weight", "2.weight", "3.weight"] {
        assert_eq!(weight(&wrapped, path), weight(&all, path), "{path}: as the wrapper fills it");
    }
}

#[test]
fn a_closure_is_asked_until_it_has_chosen() {
    let mut asked = Vec::new();
    let net = apply_with(shared(), 3, |info, _| {
        asked.push(info.path.clone());
        (info.path == "1.weight").then_some(NORMAL)
    })
    .unwrap();
    assert!(!asked.contains(&"2.weight".to_owned()), "filled already");
    assert!(asked.contains(&"2.bias".to_owned()));
    assert_eq!(weight(&net, "1.weight"), weight(&net, "2.weight"));
}

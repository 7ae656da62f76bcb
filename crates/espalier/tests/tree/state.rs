//! State dicts by the methods of any module.

use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::tensor::{Distribution, Tensor};
use espalier::nn::Sequential;
use espalier::state::{StateDict, Strict};
use espalier::{Error, ParameterTree, Parametrized};

use crate::common::{device, linear, wrapped};

fn normed() -> Sequential {
    Sequential::new().with(linear(3, 3)).with(BatchNormConfig::new(3).init(&device()))
}

/// Two batches, the second of which Burn holds back until `valid`.
fn forward_twice(net: &Sequential) {
    for _ in 0..2 {
        let x = Tensor::<2>::random([5, 3], Distribution::Default, &device());
        net.forward::<2, 2>(x).unwrap();
    }
}

#[test]
fn a_held_back_update_does_not_come_over_what_is_loaded() {
    let net = normed();
    let (state, layer) = (net.state_dict(), net.state_dict_of("1").unwrap());
    forward_twice(&net);
    let loaded = state.load_into(net, Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&loaded), state);

    let mut net = normed();
    forward_twice(&net);
    net.load_state_dict_of("1", &layer, Strict::Yes).unwrap();
    assert_eq!(net.state_dict_of("1").unwrap(), layer);
    forward_twice(&net);
    net.load_state_dict(&state, Strict::Yes).unwrap();
    assert_eq!(net.state_dict(), state);
}

#[test]
fn a_wrapper_is_saved_and_loaded_by_its_originals() {
    let (net, mut other) = (wrapped(), wrapped());
    let state = net.state_dict();
    assert_eq!(state, StateDict::of(&net));
    assert_ne!(other.state_dict(), state);
    other.load_state_dict(&state, Strict::Yes).unwrap();
    assert_eq!(other.state_dict(), state);
    let weight = |net: &Parametrized<Sequential>| net.get::<2>("4.weight").unwrap().into_data();
    weight(&other).assert_eq(&weight(&net), true);
}

#[test]
fn a_state_dict_that_does_not_fit_changes_nothing() {
    let mut net = normed();
    let before = net.state_dict();
    let state = linear(3, 3).state_dict();
    let error = net.load_state_dict(&state, Strict::Yes).unwrap_err();
    assert!(error.to_string().contains("missing: `0.weight`"), "{error}");
    let error = net.load_state_dict_of("1", &state, Strict::No).unwrap_err();
    assert!(error.to_string().contains("shape of `1.weight`"), "{error}");
    let error = net.load_state_dict_of("2", &state, Strict::No).unwrap_err();
    assert!(matches!(error, Error::NoLayer { .. }), "{error}");
    assert_eq!(net.state_dict(), before);
}

#[test]
fn a_clone_without_values_of_its_own_stays_one() {
    let shared = || {
        let layer = linear(3, 3);
        Sequential::new().with(layer.clone()).with(layer)
    };
    let state = Parametrized::new(shared()).state_dict();
    assert_eq!(state.shapes().len(), 2, "under the first name alone");
    let net = state.load_into(shared(), Strict::No).unwrap();
    assert_eq!(net.state_dict_of("0").unwrap(), net.state_dict_of("1").unwrap());
    assert_eq!(
        net.state_dict_of("0").unwrap().checkpoint().get("bias").unwrap().bytes().unwrap(),
        state.checkpoint().get("0.bias").unwrap().bytes().unwrap()
    );
    assert!(net.named_parameters().iter().all(|parameter| parameter.trainable));
    assert_eq!(net.named_parameters().len(), 2);
}

#[test]
fn an_absent_bias_is_no_layer() {
    let bare = LinearConfig::new(2, 2).with_bias(false).init(&device());
    let net = Sequential::new().with(bare.clone()).with(Relu::new());
    assert_eq!(net.state_dict_of("1").unwrap().shapes(), []);
    for (path, nearest) in [("0.bias", "`0`, `1`"), ("0.weight", "`0`, `1`"), ("0.", "`0`, `1`")] {
        let error = net.state_dict_of(path).unwrap_err();
        let text = format!("there is no layer `{path}`; nearest: {nearest}");
        assert_eq!(error.to_string(), text);
    }
    assert!(bare.state_dict_of("bias").is_err());
}

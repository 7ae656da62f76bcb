//! The state dict of one layer.

use burn::module::Module;
use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::optim::SgdConfig;
use espalier::nn::Sequential;
use espalier::parametrize::{Rules, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Error, Parametrized, TieError};

use crate::common::{assert_shared, device, mlp, shared, train, values};

fn names(state: &StateDict) -> Vec<&str> {
    state.checkpoint().names().collect()
}

#[test]
fn a_layer_has_its_own_names_and_goes_back() {
    let net = mlp(1);
    let state = StateDict::of_layer(&net, "2").unwrap();
    assert_eq!(names(&state), ["weight", "bias"]);
    let other = state.load_into_layer(mlp(2), "2", Strict::Yes).unwrap();
    assert_eq!(values(&other, "2.weight"), values(&net, "2.weight"));
    assert_eq!(values(&other, "0.weight"), values(&mlp(2), "0.weight"), "nothing else changes");
    // Into a plain layer, and from one.
    let device = device();
    let plain = state.load_into(LinearConfig::new(4, 4).init(&device), Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&plain).checkpoint().get("weight"), state.checkpoint().get("weight"));
    assert_eq!(StateDict::of_layer(&net, "1").unwrap().shapes(), [], "tanh has nothing to save");
    assert_eq!(StateDict::of_layer(&net, "").unwrap(), StateDict::of(&net));
}

#[test]
fn blocks_and_running_statistics_are_there() {
    let device = device();
    let block = || {
        Sequential::new()
            .with(LinearConfig::new(4, 4).init(&device))
            .with(BatchNormConfig::new(4).init(&device))
    };
    let net = Sequential::new().with(Relu::new()).with(block()).with(block());
    let state = StateDict::of_layer(&net, "2").unwrap();
    assert_eq!(
        names(&state),
        ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    );
    assert_eq!(names(&StateDict::of_layer(&net, "2.1").unwrap())[0], "weight");
    let net = state.load_into_layer(net, "1", Strict::Yes).unwrap();
    assert_eq!(StateDict::of_layer(&net, "1").unwrap(), state);
}

#[test]
fn a_wrong_path_or_shape_is_a_typed_error() {
    let net = mlp(1);
    let error = StateDict::of_layer(&net, "7").unwrap_err();
    assert_eq!(error.to_string(), "there is no layer `7`; nearest: `0`, `1`, `2`");
    for wrong in ["0.weight", "0.", ".", "00", "0.weight.x"] {
        let error = StateDict::of_layer(&net, wrong).unwrap_err();
        assert!(matches!(&error, Error::NoLayer { path, .. } if path == wrong), "{error}");
    }
    let layer = StateDict::of(&LinearConfig::new(3, 4).with_bias(false).init(&device()));
    let error = layer.load_into_layer(mlp(1), "5", Strict::Yes).unwrap_err();
    assert!(matches!(error, Error::NoLayer { .. }));
    let error = layer.load_into_layer(mlp(1), "4", Strict::Yes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the state dict does not fit the module; nothing was loaded\n  missing: `4.bias`\n  shape \
         of `4.weight`: the module has [4, 4], the state dict [4, 3]"
    );
}

#[test]
fn the_alias_of_a_tie_is_whole_and_loads_into_what_it_shares() {
    let net = shared(1);
    let state = StateDict::of_layer(&net, "4").unwrap();
    assert_eq!(state, StateDict::of_layer(&net, "2").unwrap());
    assert_eq!(names(&state), ["weight", "bias"]);
    let other = state.load_into_layer(shared(2), "4", Strict::Yes).unwrap();
    assert_eq!(values(&other, "2.weight"), values(&net, "2.weight"), "as in PyTorch, both change");
    assert_shared(&other);
}

#[test]
fn what_computes_a_layer_goes_with_it() {
    let mut net = shared(1);
    net.register("2.weight", WeightNorm::dim(0)).unwrap();
    net.prune("2.weight", L1Unstructured::new(3)).unwrap();
    net.prune("0.weight", L1Unstructured::new(1)).unwrap();
    let net = train(net, &mut SgdConfig::new().init(), 2);
    for layer in ["2", "4"] {
        let state = StateDict::of_layer(&net, layer).unwrap();
        let mut found = names(&state);
        found.sort_unstable();
        let original = "parametrizations.weight.original";
        let (g, v) = (format!("{original}0"), format!("{original}1"));
        assert_eq!(found, ["bias", &g, &v, "weight_mask"], "{layer}");
        // Alone, in a wrapper of its own.
        let mut alone = Parametrized::new(LinearConfig::new(4, 4).init(&device()));
        alone.apply_description(state.description().unwrap(), &Rules::builtin()).unwrap();
        let alone = state.load_into(alone, Strict::Yes).unwrap();
        assert_eq!(values(&alone, "weight"), values(&net, "4.weight"), "{layer}");
        // And back.
        let mut other = shared(2);
        other.apply_description(&net.description(), &Rules::builtin()).unwrap();
        let other = state.load_into_layer(other, layer, Strict::Yes).unwrap();
        assert_eq!(values(&other, "2.weight"), values(&net, "2.weight"), "{layer}");
        assert_shared(&other);
        // Other rules under the same names are refused.
        let mut wrong = shared(2);
        wrong.register("2.weight", WeightNorm::dim(1)).unwrap();
        wrong.prune("2.weight", L1Unstructured::new(3)).unwrap();
        let error = state.load_into_layer(wrong, layer, Strict::No).unwrap_err();
        assert!(error.to_string().contains("parametrizations: the module has"), "{error}");
    }
}

#[test]
fn a_tie_within_a_block_stays_one() {
    let device = device();
    let layer = LinearConfig::new(4, 4).init(&device);
    let block = Sequential::new().with(layer.clone()).with(layer);
    let net = Parametrized::new(Sequential::new().with(Relu::new()).with(block));
    let state = StateDict::of_layer(&net, "1").unwrap();
    assert_eq!(names(&state), ["0.weight", "0.bias", "1.weight", "1.bias"]);
    let linear = || LinearConfig::new(4, 4).init(&device);
    let mut alone = Parametrized::new(Sequential::new().with(linear()).with(linear()));
    alone.apply_description(state.description().unwrap(), &Rules::builtin()).unwrap();
    assert_eq!(alone.ties().len(), 2);
    let alone = state.load_into(alone, Strict::Yes).unwrap();
    assert_eq!(values(&alone, "1.weight"), values(&net, "1.1.weight"));
    assert_eq!(alone.num_params(), 20);
}

#[test]
fn the_transpose_of_a_pruned_parameter_elsewhere_has_no_name() {
    let mut net = mlp(1);
    net.tie_transposed("4.weight", "2.weight").unwrap();
    assert_eq!(names(&StateDict::of_layer(&net, "4").unwrap()), ["weight", "bias"]);
    net.prune("2.weight", L1Unstructured::new(3)).unwrap();
    let error = StateDict::of_layer(&net, "4").unwrap_err();
    assert!(matches!(
        &error,
        Error::Tie { target, reason: TieError::TransposedAlone, .. } if target == "4.weight"
    ));
    assert!(StateDict::of_layer(&net, "2").is_ok());
    assert!(!names(&StateDict::for_torch(&net)).iter().any(|name| name.starts_with("4.w")));
}

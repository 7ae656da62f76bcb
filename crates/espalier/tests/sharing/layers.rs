//! Whole layers: tied, refused, untied.

use burn::module::Module;
use burn::nn::{BatchNormConfig, EmbeddingConfig, Linear, LinearConfig, Tanh};
use burn::optim::SgdConfig;
use burn::tensor::Tensor;
use espalier::nn::Sequential;
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{Error, LayerFault, ParameterTree, Parametrized, TieError};

use crate::common::{assert_shared, device, language, mlp, shared, train, values};

#[test]
fn a_layer_ties_with_all_it_has() {
    let mut net = mlp(1);
    let pairs = net.tie_layers("4", "2").unwrap();
    assert_eq!(pairs, [("4.weight".into(), "2.weight".into()), ("4.bias".into(), "2.bias".into())]);
    assert_eq!(net.ties().len(), 2);
    assert_shared(&net);
    let error = net.tie_layers("2", "4").unwrap_err();
    assert!(matches!(error, Error::Tie { reason: TieError::Same, .. }), "{error}");
    // What is half tied is completed.
    net.untie("4.bias").unwrap();
    assert_eq!(net.tie_layers("4", "2").unwrap(), [("4.bias".into(), "2.bias".into())]);
    assert_shared(&net);
}

#[test]
fn blocks_of_layers_tie_and_keep_their_own_running_statistics() {
    let device = device();
    let block = || {
        Sequential::new()
            .with(LinearConfig::new(4, 4).init(&device))
            .with(BatchNormConfig::new(4).init(&device))
    };
    let net = Sequential::new().with(block()).with(Tanh::new()).with(block());
    let mut net = Parametrized::new(net);
    assert_eq!(net.tie_layers("2", "0").unwrap().len(), 4);
    assert_eq!(net.num_params(), 20 + 8 + 16, "parameters once, statistics of each place");
    let net = train(net, &mut SgdConfig::new().init(), 3);
    for name in ["0.weight", "0.bias", "1.gamma", "1.beta"] {
        assert_eq!(values(&net, &format!("0.{name}")), values(&net, &format!("2.{name}")));
    }
    let state = StateDict::of(&net);
    let statistic = |name: &str| state.checkpoint().get(name).unwrap().to_f64_vec().unwrap();
    assert_ne!(statistic("0.1.running_mean"), statistic("2.1.running_mean"));
}

#[test]
fn layers_that_differ_are_refused_with_everything_that_does_not_fit() {
    let device = device();
    let net = Sequential::new()
        .with(LinearConfig::new(4, 3).init(&device))
        .with(LinearConfig::new(3, 4).with_bias(false).init(&device))
        .with(LinearConfig::new(4, 3).init(&device))
        .with(BatchNormConfig::new(3).init(&device));
    let mut net = Parametrized::new(net);
    let before = StateDict::of(&net);

    let error = net.tie_layers("1", "0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot tie `1` to `0`: the layers differ: `weight` has shape [4, 3] in the first and \
         [3, 4] in the second; the first has no `bias`"
    );
    let error = net.tie_layers("3", "1").unwrap_err();
    let Error::Tie { reason: TieError::Layers { faults }, .. } = error else { panic!("{error}") };
    let name = |name: &str| name.to_owned();
    assert_eq!(
        faults,
        [
            LayerFault::Missing { name: name("weight") },
            LayerFault::Extra { name: name("gamma") },
            LayerFault::Extra { name: name("beta") },
        ]
    );

    net.prune("2.weight", L1Unstructured::new(1)).unwrap();
    let error = net.tie_layers("2", "0").unwrap_err().to_string();
    assert!(error.contains("`weight` of the first is parametrized, pruned or tied"), "{error}");
    net.remove("2.weight", espalier::Leave::Original).unwrap();
    assert!(net.ties().is_empty());
    assert_eq!(StateDict::of(&net), before, "nothing was tied");

    let error = net.tie_layers("7", "0").unwrap_err();
    assert!(
        matches!(&error, Error::NoLayer { path, nearest } if path == "7" && nearest.len() == 3)
    );
    let error = net.tie_layers("0", "0.weight").unwrap_err();
    assert!(matches!(&error, Error::NoLayer { path, .. } if path == "0.weight"), "{error}");
}

#[test]
fn a_layer_is_untied_with_its_present_values() {
    let mut net = train(shared(1), &mut SgdConfig::new().init(), 3);
    let before = [values(&net, "4.weight"), values(&net, "4.bias")];
    assert_eq!(net.untie_layer("4").unwrap(), ["4.weight", "4.bias"]);
    assert_eq!([values(&net, "4.weight"), values(&net, "4.bias")], before);
    assert_eq!(net.num_params(), 60);
    let net = train(net, &mut SgdConfig::new().init(), 3);
    assert_ne!(values(&net, "4.weight"), values(&net, "2.weight"), "each on its own way");
}

#[test]
fn untying_what_is_not_tied_says_what_is_tied_to_it() {
    let mut net = shared(1);
    assert_eq!(
        net.untie("2.weight").unwrap_err().to_string(),
        "`2.weight` is not tied to another parameter; tied to it: `4.weight`, to be untied there"
    );
    assert_eq!(
        net.untie_layer("0").unwrap_err().to_string(),
        "`0` is not tied to another parameter"
    );
    let error = net.untie_layer("2").unwrap_err();
    assert!(matches!(error, Error::NotTied { aliases, .. } if aliases == ["4.bias", "4.weight"]));
    assert!(matches!(net.untie("9.weight").unwrap_err(), Error::NoMatch { .. }));
    assert!(matches!(net.untie_layer("9").unwrap_err(), Error::NoLayer { .. }));
    assert_eq!(net.ties().len(), 2);
}

#[test]
fn the_same_layer_placed_twice_is_one_also_in_nested_containers() {
    let device = device();
    let layer = LinearConfig::new(4, 4).init(&device);
    let inner = Sequential::new().with(layer.clone()).with(Tanh::new());
    let net = Sequential::new().with(inner).with(layer.clone()).with(layer);
    let net = Parametrized::new(net);
    assert_eq!(net.num_params(), 20);
    assert_eq!(net.ties().len(), 4);
    let names: Vec<String> = net.named_parameters().into_iter().map(|p| p.path).collect();
    assert_eq!(names, ["0.0.weight", "0.0.bias"]);
    let net = train(net, &mut SgdConfig::new().init(), 4);
    for other in ["1.weight", "2.weight"] {
        assert_eq!(values(&net, "0.0.weight"), values(&net, other));
    }
}

#[test]
fn an_embedding_and_its_output_layer_tie_in_pytorchs_layout() {
    let mut net = language();
    assert_eq!(net.tie_layers("output", "embedding").unwrap().len(), 1);
    let (table, weight): (Tensor<2>, Tensor<2>) =
        (net.get("embedding.weight").unwrap(), net.get("output.weight").unwrap());
    assert_eq!((table.dims(), weight.dims()), ([7, 4], [4, 7]), "vocabulary and width");
    assert_eq!(table.into_data(), weight.transpose().into_data());

    // A decoder of the other orientation: tied to the transpose only.
    let device = device();
    let mut net = Parametrized::new(Pair {
        embedding: EmbeddingConfig::new(7, 4).init(&device),
        back: LinearConfig::new(7, 4).with_bias(false).init(&device),
    });
    let error = net.tie("back.weight", "embedding.weight").unwrap_err();
    assert!(matches!(error, Error::Tie { reason: TieError::Shape { .. }, .. }));
    net.tie_transposed("back.weight", "embedding.weight").unwrap();
    assert_eq!(
        values(&net, "embedding.weight"),
        values(&net, "back.weight"),
        "Burn's layouts agree"
    );
}

#[derive(Module, Debug)]
struct Pair {
    embedding: burn::nn::Embedding,
    back: Linear,
}

#[test]
fn what_is_tied_to_an_alias_turns_with_it() {
    for follower_turned in [false, true] {
        let mut net = mlp(5);
        match follower_turned {
            false => net.tie("4.weight", "2.weight").unwrap(),
            true => net.tie_transposed("4.weight", "2.weight").unwrap(),
        }
        net.tie_transposed("2.weight", "0.weight").unwrap();
        let weight = |path: &str| net.get::<2>(path).unwrap();
        let turned = weight("0.weight").transpose().into_data();
        weight("2.weight").into_data().assert_eq(&turned, true);
        let follower = match follower_turned {
            false => turned,
            true => weight("0.weight").into_data(),
        };
        weight("4.weight").into_data().assert_eq(&follower, true);
    }
}

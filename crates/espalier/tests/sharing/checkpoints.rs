//! Checkpoints that have a tied tensor under several names, as PyTorch's have.

use burn::module::Module;
use burn::nn::{BatchNormConfig, Embedding, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use espalier::init::Init;
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict, ValueFault};
use espalier::{Error, Parametrized, TieError};
use espalier_checkpoint::{Dtype, NamedTensor};

use crate::common::{
    Language, assert_shared, device, language, mlp, shared, state_of, train, values,
};

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    NamedTensor::f32(name, shape.to_vec(), values).unwrap()
}

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 8.0 - 1.0).collect()
}

fn tied_language() -> Parametrized<Language> {
    let mut net = language();
    net.tie("output.weight", "embedding.weight").unwrap();
    net
}

#[test]
fn a_file_loads_under_one_name_the_other_or_both() {
    let weight = ramp(28);
    let both = [("embedding.weight", &weight), ("output.weight", &weight)];
    for names in [&both[..], &both[..1], &both[1..]] {
        let file = names.iter().map(|(name, values)| tensor(name, &[7, 4], values));
        let net = state_of(file).load_into(tied_language(), Strict::Yes).unwrap();
        assert_eq!(values(&net, "embedding.weight"), weight);
        let output: Tensor<2> = net.get("output.weight").unwrap();
        assert_eq!(output.transpose().into_data().try_to_vec::<f32>().unwrap(), weight);
        assert_eq!(net.ties().len(), 1);
    }
}

#[test]
fn what_differs_in_the_file_is_told_and_nothing_loaded() {
    let (weight, mut other) = (ramp(28), ramp(28));
    other[13] += 0.5;
    let state = state_of([
        tensor("embedding.weight", &[7, 4], &weight),
        tensor("output.weight", &[7, 4], &other),
    ]);
    let net = tied_language();
    let report = state.fits(&net, Strict::Yes).unwrap_err();
    let untied = ValueFault::Untied { name: "output.weight".into(), to: "embedding.weight".into() };
    assert_eq!(report.values, [untied]);
    assert!(report.to_string().ends_with(
        "\n  values of `output.weight`: tied to `embedding.weight` in the module, different in the \
         state dict"
    ));
    assert!(matches!(state.load_into(net.clone(), Strict::Yes), Err(Error::Load(_))));
    // Not strict, the name that the parameter is kept under counts.
    let loaded = state.load_into(net, Strict::No).unwrap();
    assert_eq!(values(&loaded, "embedding.weight"), weight);
}

#[test]
fn a_wrong_shape_or_nothing_at_all_is_told_under_the_right_name() {
    let weight = ramp(28);
    let net = tied_language();
    let state = state_of([
        tensor("embedding.weight", &[7, 4], &weight),
        tensor("output.weight", &[4, 7], &weight),
    ]);
    for strict in [Strict::Yes, Strict::No] {
        let report = state.fits(&net, strict).unwrap_err();
        assert_eq!(report.mismatched[0].name, "output.weight");
        assert_eq!(report.mismatched[0].expected, [7, 4]);
    }
    let state = state_of([tensor("decoder.weight", &[7, 4], &weight)]);
    let report = state.fits(&net, Strict::Yes).unwrap_err();
    assert_eq!(
        (report.missing, report.unexpected),
        (vec!["embedding.weight".to_owned()], vec!["decoder.weight".to_owned()],)
    );
}

#[test]
fn a_transposed_tie_is_compared_and_saved_in_the_layout_of_the_alias() {
    let device = device();
    let linear =
        |inputs, outputs| LinearConfig::new(inputs, outputs).with_bias(false).init(&device);
    let auto_encoder = || {
        let mut net = Parametrized::new(Sequential::new().with(linear(5, 3)).with(linear(3, 5)));
        net.tie_transposed("1.weight", "0.weight").unwrap();
        net
    };
    let weight = ramp(15); // [3, 5] in PyTorch's layout
    let turned: Vec<f32> = (0..15).map(|i| weight[(i % 3) * 5 + i / 3]).collect();
    let encoder = tensor("0.weight", &[3, 5], &weight);
    let decoder = tensor("1.weight", &[5, 3], &turned);
    for file in [vec![encoder.clone(), decoder.clone()], vec![decoder.clone()]] {
        let net = state_of(file).load_into(auto_encoder(), Strict::Yes).unwrap();
        let saved = StateDict::for_torch(&net);
        assert_eq!(saved.checkpoint().get("0.weight").unwrap(), &encoder);
        assert_eq!(saved.checkpoint().get("1.weight").unwrap(), &decoder);
    }
    let wrong = tensor("1.weight", &[5, 3], &weight);
    let report = state_of([encoder, wrong]).fits(&auto_encoder(), Strict::Yes).unwrap_err();
    assert_eq!(report.values.len(), 1);
}

#[test]
fn a_layer_placed_twice_has_every_name_of_what_computes_it() {
    let mut net = shared(1);
    net.register("2.weight", Orthogonal::cayley()).unwrap();
    net.prune("2.weight", L1Unstructured::new(3)).unwrap();
    let state = StateDict::for_torch(&net);
    let names: Vec<&str> = state.checkpoint().names().collect();
    // As PyTorch has them for `Sequential(a, tanh, shared, tanh, shared)`.
    for layer in ["2", "4"] {
        for name in ["bias", "weight_mask", "parametrizations.weight.original"] {
            assert!(names.contains(&format!("{layer}.{name}").as_str()), "{layer}.{name}");
        }
    }
    assert_eq!(names.len(), StateDict::of(&net).shapes().len() * 2 - 2, "all but those of layer 0");
    let mut other = shared(2);
    other.apply_description(&net.description(), &espalier::parametrize::Rules::builtin()).unwrap();
    let other = state.load_into(other, Strict::Yes).unwrap();
    assert_eq!(values(&other, "4.weight"), values(&net, "4.weight"));
    assert_shared(&other);

    let mut net = shared(1);
    net.prune("2.weight", L1Unstructured::new(3)).unwrap();
    let state = StateDict::for_torch(&net);
    let pruned: Vec<&str> =
        state.checkpoint().names().filter(|name| name.contains("weight_")).collect();
    assert_eq!(pruned.len(), 4, "{pruned:?}");
    assert!(pruned.contains(&"4.weight_orig") && pruned.contains(&"4.weight_mask"));
}

#[test]
fn norms_are_named_as_in_pytorch_under_every_name() {
    let device = device();
    let norm = BatchNormConfig::new(3).init(&device);
    let net = Parametrized::new(Sequential::new().with(norm.clone()).with(norm));
    let state = StateDict::for_torch(&net);
    let names: Vec<&str> = state.checkpoint().names().collect();
    let own = ["weight", "bias", "running_mean", "running_var"];
    let expected: Vec<String> =
        ["0", "1"].iter().flat_map(|l| own.iter().map(move |n| format!("{l}.{n}"))).collect();
    let (mut found, mut sorted) = (names, expected.iter().map(String::as_str).collect::<Vec<_>>());
    found.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(found, sorted);
    assert!(state.load_into(net, Strict::Yes).is_ok());
}

#[derive(Module, Debug)]
struct Holder {
    inner: Parametrized<Sequential>,
    head: Linear,
}

#[test]
fn a_wrapper_inside_a_module_or_another_wrapper_is_seen_through() {
    let device = device();
    let holder = || Holder { inner: shared(1), head: LinearConfig::new(4, 4).init(&device) };
    let state = StateDict::for_torch(&holder());
    assert_eq!(state.shapes().len(), 8);
    assert!(state.checkpoint().get("inner.4.bias").is_some());
    assert!(state.load_into(holder(), Strict::Yes).is_ok());

    // The outer wrapper ties what the inner one has tied others to.
    let outer = || {
        let mut net = Parametrized::new(holder());
        net.tie("inner.2.weight", "head.weight").unwrap();
        net
    };
    let state = StateDict::for_torch(&outer());
    assert_eq!(state.shapes().len(), 8);
    let of = |name: &str| state.checkpoint().get(name).unwrap().bytes().unwrap().to_vec();
    assert_eq!(of("inner.4.weight"), of("head.weight"));
    assert_eq!(of("inner.2.weight"), of("head.weight"));
    assert!(state.load_into(outer(), Strict::Yes).is_ok());
}

#[test]
fn a_transpose_of_a_transpose_through_two_wrappers_is_none() {
    let mut inner = mlp(1);
    inner.tie_transposed("4.weight", "2.weight").unwrap();
    let head = LinearConfig::new(4, 4).init(&device());
    let mut net = Parametrized::new(Holder { inner, head });
    net.tie_transposed("inner.2.weight", "head.weight").unwrap();
    let state = StateDict::for_torch(&net);
    let of = |name: &str| state.checkpoint().get(name).unwrap().to_f64_vec().unwrap();
    let head = of("head.weight");
    let turned: Vec<f64> = (0..16).map(|i| head[(i % 4) * 4 + i / 4]).collect();
    assert_eq!(of("inner.2.weight"), turned);
    assert_eq!(of("inner.4.weight"), head);
    assert_ne!(head, turned);
    assert!(state.load_into(net, Strict::Yes).is_ok());
}

#[test]
fn equal_tensors_are_found_and_constants_are_not() {
    let (a, b) = (ramp(6), ramp(4));
    let mut a_but_one = a.clone();
    a_but_one[5] += 1.0;
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let state = state_of([
        tensor("a", &[2, 3], &a),
        tensor("zeros", &[4], &[0.0; 4]),
        tensor("b.x", &[4], &b),
        tensor("more zeros", &[4], &[0.0; 4]),
        tensor("other shape", &[3, 2], &a),
        NamedTensor::new("other type", Dtype::I32, vec![2, 3], bytes(&a)).unwrap(),
        tensor("c", &[2, 3], &a),
        tensor("one", &[1], &[7.0]),
        tensor("one too", &[1], &[7.0]),
        tensor("differs", &[2, 3], &a_but_one),
        tensor("b.y", &[4], &b),
        tensor("d", &[2, 3], &a),
        tensor("nothing", &[0], &[]),
        tensor("nothing too", &[0], &[]),
        tensor("ones", &[2, 3], &[1.0; 6]),
        tensor("more ones", &[2, 3], &[1.0; 6]),
    ]);
    let mut ties = state.ties();
    ties.iter_mut().for_each(|group| group.sort_unstable());
    ties.sort_unstable();
    assert_eq!(ties, [vec!["a", "c", "d"], vec!["b.x", "b.y"]]);
    assert!(StateDict::of(&shared(1)).ties().is_empty(), "saved once");
}

#[test]
fn a_network_is_tied_as_a_checkpoint_is() {
    let state = StateDict::for_torch(&train(shared(1), &mut SgdConfig::new().init(), 2));
    let mut net = mlp(2);
    let pairs = net.tie_as_in(&state).unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let mut sorted = pairs.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [pair("4.bias", "2.bias"), pair("4.weight", "2.weight")]);
    assert_eq!(net.num_params(), 40);
    assert!(net.tie_as_in(&state).unwrap().is_empty(), "they are one already");
    let net = state.load_into(net, Strict::Yes).unwrap();
    assert_shared(&net);

    // Across layouts, in PyTorch's names.
    let state = StateDict::for_torch(&tied_language());
    let mut net = language();
    assert_eq!(net.tie_as_in(&state).unwrap(), [pair("output.weight", "embedding.weight")]);
}

#[test]
fn a_checkpoint_that_the_module_cannot_be_tied_as_is_refused_whole() {
    let state = StateDict::for_torch(&shared(1));
    let mut net = mlp(2);
    net.register("4.weight", WeightNorm::dim(0)).unwrap();
    let error = net.tie_as_in(&state).unwrap_err();
    assert!(matches!(error, Error::Tie { reason: TieError::Slotted, .. }), "{error}");
    assert!(net.ties().is_empty());
    // Buffers are no parameters, and names that are not here are passed over.
    let device = Device::default();
    let norms = || {
        let norm = || BatchNormConfig::new(3).init(&device);
        Parametrized::new(Sequential::new().with(norm()).with(norm()))
    };
    let statistics = ramp(3);
    let state = state_of(
        ["0.running_mean", "1.running_mean", "2.weight", "3.weight"]
            .map(|name| tensor(name, &[3], &statistics)),
    );
    assert!(norms().tie_as_in(&state).unwrap().is_empty());
    let state = state_of(["0.weight", "1.weight"].map(|name| tensor(name, &[3], &statistics)));
    assert_eq!(
        norms().tie_as_in(&state).unwrap(),
        [("1.gamma".to_owned(), "0.gamma".to_owned())],
        "found by PyTorch's names"
    );
}

#[test]
fn a_file_of_both_names_is_what_pytorch_asks_for() {
    // The names of `state_dict()` of the same network in PyTorch, in its order.
    let state = StateDict::for_torch(&shared(1));
    let names: Vec<&str> = state.checkpoint().names().collect();
    assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]);
    let state = StateDict::for_torch(&tied_language());
    assert_eq!(state.shapes(), [("embedding.weight", &[7, 4][..]), ("output.weight", &[7, 4][..])]);
}

#[test]
fn an_embedding_in_a_plain_module_has_no_aliases() {
    let device = device();
    let embedding: Embedding = burn::nn::EmbeddingConfig::new(3, 2).init(&device);
    assert_eq!(StateDict::for_torch(&embedding), StateDict::of(&embedding));
    let mut net = mlp(1);
    net.init("0.weight", Init::Ones, 0).unwrap();
    assert_eq!(StateDict::for_torch(&net), StateDict::of(&net));
}

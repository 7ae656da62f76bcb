//! One lazy layer in two places: one layer from its first input on, whatever comes next.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::nn::lazy::LazyLinearConfig;
use espalier::parametrize::Orthogonal;
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Leave, ParameterTree, Parametrized};

fn device() -> Device {
    Device::default().autodiff()
}

fn fresh() -> Parametrized<Sequential> {
    let layer = LazyLinearConfig::new(4).with_seed(Some(1)).init(&device());
    Parametrized::new(Sequential::new().with(layer.clone()).with(layer))
}

/// Right after its first forward pass.
fn seen() -> Parametrized<Sequential> {
    let net = fresh();
    net.effective().forward::<2, 2>(Tensor::ones([2, 4], &device())).unwrap();
    net
}

fn weights(net: &Parametrized<Sequential>) -> [Vec<f32>; 2] {
    ["0.weight", "1.weight"]
        .map(|path| net.get::<2>(path).unwrap().into_data().try_to_vec().unwrap())
}

#[test]
fn it_is_listed_once() {
    let net = seen();
    let tied = [("1.bias", "0.bias"), ("1.weight", "0.weight")];
    assert_eq!(net.ties(), tied.map(|(path, to)| (path.to_owned(), to.to_owned())));
    assert_eq!(net.summary().totals().parameters, 20);
    assert_eq!(net.summary().rows()[2].how, "= 0.weight");
    assert_eq!(net.named_parameters().len(), 2);
    assert_eq!(net.parametrizations("1.bias").unwrap().tied_to.as_deref(), Some("0.bias"));
    assert!(net.description().contains(r#""to":"0.weight""#));
}

#[test]
fn an_edit_through_either_name_is_seen_through_both() {
    for path in ["0.weight", "1.weight"] {
        let mut net = seen();
        net.set(path, Tensor::<2>::ones([4, 4], &device())).unwrap();
        assert_eq!(weights(&net), [vec![1.0; 16], vec![1.0; 16]], "{path}");
    }
}

#[test]
fn a_rule_and_a_mask_hold_for_both() {
    let mut net = seen();
    net.register("0.weight", Orthogonal::cayley()).unwrap();
    assert!(net.is_parametrized("1.weight"));
    let [first, second] = weights(&net);
    assert_eq!(first, second);

    let mut net = seen();
    net.prune("1.weight", L1Unstructured::new(0.5)).unwrap();
    assert_eq!(["0.weight", "1.weight"].map(|path| net.zeros(path).unwrap()), [8, 8]);
    assert_eq!(net.num_params(), 20);
    net.remove("1.weight", Leave::Parametrized).unwrap();
    assert_eq!(net.ties().len(), 2);

    let mut net = seen();
    net.prune_global("*.weight", L1Unstructured::new(4)).unwrap();
    assert_eq!(net.num_params(), 20);
}

#[test]
fn it_can_be_untied() {
    let mut net = seen();
    net.untie("1.weight").unwrap();
    net.set("1.weight", Tensor::<2>::ones([4, 4], &device())).unwrap();
    let [first, second] = weights(&net);
    assert_ne!(first, second);
    assert_eq!(seen().untie_layer("1").unwrap().len(), 2);
}

#[test]
fn folding_gives_two_layers() {
    let net = seen();
    let folded = net.fold();
    assert_eq!(folded.named_parameters().len(), 4, "clones would be trained as one by mistake");
}

#[test]
fn what_is_saved_at_once_is_whole() {
    let net = seen();
    let state = StateDict::of(&net);
    assert_eq!(state.shapes().len(), 2);
    assert_eq!(state.description(), Some(net.description().as_str()));
    let aliased = StateDict::for_torch(&net);
    let names: Vec<_> = aliased.checkpoint().names().collect();
    assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias"]);
    for state in [state.clone(), aliased] {
        let loaded = state.load_into(fresh(), Strict::Yes).unwrap();
        assert_eq!(weights(&loaded), weights(&net));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("net.bpk");
    net.clone().save_file(&file).unwrap();
    let loaded = fresh().try_load_file(&file).unwrap();
    assert_eq!(weights(&loaded), weights(&net));
    assert_eq!(StateDict::of(&loaded), state);
}

#[test]
fn a_clone_named_in_no_file_gets_the_shape_of_the_first() {
    let layer = LazyLinearConfig::new(4).init(&device());
    let plain = Sequential::new().with(layer.clone()).with(layer);
    let net = StateDict::of(&seen()).load_into(plain, Strict::No).unwrap();
    let weight = |path: &str| net.get_parameter::<2>(path).unwrap().into_data();
    weight("0.weight").assert_eq(&weight("1.weight"), true);
    assert_eq!(net.named_parameters().len(), 2);
}

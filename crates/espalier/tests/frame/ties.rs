//! One parameter, several names.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Tensor, Tolerance};
use espalier::nn::Sequential;
use espalier::parametrize::WeightNorm;
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{ParameterTree, Parametrized};

use crate::common::device;

#[derive(Module, Debug)]
struct Language {
    embedding: Embedding,
    output: Linear,
}

fn language() -> Parametrized<Language> {
    let device = device();
    Parametrized::new(Language {
        embedding: EmbeddingConfig::new(7, 4).init(&device),
        output: LinearConfig::new(4, 7).with_bias(false).init(&device),
    })
}

/// Linear 5-3 and linear 3-5: an encoder and its decoder, and one more of the encoder's shape.
fn auto_encoder() -> Parametrized<Sequential> {
    let device = device();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new().with(linear(5, 3)).with(linear(3, 5)).with(linear(5, 3));
    Parametrized::new(net)
}

fn get(net: &Parametrized<Sequential>, path: &str) -> Tensor<2> {
    net.get(path).unwrap()
}

fn equal(a: Tensor<2>, b: Tensor<2>) {
    a.into_data().assert_eq(&b.into_data(), true);
}

#[test]
fn an_output_ties_to_its_embedding_across_layouts() {
    let mut net = language();
    net.tie("output.weight", "embedding.weight").unwrap();
    assert_eq!(net.num_params(), 28, "counted once");
    let (e, o): (Tensor<2>, Tensor<2>) =
        (net.get("embedding.weight").unwrap(), net.get("output.weight").unwrap());
    assert_eq!((e.dims(), o.dims()), ([7, 4], [4, 7]));
    equal(e, o.transpose());
    // An edit through the transposed name.
    let edited = Tensor::<1>::from_floats([0.0f32; 28], &device()).reshape([4, 7]);
    let edited = edited.slice_fill([1..2, 2..3], 5.0);
    net.set("output.weight", edited).unwrap();
    let e: Tensor<2> = net.get("embedding.weight").unwrap();
    assert_eq!(e.slice([2..3, 1..2]).into_scalar::<f32>(), 5.0);
}

#[test]
fn a_decoder_ties_to_the_transpose_of_its_encoder_and_stays_so_in_training() {
    let mut net = auto_encoder();
    net.tie("1.weight", "0.weight").unwrap_err();
    net.tie_transposed("1.weight", "0.weight").unwrap();
    net.register("1.weight", WeightNorm::dim(0)).unwrap();
    net.prune("0.weight", L1Unstructured::new(4)).unwrap();
    assert!(net.is_parametrized("0.weight"), "what one name gets, both have");
    let names: Vec<String> = net.named_parameters().into_iter().map(|p| p.path).collect();
    assert!(names.iter().all(|name| !name.starts_with("1.w") && !name.starts_with("1.p")));
    let mut optim = SgdConfig::new().init();
    for _ in 0..3 {
        let step = net.effective();
        let y: Tensor<2> = step.forward(Tensor::<2>::ones([2, 5], &device())).unwrap();
        let grads = net.grads(y.square().sum().backward()).unwrap();
        drop(step);
        let before = get(&net, "1.weight");
        net = optim.step(0.01, net, grads);
        equal(get(&net, "1.weight"), get(&net, "0.weight").transpose());
        assert_ne!(get(&net, "1.weight").to_data(), before.to_data());
    }
    assert_eq!(net.zeros("1.weight").unwrap(), 4);
    let folded = net.clone().fold();
    equal(folded[1].get::<Linear>().unwrap().weight.val(), get(&net, "1.weight"));
    let ids: Vec<_> = folded.named_parameters().into_iter().map(|p| p.id).collect();
    assert_eq!(ids.len(), 6, "folded, they are parameters of their own");
}

#[test]
fn ties_of_ties_lead_to_one_parameter() {
    let mut net = auto_encoder();
    net.tie_transposed("1.weight", "0.weight").unwrap();
    net.tie_transposed("2.weight", "1.weight").unwrap(); // twice transposed: not at all
    assert_eq!(
        net.ties(),
        [("1.weight".into(), "0.weight".into()), ("2.weight".into(), "0.weight".into())]
    );
    equal(get(&net, "2.weight"), get(&net, "0.weight"));
    assert!(
        net.tie("0.weight", "2.weight").unwrap_err().to_string().contains("one parameter already")
    );

    // A tie of what others are tied to takes them along.
    let mut net = auto_encoder();
    net.tie_transposed("1.weight", "0.weight").unwrap();
    net.tie("0.weight", "2.weight").unwrap();
    equal(get(&net, "1.weight"), get(&net, "2.weight").transpose());
    equal(get(&net, "0.weight"), get(&net, "2.weight"));
    assert_eq!(net.ties().len(), 2);
    assert_eq!(StateDict::of(&net).shapes().len(), 4, "one weight and three biases");
}

#[test]
fn cloned_params_untie_in_burn_and_ties_do_not() {
    // Burn: the clone of a parameter is updated once and then goes its own way.
    let device = device();
    let mut model = Language {
        embedding: EmbeddingConfig::new(4, 4).init(&device),
        output: LinearConfig::new(4, 4).with_bias(false).init(&device),
    };
    model.output.weight = model.embedding.weight.clone();
    let x = || Tensor::<2>::ones([1, 4], &device);
    let grads = model.output.forward(x()).square().sum().backward();
    let grads = burn::optim::GradientsParams::from_grads(grads, &model);
    let model = SgdConfig::new().init().step(0.1, model, grads);
    assert_ne!(
        model.output.weight.val().to_data(),
        model.embedding.weight.val().to_data(),
        "the trap is still there"
    );

    // Here: clones are found and tied.
    let mut model = model;
    model.output.weight = model.embedding.weight.clone();
    let net = Parametrized::new(model);
    assert_eq!(net.ties(), [("output.weight".to_owned(), "embedding.weight".to_owned())]);
    let step = net.effective();
    let grads = net.grads(step.output.forward(x()).square().sum().backward()).unwrap();
    drop(step);
    let net = SgdConfig::new().init().step(0.1, net, grads);
    let (e, o): (Tensor<2>, Tensor<2>) =
        (net.get("embedding.weight").unwrap(), net.get("output.weight").unwrap());
    e.into_data().assert_approx_eq::<f32>(&o.into_data(), Tolerance::absolute(0.0));
}

#[test]
fn a_layer_placed_twice_is_one() {
    let device = device();
    let layer = LinearConfig::new(4, 4).init(&device);
    let net = Sequential::new().with(layer.clone()).with(layer);
    let mut net = Parametrized::new(net);
    assert_eq!(net.num_params(), 20);
    let step = net.effective();
    let y: Tensor<2> = step.forward(Tensor::<2>::ones([1, 4], &device)).unwrap();
    let grads = net.grads(y.square().sum().backward()).unwrap();
    drop(step);
    assert_eq!(grads.len(), 2);
    net = SgdConfig::new().init().step(0.1, net, grads);
    equal(get(&net, "0.weight"), get(&net, "1.weight"));
    let folded = net.fold();
    let ids: std::collections::BTreeSet<u64> =
        folded.named_parameters().iter().map(|p| p.id.val()).collect();
    assert_eq!(ids.len(), 4, "folded, each is a parameter of its own");
}

#[test]
fn what_is_frozen_stays_frozen_through_removal_folding_and_untying() {
    let trainable = |net: &Parametrized<Sequential>| -> Vec<bool> {
        net.entries().iter().map(|p| p.trainable).collect()
    };
    let make = || {
        let mut net = auto_encoder();
        net.register("0.weight", WeightNorm::dim(0)).unwrap();
        net.tie("2.weight", "0.weight").unwrap();
        net
    };
    for (frozen, net) in [(true, make().freeze()), (false, make().freeze().unfreeze())] {
        let folded = Parametrized::new(net.clone().fold());
        assert!(trainable(&folded).iter().all(|t| *t != frozen), "fold");
        let folded = Parametrized::new(net.valid().fold().train());
        assert!(trainable(&folded)[..2].iter().all(|t| *t != frozen), "valid, fold, train");
        let mut removed = net.clone();
        removed.untie("2.weight").unwrap();
        removed.remove("0.weight", espalier::Leave::Parametrized).unwrap();
        assert!(trainable(&removed).iter().all(|t| *t != frozen), "untie and remove");
    }
}

#[test]
fn the_mask_of_a_transposed_tie_is_told_in_the_layout_of_the_path_asked_for() {
    let mut net = auto_encoder();
    net.tie_transposed("1.weight", "0.weight").unwrap();
    net.prune("0.weight", L1Unstructured::new(7)).unwrap();
    for path in ["0.weight", "1.weight"] {
        let torch: Vec<f32> = get(&net, path).transpose().into_data().iter::<f32>().collect();
        let kept: Vec<bool> = torch.iter().map(|value| *value != 0.0).collect();
        assert_eq!(net.kept(path).unwrap(), kept, "{path}");
    }
}

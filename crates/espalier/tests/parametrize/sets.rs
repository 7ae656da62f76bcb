//! Values drawn from the sets of rules, spectral estimates, options out of range.

use burn::nn::LinearConfig;
use burn::nn::conv::ConvTranspose2dConfig;
use burn::tensor::Tensor;
use espalier::init::Rng;
use espalier::parametrize::{RuleError, Rules, Scale, SpectralNorm, SpectralNormLink};
use espalier::{Error, Parametrized};
use serde_json::{Value, json};

use crate::common::*;

#[test]
fn what_is_drawn_is_in_the_set_and_can_be_assigned() {
    let rules: Vec<(&str, Value)> = vec![
        ("orthogonal", json!({ "map": "exp", "trivialization": true })),
        ("orthogonal", json!({ "map": "householder", "trivialization": false })),
        ("skew", json!({})),
        ("symmetric", json!({})),
        ("sphere", json!({ "dim": 0, "radius": 3.0 })),
        ("spectral_norm", json!({})),
        ("non_negative", json!({ "map": "square" })),
        ("positive_definite", json!({ "map": "exp" })),
        ("positive_semidefinite", json!({ "rank": 2, "map": "exp" })),
        ("low_rank", json!({ "rank": 2, "map": "exp" })),
        ("fixed_rank", json!({ "rank": 2, "map": "cayley" })),
    ];
    for (name, options) in rules {
        let what = format!("{name} {options}");
        let mut net = Parametrized::new(LinearConfig::new(5, 5).init(&device()));
        net.register("weight", Rules::builtin().make(name, &options).unwrap()).unwrap();
        let link = net.parametrizations("weight").unwrap().links()[0].clone();
        let like = net.value("weight").unwrap();
        let drawn = |seed| link.sample(&like, &mut Rng::seeded(seed)).unwrap();
        let (value, again, other) = (drawn(1), drawn(1), drawn(2));
        assert_eq!(value.dims(), [5, 5], "{what}");
        assert_eq!(value.to_data(), again.to_data(), "{what}");
        assert_ne!(value.to_data(), other.to_data(), "{what}");
        link.check(&value).unwrap_or_else(|error| panic!("{what}: {error}"));
        let value = value.into_rank::<2>().unwrap();
        net.set("weight", value.clone()).unwrap();
        if name != "spectral_norm" {
            let off = (net.get::<2>("weight").unwrap() - value).abs().max().into_scalar::<f32>();
            assert!(off < 1e-5, "{what}: {off}");
        }
    }
    let mut net = Parametrized::new(LinearConfig::new(5, 5).init(&device()));
    net.register("weight", Scale::by(2.0)).unwrap();
    let link = net.parametrizations("weight").unwrap().links()[0].clone();
    let refused = link.sample(&net.value("weight").unwrap(), &mut Rng::seeded(1));
    assert_eq!(refused.unwrap_err(), RuleError::NoSample);
}

#[test]
fn spectral_estimates_start_near_and_get_better_in_training_only() {
    let mut net = Parametrized::new(LinearConfig::new(8, 6).init(&device()));
    net.register("weight", Scale::by(3.0)).unwrap();
    // Joined to a chain, it starts from the chain's value too.
    net.register("weight", SpectralNorm::new()).unwrap();
    let off = |net: &Parametrized<_>| {
        let value = net.value("weight").unwrap().to_data();
        let values: Vec<f64> = value.iter::<f64>().collect();
        (espalier_kernels::svd(8, 6, &values).unwrap()[1][0] - 1.0).abs()
    };
    let first = off(&net);
    assert!(first < 0.1, "{first}");
    assert_eq!(off(&net), first);
    let valid = burn::module::Module::valid(&net);
    drop(valid.effective());
    assert_eq!(off(&net), first);
    let kept = net.clone();
    for _ in 0..300 {
        drop(net.effective());
    }
    assert!(off(&net) < 1e-4, "{}", off(&net));
    assert_eq!(off(&kept), first);
}

#[test]
fn rows_of_transposed_convolutions_are_their_outputs() {
    let conv = ConvTranspose2dConfig::new([2, 3], [4, 4]).init(&device());
    let mut net = Parametrized::new(conv);
    net.register("weight", SpectralNorm::new()).unwrap();
    net.register("bias", SpectralNorm::new()).unwrap();
    let list = net.parametrizations("weight").unwrap();
    assert_eq!(list.links()[0].options()["dim"], 1);
    let link: &SpectralNormLink = list.link(0).unwrap();
    assert_eq!(link.u().unwrap().dims(), [3]);
    assert_eq!(link.v().unwrap().dims(), [2 * 16]);
    let bias: Tensor<1> = net.get("bias").unwrap();
    let length = bias.square().sum().sqrt().into_scalar::<f32>();
    assert!((length - 1.0).abs() < 1e-6, "{length}");
}

#[test]
fn options_out_of_range_are_named() {
    for (name, options, option) in [
        ("low_rank", json!({ "rank": 6, "map": "exp" }), "rank"),
        ("fixed_rank", json!({ "rank": 0, "map": "exp" }), "rank"),
        ("positive_semidefinite", json!({ "rank": 1, "map": "householder" }), "map"),
        ("sphere", json!({ "dim": 0, "radius": -1.0 }), "radius"),
        ("scale", json!({ "factor": 0.0, "learned": true }), "factor"),
        ("sigmoid_mask", json!({ "target_sparsity": 1.5 }), "target_sparsity"),
        ("sigmoid_mask", json!({ "temperature": 0.0 }), "temperature"),
        ("spectral_norm", json!({ "n_power_iterations": 0 }), "n_power_iterations"),
        ("spectral_norm", json!({ "eps": 0.0 }), "eps"),
        ("lora", json!({ "rank": 0 }), "rank"),
    ] {
        let mut net = Parametrized::new(LinearConfig::new(5, 5).init(&device()));
        let rule = Rules::builtin().make(name, &options).unwrap();
        match net.register("weight", rule).unwrap_err() {
            Error::Rule { source: RuleError::Option { option: found, .. }, .. } => {
                assert_eq!(found, option, "{name} {options}");
            }
            error => panic!("{name} {options}: {error}"),
        }
    }
}

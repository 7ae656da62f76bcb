//! Which parameters are filled: by layer type, path, glob, closure; and reproducibly.

use burn::module::Module;
use burn::nn::conv::{Conv1dConfig, Conv2dConfig};
use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::tensor::{Device, Tensor, TensorData};
use espalier::init::{Fan, Init, Nonlinearity, apply_with};
use espalier::nn::{Flatten, Sequential};
use espalier::state::StateDict;
use espalier::{Error, Parametrized, Selector};

fn net() -> Sequential {
    let device = Device::default();
    Sequential::new()
        .with(Conv2dConfig::new([2, 4], [3, 3]).init(&device))
        .with(BatchNormConfig::new(4).init(&device))
        .with(Relu::new())
        .with(Flatten::new())
        .with(LinearConfig::new(16, 8).init(&device))
        .with(LinearConfig::new(8, 3).init(&device))
}

fn values<M: Module>(net: &M, name: &str) -> Vec<f64> {
    StateDict::of(net).checkpoint().get(name).unwrap().to_f64_vec().unwrap()
}

#[test]
fn a_layer_type_a_path_and_a_glob_select() {
    let before = net();
    let linear = Selector::layer_parameter("Linear", "weight");
    let net = Init::Constant(1.0).apply(before.clone(), &linear, 0).unwrap();
    let net = Init::Constant(42.0).apply(net, &Selector::path("5.weight"), 0).unwrap();
    let net = Init::Zeros.apply(net, &Selector::glob("*.bias").unwrap(), 0).unwrap();
    assert_eq!(values(&net, "4.weight"), [1.0; 128]);
    assert_eq!(values(&net, "5.weight"), [42.0; 24]);
    for bias in ["0.bias", "4.bias", "5.bias"] {
        assert!(values(&net, bias).iter().all(|value| *value == 0.0));
    }
    for same in ["0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"] {
        assert_eq!(values(&net, same), values(&before, same), "{same}");
    }
}

#[test]
fn a_closure_chooses_for_each_parameter() {
    let mut asked = Vec::new();
    let net = apply_with(net(), 3, |info, rng| {
        asked.push(info.path.clone());
        match (info.layer.as_str(), info.name()) {
            ("Linear", "weight") if info.path == "4.weight" => Some(Init::XavierUniform(1.0)),
            ("Linear", "weight") => Some(Init::Constant(42.0)),
            // What is drawn here is that parameter's own.
            ("Linear", "bias") => Some(Init::Constant(rng.uniform())),
            ("Conv2d", "weight") => Some(Init::Dirac { groups: 2 }),
            _ => None,
        }
    })
    .unwrap();
    let parameters = ["0.weight", "0.bias", "1.gamma", "1.beta"];
    assert_eq!(asked[..4], parameters);
    assert_eq!(asked.len(), 8, "buffers are not asked for");
    let bound = (6.0 / 24f64).sqrt();
    assert!(values(&net, "4.weight").iter().all(|value| value.abs() <= bound));
    assert_eq!(values(&net, "5.weight"), [42.0; 24]);
    let bias = values(&net, "4.bias");
    assert!(bias[0] > 0.0 && bias[0] < 1.0 && bias.iter().all(|value| *value == bias[0]));
    assert_ne!(bias[0], values(&net, "5.bias")[0]);
    assert_eq!(values(&net, "0.weight").iter().sum::<f64>(), 4.0);
}

#[test]
fn values_depend_on_seed_and_place_not_on_what_else_is_selected() {
    let normal = Init::Normal(0.0, 1.0);
    let alone = normal.apply(net(), &Selector::path("5.weight"), 9).unwrap();
    let every = Selector::regex("weight$").unwrap();
    let together = normal.apply(net(), &every, 9).unwrap();
    let chosen =
        apply_with(net(), 9, |info, _| (info.path == "5.weight").then_some(normal)).unwrap();
    assert_eq!(values(&alone, "5.weight"), values(&together, "5.weight"));
    assert_eq!(values(&alone, "5.weight"), values(&chosen, "5.weight"));
    let other = normal.apply(net(), &every, 10).unwrap();
    assert_ne!(values(&other, "5.weight"), values(&together, "5.weight"));
}

/// Fixed for good: a seed must give the same network on every machine and in every version.
#[test]
fn a_seed_gives_these_very_numbers() {
    let first = |init: Init| -> Vec<f32> {
        let net = init.apply(net(), &Selector::path("5.weight"), 42).unwrap();
        values(&net, "5.weight")[..3].iter().map(|value| *value as f32).collect()
    };
    let trunc = Init::TruncNormal { mean: 0.0, std: 1.0, low: -0.5, high: 1.0 };
    let found = [Init::Uniform(0.0, 1.0), Init::Normal(0.0, 1.0), trunc].map(first);
    let expected = [
        [0.83439654f32, 0.14666647, 0.7604699],
        [0.89223564, -1.2607179, 0.4019855],
        [0.75159484, 0.6407049, 0.57564646],
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_identity_and_a_dirac_pass_their_input_on() {
    let device = Device::default();
    let linear = LinearConfig::new(4, 3).with_bias(false).init(&device);
    let linear = Init::Eye.apply(linear, &Selector::path("weight"), 0).unwrap();
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 4.0]], &device);
    let y: Vec<f32> = linear.forward(x).into_data().try_to_vec().unwrap();
    assert_eq!(y, [1.0, 2.0, 3.0]);

    let conv = Conv1dConfig::new(2, 2, 3)
        .with_padding(burn::nn::PaddingConfig1d::Explicit(1, 1))
        .with_bias(false)
        .init(&device);
    let conv = Init::Dirac { groups: 1 }.apply(conv, &Selector::path("weight"), 0).unwrap();
    let values: Vec<f32> = (0..10u8).map(f32::from).collect();
    let x = Tensor::<3>::from_data(TensorData::new(values, [1, 2, 5]), &device);
    assert_eq!(conv.forward(x.clone()).into_data(), x.into_data());
}

#[test]
fn a_refusal_names_the_parameter_and_fills_nothing() {
    let error = apply_with(net(), 0, |info, _| {
        Some(if info.path == "4.bias" { Init::Eye } else { Init::Zeros })
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "`4.bias`: an identity has two dimensions, found shape [8]");
    let statistics = Selector::glob("1.running_*").unwrap();
    let error = Init::Zeros.apply(net(), &statistics, 0).unwrap_err();
    assert!(matches!(error, Error::RunningStatistic { path } if path == "1.running_mean"));

    let mut net = Parametrized::new(net());
    let before = StateDict::of(&net);
    let kaiming = Init::KaimingNormal(Nonlinearity::Relu, Fan::In);
    let error = net.init("4.*", kaiming, 0).unwrap_err();
    assert!(matches!(error, Error::Init { path, .. } if path == "4.bias"));
    let error = net.init("1.running_mean", Init::Zeros, 0).unwrap_err();
    assert!(matches!(error, Error::RunningStatistic { .. }));
    assert!(matches!(net.init("6.weight", Init::Zeros, 0), Err(Error::NoMatch { .. })));
    assert_eq!(StateDict::of(&net), before);
}

//! Averages of networks and running statistics computed anew, against PyTorch.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "exact/common.rs"]
mod common;

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, LinearConfig, Tanh};
use burn::optim::SgdConfig;
use burn::tensor::{DType, Tensor};
use common::{Golden, Tolerance, assert_close, cast, device};
use espalier::average::{Average, AveragedModel, update_bn};
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Error, Parametrized};

type Net = Parametrized<Sequential>;

fn tolerance(dtype: DType) -> Tolerance {
    Tolerance::new(1.3e-6, 1e-6).or(dtype, Tolerance::new(1e-12, 1e-13))
}

/// Every tensor of `expected`, by name.
fn assert_state(what: &str, found: &StateDict, expected: &StateDict, tolerance: Tolerance) {
    for tensor in expected.checkpoint().iter() {
        let name = tensor.name();
        let found = found.checkpoint().get(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(found.shape(), tensor.shape(), "{what} {name}");
        let (found, tensor) = (found.to_f64_vec().unwrap(), tensor.to_f64_vec().unwrap());
        assert_close(&format!("{what} {name}"), &found, &tensor, tolerance);
    }
    assert_eq!(found.checkpoint().len(), expected.checkpoint().len());
}

#[test]
fn averages_agree_with_pytorch() {
    let golden = Golden::open("average");
    for name in ["ema", "ema_buffers", "swa", "swa_buffers"] {
        for case in golden.case(name) {
            let plain = Sequential::new()
                .with(LinearConfig::new(4, 3).init(&device()))
                .with(BatchNormConfig::new(3).init(&device()));
            let mut net = Parametrized::new(cast(plain, case.dtype));
            net.register("0.weight", WeightNorm::dim(0)).unwrap();
            let how = match case.note["decay"].as_f64() {
                Some(decay) => Average::ema(decay).unwrap(),
                None => Average::swa(),
            };
            let mut average = AveragedModel::new(&net, how.clone());
            if case.note["use_buffers"] == true {
                average = average.use_buffers();
            }
            for update in 0..case.note["updates"].as_u64().unwrap() {
                let state = case.state_dict(&format!("net{update}."));
                net = state.load_into(net, Strict::Yes).unwrap();
                average.update(&net).unwrap();
                if update == 1 {
                    // Saved and resumed in the middle.
                    let saved = StateDict::of(average.model());
                    let model = saved.load_into(net.deep_copy(), Strict::Yes).unwrap();
                    let resumed = AveragedModel::resume(model, how.clone(), average.n_averaged());
                    average = if case.note["use_buffers"] == true {
                        resumed.use_buffers()
                    } else {
                        resumed
                    };
                }
            }
            assert_eq!(average.n_averaged(), case.note["n_averaged"].as_u64().unwrap());
            let found = StateDict::of(average.model());
            assert_state(name, &found, &case.state_dict("averaged."), tolerance(case.dtype));
        }
    }
}

/// Five layers, two of them batch norms with momenta of their own.
fn with_norms(dtype: DType) -> Net {
    let second = BatchNormConfig::new(5).with_momentum(0.03);
    let plain = Sequential::new()
        .with(LinearConfig::new(4, 3).init(&device()))
        .with(BatchNormConfig::new(3).init(&device()))
        .with(Tanh::new())
        .with(LinearConfig::new(3, 5).init(&device()))
        .with(second.init(&device()));
    Parametrized::new(cast(plain, dtype))
}

fn forward(net: &Sequential, x: &Tensor<2>) -> Result<Tensor<2>, Error> {
    net.forward(x.clone())
}

#[test]
fn running_statistics_agree_with_pytorch() {
    let golden = Golden::open("average");
    for case in golden.case("update_bn") {
        let before = case.state_dict("before.");
        let mut net = before.load_into(with_norms(case.dtype), Strict::Yes).unwrap();
        let count = case.note["batches"].as_u64().unwrap();
        let inputs: Vec<Tensor<2>> =
            (0..count).map(|index| case.tensor(&format!("input{index}"))).collect();
        // What was there before does not matter.
        let trained = net.effective();
        forward(&trained, &(inputs[0].clone() * 9.0)).unwrap();
        assert_eq!(update_bn(&mut net, inputs, forward).unwrap(), 3);
        let (found, after) = (StateDict::of(&net), case.state_dict("after."));
        let batch = case.note["batch"].as_f64().unwrap();
        for tensor in after.checkpoint().iter() {
            let name = tensor.name();
            let found = found.checkpoint().get(name).unwrap().to_f64_vec().unwrap();
            let mut expected = tensor.to_f64_vec().unwrap();
            if name.ends_with("running_var") {
                // Burn's variances are biased, PyTorch's are not.
                expected.iter_mut().for_each(|value| *value *= (batch - 1.0) / batch);
            }
            assert_close(&case.label(name), &found, &expected, tolerance(case.dtype));
        }
    }
    golden.assert_all_tested(["ema", "ema_buffers", "swa", "swa_buffers", "update_bn"]);
}

#[test]
fn what_update_bn_cannot_do_changes_nothing() {
    let x = Tensor::<2>::ones([5, 4], &device());
    let mut net = with_norms(DType::F32);
    let before = StateDict::of(&net);
    let none: [Tensor<2>; 0] = [];
    let error = update_bn(&mut net, none, forward).unwrap_err();
    assert!(error.to_string().contains("no batch"), "{error}");
    let inner = [x.clone().inner()];
    let mut valid = net.valid();
    let error = update_bn(&mut valid, inner, forward).unwrap_err();
    assert!(error.to_string().contains("in training"), "{error}");
    // The second batch does not fit.
    let bad = [x.clone(), Tensor::ones([5, 3], &device())];
    assert!(update_bn(&mut net, bad, forward).is_err());
    assert_eq!(StateDict::of(&net), before);
    let mut plain = Parametrized::new(LinearConfig::new(4, 3).init(&device()));
    assert_eq!(update_bn(&mut plain, [x.clone()], |net, x| Ok(net.forward(x.clone()))).unwrap(), 0);
    // Frozen ones keep theirs, and compute with them.
    let mut frozen = net.deep_copy().freeze();
    assert!(update_bn(&mut frozen, [x.clone()], forward).is_ok_and(|count| count == 0));
    assert_eq!(StateDict::of(&frozen), before);
}

#[derive(Module, Debug)]
struct Two {
    used: BatchNorm,
    unused: BatchNorm,
    frozen: BatchNorm,
}

#[test]
fn norms_that_are_not_reached_or_frozen_keep_their_statistics() {
    let norm = || BatchNormConfig::new(4).init(&device());
    let two = Two { used: norm(), unused: norm(), frozen: norm().freeze() };
    let mut net = Parametrized::new(two);
    let x = Tensor::<2>::from_floats([[1., 2., 3., 4.], [5., 1., 0., 2.]], &device());
    let before = StateDict::of(&net);
    let y = |two: &Two, x: &Tensor<2>| two.used.forward(two.frozen.forward(x.clone()));
    update_bn(&mut net, [x.clone(), x.clone()], |two, x| Ok(y(two, x))).unwrap();
    let after = StateDict::of(&net);
    let of = |state: &StateDict, name: &str| state.checkpoint().get(name).unwrap().clone();
    for name in ["unused.running_mean", "unused.running_var", "frozen.running_mean"] {
        assert_eq!(of(&after, name), of(&before, name), "{name}");
    }
    let mean = of(&after, "used.running_mean").to_f64_vec().unwrap();
    assert_close("mean", &mean, &[3.0, 1.5, 1.5, 3.0], Tolerance::new(1e-4, 0.0));
}

#[test]
fn an_average_shares_nothing_with_the_network_in_training() {
    let mut net = with_norms(DType::F32);
    net.register("3.weight", Orthogonal::cayley()).unwrap();
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    let mut optim = SgdConfig::new().init();
    let mut average = AveragedModel::new(&net, Average::ema(0.5).unwrap());
    let mut before = StateDict::of(average.model());
    let start = before.clone();
    for step in 0..4 {
        let x = Tensor::<2>::ones([5, 4], &device()) * (step + 1)
            + Tensor::arange(0..5, &device()).float().reshape([5, 1]);
        let y = forward(&net.effective(), &x).unwrap();
        let grads = net.grads((y - 0.3).square().mean().backward()).unwrap();
        net = optim.step(0.1, net, grads);
        assert_eq!(StateDict::of(average.model()), before, "training leaves the average alone");
        let trained = StateDict::of(&net);
        average.update(&net).unwrap();
        assert_eq!(StateDict::of(&net), trained, "and the average the training");
        before = StateDict::of(average.model());
        assert_eq!(before == trained, step == 0, "the first update copies");
    }
    assert_ne!(before, start);
    // The constraint holds for the average, and pruned values are zeros.
    let w: Tensor<2> = average.model().get("3.weight").unwrap().detach();
    let product = w.clone().matmul(w.transpose()).into_data();
    let eye = Tensor::<2>::eye(3, &device()).into_data();
    product.assert_approx_eq::<f32>(&eye, burn::tensor::Tolerance::absolute(1e-5));
    let zeros = |net: &Net| {
        let w: Tensor<2> = net.get("0.weight").unwrap();
        common::values(w.detach()).iter().map(|w| *w == 0.0).collect::<Vec<_>>()
    };
    assert_eq!(zeros(average.model()), zeros(&net));
    assert_eq!(zeros(&net).iter().filter(|zero| **zero).count(), 6);
    // A validation snapshot of the training can be taken in too.
    average.update(&net.valid().train()).unwrap();
    assert_eq!(average.n_averaged(), 5);
    assert!(average.into_model().devices()[0].is_autodiff());
}

#[test]
fn a_network_that_has_changed_is_refused() {
    let mut net = with_norms(DType::F32);
    let mut average = AveragedModel::new(&net, Average::swa());
    average.update(&net).unwrap();
    let before = StateDict::of(average.model());
    net.register("3.weight", WeightNorm::dim(0)).unwrap();
    let error = average.update(&net).unwrap_err();
    assert!(matches!(error, Error::Average { .. }));
    let text = error.to_string();
    assert!(text.contains("has `3.weight` [3, 5]"), "{text}");
    assert!(text.contains("`3.parametrizations.weight.original0`"), "{text}");
    assert_eq!((StateDict::of(average.model()), average.n_averaged()), (before, 1));
    assert!(Average::ema(f64::NAN).is_err() && Average::ema(-0.1).is_err());
    let net = with_norms(DType::F32);
    let mut average = AveragedModel::new(&net, Average::by(|_| f64::NAN));
    average.update(&net).unwrap();
    assert!(average.update(&net).is_err());
    assert_eq!(format!("{:?}", Average::by(|_| 0.5)), "Average::by(<function>)");
}

#[test]
fn frozen_parameters_stay_frozen_and_others_trained() {
    let net = with_norms(DType::F32);
    let mut average = AveragedModel::new(&net, Average::swa());
    average.update(&net).unwrap();
    average.update(&net).unwrap();
    let trained = |net: &Net| net.entries().iter().map(|e| e.trainable).collect::<Vec<_>>();
    assert_eq!(trained(average.model()), trained(&net));
    let frozen = with_norms(DType::F32).freeze();
    let mut average = AveragedModel::new(&frozen, Average::swa());
    average.update(&net).unwrap();
    average.update(&net).unwrap();
    assert!(trained(average.model()).iter().all(|trained| !trained));
}

#[test]
fn a_weight_of_ones_own_is_asked_with_the_number_averaged() {
    use std::sync::{Arc, Mutex};
    let net = with_norms(DType::F32);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let mut average = AveragedModel::new(
        &net,
        Average::by(move |n| {
            log.lock().unwrap().push(n);
            0.5
        }),
    );
    for _ in 0..4 {
        average.update(&net).unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [1, 2, 3], "the first one is copied");
}

//! What a watch sees, by name, and that it leaves the training alone.

use std::sync::{Arc, Mutex};

use burn::module::{Module, Param};
use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::observe::{ObserveError, Plain, Record, Sink, Stats, Watch};
use espalier::optim::{AdamW, Groups};
use espalier::parametrize::{Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{Error, Parametrized, Selector};

fn device() -> Device {
    Device::flex().autodiff()
}

/// Linear 4-6, batch norm, ReLU, linear 6-6, linear 6-6.
fn net() -> Parametrized<Sequential> {
    let device = device();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new().with(linear(4, 6)).with(BatchNormConfig::new(6).init(&device));
    let net = net.with(Relu::new()).with(linear(6, 6)).with(linear(6, 6));
    let linears = Selector::regex(r"\.(weight|bias)$").unwrap();
    Parametrized::new(Init::Uniform(-0.5, 0.5).apply(net, &linears, 5).unwrap())
}

fn grads(net: &Parametrized<Sequential>, seed: u64) -> GradientsParams {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f32> = (0..32).map(|_| rng.normal() as f32).collect();
    let inputs = Tensor::<2>::from_data(TensorData::new(values, [8, 4]), &device());
    let y: Tensor<2> = net.effective().forward(inputs).unwrap();
    net.grads((y - 0.3).square().mean().backward()).unwrap()
}

/// What is seen of one step of AdamW.
fn one_step(net: Parametrized<Sequential>, watch: Watch) -> Vec<Record> {
    let mut watch = watch;
    let mut optim = Groups::new(AdamW::new().with_rate(0.01)).build(&net).unwrap();
    let grads = grads(&net, 0);
    watch.before(0, &net, &grads).unwrap();
    let net = optim.step(net, grads);
    watch.after(0, &net).unwrap().to_vec()
}

fn paths(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.path.as_str()).collect()
}

#[test]
fn each_parameter_is_seen_once_and_no_buffer() {
    let mut net = net();
    net.tie("4.weight", "3.weight").unwrap();
    let seen = one_step(net, Watch::new());
    let expected = ["0.weight", "0.bias", "1.gamma", "1.beta", "3.weight", "3.bias", "4.bias"];
    assert_eq!(paths(&seen), expected);
    assert!(seen.iter().all(|record| record.weight.is_some() && record.gradient.is_some()));
    assert!(seen.iter().all(|record| record.update.unwrap().norm > 0.0));
}

#[test]
fn a_tied_name_selects_what_it_is_tied_to() {
    let mut net = net();
    net.tie("4.weight", "3.weight").unwrap();
    let watch = Watch::new().select("4.weight").unwrap().select("0.*").unwrap();
    assert_eq!(paths(&one_step(net, watch)), ["0.weight", "0.bias", "3.weight"]);
}

#[test]
fn effective_weights_under_their_names_and_gradients_of_originals() {
    let mut net = net();
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.register("3.weight", Symmetric::new()).unwrap();
    net.prune("4.weight", L1Unstructured::new(0.5)).unwrap();
    let grads = grads(&net, 0);
    let id = |path: &str| net.entries().iter().find(|info| info.path == path).unwrap().id;
    let expected = Stats::of(&grads.get::<2>(id("3.weight")).unwrap(), 64).unwrap();
    let symmetric = Stats::of(&net.get::<2>("3.weight").unwrap(), 64).unwrap();

    let seen = one_step(net.deep_copy(), Watch::new().select("**.weight").unwrap());
    let names = [
        "0.weight",
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
        "3.weight",
        "4.weight",
    ];
    assert_eq!(paths(&seen), names);
    assert!(seen[0].gradient.is_none() && seen[0].update.is_some());
    for original in &seen[1..3] {
        assert!(original.weight.is_none() && original.update.is_none());
    }
    // The scale of each of the six outputs, then the directions.
    assert_eq!(seen[1].gradient.as_ref().unwrap().count, 6);
    assert_eq!(seen[2].gradient.as_ref().unwrap().count, 24);
    assert_eq!(seen[3].weight.as_ref().unwrap(), &symmetric);
    assert_eq!(seen[3].gradient.as_ref().unwrap(), &expected);
    assert_eq!(seen[4].weight.as_ref().unwrap().zero_fraction(), 0.5);
    assert_eq!(seen[4].gradient.as_ref().unwrap().zeros, 18, "none through the mask");
}

#[test]
fn the_update_is_the_difference() {
    let net = net();
    let values = |net: &Parametrized<Sequential>| -> Vec<f64> {
        net.get::<2>("3.weight").unwrap().into_data().iter::<f64>().collect()
    };
    let before = values(&net);
    let mut optim = Groups::new(AdamW::new().with_rate(0.01)).build(&net).unwrap();
    let mut watch = Watch::new().select("3.weight").unwrap();
    let grads = grads(&net, 0);
    watch.before(0, &net, &grads).unwrap();
    let net = optim.step(net, grads);
    let update = watch.after(0, &net).unwrap()[0].update.unwrap();
    let after = values(&net);
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let change = norm(&mut before.iter().zip(&after).map(|(a, b)| b - a));
    assert!((update.norm / change - 1.0).abs() < 1e-12);
    assert!((update.ratio / (change / norm(&mut before.iter().copied())) - 1.0).abs() < 1e-12);
    // AdamW's first step moves every weight by about its rate.
    assert!((update.norm / 0.06 - 1.0).abs() < 0.01, "{}", update.norm);
}

#[test]
fn a_watched_training_is_the_same_training() {
    let train = |every: usize| {
        let mut net = net();
        net.register("3.weight", WeightNorm::dim(0)).unwrap();
        let mut optim = Groups::new(AdamW::new().with_rate(0.05)).build(&net).unwrap();
        let mut watch = Watch::new().every(every);
        let mut seen = 0;
        for step in 0..9 {
            let grads = grads(&net, step as u64);
            watch.before(step, &net, &grads).unwrap();
            net = optim.step(net, grads);
            seen += watch.after(step, &net).unwrap().len();
        }
        (StateDict::of(&net), seen)
    };
    let (alone, none) = train(0);
    let (watched, some) = train(2);
    assert_eq!((none, some), (0, 5 * 10), "five steps of ten records");
    assert_eq!(alone, watched, "running statistics included");
}

#[test]
fn a_frozen_parameter_has_no_gradient() {
    let device = device();
    let frozen = LinearConfig::new(4, 6).init(&device).freeze();
    let net = Sequential::new().with(frozen).with(LinearConfig::new(6, 6).init(&device));
    let net = Parametrized::new(net);
    let seen = one_step(net, Watch::new().select("0.weight").unwrap());
    assert!(seen[0].gradient.is_none());
    let update = seen[0].update.unwrap();
    assert_eq!((update.norm, update.ratio), (0.0, 0.0));
}

#[test]
fn nothing_and_zeros_are_no_trouble() {
    #[derive(Module, Debug)]
    struct Odd {
        none: Param<Tensor<2>>,
        zeros: Param<Tensor<1>>,
        half: Param<Tensor<1>>,
    }
    let device = device();
    let odd = Odd {
        none: Param::from_tensor(Tensor::zeros([0, 3], &device)),
        zeros: Param::from_tensor(Tensor::zeros([3], &device)),
        half: Param::from_tensor(Tensor::<1>::ones([3], (&device, DType::BF16))),
    };
    let mut watch = Watch::new();
    watch.before(0, &Plain(&odd), &GradientsParams::new()).unwrap();
    let seen = watch.after(0, &Plain(&odd)).unwrap();
    assert_eq!(paths(seen), ["none", "zeros", "half"]);
    let weight = |at: usize| seen[at].weight.as_ref().unwrap();
    assert_eq!((weight(0).count, weight(0).norm, weight(0).bins.len()), (0, 0.0, 0));
    assert_eq!((weight(1).zero_fraction(), weight(1).bins.as_slice()), (1.0, &[3][..]));
    assert!(seen[1].update.unwrap().ratio.is_nan());
    assert_eq!((weight(2).mean, weight(2).std), (1.0, 0.0));
}

#[test]
fn wrong_selections_are_told_at_the_first_observed_step() {
    let (net, none) = (net(), GradientsParams::new());
    assert!(Watch::new().select("[").is_err());
    let mut watch = Watch::new().every(10).select("3.wieght").unwrap();
    watch.before(7, &net, &none).unwrap();
    let error = watch.before(10, &net, &none).unwrap_err();
    assert!(error.to_string().contains("nearest: `3.weight`"), "{error}");
    let mut watch = Watch::new().select("1.running_mean").unwrap();
    let error = watch.before(0, &net, &none).unwrap_err();
    assert!(matches!(error, Error::RunningStatistic { path } if path == "1.running_mean"));
}

#[test]
fn after_needs_before() {
    let (net, none) = (net(), GradientsParams::new());
    let mut watch = Watch::new().every(5);
    let error = watch.after(5, &net).unwrap_err();
    assert!(error.to_string().starts_with("`after` of step 5 follows no `before`"), "{error}");
    watch.before(0, &net, &none).unwrap();
    let error = watch.after(5, &net).unwrap_err();
    let before = Some(0);
    assert!(
        matches!(error, Error::Observe(ObserveError::Order { step: 5, before: b }) if b == before)
    );
    assert_eq!(watch.after(0, &net).unwrap().len(), 8, "the step that is open can still end");
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<String>>>);

impl Sink for Memory {
    fn record(&mut self, record: &Record) -> Result<(), ObserveError> {
        self.0.lock().unwrap().push(format!("{} {}", record.step, record.path));
        Ok(())
    }
    fn scalar(&mut self, name: &str, step: usize, value: f64) -> Result<(), ObserveError> {
        self.0.lock().unwrap().push(format!("{step} {name} {value}"));
        Ok(())
    }
}

#[test]
fn every_sink_is_told_in_order() {
    let (a, b) = (Memory::default(), Memory::default());
    let mut watch = Watch::new().every(2).select("3.*").unwrap().to(a.clone()).to(b.clone());
    let (net, none) = (net(), GradientsParams::new());
    for step in 0..3 {
        watch.scalar("loss", step, 0.5).unwrap();
        watch.before(step, &net, &none).unwrap();
        watch.after(step, &net).unwrap();
    }
    let expected = [
        "0 loss 0.5",
        "0 3.weight",
        "0 3.bias",
        "1 loss 0.5",
        "2 loss 0.5",
        "2 3.weight",
        "2 3.bias",
    ];
    assert_eq!(*a.0.lock().unwrap(), expected);
    assert_eq!(*b.0.lock().unwrap(), expected);
}

//! Networks and steps that the tests share.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::nn::{BatchNormConfig, LinearConfig, Tanh};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::parametrize::{Parametrization, RuleError};
use espalier::{Parametrized, Selector};

pub fn device() -> Device {
    Device::default().autodiff()
}

/// Linear 6-8, batch norm, tanh, linear 8-8, tanh, linear 8-3, the same values for a seed.
pub fn plain(device: &Device, seed: u64) -> Sequential {
    let net = Sequential::new()
        .with(LinearConfig::new(6, 8).init(device))
        .with(BatchNormConfig::new(8).init(device))
        .with(Tanh::new())
        .with(LinearConfig::new(8, 8).init(device))
        .with(Tanh::new())
        .with(LinearConfig::new(8, 3).init(device));
    let every = Selector::regex(r"\.(weight|bias)$").unwrap();
    Init::Uniform(-0.5, 0.5).apply(net, &every, seed).unwrap()
}

pub fn wrapped(seed: u64) -> Parametrized<Sequential> {
    Parametrized::new(plain(&device(), seed))
}

/// The same inputs for a seed.
pub fn inputs(device: &Device, seed: u64) -> Tensor<2> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f64> = (0..10 * 6).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, [10, 6]).convert::<f32>(), device)
}

pub fn output(net: &Parametrized<Sequential>, seed: u64) -> Vec<f32> {
    let device = net.devices().remove(0);
    let y: Tensor<2> = net.effective().forward(inputs(&device, seed)).unwrap();
    y.into_data().try_to_vec().unwrap()
}

pub fn loss_grads(net: &Parametrized<Sequential>, seed: u64) -> GradientsParams {
    let step = net.effective();
    let y: Tensor<2> = step.forward(inputs(&device(), seed)).unwrap();
    net.grads((y - 0.5).square().mean().backward()).unwrap()
}

/// `steps` optimizer steps on inputs that differ each time.
pub fn train(
    mut net: Parametrized<Sequential>,
    optim: &mut ModuleOptimizer,
    steps: u64,
) -> Parametrized<Sequential> {
    for step in 0..steps {
        let grads = loss_grads(&net, step);
        net = optim.step(0.05, net, grads);
    }
    net
}

pub fn values<const D: usize>(net: &Parametrized<Sequential>, path: &str) -> Vec<f32> {
    net.get::<D>(path).unwrap().into_data().try_to_vec().unwrap()
}

/// A rule that changes nothing and counts how often it is evaluated.
#[derive(Module, Debug)]
pub struct Identity {
    #[module(skip)]
    pub counter: &'static AtomicUsize,
}

impl Parametrization<2> for Identity {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        self.counter.fetch_add(1, Ordering::Relaxed);
        originals[0].clone()
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value])
    }
}

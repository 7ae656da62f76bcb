//! A network with biases, a norm and three linear layers.

use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use espalier::init::Init;
use espalier::nn::Sequential;
use espalier::optim::GroupedOptimizer;
use espalier::{Parametrized, Selector};

pub(crate) fn net() -> Parametrized<Sequential> {
    let device = Device::default().autodiff();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new()
        .with(linear(3, 4))
        .with(BatchNormConfig::new(4).init(&device))
        .with(Relu::new())
        .with(linear(4, 4))
        .with(linear(4, 2));
    let all = Selector::glob("**").unwrap();
    Parametrized::new(Init::Normal(0.0, 0.5).apply(net, &all, 1).unwrap())
}

pub(crate) fn grads(net: &Parametrized<Sequential>) -> GradientsParams {
    let device = Device::default().autodiff();
    let x = Tensor::<2>::from_data([[1.0, -0.5, 2.0], [0.3, 0.7, -1.0]], &device);
    let y: Tensor<2> = net.effective().forward(x).unwrap();
    net.grads(y.square().sum().backward()).unwrap()
}

/// The network after some steps.
pub(crate) fn train(
    mut net: Parametrized<Sequential>,
    optim: &mut GroupedOptimizer,
    steps: usize,
) -> Parametrized<Sequential> {
    for _ in 0..steps {
        let grads = grads(&net);
        net = optim.step(net, grads);
        optim.end_step().unwrap();
    }
    net
}

pub(crate) fn values<const D: usize>(net: &Parametrized<Sequential>, path: &str) -> Vec<f32> {
    net.get::<D>(path).unwrap().into_data().try_into_vec().unwrap()
}

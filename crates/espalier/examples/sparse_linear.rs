//! A network that is sparse from the start: a fraction of the weights, chosen by a seed, is zero and
//! stays zero.
//!
//! Run it: `cargo run --release --example sparse_linear`

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use espalier::nn::MaskedLinear;

#[derive(Module, Debug)]
struct Net {
    first: MaskedLinear,
    second: MaskedLinear,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut net = Net {
        first: MaskedLinear::sparse(&LinearConfig::new(16, 64), 0.8, 1, &device)?,
        second: MaskedLinear::sparse(&LinearConfig::new(64, 1), 0.5, 2, &device)?,
    };
    let x = Tensor::<2>::random([64, 16], Distribution::Normal(0.0, 1.0), &device);
    let y = x.clone().narrow(1, 0, 1) * 2.0 - x.clone().narrow(1, 1, 1);
    let loss = |net: &Net| {
        let hidden = relu(net.first.forward(x.clone()));
        (net.second.forward(hidden) - y.clone()).square().mean()
    };
    let before = loss(&net).into_scalar::<f32>();
    let mut optim = AdamConfig::new().init();
    for _ in 0..200 {
        let grads = GradientsParams::from_grads(loss(&net).backward(), &net);
        net = optim.step(0.01, net, grads);
    }
    let after = loss(&net).into_scalar::<f32>();
    println!("loss {before:.3} -> {after:.4}");
    assert!(after < 0.2 * before);

    let zeros = |layer: &MaskedLinear| {
        let weight = layer.weight().into_data();
        weight.iter::<f32>().filter(|weight| *weight == 0.0).count()
    };
    // 0.8 of 1024, half to even, and a half of 64.
    assert_eq!((zeros(&net.first), zeros(&net.second)), (819, 32));
    Ok(())
}

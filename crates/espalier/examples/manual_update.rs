//! A step of gradient descent by hand, equal to that of Burn's SGD.
//!
//! Run it: `cargo run --release --example manual_update`

use burn::nn::{LinearConfig, Tanh};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::{Error, ParameterTree};

const RATE: f64 = 0.1;

fn grads(net: &Sequential, device: &Device) -> Result<GradientsParams, Error> {
    let x = Tensor::<1>::from_floats([0.5, -1.0, 2.0, 1.0, 0.0, -0.5], device).reshape([2, 3]);
    let output: Tensor<2> = net.forward(x)?;
    Ok(GradientsParams::from_grads((output - 1.0).square().mean().backward(), net))
}

fn main() -> Result<(), Error> {
    let device = Device::default().autodiff();
    let mut by_hand = Sequential::new()
        .with(LinearConfig::new(3, 5).init(&device))
        .with(Tanh::new())
        .with(LinearConfig::new(5, 1).init(&device));
    let mut by_sgd = by_hand.clone();
    let mut sgd = SgdConfig::new().init();

    for step in 0..5 {
        // for p in net.parameters(): p.data -= rate * p.grad
        let g = by_hand.gradients_tree(&grads(&by_hand, &device)?);
        let mut stepped = by_hand.params_tree();
        for (path, gradient) in g.leaves() {
            if let Some(p) = stepped.get_mut(&path) {
                *p = p.add_scaled(gradient, -RATE)?;
            }
        }
        by_hand.set_tree(&stepped)?;

        let g = grads(&by_sgd, &device)?;
        by_sgd = sgd.step(RATE, by_sgd, g);

        let mut largest: f64 = 0.0;
        let (a, b) = (by_hand.params_tree(), by_sgd.params_tree());
        for (_, (a, b)) in a.zip(&b)?.leaves() {
            for (a, b) in a.to_data().iter::<f64>().zip(b.to_data().iter::<f64>()) {
                largest = largest.max((a - b).abs());
            }
        }
        println!("step {step}: largest difference between the two {largest:e}");
        assert!(largest < 1e-6, "the same steps up to rounding");
    }

    // One parameter of a known rank, with its gradient.
    let g = grads(&by_hand, &device)?;
    let bias: Tensor<1> = by_hand.get_parameter("2.bias")?;
    let grad = by_hand.gradient_or_zeros::<1>("2.bias", &g)?;
    let expected = bias.without_autodiff() - grad * RATE;
    by_hand.set_parameter("2.bias", expected.clone())?;
    let found: Tensor<1> = by_hand.get_parameter("2.bias")?;
    println!("2.bias is now {}", found.to_data());
    assert_eq!(found.into_data(), expected.into_data());
    assert!(by_hand.parameter("2.bias")?.trainable, "it is trained on as before");
    Ok(())
}

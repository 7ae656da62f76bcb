//! A layer of one's own whose weight stays orthogonal in training.
//!
//! Run it: `cargo run --release --example orthogonal_linear`

use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::init::Rng;
use espalier::nn::{Layer, Sequential, WidthError};
use espalier::parametrize::Orthogonal;
use espalier::{AnyTensor, Parametrized};

/// `scale * x W`: a rotation of the features, then one learned scale for each.
#[derive(Module, Debug)]
struct Rotation {
    weight: Param<Tensor<2>>,
    scale: Param<Tensor<1>>,
}

impl Rotation {
    fn new(features: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::eye(features, device)),
            scale: Param::from_tensor(Tensor::ones([features], device)),
        }
    }
}

impl Layer for Rotation {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check(input, 1, self.weight.dims()[0], "features")?;
        Ok(input.to_vec())
    }

    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, espalier::Error> {
        let x: Tensor<2> = input.into_rank()?;
        Ok((x.matmul(self.weight.val()) * self.scale.val().unsqueeze()).into())
    }
}

/// The largest entry of `|W^T W - I|`.
fn distance(weight: Tensor<2>, device: &Device) -> f32 {
    let product = weight.clone().transpose().matmul(weight);
    (product - Tensor::eye(4, device)).abs().max().into_scalar()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let net = Sequential::new()
        .with(Rotation::new(4, &device))
        .with(LinearConfig::new(4, 1).init(&device));
    let mut net = Parametrized::new(net);
    net.register("0.weight", Orthogonal::cayley())?;
    print!("{}", net.summary());

    let mut rng = Rng::seeded(3);
    let values: Vec<f32> = (0..64).map(|_| rng.normal() as f32).collect();
    let x = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([16, 4]);
    let before: Tensor<2> = net.get("0.weight")?;
    let mut optim = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..50 {
        let output: Tensor<2> = net.effective().forward(x.clone())?;
        let target = x.clone().slice([0..16, 0..1]) * 2.0;
        let loss = (output - target).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward())?;
        net = optim.step(0.02, net, grads);
    }
    let weight: Tensor<2> = net.get("0.weight")?;
    let moved = (weight.clone() - before).abs().max().into_scalar::<f32>();
    let off = distance(weight, &device);
    println!("\nloss {:.4} -> {:.4}", losses[0], losses[49]);
    println!("the weight moved by {moved:.3}, |W^T W - I| is {off:e}");
    assert!(losses[49] < losses[0] && moved > 0.01);
    assert!(off < 1e-5, "orthogonal after fifty steps");
    Ok(())
}

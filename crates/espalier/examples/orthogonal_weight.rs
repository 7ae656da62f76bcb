//! A learned orthogonal factor times the weight: an own rule with two originals, of which one is
//! parametrized itself.
//!
//! Run it: `cargo run --release --example orthogonal_weight`

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::parametrize::{Orthogonal, Own, Parametrization, RuleError};

const FACTOR: &str = "parametrizations.weight.original0";

/// `Q W`.
#[derive(Module, Debug)]
struct Times {}

impl Parametrization<2> for Times {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone().matmul(originals[1].clone())
    }

    /// The factor is the identity at first, so that the weight stays.
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        let factor = Tensor::eye(value.dims()[0], &value.device());
        Ok(vec![factor, value])
    }
}

/// What a rotation cannot change: `W^T W`.
fn gram(w: Tensor<2>) -> Tensor<2> {
    w.clone().transpose().matmul(w)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut net = Parametrized::new(LinearConfig::new(5, 3).with_bias(false).init(&device));
    let before: Tensor<2> = net.get("weight")?;
    net.register("weight", Own::new("times", Times {}))?;
    net.register(FACTOR, Orthogonal::cayley())?;
    let registered: Tensor<2> = net.get("weight")?;
    assert!((registered - before.clone()).abs().max().into_scalar::<f32>() < 1e-5);

    let x = Tensor::<2>::eye(5, &device);
    let mut optim = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..60 {
        let loss = (net.effective().forward(x.clone()) - 0.3).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward())?;
        assert_eq!(grads.len(), 2, "the factor and the weight both learn");
        net = optim.step(0.02, net, grads);
    }
    println!("loss {:.4} -> {:.4}", losses[0], losses[59]);
    assert!(losses[59] < 0.5 * losses[0]);

    let (value, weight) =
        (net.get::<2>("weight")?, net.get::<2>("parametrizations.weight.original1")?);
    let turned = (value.clone() - weight.clone()).abs().max().into_scalar::<f32>();
    let off = (gram(net.get(FACTOR)?) - Tensor::eye(5, &device)).abs().max().into_scalar::<f32>();
    let changed = (gram(value) - gram(weight)).abs().max().into_scalar::<f32>();
    println!("turned by {turned:.3}; |Q^T Q - I| is {off:e}, |(QW)^T QW - W^T W| {changed:e}");
    assert!(turned > 1e-2 && off < 1e-5 && changed < 1e-5, "the factor is orthogonal still");
    Ok(())
}

//! A learned rotation times the weight: an own rule with two originals.
//!
//! Run it: `cargo run --release --example orthogonal_weight`

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::init::Rng;
use espalier::parametrize::{Own, Parametrization, RuleError};

/// `Q W` with `Q` a product of reflections, one for each row of the first original.
#[derive(Module, Debug)]
struct Rotated {}

impl Parametrization<2> for Rotated {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        let (reflections, mut value) = (originals[0].clone(), originals[1].clone());
        for row in reflections.iter_dim(0) {
            // (I - 2 v v^T / |v|^2) W
            let across = row.clone().matmul(value.clone()) * 2.0 / row.clone().square().sum_dim(1);
            value = value - row.transpose().matmul(across);
        }
        value
    }

    /// Each reflection stands twice at first, so that `Q` is the identity and the weight stays.
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        let mut rng = Rng::seeded(1);
        let n = value.dims()[0];
        let row: Vec<f32> = (0..n).map(|_| rng.normal() as f32).collect();
        let row = Tensor::<1>::from_floats(row.as_slice(), &value.device()).unsqueeze::<2>();
        Ok(vec![row.repeat(&[4, 1]), value])
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
    net.register("weight", Own::new("rotated", Rotated {}))?;
    let registered: Tensor<2> = net.get("weight")?;
    assert!((registered - before.clone()).abs().max().into_scalar::<f32>() < 1e-5);

    let x = Tensor::<2>::eye(5, &device);
    let mut optim = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..60 {
        let loss = (net.effective().forward(x.clone()) - 0.3).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward())?;
        assert_eq!(grads.len(), 2, "the reflections and the weight both learn");
        net = optim.step(0.02, net, grads);
    }
    println!("loss {:.4} -> {:.4}", losses[0], losses[59]);
    assert!(losses[59] < 0.5 * losses[0]);

    let (value, factor) =
        (net.get::<2>("weight")?, net.get::<2>("parametrizations.weight.original1")?);
    let turned = (value.clone() - factor.clone()).abs().max().into_scalar::<f32>();
    let off = (gram(value) - gram(factor)).abs().max().into_scalar::<f32>();
    println!("turned by {turned:.3}; |(QW)^T QW - W^T W| is {off:e}");
    assert!(turned > 1e-2 && off < 1e-5, "the first factor is orthogonal still");
    Ok(())
}

//! A learned soft mask: an own rule, and a penalty on what it lets through.
//!
//! Run it: `cargo run --release --example sparse_weight`

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::parametrize::{Own, Parametrization, RuleError};

const SCORES: &str = "parametrizations.weight.original0";

/// `sigmoid(scores) * weight`.
#[derive(Module, Debug)]
struct SoftMask {}

impl Parametrization<2> for SoftMask {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        sigmoid(originals[0].clone()) * originals[1].clone()
    }
    /// All gates half open.
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value.zeros_like(), value * 2.0])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut net = Parametrized::new(LinearConfig::new(6, 1).with_bias(false).init(&device));
    net.set("weight", Tensor::<2>::full([6, 1], 0.5, &device))?;
    net.register("weight", Own::new("soft_mask", SoftMask {}))?;

    // Of six inputs only the first two matter.
    let x = Tensor::<2>::eye(6, &device) * 2.0;
    let target = Tensor::<2>::from_floats([[2.0], [-2.0], [0.0], [0.0], [0.0], [0.0]], &device);
    let mut optim = AdamConfig::new().init();
    for _ in 0..300 {
        let grads = {
            let scope = net.cached();
            let error = (scope.effective().forward(x.clone()) - target.clone()).square().mean();
            let open = sigmoid(scope.get::<2>(SCORES)?).mean();
            net.grads((error + open * 0.05).backward())?
        };
        net = optim.step(0.05, net, grads);
    }

    let gates: Vec<f32> = sigmoid(net.get::<2>(SCORES)?).into_data().try_to_vec()?;
    let weight: Vec<f32> = net.get::<2>("weight")?.into_data().try_to_vec()?;
    println!("gates  {gates:.2?}\nweight {weight:.2?}");
    assert!(gates[..2].iter().all(|gate| *gate > 0.5), "what matters is let through");
    assert!(gates[2..].iter().all(|gate| *gate < 0.3), "the rest is closed");
    assert!((weight[0] - 1.0).abs() < 0.1 && weight[2].abs() < 0.1);

    // Folded, it is a plain layer with the product as its weight.
    let plain = net.fold();
    let folded: Vec<f32> = plain.weight.val().into_data().try_to_vec()?;
    assert_eq!(folded, weight);
    Ok(())
}

//! Layers that compete: 80 % of all weights go, wherever the smallest are; by magnitude, and by
//! gradient times weight.
//!
//! Run it: `cargo run --release --example global`

use burn::nn::{LinearConfig, Relu};
use burn::tensor::{Device, Distribution, Tensor};
use espalier::Parametrized;
use espalier::nn::Sequential;
use espalier::prune::{Importance, L1Unstructured};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let net = Sequential::new()
        .with(LinearConfig::new(20, 50).init(&device))
        .with(Relu::new())
        .with(LinearConfig::new(50, 10).init(&device));
    let mut net = Parametrized::new(net);

    net.prune_global("*.weight", L1Unstructured::new(0.8))?;
    for path in ["0.weight", "2.weight"] {
        println!("{path}: {:.1} % zero", 100.0 * net.sparsity(path)?);
    }
    // 0.8 of 1500, exactly.
    assert_eq!(net.zeros("0.weight")? + net.zeros("2.weight")?, 1200);
    assert_ne!(net.sparsity("0.weight")?, net.sparsity("2.weight")?);

    // Undone, and done again by what a weight does to the loss.
    net.restore("*.weight")?;
    assert!(net.pruned_paths().is_empty());
    let x = Tensor::<2>::random([32, 20], Distribution::Normal(0.0, 1.0), &device);
    let output: Tensor<2> = net.effective().forward(x)?;
    let grads = net.grads(output.square().mean().backward())?;
    let taylor = Importance::taylor(&net, "*.weight", &grads)?;
    net.prune_global_by("*.weight", L1Unstructured::new(0.8), &taylor)?;
    assert_eq!(net.zeros("0.weight")? + net.zeros("2.weight")?, 1200);
    Ok(())
}

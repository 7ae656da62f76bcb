//! A mask drawn by hand: a layer that sees its neighbours only, trained and saved.
//!
//! Run it: `cargo run --release --example manual_mask`

use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use espalier::Parametrized;
use espalier::prune::{self, Identity};
use espalier::state::{StateDict, Strict};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const N: usize = 8;
    let device = Device::default().autodiff();
    let near: Vec<bool> = (0..N * N).map(|i| (i / N).abs_diff(i % N) <= 1).collect();
    let ones = near.iter().filter(|near| **near).count();
    let near = Tensor::<2, Bool>::from_data(TensorData::new(near, [N, N]), &device);

    let mut net = Parametrized::new(LinearConfig::new(N, N).init(&device));
    prune::custom_from_mask(&mut net, "weight", near)?;
    assert_eq!(net.zeros("weight")?, N * N - ones);

    let x = Tensor::<2>::eye(N, &device);
    let mut optim = AdamConfig::new().init();
    for _ in 0..50 {
        let loss = (net.effective().forward(x.clone()) - x.clone()).square().mean();
        let grads = net.grads(loss.backward())?;
        net = optim.step(0.05, net, grads);
    }
    assert_eq!(net.zeros("weight")?, N * N - ones, "momentum moves nothing under the mask");

    // The mask is saved with the weight, and comes back with it.
    let file = std::env::temp_dir().join(format!("manual_mask_{}.safetensors", std::process::id()));
    StateDict::of(&net).save(&file)?;
    let mut fresh = Parametrized::new(LinearConfig::new(N, N).init(&device));
    fresh.prune("weight", Identity)?;
    let fresh = StateDict::open(&file)?.load_into(fresh, Strict::Yes)?;
    std::fs::remove_file(&file)?;
    assert_eq!(fresh.kept("weight")?, net.kept("weight")?);
    println!("{} of {} weights, {:.0} % zero", ones, N * N, 100.0 * fresh.sparsity("weight")?);
    Ok(())
}

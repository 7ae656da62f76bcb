//! Train and prune in turns: each round takes a part of what is left, and the zeros hold through
//! every step. Beside it the loop by hand, on a plain layer.
//!
//! Run it: `cargo run --release --example apply_mask_loop`

use burn::nn::LinearConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use espalier::Parametrized;
use espalier::prune::{L1Unstructured, PruningContainer};
use espalier::state::StateDict;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let x = Tensor::<2>::random([64, 10], Distribution::Normal(0.0, 1.0), &device);
    let y = x.clone().narrow(1, 0, 4);

    // In the wrapper the mask is part of the weight.
    let mut net = Parametrized::new(LinearConfig::new(10, 4).init(&device));
    let mut optim = AdamWConfig::new().with_weight_decay(0.01).init();
    for (round, zeros) in [12, 20, 26].into_iter().enumerate() {
        net.prune("weight", L1Unstructured::new(0.3))?; // of what is left
        for _ in 0..100 {
            let loss = (net.effective().forward(x.clone()) - y.clone()).square().mean();
            let grads = net.grads(loss.backward())?;
            net = optim.step(0.01, net, grads);
        }
        println!("round {round}: {} of 40 are zero", net.zeros("weight")?);
        assert_eq!(net.zeros("weight")?, zeros);
    }
    let file = std::env::temp_dir().join(format!("apply_mask_{}.safetensors", std::process::id()));
    StateDict::of(&net).save(&file)?;
    println!("saved {:?}", StateDict::open(&file)?.shapes());
    std::fs::remove_file(&file)?;

    // By hand: momentum moves the pruned weights of a plain layer, so its mask is applied again.
    let mut layer = LinearConfig::new(10, 4).init(&device);
    let mut container = PruningContainer::new().with(L1Unstructured::new(0.5));
    let mut optim = AdamWConfig::new().init();
    for _ in 0..5 {
        layer = container.apply_mask(layer, "weight")?;
        let zeros = layer.weight.val().into_data().iter::<f32>().filter(|w| *w == 0.0).count();
        assert_eq!(zeros, 20, "repeating prunes no further");
        for _ in 0..20 {
            let loss = (layer.forward(x.clone()) - y.clone()).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &layer);
            layer = optim.step(0.01, layer, grads);
        }
    }
    Ok(())
}

//! A learned mask: trained with a penalty towards a sparsity, then hardened to exact zeros.
//!
//! Run it: `cargo run --release --example sparse_weight`

use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::parametrize::{SigmoidMask, SigmoidMaskLink};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut net = Parametrized::new(LinearConfig::new(6, 1).with_bias(false).init(&device));
    net.set("weight", Tensor::<2>::full([6, 1], 0.5, &device))?;
    // Of six inputs only the first two matter.
    let x = Tensor::<2>::eye(6, &device) * 2.0;
    let target = Tensor::<2>::from_floats([[2.0], [-2.0], [0.0], [0.0], [0.0], [0.0]], &device);
    net.register("weight", SigmoidMask::new().target_sparsity(4.0 / 6.0).initial(0.0))?;

    let mut optim = AdamConfig::new().init();
    for step in 0..400 {
        let grads = {
            let error = (net.effective().forward(x.clone()) - target.clone()).square().mean();
            let list = net.parametrizations("weight")?;
            let mask = list.link::<SigmoidMaskLink<2>>(0).ok_or("no mask")?;
            let penalty = mask.penalty(); // (sparsity - target)^2
            if step % 100 == 0 {
                println!("step {step:>3}: sparsity {:.2}", mask.sparsity());
            }
            net.grads((error + penalty * 2.0).backward())?
        };
        net = optim.step(0.05, net, grads);
    }
    let list = net.parametrizations("weight")?;
    let mask = list.link::<SigmoidMaskLink<2>>(0).ok_or("no mask")?;
    let gates: Vec<f32> = mask.gates().into_data().try_to_vec()?;
    println!("gates  {gates:.2?}");
    assert!((mask.sparsity() - 4.0 / 6.0).abs() < 0.1, "the penalty has done its work");
    assert!(gates[..2].iter().all(|open| gates[2..].iter().all(|shut| open > shut)));

    // Exactly the target is zero, and what is left is trained on.
    net.harden("weight")?;
    assert_eq!(net.zeros("weight")?, 4);
    let mut optim = AdamConfig::new().init();
    for _ in 0..200 {
        let error = (net.effective().forward(x.clone()) - target.clone()).square().mean();
        let grads = net.grads(error.backward())?;
        net = optim.step(0.05, net, grads);
    }
    let weight: Vec<f32> = net.fold().weight.val().into_data().try_to_vec()?;
    println!("weight {weight:.2?}");
    assert!((weight[0] - 1.0).abs() < 0.05 && (weight[1] + 1.0).abs() < 0.05);
    assert_eq!(weight[2..], [0.0; 4]);
    Ok(())
}

//! Whole channels and filters, and 2 of every 4 weights.
//!
//! Run it: `cargo run --release --example structured`

use burn::nn::LinearConfig;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::nn::Sequential;
use espalier::prune::{LnStructured, NOfM};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let net = Sequential::new()
        .with(Conv2dConfig::new([3, 8], [3, 3]).init(&device))
        .with(LinearConfig::new(16, 4).init(&device));
    let mut net = Parametrized::new(net);

    // A quarter of the eight filters, those of smallest 2-norm.
    let before: Tensor<4> = net.get("0.weight")?;
    net.prune("0.weight", LnStructured::new(0.25, 2.0, 0))?;
    let norms = |weight: Tensor<4>| -> Result<Vec<f32>, _> {
        weight.reshape([8, 27]).square().sum_dim(1).sqrt().into_data().try_into_vec()
    };
    let (full, left) = (norms(before)?, norms(net.get("0.weight")?)?);
    println!("norms {full:.3?}\n  now {left:.3?}");
    let greatest = full.iter().zip(&left).filter(|(_, now)| **now == 0.0).map(|(full, _)| *full);
    let greatest = greatest.fold(0.0, f32::max);
    assert_eq!(left.iter().filter(|norm| **norm == 0.0).count(), 2);
    assert!(left.iter().all(|norm| *norm == 0.0 || *norm >= greatest));

    // Two of every four weights that follow one another along the input features.
    net.prune("1.weight", NOfM::new(2, 4))?;
    let kept = net.kept("1.weight")?; // 4 x 16, output features first
    assert!(kept.chunks(4).all(|group| group.iter().filter(|kept| **kept).count() == 2));
    println!("{}", net.summary());
    Ok(())
}

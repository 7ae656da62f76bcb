//! Max-norm, unit norm and signs on a small network, by projection after each step.
//!
//! Run it: `cargo run --release --example constraints`

use burn::nn::{LinearConfig, Tanh};
use burn::tensor::{Device, Tensor};
use espalier::constrain::{Constraints, MaxNorm, NonNeg};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::optim::Adam;
use espalier::{Error, Parametrized, Selector};

const BOUND: f64 = 1.0;

fn network(device: &Device) -> Result<Parametrized<Sequential>, Error> {
    let net = Sequential::new()
        .with(LinearConfig::new(2, 16).init(device))
        .with(Tanh::new())
        .with(LinearConfig::new(16, 1).init(device));
    let net = Init::Uniform(-0.5, 0.5).apply(net, &Selector::glob("**")?, 1)?;
    Ok(Parametrized::new(net))
}

/// Points of the plane, and whether they lie within a circle.
fn data(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let mut rng = Rng::seeded(2);
    let points: Vec<f32> = (0..256).map(|_| 2.0 * rng.uniform() as f32 - 1.0).collect();
    let x = Tensor::<1>::from_floats(points.as_slice(), device).reshape([128, 2]);
    let inside = x.clone().square().sum_dim(1).lower_elem(0.6).float() * 2.0 - 1.0;
    (x, inside)
}

/// The network after training, and its last loss.
fn train(
    constraints: &Constraints,
    device: &Device,
) -> Result<(Parametrized<Sequential>, f32), Error> {
    let (x, target) = data(device);
    let mut optim = burn::optim::ModuleOptimizer::from(Adam::new());
    let mut net = network(device)?;
    let mut last = f32::NAN;
    for _ in 0..200 {
        let grads = {
            let output: Tensor<2> = net.effective().forward(x.clone())?;
            let loss = (output - target.clone()).square().mean();
            last = loss.clone().into_scalar();
            net.grads(loss.backward())?
        };
        net = constraints.apply(optim.step(0.05, net, grads))?;
    }
    Ok((net, last))
}

/// The norm of the weights into each unit: the greatest.
fn greatest_norm(net: &Parametrized<Sequential>) -> Result<f64, Error> {
    Ok(net.get::<2>("0.weight")?.square().sum_dim(0).sqrt().max().into_scalar())
}

fn main() -> Result<(), Error> {
    let device = Device::default().autodiff();
    let bounded = Constraints::new()
        .with("0.weight", MaxNorm::new(BOUND))? // the two weights into each of 16 units
        .with("0.bias", NonNeg::new())?;

    let (free, free_loss) = train(&Constraints::new(), &device)?;
    let (net, loss) = train(&bounded, &device)?;
    let least = net.get::<1>("0.bias")?.min().into_scalar::<f64>();
    println!("{:<12} {:>6}  greatest norm", "", "loss");
    println!("{:<12} {free_loss:>6.3}  {:.3}", "free", greatest_norm(&free)?);
    println!(
        "{:<12} {loss:>6.3}  {:.3}, least bias {least:.3}",
        "constrained",
        greatest_norm(&net)?
    );

    assert!(greatest_norm(&free)? > 1.5 * BOUND, "free weights grow");
    assert!(greatest_norm(&net)? < BOUND + 1e-6, "bounded ones do not");
    assert!(least >= 0.0);
    assert!(loss < 0.7, "and the network learns");
    Ok(())
}

//! A rate for each layer, and no decay where it does harm: `torch.optim`'s parameter groups.
//!
//! `cargo run --example layer_rates`

use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, Groups, Options};
use espalier::{Parametrized, Selector};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(0);
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new()
        .with(linear(4, 8))
        .with(BatchNormConfig::new(8).init(&device))
        .with(Relu::new())
        .with(linear(8, 8))
        .with(Relu::new())
        .with(linear(8, 1));
    let net = Parametrized::new(net);

    println!("== the last layer learns ten times as fast; biases go their own way");
    let groups = Groups::new(AdamW::new().with_rate(1e-3))
        .group("head", "5.weight", Options::new().rate(1e-2))?
        .group("biases", "*.bias", Options::new().rate(2e-3).decay(0.0))?;
    let plan = groups.plan(&net)?;
    print!("{plan}");
    let rate = |path: &str| plan.group_of(path).map(|group| group.values.rate);
    assert_eq!(rate("5.weight"), Some(1e-2));
    assert_eq!(rate("5.bias"), Some(2e-3));
    assert_eq!(rate("0.weight"), Some(1e-3), "what is not set is inherited");

    println!(
        "\n== fine-tuning: each layer half the rate of the next, no decay on biases and norms"
    );
    let fine = Groups::new(AdamW::new().with_rate(1e-3))
        .layer_wise_rate_decay(0.5, ["0.*", "1.*", "3.*", "5.*"])?
        .no_decay_on_bias_and_norm();
    let plan = fine.plan(&net)?;
    print!("{plan}");
    let values = |path: &str| plan.group_of(path).map(|g| (g.values.rate, g.values.decay));
    assert_eq!(values("0.weight"), Some((1.25e-4, 0.01)));
    assert_eq!(values("1.gamma"), Some((2.5e-4, 0.0)));
    assert_eq!(values("5.weight"), Some((1e-3, 0.01)));

    println!("\n== a parameter has one group, and a group has a parameter");
    let overlap = Groups::new(AdamW::new())
        .group("head", "5.*", Options::new())?
        .group("weights", Selector::layer_parameter("Linear", "weight"), Options::new())?
        .plan(&net);
    println!("{}", refusal(overlap)?);
    let nobody = Groups::new(AdamW::new()).group("norms", "*.gama", Options::new())?.plan(&net);
    println!("{}", refusal(nobody)?);

    println!("\n== training with the groups");
    let mut optim = fine.build(&net)?;
    let x =
        Tensor::<2>::from_data([[1., 2., -1., 0.], [0.5, -1., 0., 2.], [2., 0., 1., 1.]], &device);
    let y = Tensor::<2>::from_data([[1.], [-1.], [0.5]], &device);
    let mut net = net;
    let mut losses = Vec::new();
    for _ in 0..100 {
        let (loss, grads) = {
            let step = net.effective();
            let out: Tensor<2> = step.forward(x.clone())?;
            let loss = (out - y.clone()).square().mean();
            (loss.clone().into_scalar::<f32>(), net.grads(loss.backward())?)
        };
        losses.push(loss);
        net = optim.step(net, grads);
    }
    println!("loss {:.4} -> {:.4}", losses[0], losses[99]);
    assert!(losses[99] < losses[0]);
    Ok(())
}

/// What the library says to something that must not work.
fn refusal<T>(result: Result<T, espalier::Error>) -> Result<espalier::Error, &'static str> {
    result.err().ok_or("an error was expected")
}

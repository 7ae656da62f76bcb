//! Blocks inside blocks, reached by index and by path, printed while they are trained.
//!
//! Run it: `cargo run --release --example nest_mlp`

use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use espalier::ParameterTree;
use espalier::Selector;
use espalier::init::{Fan, Init, Nonlinearity};
use espalier::nn::{AnyLayer, Sequential};

/// Linear 4-8, ReLU, linear 8-4, ReLU.
fn block(device: &Device) -> Sequential {
    Sequential::new()
        .with(LinearConfig::new(4, 8).init(device))
        .with(Relu::new())
        .with(LinearConfig::new(8, 4).init(device))
        .with(Relu::new())
}

/// Two blocks one after another.
fn blocks(device: &Device) -> Sequential {
    let mut blocks = Sequential::new();
    for _ in 0..2 {
        blocks.push(AnyLayer::new(block(device)));
    }
    blocks
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let net = Sequential::new().with(blocks(&device)).with(LinearConfig::new(4, 1).init(&device));
    let kaiming = Init::KaimingUniform(Nonlinearity::Relu, Fan::In);
    let net = kaiming.apply(net, &Selector::layer_parameter("Linear", "weight"), 7)?;
    let mut net = Init::Constant(0.1).apply(net, &Selector::glob("**.bias")?, 7)?;
    print!("{}", net.summary().tree());

    // The first layer of the second block: net[0][1][0].
    let outer = net[0].get::<Sequential>().ok_or("blocks")?;
    let inner = outer[1].get::<Sequential>().ok_or("a block")?;
    let linear = inner[0].get::<Linear>().ok_or("a Linear")?;
    let by_path: Tensor<1> = net.get_parameter("0.1.0.bias")?;
    let by_index = linear.bias.as_ref().ok_or("a bias")?.val();
    println!("\nnet[0][1][0].bias = {}", by_index.to_data());
    assert_eq!(by_index.into_data(), by_path.into_data());

    let mut optim = SgdConfig::new().init();
    let x = Tensor::<1>::from_floats([1.0, 0.5, 2.0, 1.5, 0.3, 1.2, 0.7, 0.1], &device);
    let x = x.reshape([2, 4]);
    let mut losses = Vec::new();
    for step in 0..3 {
        let output: Tensor<2> = net.forward(x.clone())?;
        let loss = (output - 1.0).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        println!("\nstep {step}, loss {:.4}", losses[step]);
        let gradients = net.gradients_tree(&grads);
        for (path, value) in net.params_tree().leaves() {
            let norm = |values: Vec<f64>| values.iter().map(|v| v * v).sum::<f64>().sqrt();
            let value = norm(value.to_data().iter::<f64>().collect());
            let grad = gradients.get(&path).ok_or("every parameter is used")?;
            let grad = norm(grad.to_data().iter::<f64>().collect());
            println!("  {path:<12} |p| {value:.4}  |grad| {grad:.4}");
        }
        assert_eq!(gradients.len(), 10);
        net = optim.step(0.01, net, grads);
    }
    assert!(losses[2] < losses[0], "three steps of descent: {losses:?}");
    Ok(())
}

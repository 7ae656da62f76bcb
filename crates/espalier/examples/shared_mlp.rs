//! Training an MLP with a shared layer, looking at each layer's parameters and gradients.
//!
//! In PyTorch, `layer.weight.data` and `layer.weight.grad` after `loss.backward()`. The shared layer
//! has one parameter and one gradient; after every step both places hold the same values, bit for
//! bit.
//!
//! Run it: `cargo run --example shared_mlp`

use burn::nn::{LinearConfig, Relu};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor, TensorData};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::{ParameterTree, Parametrized};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let device = Device::default().autodiff();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new().with(linear(3, 4)).with(Relu::new());
    let net = net.with(linear(4, 4)).with(Relu::new());
    let net = net.with(linear(4, 4)).with(Relu::new()).with(linear(4, 1));
    let mut net = Parametrized::new(net);
    // Two layers made apart become one: the fifth is another name of the third.
    net.tie_layers("4", "2")?;
    net.init("*.weight", Init::XavierUniform(1.0), 7)?;
    net.init("*.bias", Init::Constant(0.1), 7)?;

    let x = inputs(&device);
    let target = x.clone().sum_dim(1).tanh();
    let mut optim = SgdConfig::new().init();
    let mut losses = Vec::new();
    for step in 0..40 {
        let output: Tensor<2> = net.effective().forward(x.clone())?;
        let loss = (output - target.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward())?;
        if step % 13 == 0 {
            println!("step {step}: loss {:.4}", losses[step]);
            for info in net.named_parameters().iter().filter(|info| info.name() == "weight") {
                let weight: Tensor<2> = net.get(&info.path)?;
                let grad = grads.get::<2>(info.id).ok_or("every weight is used")?;
                let also = if info.path == "2.weight" { " (= 4.weight)" } else { "" };
                println!(
                    "  {}{also}: norm {:.4}, gradient {:.4}",
                    info.path,
                    norm(weight),
                    norm(grad)
                );
            }
        }
        assert_eq!(grads.len(), 6, "a weight and a bias of three layers, not four");
        net = optim.step(0.2, net, grads);
        let (third, fifth): (Tensor<2>, Tensor<2>) = (net.get("2.weight")?, net.get("4.weight")?);
        assert_eq!(third.into_data(), fifth.into_data(), "still one after step {step}");
    }
    println!("loss {:.4} -> {:.4}", losses[0], losses[39]);
    assert!(losses[39] < 0.5 * losses[0]);

    println!("untied, each goes its own way");
    net.untie_layer("4")?;
    let output: Tensor<2> = net.effective().forward(x)?;
    let grads = net.grads((output - target).square().mean().backward())?;
    net = optim.step(0.2, net, grads);
    let (third, fifth): (Tensor<2>, Tensor<2>) = (net.get("2.weight")?, net.get("4.weight")?);
    assert_ne!(third.into_data(), fifth.into_data());
    Ok(())
}

fn inputs(device: &Device) -> Tensor<2> {
    let mut rng = Rng::seeded(3);
    let values: Vec<f32> = (0..32 * 3).map(|_| rng.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, [32, 3]), device)
}

fn norm(tensor: Tensor<2>) -> f32 {
    tensor.square().sum().sqrt().into_scalar::<f32>()
}

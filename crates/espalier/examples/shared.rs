//! A layer that stands at two places of a network.
//!
//! In PyTorch: `shared = nn.Linear(8, 8); net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared,
//! nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))`. It is the same in Rust, a clone being the same
//! layer: Burn knows it by its identity, and `Parametrized` keeps it one layer through training,
//! which Burn alone does not.
//!
//! Run it: `cargo run --example shared`

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::{ParameterTree, Parametrized};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let shared = LinearConfig::new(8, 8).init(&device);
    let net = Sequential::new()
        .with(LinearConfig::new(4, 8).init(&device))
        .with(Relu::new())
        .with(shared.clone())
        .with(Relu::new())
        .with(shared)
        .with(Relu::new())
        .with(LinearConfig::new(8, 1).init(&device));
    let mut net = Parametrized::new(net);

    println!("net[2].weight == net[4].weight, and not by chance:");
    let weight: Tensor<2> = net.get("2.weight")?;
    let edited = weight.detach().slice_fill([0..1, 0..1], 100.0);
    net.set("2.weight", edited)?;
    let seen: Tensor<2> = net.get("4.weight")?;
    let seen = seen.slice([0..1, 0..1]).into_scalar::<f32>();
    println!("  net[2].weight[0, 0] = 100  ->  net[4].weight[0, 0] is {seen}");
    assert_eq!(seen, 100.0);

    println!("three distinct layers, each parameter listed and counted once:");
    let parameters = net.named_parameters();
    for info in &parameters {
        println!("  {} {:?}", info.path, info.layout().torch_shape(&info.shape));
    }
    let paths: Vec<&str> = parameters.iter().map(|info| info.path.as_str()).collect();
    assert_eq!(paths, ["0.weight", "0.bias", "2.weight", "2.bias", "6.weight", "6.bias"]);
    assert_eq!(net.num_params(), (4 * 8 + 8) + (8 * 8 + 8) + (8 + 1));

    println!("the gradients of both places add up:");
    let id = parameters[2].id;
    let gradient = |places: &[usize]| -> Result<Tensor<2>, Box<dyn std::error::Error>> {
        let step = net.effective();
        let mut loss = Tensor::<1>::zeros([1], &device);
        for &place in places {
            let layer = step[place].get::<Linear>().ok_or("a Linear stands there")?;
            loss = loss + layer.forward(Tensor::<2>::ones([2, 8], &device)).square().mean();
        }
        Ok(net.grads(loss.backward())?.get::<2>(id).ok_or("the loss depends on it")?)
    };
    let (once, twice) = (gradient(&[2])?, gradient(&[2, 4])?);
    let norm = |grad: &Tensor<2>| grad.clone().square().sum().sqrt().into_scalar::<f32>();
    println!("  used at one place: norm {:.4}; at both: {:.4}", norm(&once), norm(&twice));
    assert_eq!(twice.into_data(), (once * 2.0).into_data(), "the same input twice: exactly double");
    Ok(())
}

//! Reaching one layer and one parameter: state, value, gradient, edit in place.
//!
//! Run it: `cargo run --release --example access`

use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use espalier::ParameterTree;
use espalier::nn::Sequential;
use espalier::state::StateDict;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut net = Sequential::new()
        .with(LinearConfig::new(4, 8).init(&device))
        .with(Relu::new())
        .with(LinearConfig::new(8, 1).init(&device));

    println!("net[2].state_dict():");
    for (name, shape) in StateDict::of(&net[2]).shapes() {
        println!("  {name}: {shape:?}");
    }
    // A layer by its type has its parameters as fields.
    let linear = net[2].get::<Linear>().ok_or("a Linear")?;
    let bias = linear.bias.as_ref().ok_or("with a bias")?;
    println!("type of net[2].bias: Param<Tensor<1>>, value {}", bias.val().into_data());
    assert_eq!(bias.dims(), [1]);

    // The same by path, whatever the layer is.
    let info = net.parameter("2.bias")?;
    println!(
        "2.bias of a {}: {:?}, {}, {}",
        info.layer,
        info.shape,
        info.dtype.name(),
        info.state()
    );
    assert_eq!(
        (info.layer.as_str(), info.shape.as_slice(), info.trainable),
        ("Linear", &[1][..], true)
    );
    let by_path: Tensor<1> = net.get_parameter("2.bias")?;
    assert_eq!(by_path.into_data(), bias.val().into_data());

    // Burn keeps gradients beside the module: before the first backward pass there are none.
    let mut grads = GradientsParams::new();
    println!("2.weight.grad before backward: {:?}", net.gradient::<2>("2.weight", &grads)?);
    assert!(net.gradient::<2>("2.weight", &grads)?.is_none());
    let output: Tensor<2> = net.forward(Tensor::<2>::ones([2, 4], &device))?;
    grads = GradientsParams::from_grads(output.sum().backward(), &net);
    let grad = net.gradient::<1>("2.bias", &grads)?.ok_or("a gradient after backward")?;
    println!("2.bias.grad after backward: {}", grad.clone().into_data());
    assert_eq!(grad.into_scalar::<f32>(), 2.0, "one for each of two rows");

    // An edit in place: the parameter stays the same one and goes on being trained.
    net.set_parameter("2.bias", Tensor::<1>::full([1], 100.0, &device))?;
    let edited = net[2].get::<Linear>().and_then(|linear| linear.bias.as_ref()).ok_or("a bias")?;
    println!("2.bias after the edit: {}", edited.val().into_data());
    assert_eq!(edited.val().into_scalar::<f32>(), 100.0);
    assert_eq!(net.parameter("2.bias")?.id, info.id);

    let error = net.parameter("2.biass").err().ok_or("there is no such parameter")?;
    println!("error: {error}");
    assert!(error.to_string().contains("nearest: `2.bias`"));
    Ok(())
}

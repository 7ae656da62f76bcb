//! Taking a parametrization off again: the value stays, or the original does.
//!
//! Run it: `cargo run --release --example remove`

use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use espalier::parametrize::{Symmetric, WeightNorm};
use espalier::{Error, Leave, ParameterTree, Parametrized};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let plain = Parametrized::new(LinearConfig::new(3, 3).with_bias(false).init(&device));
    let id = plain.named_parameters()[0].id;

    // parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    let mut layer = plain.clone();
    layer.register("weight", Symmetric::new())?;
    let symmetric: Tensor<2> = layer.get("weight")?;
    layer.remove("weight", Leave::Parametrized)?;
    let left: Tensor<2> = layer.get("weight")?;
    println!("left parametrized:\n{left}");
    assert_eq!(left.to_data(), symmetric.to_data());
    assert_eq!(layer.named_parameters()[0].id, id, "the optimizer knows it still");

    // ..., leave_parametrized=False)
    let mut layer = plain.clone();
    layer.register("weight", Symmetric::new())?;
    let original: Tensor<2> = layer.get("parametrizations.weight.original")?;
    layer.remove("weight", Leave::Original)?;
    let left: Tensor<2> = layer.get("weight")?;
    println!("left the original (its upper triangle in PyTorch's layout):\n{left}");
    assert_eq!(left.to_data(), original.to_data());
    assert!(!layer.is_parametrized("weight"));

    // What several originals make cannot go back to one.
    let mut layer = plain.clone();
    layer.register("weight", WeightNorm::dim(0))?;
    let error = layer.remove("weight", Leave::Original).err().ok_or("two originals")?;
    println!("{error}");
    assert!(matches!(error, Error::SeveralOriginals { originals: 2, .. }));

    // One link out of a chain, which PyTorch cannot: the value stays.
    layer.register("weight", Symmetric::new())?;
    let before: Tensor<2> = layer.get("weight")?;
    let link = layer.remove_link("weight", 0)?;
    let after: Tensor<2> = layer.get("weight")?;
    println!("took out {}; left {:#}", link.rule(), layer.parametrizations("weight")?);
    assert!((after - before).abs().max().into_scalar::<f32>() < 1e-6);
    Ok(())
}

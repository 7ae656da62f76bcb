//! Several rules registered as one, taken apart and put together again.
//!
//! Run it: `cargo run --release --example parametrization_list`

use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use espalier::parametrize::{ParametrizationList, Symmetric, WeightNorm};
use espalier::{ParameterTree, Parametrized};

fn distance(a: Tensor<2>, b: Tensor<2>) -> f32 {
    (a - b).abs().max().into_scalar()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut layer = Parametrized::new(LinearConfig::new(3, 3).with_bias(false).init(&device));
    let given =
        Tensor::<2>::from_floats([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]], &device);
    layer.set("weight", given.clone())?;

    let list = ParametrizationList::new().with(WeightNorm::dim(0)).with(Symmetric::new());
    println!("{list}");
    layer.register("weight", list)?;
    assert!(
        distance(layer.get("weight")?, given.clone()) < 1e-6,
        "the rules can hold it: it stays"
    );

    // The originals: their names, shapes and values.
    let list = layer.parametrizations("weight")?;
    for (path, value) in list.original_paths().iter().zip(list.values()) {
        println!("{path} {:?}", value.dims());
    }
    assert_eq!(list.originals, [[1, 3], [3, 3]]);

    // What assigning would make of a value, without assigning: last to first.
    let originals = list.right_inverse(given.clone() * 10.0)?;
    let length: Tensor<2> = originals[0].clone().into_rank()?;
    println!("lengths of ten times the weight: {length}");
    assert!(distance(layer.get("weight")?, given.clone()) < 1e-6, "nothing was assigned");

    // A parametrization of a parametrization: the direction is symmetric too.
    layer.register("parametrizations.weight.original1", Symmetric::new())?;
    for p in layer.named_parameters() {
        println!("{}", p.path);
    }
    let deepest = &layer.named_parameters()[1].path;
    assert_eq!(deepest, "parametrizations.weight.parametrizations.original1.original");

    // One link out, one in.
    layer.remove("parametrizations.weight.original1", espalier::Leave::Parametrized)?;
    let before: Tensor<2> = layer.get("weight")?;
    layer.remove_link("weight", 0)?;
    assert!(distance(layer.get("weight")?, before.clone()) < 1e-6);
    layer.insert_link("weight", 0, WeightNorm::whole())?;
    assert!(distance(layer.get("weight")?, before) < 1e-6);
    println!("{:#}", layer.parametrizations("weight")?);
    assert_eq!(layer.parametrizations("weight")?.rules, ["weight_norm", "symmetric"]);
    Ok(())
}

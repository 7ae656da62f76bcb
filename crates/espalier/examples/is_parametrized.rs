//! Asking what is parametrized, and how.
//!
//! Run it: `cargo run --release --example is_parametrized`

use burn::nn::{LinearConfig, Relu};
use burn::tensor::Device;
use espalier::nn::Sequential;
use espalier::parametrize::{Symmetric, WeightNorm, WeightNormLink, is_parametrized};
use espalier::{Error, Parametrized};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let linear = || LinearConfig::new(4, 4).init(&device);
    let net = Sequential::new().with(linear()).with(Relu::new()).with(linear());
    let mut net = Parametrized::new(net);
    assert!(!is_parametrized(&net, None));

    net.register("0.weight", WeightNorm::dim(0))?;
    net.register("0.weight", Symmetric::new())?;

    // parametrize.is_parametrized(net[0]), parametrize.is_parametrized(net[0], "bias"), ...
    for path in ["0.weight", "0.bias", "2.weight"] {
        println!("{path:<9} parametrized: {}", is_parametrized(&net, Some(path)));
    }
    assert!(is_parametrized(&net, None));
    assert!(is_parametrized(&net, Some("0.weight")));
    assert!(!is_parametrized(&net, Some("0.bias")) && !is_parametrized(&net, Some("2.weight")));

    // net[0].parametrizations.weight
    let list = net.parametrizations("0.weight")?;
    println!("{list:#}");
    for (path, shape) in list.original_paths().iter().zip(&list.originals) {
        println!("{path} {shape:?}");
    }
    assert_eq!(list.rules, ["weight_norm", "symmetric"]);

    // isinstance(net[0].parametrizations.weight[0], _WeightNorm)
    let norm = list.link::<WeightNormLink>(0).ok_or("the first is a weight norm")?;
    assert!(!norm.is_whole());
    assert!(list.link::<WeightNormLink>(1).is_none());

    // Of a plain parameter there is nothing to show; of one that is not there, a suggestion.
    let error = net.parametrizations("2.weight").err().ok_or("it is plain")?;
    println!("{error}");
    assert!(matches!(error, Error::NotParametrized { .. }));
    let error = net.parametrizations("0.wieght").err().ok_or("there is none")?;
    println!("{error}");
    assert!(error.to_string().contains("0.weight"));
    Ok(())
}

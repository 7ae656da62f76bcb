//! All parameters as one nested tree: what `jax.tree.map` does to a Flax model's `params`.
//!
//! Run it: `cargo run --release --example tree_map`

use burn::nn::{LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::{Error, ParameterTree};

fn main() -> Result<(), Error> {
    let device = Device::default();
    let block = || {
        let linear = LinearConfig::new(4, 4).init(&device);
        Sequential::new().with(linear).with(Relu::new())
    };
    let head = LinearConfig::new(4, 2).init(&device);
    let mut net = Sequential::new().with(block()).with(block()).with(head);

    // jax.tree.map(jnp.shape, params)
    let shapes = net.tree_map(|_, value| value.dims());
    print!("{shapes}");
    assert_eq!(shapes.get("1.0.weight"), Some(&vec![4, 4]));
    assert_eq!(shapes.len(), 6);

    let counts = shapes.map(|shape| shape.iter().product::<usize>());
    let total: usize = counts.leaves().iter().map(|(_, count)| **count).sum();
    println!("\n{total} values:\n{counts}");
    assert_eq!(total, 50);

    // params = jax.tree.map(lambda p: 0.5 * p, params)
    let x = Tensor::<2>::ones([1, 4], &device);
    let before: Tensor<2> = net[2].forward_any(x.clone().into())?.into_rank()?;
    let halved = net.params_tree().map(|value| value.scale(0.5));
    net.set_tree(&halved)?;
    let after: Tensor<2> = net[2].forward_any(x.into())?.into_rank()?;
    println!("head before {}, after {}", before.to_data(), after.to_data());
    let difference = (before * 0.5 - after).abs().max().into_scalar::<f32>();
    assert!(difference < 1e-6, "an affine layer scales with its parameters");

    // A tree that does not fit changes nothing and says all that is wrong.
    let mut wrong = net.params_tree();
    wrong.insert("0.0.bais", Tensor::<1>::zeros([4], &device).into());
    let outcome = net.set_tree(&wrong);
    assert!(matches!(outcome, Err(Error::Tree(_))));
    if let Err(error) = outcome {
        println!("{error}");
    }
    Ok(())
}

//! A weight that is symmetric before, during and after training.
//!
//! Run it: `cargo run --release --example symmetric`

use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::parametrize::Symmetric;
use espalier::{ParameterTree, Parametrized};

/// `torch.allclose(w, w.T)`, exactly.
fn is_symmetric(w: Tensor<2>) -> bool {
    w.to_data() == w.transpose().to_data()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut layer = Parametrized::new(LinearConfig::new(3, 3).init(&device));

    // parametrize.register_parametrization(layer, "weight", Symmetric())
    layer.register("weight", Symmetric::new())?;
    println!("{:#}", layer.parametrizations("weight")?);
    assert!(is_symmetric(layer.get("weight")?));

    // What is saved and trained is the original, under PyTorch's name.
    for p in layer.named_parameters() {
        println!("{} {:?}", p.path, p.torch_shape());
    }
    assert_eq!(layer.named_parameters()[0].path, "parametrizations.weight.original");

    // layer.weight = torch.ones(3, 3): it goes through the right inverse.
    layer.set("weight", Tensor::<2>::ones([3, 3], &device))?;
    let weight: Tensor<2> = layer.get("weight")?;
    assert_eq!(weight.to_data(), Tensor::<2>::ones([3, 3], &device).to_data());

    let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]], &device);
    let mut optim = AdamConfig::new().init();
    for step in 0..20 {
        let loss = (layer.effective().forward(x.clone()) - x.clone() * 2.0).square().mean();
        if step % 5 == 0 {
            println!("step {step}: loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let grads = layer.grads(loss.backward())?;
        layer = optim.step(0.1, layer, grads);
        assert!(is_symmetric(layer.get("weight")?), "after step {step}");
    }
    println!("{}", layer.get::<2>("weight")?);
    let moved = (layer.get::<2>("weight")? - 1.0).abs().max().into_scalar::<f32>();
    assert!(moved > 0.1, "it has been trained");
    Ok(())
}

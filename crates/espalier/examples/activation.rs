//! Activations are layers, not tensors: they are replaced, or wrapped in a layer that learns.
//!
//! PyTorch cannot parametrize them either: `register_parametrization` is for tensors.
//!
//! Run it: `cargo run --release --example activation`

use burn::module::{Module, Param};
use burn::nn::{LinearConfig, Relu, Sigmoid};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::nn::{AnyLayer, Layer, Sequential, WidthError};
use espalier::{AnyTensor, ParameterTree, Parametrized};

/// `alpha * relu(x)` with a learned `alpha`.
#[derive(Module, Debug)]
struct ScaledRelu {
    alpha: Param<Tensor<1>>,
    inner: Relu,
}

impl ScaledRelu {
    fn around(inner: Relu, device: &Device) -> Self {
        Self { alpha: Param::from_tensor(Tensor::ones([1], device)), inner }
    }
}

impl Layer for ScaledRelu {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, espalier::Error> {
        let x: Tensor<2> = input.into_rank()?;
        Ok((self.inner.forward(x) * self.alpha.val().unsqueeze()).into())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let mut net = Sequential::new().with(linear(3, 4)).with(Relu::new()).with(linear(4, 1));
    let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5], [-1.0, 0.3, 2.0]], &device);

    // net[1] = nn.Sigmoid()
    net[1] = AnyLayer::new(Sigmoid::new());
    println!("{net}");
    let hidden: Tensor<2> =
        net[1].forward_any(net[0].forward_any(x.clone().into())?)?.into_rank()?;
    let (low, high) = (hidden.clone().min(), hidden.max());
    assert!(low.into_scalar::<f32>() > 0.0 && high.into_scalar::<f32>() < 1.0);

    // net[1] = ScaledReLU(nn.ReLU())
    net[1] = AnyLayer::new(ScaledRelu::around(Relu::new(), &device));
    let mut net = Parametrized::new(net);
    let names: Vec<String> = net.named_parameters().into_iter().map(|p| p.path).collect();
    println!("{names:?}");
    assert!(names.contains(&"1.alpha".to_owned()), "alpha is a parameter like any other");
    // So that the units are on and the output starts below the target, whatever was drawn.
    net.set("0.bias", Tensor::<1>::full([4], 3.0, &device))?;
    net.set("2.weight", Tensor::<2>::full([4, 1], 0.1, &device))?;

    let before: Tensor<1> = net.get("1.alpha")?;
    let mut optim = AdamConfig::new().init();
    for _ in 0..20 {
        let y: Tensor<2> = net.effective().forward(x.clone())?;
        let grads = net.grads((y - 100.0).square().mean().backward())?;
        net = optim.step(0.05, net, grads);
    }
    let alpha: Tensor<1> = net.get("1.alpha")?;
    println!("alpha 1 -> {:.3}", alpha.clone().into_scalar::<f32>());
    assert!((alpha - before).into_scalar::<f32>() > 0.1, "it has grown");
    Ok(())
}

//! Four ways to keep a weight orthogonal, and what each of them costs.
//!
//! Run it: `cargo run --release --example orthogonal_four_ways`

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::constrain::{Constraints, OrthogonalProjection};
use espalier::nn::Hooked;
use espalier::parametrize::Orthogonal;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const STEPS: usize = 30;

/// The largest entry of `|W^T W - I|`.
fn distance(weight: Tensor<2>) -> f32 {
    let eye = Tensor::eye(weight.dims()[1], &weight.device());
    (weight.clone().transpose().matmul(weight) - eye).abs().max().into_scalar()
}

/// The nearest orthogonal matrix, by the iteration `W (3 I - W^T W) / 2` from a weight near it.
fn nearest(weight: Tensor<2>, iterations: usize) -> Tensor<2> {
    let eye = Tensor::<2>::eye(weight.dims()[1], &weight.device());
    (0..iterations).fold(weight, |w, _| {
        let gram = w.clone().transpose().matmul(w.clone());
        w.matmul(eye.clone() * 3.0 - gram) * 0.5
    })
}

/// A rotation of the plane by one half, and a target: a quarter turn.
fn start(device: &Device) -> Linear {
    let (sin, cos) = 0.5f32.sin_cos();
    let weight = Tensor::from_floats([[cos, sin], [-sin, cos]], device);
    let linear = LinearConfig::new(2, 2).with_bias(false).init(device);
    Linear { weight: Param::from_tensor(weight), ..linear }
}

fn loss(output: Tensor<2>) -> Tensor<1> {
    let target = Tensor::<2>::from_floats([[0.0, 1.0], [-1.0, 0.0]], &output.device());
    (output - target).square().sum()
}

/// 1. A parametrization: the layer and the loop know nothing of it.
fn parametrized(x: &Tensor<2>) -> Outcome<Tensor<2>> {
    let mut net = Parametrized::new(start(&x.device()));
    net.register("weight", Orthogonal::cayley())?;
    let mut optim = SgdConfig::new().init();
    for _ in 0..STEPS {
        let grads = net.grads(loss(net.effective().forward(x.clone())).backward())?;
        net = optim.step(0.1, net, grads);
    }
    Ok(net.fold().weight.val())
}

/// 2. A hook: the layer computes with another weight than the one it stores.
fn hooked(x: &Tensor<2>) -> Outcome<Tensor<2>> {
    let mut layer = Hooked::new(start(&x.device()));
    layer.register_forward_hook(|layer: &Linear, input, _| {
        let x: Tensor<2> = input.clone().into_rank()?;
        Ok::<_, espalier::Error>(x.matmul(nearest(layer.weight.val(), 8)))
    });
    let mut optim = SgdConfig::new().init();
    for _ in 0..STEPS {
        let grads = loss(layer.forward(x.clone())?).backward();
        let grads = GradientsParams::from_grads(grads, &layer);
        layer = optim.step(0.1, layer, grads);
    }
    Ok(nearest(layer.layer().weight.val(), 8))
}

/// 3. A layer of one's own, written for the purpose: an angle.
#[derive(Module, Debug)]
struct Turn {
    angle: Param<Tensor<1>>,
}

impl Turn {
    fn weight(&self) -> Tensor<2> {
        let (sin, cos) = (self.angle.val().sin(), self.angle.val().cos());
        let rows = [cos.clone(), sin.clone(), sin.neg(), cos];
        Tensor::cat(rows.to_vec(), 0).reshape([2, 2])
    }
}

fn own_layer(x: &Tensor<2>) -> Tensor<2> {
    let mut layer = Turn { angle: Param::from_tensor(Tensor::full([1], 0.5, &x.device())) };
    let mut optim = SgdConfig::new().init();
    for _ in 0..STEPS {
        let grads = loss(x.clone().matmul(layer.weight())).backward();
        let grads = GradientsParams::from_grads(grads, &layer);
        layer = optim.step(0.1, layer, grads);
    }
    layer.weight()
}

/// 4. A projection after each step, outside the graph: the optimizer knows nothing of it.
fn projected(x: &Tensor<2>) -> Outcome<Tensor<2>> {
    let constraints = Constraints::new().with("weight", OrthogonalProjection::new())?;
    let mut layer = start(&x.device());
    let mut optim = SgdConfig::new().init();
    for _ in 0..STEPS {
        let grads = loss(layer.forward(x.clone())).backward();
        let grads = GradientsParams::from_grads(grads, &layer);
        layer = constraints.apply_module(optim.step(0.1, layer, grads))?;
    }
    Ok(layer.weight.val())
}

fn main() -> Outcome<()> {
    let x = Tensor::<2>::eye(2, &Device::default().autodiff());
    println!("{:<16} {:>8}  |W^T W - I|", "", "loss");
    for (way, weight) in [
        ("parametrization", parametrized(&x)?),
        ("hook", hooked(&x)?),
        ("own layer", own_layer(&x)),
        ("projection", projected(&x)?),
    ] {
        let (left, off) = (loss(weight.clone()).into_scalar::<f32>(), distance(weight));
        println!("{way:<16} {left:>8.5}  {off:e}");
        assert!(left < 0.05, "{way} reaches the quarter turn");
        assert!(off < 1e-5, "{way} is orthogonal");
    }
    Ok(())
}

//! Looking into a network while it computes, and changing what flows through it.
//!
//! In PyTorch: `layer.register_forward_hook(f)`, `layer.register_forward_pre_hook(f)`, and
//! `handle.remove()`.
//!
//! Run it: `cargo run --release --example forward_hook`

use std::sync::{Arc, Mutex};

use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::init::{Fan, Init, Nonlinearity, Rng};
use espalier::nn::{Hooked, Layer, Sequential};
use espalier::{AnyTensor, Selector};

/// Output shape, mean, and share of zeros of each layer, in the order of the pass.
type Statistics = Arc<Mutex<Vec<(&'static str, Vec<usize>, f64, f64)>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let statistics = Statistics::default();

    // A layer that is to be watched stands in the network as `Hooked`. Its parameters keep their
    // names; the hooks are shared by all its clones.
    let mut handles = Vec::new();
    let first = Hooked::new(LinearConfig::new(8, 16).init(&device));
    let relu = Hooked::new(Relu::new());
    let last = Hooked::new(LinearConfig::new(16, 2).init(&device));
    handles.push(first.register_forward_hook(watch(&statistics)));
    handles.push(relu.register_forward_hook(watch(&statistics)));
    handles.push(last.register_forward_hook(watch(&statistics)));
    let net = Sequential::new().with(first).with(relu).with(last);
    let kaiming = Init::KaimingNormal(Nonlinearity::Relu, Fan::In);
    let net = kaiming.apply(net, &Selector::layer_parameter("Linear", "weight"), 7)?;

    println!("== activations");
    let plain: Tensor<2> = net.forward(batch(&device))?;
    for (layer, shape, mean, zeros) in statistics.lock().map_err(|e| e.to_string())?.iter() {
        println!("{layer:<7} {shape:?}  mean {mean:+.4}  zeros {:.0} %", 100.0 * zeros);
    }
    let seen = std::mem::take(&mut *statistics.lock().map_err(|e| e.to_string())?);
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), ["Linear", "Relu", "Linear"]);
    assert_eq!(seen[1].1, [32, 16]);
    assert!(seen[0].3 == 0.0 && seen[1].3 > 0.2, "ReLU sets the negative ones to zero");

    println!("\n== a pre-hook changes the input");
    let first = net[0].get::<Hooked<Linear>>().ok_or("the first layer is hooked")?;
    let ablate = first.register_forward_pre_hook(|_, x| {
        // What if the first four features were missing?
        let x: Tensor<2> = x.clone().into_rank()?;
        let [rows, _] = x.dims();
        let zeros = Tensor::zeros([rows, 4], &x.device());
        Ok::<_, espalier::Error>(x.slice_assign([0..rows, 0..4], zeros))
    });
    let ablated: Tensor<2> = net.forward(batch(&device))?;
    let change = (ablated.clone() - plain.clone()).abs().mean().into_scalar::<f32>();
    println!("without the first four features the outputs move by {change:.4}");
    assert!(change > 0.01);

    println!("\n== removed, everything is as before");
    ablate.remove();
    handles.iter().for_each(|handle| handle.remove());
    statistics.lock().map_err(|e| e.to_string())?.clear();
    let again: Tensor<2> = net.forward(batch(&device))?;
    assert_eq!(again.to_data(), plain.to_data());
    assert!(statistics.lock().map_err(|e| e.to_string())?.is_empty(), "nobody watches any more");
    println!("the same outputs, bit for bit");
    Ok(())
}

/// A hook that returns nothing: it only looks.
fn watch<L: Layer>(to: &Statistics) -> impl Fn(&L, &AnyTensor, &AnyTensor) + use<L> {
    let to = Arc::clone(to);
    move |layer, _, output| {
        let values: Vec<f64> = output.to_data().iter::<f64>().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let zeros = values.iter().filter(|value| **value == 0.0).count() as f64 / count;
        if let Ok(mut to) = to.lock() {
            to.push((layer.kind(), output.dims(), mean, zeros));
        }
    }
}

fn batch(device: &Device) -> Tensor<2> {
    let mut rng = Rng::seeded(1);
    let values: Vec<f32> = (0..32 * 8).map(|_| rng.normal() as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([32, 8])
}

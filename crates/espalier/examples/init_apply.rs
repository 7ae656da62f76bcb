//! Initial values by layer type, by path and by closure: PyTorch's `net.apply(init_fn)`.
//!
//! Run it: `cargo run --example init_apply`

use burn::nn::{LinearConfig, Relu};
use burn::tensor::Device;
use espalier::init::{Init, apply_with};
use espalier::nn::Sequential;
use espalier::state::StateDict;
use espalier::{ParameterTree, Selector};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let device = Device::default();
    let net = Sequential::new()
        .with(LinearConfig::new(64, 128).init(&device))
        .with(Relu::new())
        .with(LinearConfig::new(128, 10).init(&device));

    println!("normal(1, 1) to the weights of every Linear, zeros to the biases:");
    let net = apply_with(net, 42, |info, _| match (info.layer.as_str(), info.name()) {
        ("Linear", "weight") => Some(Init::Normal(1.0, 1.0)),
        ("Linear", "bias") => Some(Init::Zeros),
        _ => None,
    })?;
    let weights = values(&net, "0.weight")?;
    histogram(&weights);
    let (mean, std) = moments(&weights);
    println!("  mean {mean:.3}, standard deviation {std:.3}");
    // 8192 numbers: the mean is within five standard errors, 5 / sqrt(8192) = 0.055.
    assert!((mean - 1.0).abs() < 0.055 && (std - 1.0).abs() < 0.055);
    assert!(values(&net, "2.bias")?.iter().all(|value| *value == 0.0));

    println!("xavier_uniform to the first layer by its path, 42 to the second:");
    let net = Init::XavierUniform(1.0).apply(net, &Selector::path("0.weight"), 42)?;
    let net = Init::Constant(42.0).apply(net, &Selector::path("2.weight"), 42)?;
    let weights = values(&net, "0.weight")?;
    histogram(&weights);
    let (_, std) = moments(&weights);
    let bound = (6.0 / (64.0 + 128.0f64)).sqrt();
    println!("  standard deviation {std:.4}, bound / sqrt(3) is {:.4}", bound / 3f64.sqrt());
    assert!(weights.iter().all(|value| value.abs() <= bound));
    assert!((std - bound / 3f64.sqrt()).abs() < 0.02 * std);
    assert!(values(&net, "2.weight")?.iter().all(|value| *value == 42.0));
    println!("  2.weight[0, 0] is {}", values(&net, "2.weight")?[0]);

    println!("the same seed, the same values, whatever else is selected:");
    let again = Init::XavierUniform(1.0).apply(net.clone(), &Selector::layer("Linear"), 42);
    println!("  {}", again.as_ref().err().ok_or("a bias has no fans")?);
    let weights_only = Selector::layer_parameter("Linear", "weight");
    let again = Init::XavierUniform(1.0).apply(net, &weights_only, 42)?;
    assert_eq!(values(&again, "0.weight")?, weights);
    assert_eq!(again.named_parameters().len(), 4);
    Ok(())
}

fn values(net: &Sequential, name: &str) -> Outcome<Vec<f64>> {
    let state = StateDict::of(net);
    Ok(state.checkpoint().get(name).ok_or("no such parameter")?.to_f64_vec()?)
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// Twelve bars of equal width, the longest of 50 characters.
fn histogram(values: &[f64]) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut counts = [0usize; 12];
    for value in values {
        let bin = ((value - low) / (high - low) * 12.0) as usize;
        counts[bin.min(11)] += 1;
    }
    let most = counts.into_iter().max().unwrap_or(1).max(1);
    for (bin, count) in counts.into_iter().enumerate() {
        let from = low + (high - low) / 12.0 * bin as f64;
        println!("  {from:7.3} {} {count}", "#".repeat(count * 50 / most));
    }
    assert_eq!(counts.iter().sum::<usize>(), values.len());
}

//! The Rust side of the README's comparisons: compiled, run, and held equal to the text there.

#![allow(missing_docs, clippy::unwrap_used)]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::init::{Fan, Init, Nonlinearity};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, Groups, Options};
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::{L1Unstructured, MaskMode};
use espalier::schedule::Schedule;
use espalier::state::{StateDict, Strict};
use espalier::{ParameterTree, Parametrized, Selector};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn model() -> Sequential {
    let device = Device::default().autodiff();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new().with(linear(8, 8)).with(Relu::new());
    net.with(linear(8, 8)).with(Relu::new()).with(linear(8, 4))
}

#[test]
fn reach() -> Outcome {
    // [reach]
    let mut net = Parametrized::new(model());
    for p in net.named_parameters() {
        println!("{} {:?}", p.path, p.shape);
    }
    let w: Tensor<2> = net.get("2.weight")?;
    net.set("2.weight", w * 0.5)?;
    // [/reach]
    assert_eq!(net.named_parameters().len(), 6);
    Ok(())
}

#[test]
fn share() -> Outcome {
    let mut net = Parametrized::new(model());
    // [share]
    net.tie("2.weight", "0.weight")?;
    let one: Tensor<2> = net.get("0.weight")?;
    let two: Tensor<2> = net.get("2.weight")?;
    assert_eq!(one.to_data(), two.to_data());
    // [/share]
    Ok(())
}

#[test]
fn initialize() -> Outcome {
    let net = model();
    // [initialize]
    let weights = Selector::layer_parameter("Linear", "weight");
    let kaiming = Init::KaimingNormal(Nonlinearity::Relu, Fan::In);
    let net = kaiming.apply(net, &weights, 0)?;
    let net = Init::Constant(0.0).apply(net, &Selector::glob("*.bias")?, 0)?;
    // [/initialize]
    let linear = net[0].get::<Linear>().ok_or("a Linear")?;
    let bias = linear.bias.as_ref().ok_or("a bias")?.val();
    assert_eq!(bias.into_data().try_to_vec::<f32>()?, [0.0; 8]);
    Ok(())
}

#[test]
fn parametrize() -> Outcome {
    let mut net = Parametrized::new(model());
    let x = Tensor::<2>::ones([1, 8], &Device::default().autodiff());
    // [parametrize]
    net.register("2.weight", Orthogonal::cayley())?;
    net.register("4.weight", WeightNorm::dim(0))?;
    let step = net.effective(); // once a training step
    let y: Tensor<2> = step.forward(x)?;
    let grads = net.grads(y.sum().backward())?;
    let plain: Sequential = net.clone().fold();
    // [/parametrize]
    assert!(grads.len() > 5 && plain.num_params() == 180);
    Ok(())
}

#[test]
fn group() -> Outcome {
    let net = Parametrized::new(model());
    // [group]
    let optim = Groups::new(AdamW::new().with_rate(1e-3))
        .group("biases", "*.bias", Options::new().rate(2e-3).decay(0.0))?
        .build(&net)?;
    print!("{optim}"); // who landed where
    // [/group]
    assert_eq!(optim.rates().len(), 2);
    let groups = Groups::new(AdamW::new().with_rate(2e-3));
    // [schedule]
    let schedule = Schedule::multi_step(&[30, 80], 0.1)?;
    let mut optim = groups.schedule(schedule).build(&net)?;
    for _epoch in 0..90 {
        // net = optim.step(net, grads);
        optim.end_epoch()?;
    }
    // [/schedule]
    assert!((optim.rates()[0].1 - 2e-5).abs() < 1e-12);
    Ok(())
}

#[test]
fn prune() -> Outcome {
    let mut net = Parametrized::new(model());
    // [prune]
    net.prune("0.weight", L1Unstructured::new(0.5))?;
    net.prune_global("*.weight", L1Unstructured::new(0.2))?;
    assert!(net.is_pruned("2.weight"));
    println!("{} zeros", net.zeros("0.weight")?);
    // trains as fast as without masks
    net.set_mask_mode("*.weight", MaskMode::Stored)?;
    // [/prune]
    assert!(net.zeros("0.weight")? >= 32);
    Ok(())
}

#[test]
fn save() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    let (net, other) = (Parametrized::new(model()), Parametrized::new(model()));
    // [save]
    StateDict::of(&net).save(&path)?;
    let state = StateDict::open(&path)?;
    let other = state.load_into(other, Strict::Yes)?;
    // [/save]
    assert_eq!(StateDict::of(&other), state);
    Ok(())
}

/// The lines between `// [name]` and `// [/name]`, without their indentation.
fn region(source: &str, name: &str) -> String {
    let (open, close) = (format!("    // [{name}]\n"), format!("    // [/{name}]\n"));
    let start = source.find(&open).unwrap() + open.len();
    let text = &source[start..source.find(&close).unwrap()];
    text.lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_readme_shows_just_this_code() {
    let readme = include_str!("../../../README.md");
    let source = include_str!("readme.rs");
    for name in
        ["reach", "share", "initialize", "parametrize", "group", "schedule", "prune", "save"]
    {
        let code = region(source, name);
        let lines = code.lines().count();
        assert!((3..=8).contains(&lines), "{name}: {lines} lines");
        assert!(readme.contains(&format!("```rust\n{code}\n```")), "{name} in README.md:\n{code}");
    }
}

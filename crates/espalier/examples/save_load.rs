//! Saving and loading: a whole training run, weights alone, the optimizer's memory, and a file of another
//! architecture.

use burn::nn::{LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, GroupedOptimizer, Groups};
use espalier::parametrize::{Rules, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{Progress, StateDict, Strict, TrainingState};
use espalier::{Error, Parametrized};

type Net = Parametrized<Sequential>;

/// The module's own code: all that a fresh process has.
fn module(hidden: usize) -> Sequential {
    let device = Device::default().autodiff();
    Sequential::new()
        .with(LinearConfig::new(4, hidden).init(&device))
        .with(Relu::new())
        .with(LinearConfig::new(hidden, 2).init(&device))
}

fn gradients(net: &Net, step: u64) -> Result<GradientsParams, Error> {
    let x = Tensor::<1>::from_floats(
        [0.1, -0.2, 0.3, step as f32 / 10.0],
        &Device::default().autodiff(),
    );
    let y: Tensor<2> = net.effective().forward(x.reshape([1, 4]))?;
    net.grads((y - 1.0).square().sum().backward())
}

fn trained(
    mut net: Net,
    optim: &mut GroupedOptimizer,
    steps: std::ops::Range<u64>,
) -> Result<Net, Error> {
    for step in steps {
        let grads = gradients(&net, step)?;
        net = optim.step(net, grads);
    }
    Ok(net)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);

    let mut net = Parametrized::new(module(8));
    net.register("0.weight", WeightNorm::dim(0))?;
    net.prune("2.weight", L1Unstructured::new(0.5))?;
    let mut optim = Groups::new(AdamW::new()).build(&net)?;
    net = trained(net, &mut optim, 0..5)?;

    // The whole run: rules, masks, weights, moments, where it stands. One file, written atomically.
    let progress = Progress { epoch: 0, step: 5, seed: 42 };
    TrainingState::of(&net, progress)
        .with_optimizer(&optim, &net)?
        .save(file("run.safetensors"))?;
    let state = TrainingState::open(file("run.safetensors"))?;
    let mut resumed = state.restore(Parametrized::new(module(8)), &Rules::builtin())?;
    let mut resumed_optim = Groups::new(AdamW::new()).build(&resumed)?;
    state.restore_optimizer(&resumed, &mut resumed_optim)?;
    resumed = trained(resumed, &mut resumed_optim, state.progress().step..10)?;
    net = trained(net, &mut optim, 5..10)?;
    assert_eq!(StateDict::of(&resumed), StateDict::of(&net));
    println!("whole: five steps, saved, and five more are ten steps, to the bit");

    // Weights only, under PyTorch's names; the rules come along as text and are registered again.
    StateDict::of(&net).save(file("weights.safetensors"))?;
    let weights = StateDict::open(file("weights.safetensors"))?;
    let mut loaded = Parametrized::new(module(8));
    if let Some(rules) = weights.description() {
        loaded.apply_description(rules, &Rules::builtin())?;
    }
    let loaded = weights.load_into(loaded, Strict::Yes)?;
    assert_eq!(loaded.get::<2>("0.weight")?.into_data(), net.get::<2>("0.weight")?.into_data());
    // Folded, it is a file for software that knows of no rules.
    StateDict::of(&net.clone().fold()).save(file("plain.safetensors"))?;
    let plain = StateDict::open(file("plain.safetensors"))?.load_into(module(8), Strict::Yes)?;
    assert_eq!(StateDict::of(&plain).shapes()[0], ("0.weight", &[8, 4][..]));
    println!(
        "weights: {} tensors, or {} folded",
        weights.shapes().len(),
        StateDict::of(&plain).shapes().len()
    );

    // The optimizer's memory alone, by name.
    optim.state_by_name(&net)?.save(file("optimizer.safetensors"))?;
    let mut other = Groups::new(AdamW::new()).build(&loaded)?;
    other.load_state_by_name(&loaded, &StateDict::open(file("optimizer.safetensors"))?)?;
    assert_eq!(other.state_by_name(&loaded)?, optim.state_by_name(&net)?);
    println!("optimizer: its memory under the parameters' names");

    // Another architecture: one error that lists everything, and nothing is changed.
    let before = module(16);
    match weights.load_into(before.clone(), Strict::Yes) {
        Ok(_) => return Err("a file of another architecture was loaded".into()),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("0.weight") && text.contains("2.weight_orig"), "{text}");
            println!("wrong architecture: {text}");
        }
    }
    Ok(())
}

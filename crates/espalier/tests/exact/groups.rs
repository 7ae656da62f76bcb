//! Groups, a schedule, clipping, momentum and a moving average in one run, against PyTorch.

use burn::nn::{Linear, LinearConfig, Tanh};
use burn::tensor::Tensor;
use espalier::Parametrized;
use espalier::average::{Average, AveragedModel};
use espalier::clip::{NonFinite, NormKind, clip_grad_norm};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, GroupedOptimizer, Groups, Options, Sgd};
use espalier::parametrize::WeightNorm;
use espalier::schedule::{OneCycle, Schedule};
use espalier::state::{StateDict, Strict};

use crate::common::{Case, Golden, Tolerance, assert_close, device, values};

type Net = Parametrized<Sequential>;

fn network(case: &Case<'_>) -> Net {
    let layer = |inputs, outputs| -> Linear { LinearConfig::new(inputs, outputs).init(&device()) };
    let net = Sequential::new()
        .with(layer(5, 6))
        .with(Tanh::new())
        .with(layer(6, 6))
        .with(Tanh::new())
        .with(layer(6, 2));
    let net = crate::common::cast(net, case.dtype);
    let mut net =
        Parametrized::new(case.state_dict("before.").load_into(net, Strict::Yes).unwrap());
    net.register("2.weight", WeightNorm::dim(0)).unwrap();
    net
}

fn options(case: &Case<'_>, group: &str) -> Options {
    let note = &case.note[group];
    let mut options = Options::new()
        .rate(note["lr"].as_f64().unwrap())
        .decay(note["weight_decay"].as_f64().unwrap());
    if let Some(momentum) = note["momentum"].as_f64() {
        options = options.momentum(momentum);
    }
    if let Some(betas) = note["betas"].as_array() {
        options = options.betas([betas[0].as_f64().unwrap(), betas[1].as_f64().unwrap()]);
    }
    options
}

fn optimizer(case: &Case<'_>, net: &Net) -> GroupedOptimizer {
    let note = case.note;
    let groups = if note["kind"] == "sgd" {
        let milestones: Vec<usize> = note["milestones"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m.as_u64().unwrap() as usize)
            .collect();
        Groups::new(Sgd::new().with_nesterov(true))
            .schedule(Schedule::multi_step(&milestones, note["gamma"].as_f64().unwrap()).unwrap())
    } else {
        Groups::new(AdamW::new())
    };
    let mut groups = groups
        .group("body", "[02].*", options(case, "body"))
        .and_then(|groups| groups.group("head", "4.*", options(case, "head")))
        .unwrap();
    if let Some(highest) = note["max_lr"].as_array() {
        let total = note["steps"].as_u64().unwrap() as usize;
        for (group, highest) in ["body", "head"].into_iter().zip(highest) {
            let cycle = OneCycle::new(highest.as_f64().unwrap(), total);
            groups = groups.schedule_group(group, Schedule::one_cycle(cycle).unwrap()).unwrap();
        }
    }
    groups.build(net).unwrap()
}

fn agrees(net: &Net, case: &Case<'_>, prefix: &str, tolerance: Tolerance) {
    let state = StateDict::of(net);
    let mut found: Vec<&str> = state.checkpoint().names().collect();
    let mut expected = case.texts("state_dict");
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for tensor in state.checkpoint().iter() {
        let what = format!("{prefix}{}", tensor.name());
        let found = tensor.to_f64_vec().unwrap();
        assert_close(&case.label(&what), &found, &case.values(&what), tolerance);
    }
}

#[test]
fn forty_steps_of_everything_at_once_agree() {
    let golden = Golden::open("groups");
    golden.assert_all_tested(["sgd", "adamw"]);
    for case in ["sgd", "adamw"].into_iter().flat_map(|name| golden.case(name)) {
        let tolerance = Tolerance::new(2e-3, 1e-4).or(case.dtype, Tolerance::new(1e-10, 1e-13));
        let mut net = network(&case);
        let mut optim = optimizer(&case, &net);
        let decay = case.note["ema"].as_f64().unwrap();
        let mut average = AveragedModel::new(&net, Average::ema(decay).unwrap());
        let inputs = case.tensor::<2>("inputs").detach();
        let targets = case.tensor::<2>("targets").detach();
        let (mut norms, mut losses) = (Vec::new(), Vec::new());
        let max_norm = case.note["max_norm"].as_f64().unwrap();
        let steps = case.note["steps"].as_u64().unwrap();
        for step in 1..=steps {
            let y: Tensor<2> = net.effective().forward(inputs.clone()).unwrap();
            let loss = (y - targets.clone()).square().mean();
            losses.extend(values(loss.clone()));
            let mut grads = net.grads(loss.backward()).unwrap();
            let clipped =
                clip_grad_norm(&net, &mut grads, max_norm, NormKind::L2, NonFinite::Error);
            norms.push(clipped.unwrap().norm);
            net = optim.step(net, grads);
            average.update(&net).unwrap();
            if step < steps {
                optim.end_step().unwrap();
            }
            if case.note["epoch"].as_u64().is_some_and(|epoch| step % epoch == 0) {
                optim.end_epoch().unwrap();
            }
        }
        assert_close(&case.label("norms"), &norms, &case.values("norms"), tolerance);
        assert_close(&case.label("losses"), &losses, &case.values("losses"), tolerance);
        assert!(norms.iter().any(|norm| *norm > max_norm) && norms.iter().any(|n| *n < max_norm));
        let rates: Vec<f64> = ["body", "head"]
            .into_iter()
            .map(|name| optim.rates().into_iter().find(|(group, _)| *group == name).unwrap().1)
            .collect();
        assert_close(
            &case.label("rates"),
            &rates,
            &case.values("rates"),
            Tolerance::new(1e-12, 0.0),
        );
        agrees(&net, &case, "after.", tolerance);
        agrees(average.model(), &case, "average.", tolerance);
    }
}

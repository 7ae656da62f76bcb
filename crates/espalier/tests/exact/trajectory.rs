//! Ten steps of training a network with all rules, against PyTorch.

use burn::nn::{Linear, LinearConfig, Tanh};
use burn::optim::AdamWConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor, TensorData};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, BurnOptimizer, GroupOptimizer, Groups};
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::{Amount, L1Unstructured};
use espalier::schedule::Schedule;
use espalier::state::{StateDict, Strict};
use espalier::{ParameterTree, Parametrized};

use crate::common::{Case, Golden, Tolerance, assert_close, assert_same, device, gradient, values};

/// The network of the case as it is before anything is registered.
fn network(case: &Case<'_>) -> Sequential {
    let layer = |inputs, outputs| -> Linear { LinearConfig::new(inputs, outputs).init(&device()) };
    let net = Sequential::new()
        .with(layer(6, 8))
        .with(Tanh::new())
        .with(layer(8, 8))
        .with(Tanh::new())
        .with(layer(8, 3));
    let net = crate::common::cast(net, case.dtype);
    case.state_dict("before.").load_into(net, Strict::Yes).unwrap()
}

/// As PyTorch's: a mask, an orthogonal matrix, a weight norm.
fn registered(case: &Case<'_>) -> Parametrized<Sequential> {
    let mut net = Parametrized::new(network(case));
    let amount = case.note["prune_amount"].as_f64().unwrap();
    net.prune("0.weight", L1Unstructured::new(Amount::fraction(amount))).unwrap();
    net.register("2.weight", Orthogonal::cayley()).unwrap();
    let dim = case.note["weight_norm_dim"].as_u64().unwrap() as usize;
    net.register("4.weight", WeightNorm::dim(dim)).unwrap();
    net
}

/// The names of a state dict in any order, for Burn's layers list the weight before the bias.
fn names(state: &StateDict) -> Vec<String> {
    let mut names: Vec<String> = state.checkpoint().names().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Every tensor of the state dict is the file's, under `prefix`.
#[track_caller]
fn state_agrees(
    net: &Parametrized<Sequential>,
    case: &Case<'_>,
    prefix: &str,
    tolerance: Tolerance,
) {
    let state = StateDict::of(net);
    let mut expected = case.texts("state_dict");
    expected.sort_unstable();
    assert_eq!(names(&state), expected);
    for tensor in state.checkpoint().iter() {
        let what = format!("{prefix}{}", tensor.name());
        assert_eq!(tensor.shape(), case.shape(&what), "{what}");
        let found = tensor.to_f64_vec().unwrap();
        assert_close(&case.label(&what), &found, &case.values(&what), tolerance);
    }
}

/// Every effective weight is the file's, under `prefix`.
#[track_caller]
fn weights_agree(
    net: &Parametrized<Sequential>,
    case: &Case<'_>,
    prefix: &str,
    tolerance: Tolerance,
) {
    for layer in [0, 2, 4] {
        let path = format!("{layer}.weight");
        let what = format!("{prefix}{path}");
        let found = values(net.get::<2>(&path).unwrap().transpose());
        assert_close(&case.label(&what), &found, &case.values(&what), tolerance);
    }
}

/// The mean cross entropy of `net` on the case's samples.
fn loss(net: &Sequential, case: &Case<'_>) -> Tensor<1> {
    let labels: Vec<i64> = case.values("labels").iter().map(|l| *l as i64).collect();
    let shape = [labels.len(), 1];
    let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, shape), &device());
    let output = net.forward::<2, 2>(case.tensor("inputs")).unwrap();
    log_softmax(output, 1).gather(1, labels).mean().neg()
}

#[track_caller]
fn gradients_agree(net: &Parametrized<Sequential>, case: &Case<'_>, tolerance: Tolerance) {
    let grads = net.grads(loss(&net.effective(), case).backward()).unwrap();
    let parameters = net.named_parameters();
    assert_eq!(grads.len(), parameters.len());
    for info in parameters {
        let what = format!("first_grad.{}", info.path);
        let found = match info.shape.len() {
            1 => values(gradient::<1, _>(net, &grads, &info.path)),
            _ => values(gradient::<2, _>(net, &grads, &info.path).transpose()),
        };
        assert_close(&case.label(&what), &found, &case.values(&what), tolerance);
    }
}

fn train<O: GroupOptimizer>(
    case: &Case<'_>,
    optimizer: impl Fn(f64, f64) -> O,
    tolerance: Tolerance,
) {
    let mut net = registered(case);
    net = case.state_dict("initial.").load_into(net, Strict::Yes).unwrap();
    state_agrees(&net, case, "initial.", Tolerance::EXACT);
    weights_agree(&net, case, "initial_value.", tolerance);
    gradients_agree(&net, case, tolerance);

    let note = case.note;
    let rate = note["lr"].as_f64().unwrap();
    let decay = |group: &str| note["weight_decay"][group].as_f64().unwrap();
    let milestones: Vec<usize> = note["milestones"]
        .as_array()
        .unwrap()
        .iter()
        .map(|milestone| milestone.as_u64().unwrap() as usize)
        .collect();
    let schedule = Schedule::multi_step(&milestones, note["gamma"].as_f64().unwrap()).unwrap();
    let mut optim = Groups::new(optimizer(rate, decay("weights")))
        .group_with("biases", "**.bias", optimizer(rate, decay("biases")))
        .unwrap()
        .schedule(schedule.per_step())
        .build(&net)
        .unwrap();

    let kept = net.kept("0.weight").unwrap();
    let (mut losses, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..note["steps"].as_u64().unwrap() as usize {
        let (grads, loss) = {
            let loss = loss(&net.effective(), case);
            let value = loss.clone().into_scalar::<f64>();
            (net.grads(loss.backward()).unwrap(), value)
        };
        let both = optim.rates();
        assert_eq!(both[0].1, both[1].1);
        losses.push(loss);
        rates.push(both[0].1);
        net = optim.step(net, grads);
        optim.end_step().unwrap();
    }
    losses.push(loss(&net.effective(), case).into_scalar::<f64>());
    assert_same(&case.label("lr"), &rates, &case.values("lr"));
    assert_close(&case.label("loss"), &losses, &case.values("loss"), tolerance);
    state_agrees(&net, case, "final.", tolerance);
    weights_agree(&net, case, "final_value.", tolerance);
    assert_eq!(net.kept("0.weight").unwrap(), kept);

    // The same from a folded network and from a validation snapshot.
    use burn::module::Module;
    let expected = case.values("final_output");
    let output = |net: &Sequential| values(net.forward::<2, 2>(case.tensor("inputs")).unwrap());
    let label = case.label("final_output");
    assert_close(&label, &output(&net.valid().effective()), &expected, tolerance);
    assert_close(&label, &output(&net.fold()), &expected, tolerance);
}

#[test]
fn every_case_is_tested() {
    Golden::open("trajectory").assert_all_tested(["run"]);
}

/// Registering on PyTorch's weights gives what PyTorch stores, the mask to the bit.
#[test]
fn registering_agrees() {
    for case in Golden::open("trajectory").case("run") {
        let net = registered(&case);
        let tolerance = Tolerance::elementwise(case.dtype);
        state_agrees(&net, &case, "initial.", tolerance);
        weights_agree(&net, &case, "initial_value.", tolerance);
        assert_eq!(net.kept("0.weight").unwrap(), case.kept("initial.0.weight_mask"));
    }
}

/// With Burn's AdamW. It corrects the moments with powers of betas in single precision, which
/// moves each step by some 1e-5 of it, in double precision too.
#[test]
fn ten_steps_of_burns_adamw_agree() {
    for case in Golden::open("trajectory").case("run") {
        let adamw = |rate: f64, decay: f64| {
            let config = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay as f32);
            BurnOptimizer::new("AdamW", config.build(), rate)
        };
        train(&case, adamw, Tolerance::new(1.3e-6, 2e-6));
    }
}

/// With ours, all that is left is rounding.
#[test]
fn ten_steps_of_our_adamw_agree() {
    for case in Golden::open("trajectory").case("run") {
        let adamw = |rate, decay| AdamW::new().with_rate(rate).with_decay(decay);
        let tolerance = match case.dtype {
            DType::F64 => Tolerance::new(1e-12, 1e-13),
            _ => Tolerance::new(1.3e-6, 1e-6),
        };
        train(&case, adamw, tolerance);
    }
}

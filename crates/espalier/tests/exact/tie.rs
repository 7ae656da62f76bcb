//! One parameter under two names, against PyTorch.

use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear};
use burn::optim::SgdConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use espalier::state::{StateDict, Strict};
use espalier::{ParameterTree, Parametrized};
use espalier_checkpoint::NamedTensor;

use crate::common::{
    Case, Golden, Host, Tolerance, assert_close, assert_same, device, gradient, read_back, values,
};

#[derive(Module, Debug)]
struct Twins {
    first: Linear,
    second: Linear,
}

#[derive(Module, Debug)]
struct Scored {
    embedding: Embedding,
    head: Linear,
}

#[track_caller]
fn close<const D: usize>(case: &Case<'_>, what: &str, found: Tensor<D>) {
    let tolerance = Tolerance::elementwise(case.dtype);
    assert_close(&case.label(what), &values(found), &case.values(what), tolerance);
}

fn parameters<M: Module>(net: &Parametrized<M>) -> Vec<String> {
    let parameters = net.named_parameters();
    parameters.into_iter().map(|info| info.path).collect()
}

/// A parameter of two names is saved once, under that of [`Parametrized::tie`]'s `to`, or on request
/// under both, as in PyTorch. PyTorch's state dict loads.
#[track_caller]
fn saved_as_asked<M: Module>(net: &Parametrized<M>, case: &Case<'_>, alias: &str, to: &str) {
    let state = StateDict::of(net);
    let mut names: Vec<&str> = state.checkpoint().names().collect();
    names.sort_unstable();
    let mut expected = case.texts("state_dict");
    let state = StateDict::for_torch(net);
    assert_eq!(state.checkpoint().names().collect::<Vec<_>>(), expected, "in PyTorch's order");
    assert_eq!(state.ties(), [[to, alias]]);
    expected.retain(|name| *name != alias);
    expected.sort_unstable();
    assert_eq!(names, expected);

    let weight: Vec<f64> = case.values("grad_weight");
    let state = read_back(
        [alias, to]
            .into_iter()
            .map(|name| NamedTensor::f64(name, case.shape("grad_weight"), &weight).unwrap()),
    );
    let rest = StateDict::of(net);
    let state = read_back(
        rest.checkpoint()
            .iter()
            .filter(|tensor| tensor.name() != to)
            .chain(state.checkpoint().iter())
            .cloned(),
    );
    let loaded = state.load_into(net.clone(), Strict::Yes).unwrap();
    let read = |path: &str| {
        let found = StateDict::of(&loaded.clone().fold());
        found.checkpoint().get(path).unwrap().to_f64_vec().unwrap()
    };
    assert_same(to, &read(to), &weight);
    assert_same(alias, &read(alias), &weight);
}

#[test]
fn every_case_is_tested() {
    Golden::open("tie").assert_all_tested(["linear_linear", "embedding_linear"]);
}

#[test]
fn two_linear_layers_agree() {
    for case in Golden::open("tie").case("linear_linear") {
        let layer = |weight: Tensor<2>, bias: &str| Linear {
            bias: Some(Param::from_tensor(case.tensor(bias))),
            ..Linear::holding(weight)
        };
        let weight: Tensor<2> = case.tensor("first.weight");
        // What the second had is dropped.
        let mut net = Parametrized::new(Twins {
            second: layer(weight.zeros_like(), "second.bias"),
            first: layer(weight, "first.bias"),
        });
        net.tie("second.weight", "first.weight").unwrap();
        assert_eq!(parameters(&net), case.texts("parameters"));
        saved_as_asked(&net, &case, "second.weight", "first.weight");

        let partial = |step: &Twins, name: &str| {
            let input: Tensor<2> = case.tensor(&format!("{name}.input"));
            let output = match name {
                "first" => step.first.forward(input),
                _ => step.second.forward(input),
            };
            close(&case, &format!("{name}.output"), output.clone());
            (output - case.tensor(&format!("{name}.target"))).square().mean()
        };
        for name in ["first", "second"] {
            let grads = net.grads(partial(&net.effective(), name).backward()).unwrap();
            let grad = gradient::<2, _>(&net, &grads, "first.weight");
            close(&case, &format!("grad_{name}"), Linear::turn(grad));
        }
        let step = net.effective();
        let loss = partial(&step, "first") + partial(&step, "second");
        close(&case, "loss", loss.clone());
        let grads = net.grads(loss.backward()).unwrap();
        let grad = gradient::<2, _>(&net, &grads, "first.weight");
        close(&case, "grad_weight", Linear::turn(grad));
        assert_eq!(grads.len(), 3);

        drop(step);
        let rate = case.note["lr"].as_f64().unwrap();
        net = SgdConfig::new().init().step(rate, net, grads);
        let first: Tensor<2> = net.get("first.weight").unwrap();
        let second: Tensor<2> = net.get("second.weight").unwrap();
        close(&case, "stepped_weight", Linear::turn(first.clone()));
        assert_same("second", &values(second), &values(first));
    }
}

#[test]
fn an_embedding_and_its_output_layer_agree() {
    for case in Golden::open("tie").case("embedding_linear") {
        let weight: Tensor<2> = case.tensor("weight");
        let mut net = Parametrized::new(Scored {
            head: Linear::holding(weight.zeros_like()),
            embedding: Embedding { weight: Param::from_tensor(weight) },
        });
        net.tie("head.weight", "embedding.weight").unwrap();
        assert_eq!(parameters(&net), case.texts("parameters"));
        saved_as_asked(&net, &case, "head.weight", "embedding.weight");

        let indices = |what: &str| {
            let indices: Vec<i64> = case.values(what).iter().map(|i| *i as i64).collect();
            let shape = [indices.len()];
            Tensor::<1, Int>::from_data(TensorData::new(indices, shape), &device())
        };
        let step = net.effective();
        let vectors = step.embedding.forward(indices("indices").unsqueeze::<2>());
        let vectors: Tensor<2> = vectors.squeeze_dim(0);
        close(&case, "vectors", vectors.clone());
        let output = step.head.forward(vectors);
        close(&case, "output", output.clone());
        let labels = indices("labels").unsqueeze_dim::<2>(1);
        let loss = log_softmax(output, 1).gather(1, labels).mean().neg();
        close(&case, "loss", loss.clone());
        let grads = net.grads(loss.backward()).unwrap();
        let grad = gradient::<2, _>(&net, &grads, "embedding.weight");
        close(&case, "grad_weight", grad);
        assert_eq!(grads.len(), 1);

        drop(step);
        let rate = case.note["lr"].as_f64().unwrap();
        net = SgdConfig::new().init().step(rate, net, grads);
        let table: Tensor<2> = net.get("embedding.weight").unwrap();
        let head: Tensor<2> = net.get("head.weight").unwrap();
        close(&case, "stepped_weight", table.clone());
        assert_same("head", &values(Linear::turn(head)), &values(table));
    }
}

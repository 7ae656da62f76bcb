//! Parametrized originals, parametrized buffers and lists made at once, against PyTorch.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use espalier::parametrize::{Orthogonal, ParametrizationList, Symmetric, WeightNorm};
use espalier::state::{StateDict, Strict};
use espalier::{Buffer, Kind, ParameterTree, Parametrized};

use crate::common::{Case, Golden, Host, Tolerance, assert_close, gradient, stored, values};

const NESTED: [&str; 4] =
    ["symmetric_direction", "normed_direction", "orthogonal_original", "three_levels"];

#[test]
fn every_case_is_tested() {
    Golden::open("nested").assert_all_tested(NESTED.into_iter().chain(["buffer", "list_at_once"]));
}

#[track_caller]
fn close(case: &Case<'_>, what: &str, found: Tensor<2>) {
    let tolerance = Tolerance::elementwise(case.dtype);
    assert_close(&case.label(what), &values(found), &case.values(what), tolerance);
}

fn names(state: &StateDict) -> Vec<&str> {
    state.shapes().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn parametrized_originals_agree() {
    for name in NESTED {
        for case in Golden::open("nested").case(name) {
            let mut net = Parametrized::new(Linear::holding(case.tensor("weight")));
            for step in case.note["steps"].as_array().unwrap() {
                let path = step[0].as_str().unwrap();
                match step[1].as_str().unwrap() {
                    "symmetric" => net.register(path, Symmetric::new()),
                    "weight_norm" => net.register(path, WeightNorm::dim(0)),
                    "orthogonal_cayley" => net.register(path, Orthogonal::cayley()),
                    other => panic!("no rule {other}"),
                }
                .unwrap();
            }
            let value = |net: &Parametrized<Linear>| Linear::turn(net.effective().weight());
            close(&case, "initial_value", value(&net));

            assert_eq!(names(&StateDict::of(&net)), case.texts("state_dict"), "{name}");
            let net = case.state_dict("state.").load_into(net, Strict::Yes).unwrap();
            close(&case, "value", value(&net));

            let given = Linear::turn(case.tensor("grad_value"));
            let grads = net.grads((net.effective().weight() * given).sum().backward()).unwrap();
            let parameters = net.named_parameters();
            assert_eq!(grads.len(), parameters.len());
            for info in parameters {
                let found = Linear::turn(gradient::<2, _>(&net, &grads, &info.path));
                close(&case, &format!("grad.{}", info.path), found);
            }
        }
    }
}

/// A module with a buffer and no parameter.
#[derive(Module, Debug)]
struct Buffered {
    weight: Buffer<2>,
}

#[test]
fn a_parametrized_buffer_agrees() {
    for case in Golden::open("nested").case("buffer") {
        let mut net = Parametrized::new(Buffered { weight: Buffer::new(case.tensor("weight")) });
        net.register("weight", Symmetric::new()).unwrap();
        close(&case, "value", net.effective().weight.value());
        let original = stored(&net, "parametrizations.weight.original");
        close(&case, "state.parametrizations.weight.original", original);
        assert_eq!(names(&StateDict::of(&net)), case.texts("state_dict"));
        assert_eq!(net.named_parameters().len(), case.texts("parameters").len());
        assert!(net.entries().iter().all(|info| info.kind == Kind::Buffer));
    }
}

#[test]
fn a_list_made_at_once_agrees() {
    for case in Golden::open("nested").case("list_at_once") {
        let mut net = Parametrized::new(Linear::holding(case.tensor("weight")));
        let list = ParametrizationList::new().with(WeightNorm::dim(0)).with(Symmetric::new());
        net.register("weight", list).unwrap();
        close(&case, "value", Linear::turn(net.effective().weight()));
        for original in ["original0", "original1"] {
            let path = format!("parametrizations.weight.{original}");
            close(&case, original, Linear::turn(stored(&net, &path)));
        }
    }
}

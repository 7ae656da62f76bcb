//! Each value once: evaluations counted inside a scope and outside.

use burn::module::Module;
use burn::tensor::Tensor;
use espalier::parametrize::{Own, WeightNorm, cached};

use crate::common::*;

#[test]
fn a_scope_computes_each_value_once_at_its_first_use() {
    let counts = counter();
    let mut net = pair(1);
    net.register("*.weight", Own::new("doubled", Doubled { counter: counts })).unwrap();
    evaluations(counts);
    let x = || numbers::<2>([3, 4], 2);
    let forward = |net: &espalier::nn::Sequential| -> Tensor<2> { net.forward(x()).unwrap() };

    let expected = forward(&net.effective());
    for _ in 0..4 {
        net.effective();
        weight(&net, "0.weight");
    }
    assert_eq!(evaluations(counts), 2 * 5 + 4, "without a scope, each time");

    let scope = cached(&net);
    assert_eq!(evaluations(counts), 0, "nothing before the first use");
    let first = scope.get::<2>("0.weight").unwrap();
    assert_eq!(evaluations(counts), 1);
    for _ in 0..5 {
        assert_equal(forward(&scope.effective()), expected.clone());
        assert_equal(scope.get::<2>("0.weight").unwrap(), first.clone());
        scope.get::<2>("2.weight").unwrap();
    }
    assert_eq!(evaluations(counts), 1, "the second weight");

    // A scope inside shares; what it computes lasts as long as the outermost.
    let other = net.cached();
    {
        let inner = other.cached();
        inner.get::<2>("2.weight").unwrap();
    }
    other.get::<2>("2.weight").unwrap();
    other.effective();
    assert_eq!(evaluations(counts), 2);
    drop(other);
    net.cached().get::<2>("2.weight").unwrap();
    assert_eq!(evaluations(counts), 1, "a new scope computes anew");
    // The first scope is another and still holds its own.
    scope.get::<2>("2.weight").unwrap();
    assert_eq!(evaluations(counts), 0);
}

#[test]
fn gradients_through_a_scope_add_up_to_those_without() {
    let mut net = square(2);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    let steps = |layer: &dyn Fn() -> burn::nn::Linear| {
        let mut x = numbers::<2>([3, 4], 3);
        for _ in 0..3 {
            x = layer().forward(x).tanh();
        }
        x.sum()
    };
    let ids: Vec<_> =
        espalier::ParameterTree::named_parameters(&net).iter().map(|p| p.id).collect();
    let apart = net.grads(steps(&|| net.effective()).backward()).unwrap();
    let scope = net.cached();
    let loss = steps(&|| scope.effective()) + scope.get::<2>("weight").unwrap().sum() * 0.0;
    let shared = net.grads(loss.backward()).unwrap();
    for id in ids {
        assert_near(shared.get::<2>(id).unwrap(), apart.get::<2>(id).unwrap());
    }
}

#[test]
fn ties_nests_masks_and_plain_parameters_are_read_through_a_scope() {
    let counts = counter();
    let mut net = pair(3);
    net.tie_transposed("2.weight", "0.weight").unwrap();
    net.register("0.weight", Own::new("halves", Halves {})).unwrap();
    let nested = "0.parametrizations.weight.original1";
    net.register(nested, Own::new("doubled", Doubled { counter: counts })).unwrap();
    net.prune("0.weight", espalier::prune::L1Unstructured::new(4)).unwrap();
    evaluations(counts);
    let scope = net.cached();
    let w = scope.get::<2>("0.weight").unwrap();
    assert_equal(scope.get::<2>("2.weight").unwrap(), w.clone().transpose());
    scope.get::<2>(nested).unwrap();
    scope.effective();
    assert_eq!(evaluations(counts), 1);
    assert_equal(w, weight(&net, "0.weight"));
    let bias: Tensor<1> = scope.get("0.bias").unwrap();
    assert_equal(bias, net.get("0.bias").unwrap());
    let plain = "0.parametrizations.weight.original0";
    assert_equal(scope.get::<2>(plain).unwrap(), weight(&net, plain));
    assert!(scope.get::<2>("0.wieght").is_err() && scope.get::<3>("0.weight").is_err());
}

#[test]
fn a_snapshot_in_a_scope_computes_nothing() {
    let counts = counter();
    let mut net = square(4);
    net.register("weight", Own::new("doubled", Doubled { counter: counts })).unwrap();
    let valid = net.valid();
    evaluations(counts);
    let scope = valid.cached();
    scope.effective();
    scope.effective();
    assert_eq!(evaluations(counts), 0);
}

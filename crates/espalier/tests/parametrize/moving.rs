//! State that moves: once for each effective module of a network in training, and at no other time.

use burn::module::Module;
use burn::tensor::Tensor;
use espalier::parametrize::{Own, Parametrization, RuleError};
use espalier::state::{StateDict, Strict};
use espalier::{Buffer, Leave, ParameterTree, Parametrized};

use crate::common::*;

/// Counts its advances, and adds the count to the value.
#[derive(Module, Debug)]
struct Counting {
    count: Buffer<1>,
}

impl Parametrization<2> for Counting {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() + self.count.value().unsqueeze()
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value - self.count.value().unsqueeze()])
    }
    fn advance(&self, originals: &[Tensor<2>]) {
        assert_eq!(originals.len(), 1);
        self.count.update(self.count.value() + 1.0);
    }
}

fn counting() -> Own<2, Counting> {
    Own::new("counting", Counting { count: Buffer::new(Tensor::zeros([1], &device())) })
}

fn count<M: Module>(net: &Parametrized<M>) -> f32 {
    let list = net.parametrizations("weight").unwrap();
    list.link::<Counting>(0).unwrap().count.value().into_scalar()
}

#[test]
fn state_advances_with_each_effective_module_in_training_only() {
    let mut net = square(1);
    net.register("weight", counting()).unwrap();
    weight(&net, "weight");
    net.parametrizations("weight").unwrap().forward();
    StateDict::of(&net);
    net.named_parameters();
    net.clone().fold();
    assert_eq!(count(&net), 0.0, "reading, listing, saving and folding move nothing");

    net.effective();
    net.effective();
    assert_eq!(count(&net), 2.0);
    let scope = net.cached();
    scope.effective();
    scope.effective();
    scope.get::<2>("weight").unwrap();
    drop(scope);
    assert_eq!(count(&net), 3.0, "a scope computes once");

    let valid = net.valid();
    valid.effective();
    weight(&valid, "weight");
    assert_eq!((count(&valid), count(&net)), (3.0, 3.0), "never in validation");
    valid.train().effective();
    assert_eq!(count(&net), 3.0, "a copy has its own state");
    let clone = net.clone();
    clone.effective();
    assert_eq!((count(&clone), count(&net)), (4.0, 3.0));
}

#[test]
fn state_that_moves_is_saved_and_not_trained() {
    let mut net = square(1);
    net.register("weight", counting()).unwrap();
    for _ in 0..5 {
        net.effective();
    }
    assert_eq!(names(&net), ["parametrizations.weight.original"]);
    assert_eq!(net.named_buffers()[0].path, "parametrizations.weight.0.count");
    let state = StateDict::of(&net);
    let mut other = square(2);
    other.register("weight", counting()).unwrap();
    let other = state.load_into(other, Strict::Yes).unwrap();
    assert_eq!(count(&other), 5.0);
    assert_equal(weight(&other, "weight"), weight(&net, "weight"));
    let value = weight(&net, "weight");
    net.remove("weight", Leave::Parametrized).unwrap();
    assert_equal(weight(&net, "weight"), value);
}

//! Copies that train apart.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Tensor;
use espalier::Parametrized;
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;

use crate::common::{output, train, wrapped};

fn net() -> Parametrized<Sequential> {
    let mut net = wrapped(3);
    net.register("3.weight", Orthogonal::cayley()).unwrap();
    net.register("5.weight", WeightNorm::dim(0)).unwrap();
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    net
}

fn train_apart(copy: impl Fn(&Parametrized<Sequential>) -> Parametrized<Sequential>) {
    let mut optim = AdamWConfig::new().init();
    let original = train(net(), &mut optim, 2);
    let before = StateDict::of(&original);
    let mut a = copy(&original);
    let b = copy(&original);
    assert_eq!(StateDict::of(&a), before, "a copy is equal");

    let mut optim_a = AdamWConfig::new().init();
    a = train(a, &mut optim_a, 3);
    assert_ne!(StateDict::of(&a), before);
    let moved = StateDict::of(&a);
    let stats = |s: &StateDict| s.checkpoint().get("1.running_mean").cloned();
    assert_ne!(stats(&moved), stats(&before), "batch norm moved in the trained copy");
    assert_eq!(StateDict::of(&b), before, "the other copy did not move");
    assert_eq!(StateDict::of(&original), before, "nor the original");

    let b = train(b, &mut AdamWConfig::new().init(), 3);
    assert_eq!(StateDict::of(&b), moved, "the same training gives the same copy");
    assert_eq!(StateDict::of(&a), moved, "and leaves the first alone");
}

#[test]
fn deep_copies_train_apart_batch_norm_included() {
    train_apart(Parametrized::deep_copy);
}

#[test]
fn clones_put_into_training_train_apart() {
    train_apart(|net| net.clone().train());
}

#[test]
fn assigning_to_a_copy_leaves_the_other_its_base() {
    let a = net();
    let before = output(&a, 0);
    let mut b = a.deep_copy();
    let flipped: Tensor<2> = a.get("3.weight").unwrap().flip([0]);
    b.set("3.weight", flipped.detach()).unwrap();
    assert_ne!(output(&b, 0), before);
    assert_eq!(output(&a, 0), before);
}

#[test]
fn a_validation_copy_stays_a_validation_copy() {
    let valid = net().valid();
    let copy = valid.deep_copy();
    assert!(!copy.devices()[0].is_autodiff());
    assert_eq!(StateDict::of(&copy), StateDict::of(&valid));
}

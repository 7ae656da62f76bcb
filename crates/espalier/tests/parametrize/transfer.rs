//! Parametrizations copied to another network.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::SgdConfig;
use burn::tensor::Tensor;
use espalier::parametrize::{
    Orthogonal, Own, Symmetric, WeightNorm, transfer_parametrizations_and_params as transfer,
};
use espalier::prune::L1Unstructured;
use espalier::{Error, ParameterTree, Parametrized};

use crate::common::*;

#[test]
fn rules_originals_and_state_are_copied_and_shared_with_nobody() {
    let mut from = pair(1);
    from.register("0.weight", WeightNorm::dim(0)).unwrap();
    from.register("0.weight", Symmetric::new()).unwrap();
    from.register("0.parametrizations.weight.original1", Own::new("scaled", scaled(2.0))).unwrap();
    from.register("2.weight", Orthogonal::cayley()).unwrap();
    from.prune("2.weight", L1Unstructured::new(3)).unwrap();
    let mut to = pair(2);
    let (bias, id) = (to.get::<1>("0.bias").unwrap(), to.named_parameters()[2].id);
    assert_eq!(transfer(&from, &mut to, None).unwrap(), ["0.weight", "2.weight"]);
    assert_eq!(to.description(), from.description());
    for path in ["0.weight", "2.weight"] {
        assert_equal(weight(&to, path), weight(&from, path));
    }
    assert_equal(to.get::<1>("0.bias").unwrap(), bias);
    assert_eq!(names(&to), names(&from));
    let ids =
        |net: &Parametrized<_>| net.named_parameters().iter().map(|p| p.id).collect::<Vec<_>>();
    assert!(ids(&to).iter().all(|id| !ids(&from).contains(id)));
    assert!(ids(&to).contains(&id), "a single original is the parameter that was there");

    let before = everything(&from);
    let y: Tensor<2> = to.effective().forward(numbers([3, 4], 5)).unwrap();
    let grads = to.grads(y.square().sum().backward()).unwrap();
    let to = SgdConfig::new().init().step(0.1, to, grads);
    assert_eq!(everything(&from), before);
    let moved = (weight(&to, "0.weight") - weight(&from, "0.weight")).abs().max();
    assert!(moved.into_scalar::<f32>() > 1e-4);
}

#[test]
fn a_name_selects_and_what_does_not_fit_is_refused() {
    let mut from = pair(3);
    from.register("*.weight", WeightNorm::dim(0)).unwrap();
    let mut to = pair(4);
    assert_eq!(transfer(&from, &mut to, Some("2.weight")).unwrap(), ["2.weight"]);
    assert!(!to.is_parametrized("0.weight"));
    let before = everything(&to);
    let again = transfer(&from, &mut to, None).unwrap_err();
    assert!(matches!(&again, Error::AlreadyParametrized { path } if path == "2.weight"));
    let plain = transfer(&from, &mut to, Some("0.bias")).unwrap_err();
    assert!(matches!(&plain, Error::NotParametrized { path } if path == "0.bias"));
    assert_eq!(everything(&to), before);
    assert!(transfer(&pair(5), &mut to, None).unwrap().is_empty());

    let other = espalier::nn::Sequential::new().with(LinearConfig::new(4, 3).init(&device()));
    let mut other = Parametrized::new(other);
    let error = transfer(&from, &mut other, Some("0.weight")).unwrap_err();
    assert!(matches!(&error, Error::Shape { expected, found, .. }
        if expected == &[4, 3] && found == &[4, 4]));
    assert!(matches!(transfer(&from, &mut other, Some("2.weight")), Err(Error::NoMatch { .. })));
}

/// From a snapshot to a network in training, and back.
#[test]
fn it_takes_the_device_of_the_target() {
    let mut from = square(6);
    from.register("weight", WeightNorm::dim(0)).unwrap();
    let mut to = square(7);
    to.transfer_from(&from.valid(), "weight").unwrap();
    let grads = to.grads(to.effective().weight.val().sum().backward()).unwrap();
    assert_eq!(grads.len(), 2);
    let mut valid = square(8).valid();
    valid.transfer_from(&from, "weight").unwrap();
    assert_equal(valid.effective().weight.val(), weight(&from, "weight").inner());
}

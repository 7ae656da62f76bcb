//! PyTorch's names do what the methods do.

use burn::tensor::Tensor;
use espalier::Error;
use espalier::parametrize::parametrizations::{orthogonal, weight_norm};
use espalier::parametrize::{
    OrthogonalMap, Own, Symmetric, is_parametrized, register_parametrization,
    remove_parametrizations, type_before_parametrizations,
};

use crate::common::*;

#[test]
fn registering_and_removing() {
    let mut net = pair(1);
    assert!(!is_parametrized(&net, None) && !is_parametrized(&net, Some("nowhere")));
    let paths = register_parametrization(&mut net, "*.weight", Symmetric::new(), false).unwrap();
    assert_eq!(paths, ["0.weight", "2.weight"]);
    assert!(is_parametrized(&net, None) && is_parametrized(&net, Some("2.weight")));
    assert!(!is_parametrized(&net, Some("2.bias")));
    register_parametrization(&mut net, "0.weight", Own::new("plus_one", PlusOne {}), true).unwrap();
    let list = net.parametrizations("0.weight").unwrap();
    assert!(list.is_unsafe);
    let value = weight(&net, "0.weight");
    remove_parametrizations(&mut net, "0.weight", true).unwrap();
    assert_equal(weight(&net, "0.weight"), value);
    let original = weight(&net, "2.parametrizations.weight.original");
    remove_parametrizations(&mut net, "2.weight", false).unwrap();
    assert_equal(weight(&net, "2.weight"), original);
    let error = remove_parametrizations(&mut net, "2.weight", false).unwrap_err();
    assert!(matches!(error, Error::NotParametrized { .. }));
}

#[test]
fn the_rules_of_pytorch_by_name() {
    let mut net = pair(2);
    weight_norm(&mut net, "0.weight", None).unwrap();
    orthogonal(&mut net, "2.weight", Some(OrthogonalMap::Cayley), false).unwrap();
    let q = weight(&net, "2.weight");
    assert_near(q.clone().transpose().matmul(q), Tensor::eye(4, &device()));
    let rules = |path| format!("{:#}", net.parametrizations(path).unwrap());
    assert_eq!(rules("0.weight"), "ParametrizationList(\n  (0): weight_norm\n)");
    assert_eq!(rules("2.weight"), "ParametrizationList(\n  (0): orthogonal(cayley)\n)");
    assert_eq!(type_before_parametrizations(&net, "2").unwrap(), "Linear");
    let error = type_before_parametrizations(&net, "3").unwrap_err();
    assert!(matches!(&error, Error::NoLayer { path, .. } if path == "3"));
}

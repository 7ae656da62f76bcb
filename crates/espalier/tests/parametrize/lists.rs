//! Several rules registered as one, and what is registered, looked at.

use burn::tensor::Tensor;
use espalier::Error;
use espalier::parametrize::{
    Orthogonal, Own, ParametrizationList, Rule, RuleError, Symmetric, WeightNorm, WeightNormLink,
};

use crate::common::*;

/// The list asks all its rules for their inverse, so that the value stays; one by one, only the
/// first is asked.
#[test]
fn a_list_keeps_the_value_where_single_rules_change_it() {
    let value = weight(&square(1), "weight");
    let list = ParametrizationList::new()
        .with(Own::new("scaled", scaled(2.0)))
        .with(Own::new("scaled", scaled(4.0)));
    assert_eq!((list.len(), list.is_unsafe(), list.is_empty()), (2, false, false));
    let mut net = square(1);
    net.register("weight", list).unwrap();
    assert_near(weight(&net, "weight"), value.clone());
    assert_near(weight(&net, "parametrizations.weight.original"), value.clone() / 8.0);

    let mut net = square(1);
    net.register("weight", Own::new("scaled", scaled(2.0))).unwrap();
    net.register("weight", Own::new("scaled", scaled(4.0))).unwrap();
    assert_near(weight(&net, "weight"), value * 4.0);
}

#[test]
fn a_list_joins_a_chain() {
    let mut net = square(2);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    let list = ParametrizationList::new().with(Symmetric::new()).with(Orthogonal::cayley());
    net.register("weight", list).unwrap();
    let rules = net.parametrizations("weight").unwrap().rules;
    assert_eq!(rules, ["weight_norm", "symmetric", "orthogonal"]);
}

#[test]
fn a_list_is_registered_whole_or_not_at_all() {
    let mut net = square(3);
    let before = everything(&net);
    let list = || ParametrizationList::new().with(Symmetric::new());
    let error = net.register("weight", list().with(WeightNorm::dim(0))).unwrap_err();
    assert!(matches!(
        &error,
        Error::Rule { source: RuleError::Originals { expected: 1, found: 2 }, .. }
    ));
    let error = net.register("weight", list().with(WeightNorm::dim(5))).unwrap_err();
    assert!(matches!(&error, Error::Rule { rule, source: RuleError::Dim { dim: 5, .. }, .. }
        if rule == "weight_norm"));
    let error = net.register("weight", ParametrizationList::new()).unwrap_err();
    assert!(matches!(&error, Error::EmptyList { .. }), "{error}");
    assert_eq!(everything(&net), before);
}

#[test]
fn a_list_is_unsafe_if_it_says_so_or_a_rule_is() {
    assert!(ParametrizationList::new().with(Orthogonal::cayley()).is_unsafe());
    let list = ParametrizationList::new().with(Symmetric::new()).unsafe_();
    let mut net = square(4);
    net.register("weight", list).unwrap();
    assert!(net.parametrizations("weight").unwrap().is_unsafe);
    let boxed: Box<dyn Rule> = Box::new(Symmetric::new());
    assert_eq!(
        ParametrizationList::new().with(boxed).to_string(),
        "ParametrizationList(\n  (0): symmetric\n)"
    );
}

#[test]
fn what_is_registered_can_be_looked_at() {
    let mut net = pair(5);
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.register("0.weight", Symmetric::new()).unwrap();
    net.tie("2.weight", "0.weight").unwrap();
    let list = net.parametrizations("0.weight").unwrap();
    assert_eq!((list.len(), list.is_empty()), (2, false));
    assert_eq!(
        list.original_paths(),
        ["0.parametrizations.weight.original0", "0.parametrizations.weight.original1"]
    );
    for (path, value) in list.original_paths().iter().zip(list.values()) {
        assert_equal(weight(&net, path), value.into_rank().unwrap());
    }
    assert_eq!(list.originals, [[1, 4], [4, 4]]);
    assert!(list.link::<WeightNormLink>(0).is_some());
    assert!(list.link::<WeightNormLink>(1).is_none() && list.link::<Scaled>(2).is_none());
    assert_eq!(list.links()[1].rule(), "symmetric");
    let value: Tensor<2> = list.forward().unwrap().into_rank().unwrap();
    assert_equal(value, weight(&net, "0.weight"));
    assert_eq!(
        format!("{list:#}"),
        "ParametrizationList(\n  (0): weight_norm(dim 0)\n  (1): symmetric\n)"
    );
    // Through a tie it is the same list.
    let tied = net.parametrizations("2.weight").unwrap();
    assert_eq!(tied.tied_to.as_deref(), Some("0.weight"));
    assert_eq!(tied.original_paths(), list.original_paths());

    let narrow = Tensor::<2>::ones([4, 3], &device());
    assert!(matches!(list.right_inverse(narrow), Err(Error::Shape { .. })));
    net.register("2.weight", Own::new("plus_one", PlusOne {})).unwrap();
    let list = net.parametrizations("0.weight").unwrap();
    let error = list.right_inverse(Tensor::<2>::ones([4, 4], &device())).unwrap_err();
    assert!(matches!(&error, Error::Rule { rule, source: RuleError::NoRightInverse { .. }, .. }
        if rule == "plus_one"));
    assert!(matches!(net.parametrizations("0.bias"), Err(Error::NotParametrized { .. })));
}

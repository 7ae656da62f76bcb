//! What is refused, and that nothing is changed then.

use burn::module::Module;
use burn::nn::BatchNormConfig;
use burn::tensor::Tensor;
use espalier::constrain::{
    Constraint, Constraints, MaxNorm, MinMaxNorm, NonNeg, OrthogonalProjection, UnitNorm,
};
use espalier::parametrize::{Own, Parametrization, RuleError, Site};
use espalier::{AnyTensor, Error, Parametrized};

use crate::common::{device, everything, linear, only, pair};

#[test]
fn options_out_of_range() {
    fn refuses(constraint: impl Constraint + 'static, option: &str) {
        let error = Constraints::new().with("*.weight", constraint).unwrap_err();
        assert!(
            matches!(&error, Error::Constraint { selector, source: RuleError::Option { option: name, .. }, .. }
                if selector == "`*.weight`" && *name == option),
            "{error}"
        );
    }
    for max in [0.0, -1.0, f64::NAN] {
        refuses(MaxNorm::new(max), "max");
        refuses(MinMaxNorm::new(0.0, max), "max");
    }
    for min in [-0.1, 2.0, f64::NAN] {
        refuses(MinMaxNorm::new(min, 1.0), "min");
    }
    for rate in [-0.1, 1.1, f64::NAN] {
        refuses(MinMaxNorm::new(0.0, 1.0).rate(rate), "rate");
    }
    let error = Constraints::new().with("0.weight", MaxNorm::new(-2.0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`0.weight`: max_norm: option `max`: expected a number above 0, found -2"
    );
}

#[test]
fn names_that_match_nothing() {
    let constraints = Constraints::new().with("2.wieght", NonNeg::new()).unwrap();
    let error = constraints.apply(pair(1)).unwrap_err().to_string();
    assert_eq!(error, "`2.wieght` matches no parameter; nearest: `2.weight`, `0.weight`, `2.bias`");
    let error = constraints.apply_module(pair(1).fold()).unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }));
    assert!(matches!(
        Constraints::new().with("a[", NonNeg::new()).unwrap_err(),
        Error::Selector { .. }
    ));
}

#[test]
fn running_statistics() {
    let norm = || BatchNormConfig::new(3).init(&device());
    let constraints = Constraints::new().with("running_*", NonNeg::new()).unwrap();
    let error = constraints.apply(Parametrized::new(norm())).unwrap_err();
    assert!(matches!(error, Error::RunningStatistic { .. }), "{error}");
    let error = constraints.apply_module(norm()).unwrap_err();
    assert!(matches!(error, Error::Kind { .. }), "{error}");
}

#[test]
fn a_dimension_that_is_not_there_and_shapes_that_do_not_fit() {
    let cases: [(Constraints, RuleError); 4] = [
        (
            Constraints::new().with("*.bias", MaxNorm::new(1.0).dim(1)).unwrap(),
            RuleError::Dim { dim: 1, found: vec![4] },
        ),
        (
            Constraints::new().with("0.bias", UnitNorm::new().dim(3)).unwrap(),
            RuleError::Dim { dim: 3, found: vec![4] },
        ),
        (
            Constraints::new().with("0.weight", MinMaxNorm::default().dim(2)).unwrap(),
            RuleError::Dim { dim: 2, found: vec![4, 4] },
        ),
        (
            Constraints::new().with("0.bias", OrthogonalProjection::new()).unwrap(),
            RuleError::Rank { expected: 2, found: vec![4] },
        ),
    ];
    for (constraints, expected) in cases {
        let net = pair(2);
        let before = everything(&net);
        match constraints.apply(net.clone()).unwrap_err() {
            Error::Rule { path, source, .. } => {
                assert!(path.starts_with("0."));
                assert_eq!(source, expected);
            }
            error => panic!("{error}"),
        }
        assert_eq!(everything(&net), before);
    }
}

/// Of another shape than it was given.
#[derive(Debug)]
struct Shorter;

impl Constraint for Shorter {
    fn name(&self) -> &str {
        "shorter"
    }
    fn apply(&self, _: AnyTensor, _: &Site) -> Result<AnyTensor, RuleError> {
        Ok(Tensor::<2>::ones([1, 1], &device()).into())
    }
}

#[test]
fn an_own_constraint_may_not_change_the_shape() {
    let error = only(Shorter).apply(linear(1)).unwrap_err();
    let Error::Rule { path, rule, source } = error else { panic!("{error}") };
    assert_eq!((path.as_str(), rule.as_str()), ("weight", "shorter"));
    assert_eq!(source, RuleError::Value { expected: vec![4, 3], found: vec![1, 1] });
}

#[test]
fn a_value_that_is_not_finite_has_no_orthogonal_factor_and_a_clone_is_not_changed() {
    let mut net = pair(3);
    net.set("2.weight", Tensor::<2>::full([4, 4], f32::NAN, &device())).unwrap();
    let before = everything(&net);
    let constraints = Constraints::new()
        .with("**", NonNeg::new())
        .unwrap()
        .with("*.weight", OrthogonalProjection::new())
        .unwrap();
    let error = constraints.apply(net.clone()).unwrap_err();
    assert!(
        matches!(&error, Error::Rule { path, source: RuleError::Dense(_), .. } if path == "2.weight"),
        "{error}"
    );
    assert_eq!(everything(&net).1, before.1);
    let first: Tensor<2> = net.get("0.weight").unwrap();
    assert!(first.min().into_scalar::<f32>() < 0.0, "the first was projected in a copy only");
}

/// Adds one. It cannot be inverted.
#[derive(Module, Debug)]
struct PlusOne {}

impl Parametrization<2> for PlusOne {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() + 1.0
    }
}

#[test]
fn a_rule_without_a_right_inverse() {
    let mut net = linear(4);
    net.register("weight", Own::new("plus_one", PlusOne {})).unwrap();
    let error = only(MaxNorm::new(0.1)).apply(net).unwrap_err();
    assert!(
        matches!(&error, Error::Rule { rule, source: RuleError::NoRightInverse { .. }, .. }
            if rule == "plus_one"),
        "{error}"
    );
}

//! Where PyTorch raises an error, a call here returns one, and changes nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use espalier::nn::Sequential;
use espalier::parametrize::{
    FixedRank, LowRank, Orthogonal, Own, Parametrization, ParametrizationList, PositiveDefinite,
    PositiveSemidefinite, Rule, RuleError, Rules, Skew, SpectralNorm, Sphere, Symmetric,
    WeightNorm,
};
use espalier::prune::{Amount, AmountError, L1Unstructured, PruneError};
use espalier::{Error, Leave, Parametrized};

use crate::common::{Case, Golden, Holder, Host, everything, tensor};

type Net = Parametrized<Linear>;

/// A rule without a right inverse.
#[derive(Module, Debug)]
struct Doubled {}

impl Parametrization<2> for Doubled {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() * 2.0
    }
}

/// A rule that changes the shape: the first output's weights.
#[derive(Module, Debug)]
struct FirstRow {}

impl Parametrization<2> for FirstRow {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone().narrow(1, 0, 1)
    }
}

/// PyTorch raises `exception` in `case`; `call`, after `prepare`, returns what `is_expected`.
#[track_caller]
fn refused<const D: usize, H: Host<D>>(
    case: &Case<'_>,
    exception: &str,
    prepare: impl Fn(&mut Parametrized<H>),
    call: impl Fn(&mut Parametrized<H>) -> Error,
    is_expected: impl Fn(&Error) -> bool,
) {
    assert_eq!(case.note["error"], exception, "{}", case.name);
    let mut net = Parametrized::new(H::holding(case.tensor("weight")));
    prepare(&mut net);
    let before = everything(&net);
    let error = call(&mut net);
    assert!(is_expected(&error), "{}: {error:?}", case.name);
    assert_eq!(everything(&net), before, "{}", case.name);
}

fn nothing<M: Module>(_: &mut Parametrized<M>) {}

/// Runs both element types of a case and ticks it off.
struct Errors {
    golden: Golden,
    tested: RefCell<BTreeSet<String>>,
}

impl Errors {
    fn case(&self, name: &str, run: impl Fn(&Case<'_>)) {
        self.golden.case(name).iter().for_each(run);
        self.tested.borrow_mut().insert(name.to_owned());
    }
}

/// What the compiler refuses: [`Amount::count`] takes a `usize`, [`Amount::fraction`] an `f64`, and
/// scores are what an own method computes, not an argument.
const NOT_EXPRESSIBLE: [&str; 3] =
    ["prune_amount_negative_int", "prune_amount_text", "prune_scores_shape"];

#[test]
fn every_error_of_pytorch_is_one_here() {
    let errors = Errors { golden: Golden::open("errors"), tested: RefCell::default() };
    amounts(&errors);
    pruning(&errors);
    registering(&errors);
    unfit_rules(&errors);
    assigning(&errors);
    removing(&errors);
    let tested = errors.tested.borrow();
    let tested: BTreeSet<&str> = tested.iter().map(String::as_str).chain(NOT_EXPRESSIBLE).collect();
    assert_eq!(errors.golden.names(), tested);
}

fn amounts(errors: &Errors) {
    let prune = |amount: Amount| {
        move |net: &mut Net| net.prune("weight", L1Unstructured::new(amount)).unwrap_err()
    };
    let is_fraction = |expected: f64| {
        move |error: &Error| {
            matches!(error, Error::Prune { path, source: PruneError::Amount(AmountError::Fraction { found }) }
                if path == "weight" && (*found == expected || found.is_nan() && expected.is_nan()))
        }
    };
    let is_count = |wanted: usize, there: usize| {
        move |error: &Error| {
            matches!(error, Error::Prune { path, source: PruneError::Amount(AmountError::Count { asked, available }) }
                if path == "weight" && (*asked, *available) == (wanted, there))
        }
    };
    for (name, fraction) in [
        ("prune_amount_above_one", 1.5),
        ("prune_amount_negative_float", -0.1),
        ("prune_amount_nan", f64::NAN),
    ] {
        errors.case(name, |case| {
            let amount = Amount::fraction(fraction);
            refused(case, "ValueError", nothing, prune(amount), is_fraction(fraction));
        });
    }
    errors.case("prune_amount_above_size", |case| {
        let call = prune(Amount::count(31));
        refused(case, "ValueError", nothing, call, is_count(31, 30));
    });
    errors.case("prune_amount_above_kept", |case| {
        let prepare = |net: &mut Net| {
            net.prune("weight", L1Unstructured::new(20)).unwrap();
        };
        let call = prune(Amount::count(11));
        refused(case, "ValueError", prepare, call, is_count(11, 10));
    });
}

fn is_no_match(error: &Error) -> bool {
    matches!(error, Error::NoMatch { nearest, .. } if nearest == &["weight"])
}

fn pruning(errors: &Errors) {
    errors.case("prune_unknown_name", |case| {
        let call = |net: &mut Net| net.prune("wieght", L1Unstructured::new(0.5)).unwrap_err();
        refused(case, "AttributeError", nothing, call, is_no_match);
    });
    errors.case("prune_remove_unpruned", |case| {
        let remove = |net: &mut Net| net.remove("weight", Leave::Parametrized).unwrap_err();
        refused(case, "ValueError", nothing, remove, is_not_parametrized);
        let read = |net: &mut Net| net.kept("weight").unwrap_err();
        refused(
            case,
            "ValueError",
            nothing,
            read,
            |error: &Error| matches!(error, Error::NotPruned { path } if path == "weight"),
        );
    });
}

fn is_rule(error: &Error, name: &str, is_cause: impl Fn(&RuleError) -> bool) -> bool {
    matches!(error, Error::Rule { path, rule, source }
        if path == "weight" && rule == name && is_cause(source))
}

fn registering(errors: &Errors) {
    errors.case("register_unknown_name", |case| {
        let call = |net: &mut Net| net.register("wieght", Symmetric::new()).unwrap_err();
        refused(case, "ValueError", nothing, call, is_no_match);
    });
    errors.case("register_unknown_original", |case| {
        let prepare = |net: &mut Net| {
            net.register("weight", WeightNorm::default()).unwrap();
        };
        let path = "parametrizations.weight.original2";
        let call = |net: &mut Net| net.register(path, Symmetric::new()).unwrap_err();
        refused(case, "ValueError", prepare, call, |error| matches!(error, Error::NoMatch { .. }));
    });
    errors.case("register_changes_shape", |case| {
        let call =
            |net: &mut Net| net.register("weight", Own::new("first_row", FirstRow {})).unwrap_err();
        refused(case, "ValueError", nothing, call, |error: &Error| {
            is_rule(error, "first_row", |cause| {
                matches!(cause, RuleError::ChangesShape { expected, found }
                    if expected == &[4, 4] && found == &[4, 1])
            })
        });
    });
    errors.case("register_empty_list", |case| {
        let call = |net: &mut Net| net.register("weight", ParametrizationList::new()).unwrap_err();
        refused(
            case,
            "ValueError",
            nothing,
            call,
            |error| matches!(error, Error::EmptyList { selector } if selector.contains("weight")),
        );
    });
    errors.case("orthogonal_one_dimension", |case| {
        let call = |net: &mut Parametrized<Holder<1>>| {
            net.register("weight", Orthogonal::cayley()).unwrap_err()
        };
        refused(case, "ValueError", nothing, call, |error: &Error| {
            is_rule(
                error,
                "orthogonal",
                |cause| matches!(cause, RuleError::Rank { expected: 2, found } if found == &[4]),
            )
        });
    });
    // A name can be wrong only in a file.
    errors.case("orthogonal_unknown_map", |case| {
        assert_eq!(case.note["error"], "ValueError");
        let options = |map: &str| serde_json::json!({ "map": map, "trivialization": true });
        let make = |map| Rules::builtin().make("orthogonal", &options(map));
        assert!(make("cayley").is_ok());
        let error = make("caley").unwrap_err();
        assert!(matches!(&error, RuleError::Options { .. }), "{error}");
    });
}

/// A rule that does not fit the weight, or whose options fit none, for each such case.
fn unfit(name: &str) -> Box<dyn Rule> {
    match name {
        "spectral_norm_dim_outside" => Box::new(SpectralNorm::new().dim(2)),
        "spectral_norm_without_iterations" => Box::new(SpectralNorm::new().power_iterations(0)),
        "skew_one_dimension" | "skew_not_square" => Box::new(Skew::new()),
        "positive_definite_one_dimension" | "positive_definite_not_square" => {
            Box::new(PositiveDefinite::new())
        }
        "positive_semidefinite_not_square" => Box::new(PositiveSemidefinite::rank(2)),
        "positive_semidefinite_rank_above_size" => Box::new(PositiveSemidefinite::rank(5)),
        "positive_semidefinite_rank_zero" => Box::new(PositiveSemidefinite::rank(0)),
        "low_rank_one_dimension" => Box::new(LowRank::new(1)),
        "low_rank_rank_above_size" => Box::new(LowRank::new(4)),
        "low_rank_rank_zero" => Box::new(LowRank::new(0)),
        "fixed_rank_one_dimension" => Box::new(FixedRank::new(1)),
        "fixed_rank_rank_above_size" => Box::new(FixedRank::new(4)),
        "fixed_rank_rank_zero" => Box::new(FixedRank::new(0)),
        "sphere_radius_zero" => Box::new(Sphere::dim(0).radius(0.0)),
        "sphere_radius_negative" => Box::new(Sphere::dim(0).radius(-1.0)),
        other => panic!("no rule for {other}"),
    }
}

/// Registering them is refused, by the rule, and the error says its name.
fn unfit_rules(errors: &Errors) {
    for name in errors.golden.names() {
        if !errors.golden.case(name)[0].note["rule"].is_string() {
            continue;
        }
        errors.case(name, |case| {
            let exception = case.note["error"].as_str().unwrap();
            let rule = unfit(name);
            let is_expected = |error: &Error| is_rule(error, rule.name(), |_| true);
            if name.ends_with("one_dimension") {
                let call = |net: &mut Parametrized<Holder<1>>| {
                    net.register("weight", unfit(name)).unwrap_err()
                };
                refused(case, exception, nothing, call, |error: &Error| {
                    let of_rank = |cause: &RuleError| {
                        matches!(cause, RuleError::Rank { expected: 2, found } if found == &[4])
                    };
                    is_rule(error, rule.name(), of_rank)
                });
            } else {
                let call = |net: &mut Parametrized<Holder<2>>| {
                    net.register("weight", unfit(name)).unwrap_err()
                };
                refused(case, exception, nothing, call, is_expected);
            }
        });
    }
}

fn assigning(errors: &Errors) {
    let set = |net: &mut Net, value: Tensor<2>| net.set("weight", value).unwrap_err();
    let is_no_inverse = |cause: &RuleError| matches!(cause, RuleError::NoRightInverse { .. });
    errors.case("assign_without_right_inverse", |case| {
        let prepare = |net: &mut Net| {
            net.register("weight", Own::new("doubled", Doubled {})).unwrap();
        };
        let call = |net: &mut Net| set(net, case.tensor("weight"));
        refused(case, "RuntimeError", prepare, call, |error: &Error| {
            is_rule(error, "doubled", is_no_inverse)
        });
    });
    errors.case("assign_untrivialized_orthogonal", |case| {
        let prepare = |net: &mut Net| {
            net.register("weight", Orthogonal::cayley().trivialization(false)).unwrap();
        };
        let call = |net: &mut Net| set(net, case.tensor("weight"));
        refused(case, "NotImplementedError", prepare, call, |error: &Error| {
            is_rule(error, "orthogonal", is_no_inverse)
        });
    });
    errors.case("assign_wrong_shape_orthogonal", |case| {
        let prepare = |net: &mut Net| {
            net.register("weight", Orthogonal::cayley()).unwrap();
        };
        let call = |net: &mut Net| set(net, case.tensor::<2>("weight").narrow(1, 0, 3));
        refused(case, "ValueError", prepare, call, |error: &Error| {
            matches!(error, Error::Shape { path, expected, found }
                if path == "weight" && expected == &[4, 4] && found == &[4, 3])
        });
    });
}

fn is_not_parametrized(error: &Error) -> bool {
    matches!(error, Error::NotParametrized { path } if path == "weight")
}

fn removing(errors: &Errors) {
    errors.case("remove_unparametrized", |case| {
        let call = |net: &mut Net| net.remove("weight", Leave::Parametrized).unwrap_err();
        refused(case, "ValueError", nothing, call, is_not_parametrized);
    });
    errors.case("remove_several_originals", |case| {
        let prepare = |net: &mut Net| {
            net.register("weight", WeightNorm::default()).unwrap();
        };
        let call = |net: &mut Net| net.remove("weight", Leave::Original).unwrap_err();
        refused(case, "ValueError", prepare, call, |error: &Error| {
            matches!(error, Error::SeveralOriginals { path, originals: 2 } if path == "weight")
        });
    });
}

/// Two layers, of which the second is not square.
fn pair() -> Parametrized<Sequential> {
    let layer = |rows: usize| {
        let numbers: Vec<f64> = (0..4 * rows).map(|i| i as f64 + 1.0).collect();
        Linear::holding(tensor(&numbers, &[rows, 4], DType::F32))
    };
    Parametrized::new(Sequential::new().with(layer(4)).with(layer(3)))
}

/// What fits the first of two selected parameters only is done to neither.
#[test]
fn a_call_does_all_or_nothing() {
    let mut net = pair();
    let before = everything(&net);
    let error = net.register("**.weight", Symmetric::new()).unwrap_err();
    let not_square = |source: &RuleError| matches!(source, RuleError::NotSquare { .. });
    assert!(
        matches!(&error, Error::Rule { path, source, .. } if path == "1.weight" && not_square(source))
    );
    assert_eq!(everything(&net), before);

    let error = net.prune("**.weight", L1Unstructured::new(13)).unwrap_err();
    assert!(matches!(&error, Error::Prune { path, .. } if path == "1.weight"));
    assert_eq!(everything(&net), before);

    net.register("0.weight", Orthogonal::cayley()).unwrap();
    let before = everything(&net);
    let error = net.remove("**.weight", Leave::Parametrized).unwrap_err();
    assert!(matches!(&error, Error::NotParametrized { path } if path == "1.weight"));
    assert_eq!(everything(&net), before);
}

/// Matrices that no rule can take are refused, not computed with.
#[test]
fn empty_and_infinite_matrices_are_refused() {
    for shape in [[0, 0], [3, 0], [0, 3]] {
        let empty = tensor::<2>(&[], &shape, DType::F32);
        let mut net = Parametrized::new(Holder::<2>::holding(empty));
        let error = net.register("weight", Orthogonal::cayley()).unwrap_err();
        assert!(is_rule(&error, "orthogonal", |cause| {
            matches!(cause, RuleError::Empty { found } if found == &shape)
        }));
        let error = net.register("weight", Symmetric::new()).unwrap_err();
        assert!(is_rule(&error, "symmetric", |cause| matches!(cause, RuleError::Empty { .. })));
        net.register("weight", WeightNorm::whole()).unwrap();
        net.prune("weight", L1Unstructured::new(0.5)).unwrap();
        assert!(net.kept("weight").unwrap().is_empty());
    }
    for number in [f64::NAN, f64::INFINITY] {
        for shape in [[3, 3], [3, 2]] {
            let size = shape[0] * shape[1];
            let weight = |number| tensor::<2>(&vec![number; size], &shape, DType::F32);
            let mut net = Parametrized::new(Holder::<2>::holding(weight(number)));
            let is_refused = |error: &Error| {
                is_rule(error, "orthogonal", |cause| matches!(cause, RuleError::Dense(_)))
            };
            let before = everything(&net);
            assert!(is_refused(&net.register("weight", Orthogonal::cayley()).unwrap_err()));
            assert_eq!(everything(&net), before);

            net.set("weight", weight(1.0)).unwrap();
            net.register("weight", Orthogonal::cayley()).unwrap();
            let before = everything(&net);
            assert!(is_refused(&net.set("weight", weight(number)).unwrap_err()));
            assert_eq!(everything(&net), before);
        }
    }
}

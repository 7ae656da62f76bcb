//! Several rules on one weight, against PyTorch.

use burn::nn::Linear;
use espalier::Error;
use espalier::parametrize::{Orthogonal, RuleError, Symmetric, WeightNorm};

use crate::common::{Case, Golden, Tolerance, assert_close, everything, values};
use crate::life::Life;

const WORKING: [&str; 3] =
    ["weight_norm_then_symmetric", "symmetric_then_symmetric", "orthogonal_cayley_then_symmetric"];
const FAILING: [&str; 2] = ["symmetric_then_weight_norm", "symmetric_then_orthogonal_cayley"];

fn registered<'a>(case: &'a Case<'a>) -> Life<'a, 2, Linear> {
    let mut life = Life::<2, Linear>::of(case, Tolerance::elementwise(case.dtype));
    for rule in case.texts("rules") {
        register(&mut life, rule).unwrap();
    }
    life
}

fn register(life: &mut Life<'_, 2, Linear>, rule: &str) -> Result<Vec<String>, Error> {
    match rule {
        "symmetric" => life.net.register("weight", Symmetric::new()),
        "weight_norm" => life.net.register("weight", WeightNorm::dim(0)),
        "orthogonal_cayley" => life.net.register("weight", Orthogonal::cayley()),
        other => panic!("no rule {other}"),
    }
}

#[test]
fn every_case_is_tested() {
    Golden::open("chain").assert_all_tested(WORKING.into_iter().chain(FAILING));
}

#[test]
fn chains_agree() {
    for name in WORKING {
        for case in Golden::open("chain").case(name) {
            let mut life = registered(&case);
            let originals: &[&str] = match name {
                "weight_norm_then_symmetric" => &["original0", "original1"],
                _ => &["original"],
            };
            let has_base = name.starts_with("orthogonal");
            for original in originals {
                life.original(original, original);
            }
            life.value("initial_value");
            life.state_dict();

            for original in originals {
                life.put(original, &format!("perturbed_{original}"));
            }
            life.value("value");
            life.gradients(originals);

            life.assign("assigned");
            for original in originals {
                life.original(original, &format!("assigned_{original}"));
            }
            if has_base {
                life.base("assigned_base", &[4, 4]);
            }
            life.value("assigned_value");
        }
    }
}

/// PyTorch registers this and fails when the weight is read. Here registering fails.
#[test]
fn a_rule_of_two_originals_cannot_come_second() {
    for case in Golden::open("chain").case("symmetric_then_weight_norm") {
        assert_eq!(case.note["reading"]["error"], "TypeError");
        let mut life = Life::<2, Linear>::of(&case, Tolerance::elementwise(case.dtype));
        register(&mut life, "symmetric").unwrap();
        life.original("original", "original");
        let before = everything(&life.net);
        let error = register(&mut life, "weight_norm").unwrap_err();
        let refused = matches!(
            &error,
            Error::Rule { path, rule, source: RuleError::Originals { expected: 2, found: 1 } }
                if path == "weight" && rule == "weight_norm"
        );
        assert!(refused, "{error}");
        assert_eq!(everything(&life.net), before);
    }
}

/// PyTorch registers this and fails when the weight is read, for the base was never made. Here it
/// is the identity: the value is what the map makes of the symmetric matrix.
#[test]
fn an_orthogonal_rule_may_come_second() {
    for case in Golden::open("chain").case("symmetric_then_orthogonal_cayley") {
        assert_eq!(case.note["reading"]["error"], "TypeError");
        let life = registered(&case);
        life.original("original", "original");
        let weight = life.net.get::<2>("weight").unwrap();
        let gram = weight.clone().matmul(weight.transpose());
        let identity: Vec<f64> = (0..16).map(|i| f64::from(i % 5 == 0)).collect();
        assert_close(&case.name, &values(gram), &identity, Tolerance::elementwise(case.dtype));
    }
}

//! Several rules on one weight, against PyTorch.

use burn::nn::Linear;
use espalier::Error;
use espalier::parametrize::{Orthogonal, RuleError, SpectralNorm, Symmetric, WeightNorm};

use crate::common::{Case, Golden, Host, Tolerance, assert_close, everything, put, stored, values};
use crate::life::Life;

const WORKING: [&str; 9] = [
    "weight_norm_then_symmetric",
    "symmetric_then_symmetric",
    "orthogonal_cayley_then_symmetric",
    "orthogonal_exp_then_symmetric",
    "orthogonal_householder_then_symmetric",
    "orthogonal_householder_plain_then_symmetric",
    "symmetric_then_orthogonal_exp_plain",
    "weight_norm_then_orthogonal_exp_plain",
    "weight_norm_then_symmetric_then_orthogonal_exp_plain",
];
const NORM_SECOND: [&str; 2] = ["symmetric_then_weight_norm", "orthogonal_exp_then_weight_norm"];
const BASE_SECOND: [&str; 2] =
    ["symmetric_then_orthogonal_cayley", "symmetric_then_orthogonal_exp"];
const SPECTRAL: [&str; 6] = [
    "spectral_norm_then_symmetric",
    "symmetric_then_spectral_norm",
    "weight_norm_then_spectral_norm",
    "orthogonal_exp_then_spectral_norm",
    "spectral_norm_then_orthogonal_exp_plain",
    "spectral_norm_then_symmetric_then_spectral_norm",
];

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
        "spectral_norm" => life.net.register("weight", SpectralNorm::new()),
        "orthogonal_cayley" => life.net.register("weight", Orthogonal::cayley()),
        "orthogonal_exp" => life.net.register("weight", Orthogonal::exp()),
        "orthogonal_exp_plain" => {
            life.net.register("weight", Orthogonal::exp().trivialization(false))
        }
        "orthogonal_householder" => life.net.register("weight", Orthogonal::householder()),
        "orthogonal_householder_plain" => {
            life.net.register("weight", Orthogonal::householder().trivialization(false))
        }
        other => panic!("no rule {other}"),
    }
}

/// The originals of a chain that begins with this rule.
fn originals(name: &str) -> &'static [&'static str] {
    if name.starts_with("weight_norm") { &["original0", "original1"] } else { &["original"] }
}

#[test]
fn every_case_is_tested() {
    let tested = WORKING.into_iter().chain(NORM_SECOND).chain(BASE_SECOND);
    Golden::open("chain").assert_all_tested(tested);
    Golden::open("chain_spectral").assert_all_tested(SPECTRAL);
}

#[test]
fn chains_agree() {
    for name in WORKING {
        for case in Golden::open("chain").case(name) {
            let mut life = registered(&case);
            let originals = originals(name);
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

            if !assigned(&mut life) {
                continue;
            }
            for original in originals {
                life.original(original, &format!("assigned_{original}"));
            }
            if life.has_buffer("base") {
                life.base("assigned_base", &[4, 4]);
            }
            life.value("assigned_value");
        }
    }
}

/// Assigns the file's `assigned`, or is refused where PyTorch refuses.
fn assigned(life: &mut Life<'_, 2, Linear>) -> bool {
    let Some(refused) = life.case.note.get("assignment") else {
        life.assign("assigned");
        return true;
    };
    assert_eq!(refused, "NotImplementedError");
    let before = everything(&life.net);
    let value = life.net.get::<2>("weight").unwrap();
    let error = life.net.set("weight", value).unwrap_err();
    let is_right = matches!(&error, Error::Rule { source: RuleError::NoRightInverse { .. }, .. });
    assert!(is_right, "{error}");
    assert_eq!(everything(&life.net), before);
    false
}

/// The vectors of each spectral normalization of a chain, by the path of the buffer and the name
/// in the file.
fn vectors(life: &Life<'_, 2, Linear>) -> Vec<(String, String)> {
    let links = life.case.texts("rules").into_iter().enumerate();
    let spectral = links.filter(|(_, rule)| *rule == "spectral_norm");
    spectral
        .flat_map(|(link, _)| [format!("{link}._u"), format!("{link}._v")])
        .map(|name| (format!("parametrizations.weight.{name}"), name))
        .collect()
}

fn vectors_agree(life: &Life<'_, 2, Linear>, prefix: &str) {
    let tolerance = Tolerance::elementwise(life.case.dtype);
    for (path, name) in vectors(life) {
        let found = values(stored::<1, _>(&life.net, &path));
        let what = format!("{prefix}{name}");
        assert_close(&life.case.label(&what), &found, &life.case.values(&what), tolerance);
    }
}

/// Computing the network moves the vectors once, each with the value of the rule before it.
#[test]
fn chains_with_spectral_normalization_agree() {
    for name in SPECTRAL {
        for case in Golden::open("chain_spectral").case(name) {
            let mut life = registered(&case);
            let originals = originals(name);
            for original in originals {
                life.original(original, original);
            }
            assert_eq!(life.state_names(), case.state_names());
            for (path, name) in vectors(&life) {
                life.net = put(life.net.clone(), &path, case.tensor::<1>(&name));
            }
            if life.has_buffer("base") {
                life.put_buffer::<2>("base", "0.base");
            }
            for original in originals {
                life.put(original, &format!("perturbed_{original}"));
            }
            // This computes the network, and so moves the vectors.
            life.gradients(originals);
            vectors_agree(&life, "after_");
            let weight = Linear::turn(life.net.get::<2>("weight").unwrap());
            life.close("value", weight.clone(), &case.values("value"));
            life.close("eval_value", weight, &case.values("eval_value"));
            if !assigned(&mut life) {
                continue;
            }
            for original in originals {
                life.original(original, &format!("assigned_{original}"));
            }
            vectors_agree(&life, "assigned_");
            let weight = Linear::turn(life.net.get::<2>("weight").unwrap());
            life.close("assigned_value", weight, &case.values("assigned_value"));
        }
    }
}

/// PyTorch registers this and fails when the weight is read. Here registering fails.
#[test]
fn a_rule_of_two_originals_cannot_come_second() {
    for name in NORM_SECOND {
        for case in Golden::open("chain").case(name) {
            assert_eq!(case.note["reading"]["error"], "TypeError");
            let mut life = Life::<2, Linear>::of(&case, Tolerance::elementwise(case.dtype));
            register(&mut life, case.texts("rules")[0]).unwrap();
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
}

/// PyTorch registers this and fails when the weight is read, for the base was never made. Here it
/// is the identity: the value is what the map makes of the symmetric matrix.
#[test]
fn an_orthogonal_rule_may_come_second() {
    for name in BASE_SECOND {
        for case in Golden::open("chain").case(name) {
            assert_eq!(case.note["reading"]["error"], "TypeError");
            let life = registered(&case);
            life.original("original", "original");
            let weight = life.net.get::<2>("weight").unwrap();
            let gram = weight.clone().matmul(weight.transpose());
            let identity: Vec<f64> = (0..16).map(|i| f64::from(i % 5 == 0)).collect();
            assert_close(&case.name, &values(gram), &identity, Tolerance::elementwise(case.dtype));
        }
    }
}

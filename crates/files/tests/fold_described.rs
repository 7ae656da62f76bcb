//! Files of the library folded: their metadata describes the rules.

// Helpers are not tests in the eyes of the linter.
#![allow(clippy::unwrap_used)]

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_files::{FilesError, FoldError, FoldOptions, fold};
use serde_json::{Value, json};

/// A square matrix `w` under these rules, with the state of the links, as (name, shape, values).
fn checkpoint(links: &[(&str, Value)], state: &[(&str, &[usize], &[f64])]) -> Checkpoint {
    let links: Vec<Value> = links
        .iter()
        .map(|(rule, options)| json!({ "rule": rule, "version": 1, "options": options }))
        .collect();
    let slots = json!([{ "path": "net.w", "links": links }]);
    let description = json!({ "version": 1, "slots": slots });
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata.insert("espalier.extra_state".into(), description.to_string());
    checkpoint.metadata.insert("format".into(), "pt".into());
    let original = "net.parametrizations.w.original";
    if state.iter().all(|(name, ..)| !name.starts_with("original")) {
        let x = NamedTensor::f64(original, vec![2, 2], &[1.0, -2.0, 3.0, 0.5]).unwrap();
        checkpoint.push(x).unwrap();
    }
    for (name, shape, values) in state {
        let name = format!("net.parametrizations.w.{name}");
        checkpoint.push(NamedTensor::f64(name, shape.to_vec(), values).unwrap()).unwrap();
    }
    checkpoint
}

#[track_caller]
fn assert_folds(links: &[(&str, Value)], state: &[(&str, &[usize], &[f64])], expected: &[f64]) {
    let folded = fold(&checkpoint(links, state), &FoldOptions::default()).unwrap();
    assert_eq!(folded.checkpoint.names().collect::<Vec<_>>(), ["net.w"]);
    // What was described is no more.
    assert_eq!(folded.checkpoint.metadata.keys().collect::<Vec<_>>(), ["format"]);
    let found = folded.checkpoint.get("net.w").unwrap().to_f64_vec().unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{links:?}: {found} {expected}");
    }
    let kinds: Vec<&str> = links.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(folded.summary.folded[0].kind, kinds.join("+"));
    assert_eq!(folded.summary.folded[0].note, None);
}

#[test]
fn rules_that_leave_no_trace_in_the_names() {
    let softplus = [1.0f64, -2.0, 3.0, 0.5].map(|x| x.exp().ln_1p());
    let length = (1.0f64 + 4.0 + 9.0 + 0.25).sqrt();
    let cases: [(&str, Value, [f64; 4]); 8] = [
        ("symmetric", json!({}), [1.0, -2.0, -2.0, 0.5]),
        ("skew", json!({}), [0.0, -3.0, 3.0, 0.0]),
        ("scale", json!({ "factor": -2.0, "learned": false }), [-2.0, 4.0, -6.0, -1.0]),
        ("non_negative", json!({ "map": "square" }), [1.0, 4.0, 9.0, 0.25]),
        ("non_negative", json!({ "map": "softplus" }), softplus),
        (
            "sphere",
            json!({ "dim": null, "radius": 2.0 }),
            [1.0, -2.0, 3.0, 0.5].map(|x| 2.0 * x / length),
        ),
        (
            "sphere",
            json!({ "dim": 1, "radius": 1.0 }),
            [1.0 / 10f64.sqrt(), -2.0 / 4.25f64.sqrt(), 3.0 / 10f64.sqrt(), 0.5 / 4.25f64.sqrt()],
        ),
        // exp of a rotation by three.
        (
            "orthogonal",
            json!({ "map": "exp", "trivialization": false }),
            [3f64.cos(), -3f64.sin(), 3f64.sin(), 3f64.cos()],
        ),
    ];
    for (rule, options, expected) in cases {
        assert_folds(&[(rule, options)], &[], &expected);
    }
}

#[test]
fn reflections_take_the_sign_of_the_diagonal() {
    let options = json!({ "map": "householder", "trivialization": false });
    // H_1 of (1, 3), whose square is 10; the second vector has its 1 alone.
    let expected = [1.0 - 0.2, 0.6, -0.6, 1.8 - 1.0];
    assert_folds(&[("orthogonal", options)], &[], &expected);
}

#[test]
fn rules_with_a_state_and_chains() {
    let gates = |x: f64, s: f64| x / (1.0 + (-s / 2.0).exp());
    assert_folds(
        &[("sigmoid_mask", json!({ "temperature": 2.0 }))],
        &[("0.scores", &[2, 2], &[0.0, 1.0, -1.0, 5.0])],
        &[gates(1.0, 0.0), gates(-2.0, 1.0), gates(3.0, -1.0), gates(0.5, 5.0)],
    );
    let lora: [(&str, &[usize], &[f64]); 2] =
        [("1.lora_A", &[1, 2], &[1.0, -1.0]), ("1.lora_B", &[2, 1], &[2.0, 0.5])];
    let chain = [("skew", json!({})), ("lora", json!({ "rank": 1, "alpha": 3.0, "seed": 0 }))];
    assert_folds(&chain, &lora, &[6.0, -9.0, 4.5, -1.5]);
    let learned = json!({ "factor": 1.0, "learned": true });
    assert_folds(&[("scale", learned)], &[("0.scale", &[1], &[3.0])], &[3.0, -6.0, 9.0, 1.5]);
    assert_folds(
        &[("weight_norm", json!({ "dim": 0 })), ("scale", json!({ "factor": 10.0 }))],
        &[("original0", &[2, 1], &[1.0, 2.0]), ("original1", &[2, 2], &[3.0, 4.0, 0.0, -5.0])],
        &[6.0, 8.0, 0.0, -20.0],
    );
    // Of a square matrix the keys would not tell the dimension.
    let spectral = json!({ "n_power_iterations": 1, "eps": 1e-12, "dim": 1 });
    let vectors: [(&str, &[usize], &[f64]); 2] =
        [("0._u", &[2], &[1.0, 0.0]), ("0._v", &[2], &[0.0, 1.0])];
    assert_folds(&[("spectral_norm", spectral)], &vectors, &[1.0, -2.0, 3.0, 0.5].map(|x| x / 3.0));
}

/// Against geotorch: see `tools/golden`.
#[test]
fn rules_of_a_rank_or_a_sign() {
    let bases: &[(&str, &[&str])] = &[
        ("low_rank", &["u_base", "v_base"]),
        ("fixed_rank", &["u_base", "v_base"]),
        ("positive_definite", &["base"]),
        ("positive_semidefinite", &["base"]),
    ];
    let mut count = 0;
    for (rule, bases) in bases {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../espalier/tests/golden");
        let golden = Checkpoint::open(format!("{path}/{rule}.safetensors")).unwrap();
        let cases: Value = serde_json::from_str(&golden.metadata["cases"]).unwrap();
        for (case, facts) in cases.as_object().unwrap() {
            for (dtype, tolerance) in [("f32", 1e-5), ("f64", 1e-12)] {
                let get = |what: &str| golden.get(&format!("{case}.{dtype}.{what}")).unwrap();
                let map = if facts["triv"] == "expm" { "exp" } else { "cayley" };
                let mut options = json!({ "map": map });
                if *rule != "positive_definite" {
                    options["rank"] = facts["rank"].clone();
                }
                let mut file = checkpoint(&[(rule, options)], &[]);
                file.remove("net.parametrizations.w.original");
                let list = "net.parametrizations.w";
                file.push(get("perturbed").clone().with_name(format!("{list}.original"))).unwrap();
                for base in *bases {
                    file.push(get(base).clone().with_name(format!("{list}.0.{base}"))).unwrap();
                }
                let folded = fold(&file, &FoldOptions::default()).unwrap();
                let found = folded.checkpoint.get("net.w").unwrap();
                assert_eq!(found.shape(), get("value").shape());
                let expected = get("value").to_f64_vec().unwrap();
                let greatest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
                for (found, expected) in found.to_f64_vec().unwrap().iter().zip(expected) {
                    let off = (found - expected).abs();
                    assert!(off <= tolerance * greatest, "{rule} {case} {dtype}: {off}");
                }
                count += 1;
            }
        }
    }
    assert!(count >= 16, "{count}");
}

#[test]
fn adapters_by_the_names_alone() {
    let mut file =
        checkpoint(&[], &[("0.lora_A", &[1, 2], &[1.0, -1.0]), ("0.lora_B", &[2, 1], &[2.0, 0.5])]);
    file.metadata.clear();
    let error = fold(&file, &FoldOptions::default());
    assert!(matches!(error, Err(FilesError::Fold(FoldError::Alpha { .. }))), "{error:?}");
    let folded = fold(&file, &FoldOptions { alpha: Some(2.0), ..FoldOptions::default() }).unwrap();
    let found = folded.checkpoint.get("net.w").unwrap().to_f64_vec().unwrap();
    assert_eq!(found, [5.0, -6.0, 4.0, -0.5]);
}

#[test]
fn what_cannot_be_folded_says_so() {
    let fault = |file: &Checkpoint| match fold(file, &FoldOptions::default()) {
        Err(FilesError::Fold(fault)) => fault,
        other => panic!("{other:?}"),
    };
    let rule = fault(&checkpoint(&[("mine", json!({ "rank": 1 }))], &[]));
    assert!(matches!(rule, FoldError::Rule { .. }), "{rule}");
    assert!(rule.to_string().contains("net.w") && rule.to_string().contains("mine"));
    let rank = fault(&checkpoint(&[("low_rank", json!({ "rank": 3 }))], &[]));
    assert!(matches!(rank, FoldError::Description { .. }), "{rank}");
    let option = fault(&checkpoint(&[("scale", json!({ "factor": "x" }))], &[]));
    assert!(matches!(option, FoldError::Description { .. }), "{option}");
    let state = fault(&checkpoint(&[("sigmoid_mask", json!({ "temperature": 1.0 }))], &[]));
    assert!(matches!(state, FoldError::Missing { .. }), "{state}");
    let left = fault(&checkpoint(&[("skew", json!({}))], &[("0.base", &[2, 2], &[0.0; 4])]));
    assert!(matches!(left, FoldError::Parts { .. }), "{left}");

    let named = |tensors: &[(&str, &[usize])]| {
        let mut file = Checkpoint::new();
        for (name, shape) in tensors {
            let values = vec![1.0; shape.iter().product()];
            file.push(NamedTensor::f32(*name, shape.to_vec(), &values).unwrap()).unwrap();
        }
        file
    };
    for file in [
        named(&[("w_g", &[3, 1]), ("w_v", &[2, 3])]),
        named(&[("w_orig", &[2, 3]), ("w_mask", &[3, 2])]),
        named(&[("w_orig", &[2, 3]), ("w_u", &[4]), ("w_v", &[3])]),
        named(&[("q.base_layer.w", &[2]), ("q.weight", &[2, 3]), ("q.lora_A.weight", &[1, 3])]),
        named(&[("parametrizations.w.original", &[2, 3]), ("parametrizations.w.0.base", &[2, 2])]),
    ] {
        let fault = fault(&file);
        assert!(
            matches!(
                fault,
                FoldError::Shape { .. } | FoldError::Missing { .. } | FoldError::Untold { .. }
            ),
            "{fault}"
        );
    }
    let both = fault(&named(&[("w", &[2]), ("w_orig", &[2]), ("w_mask", &[2])]));
    assert!(matches!(both, FoldError::Both { .. }), "{both}");
    let several = fault(&named(&[
        ("q.base_layer.weight", &[2, 3]),
        ("q.lora_A.one.weight", &[1, 3]),
        ("q.lora_B.one.weight", &[2, 1]),
        ("q.lora_A.two.weight", &[1, 3]),
        ("q.lora_B.two.weight", &[2, 1]),
    ]));
    assert!(matches!(several, FoldError::Adapters { .. }), "{several}");
}

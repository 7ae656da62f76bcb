//! The table.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use espalier::parametrize::{Rule, Rules};
use espalier::state::{StateDict, Strict};
use espalier::{AnyModule, Error, Leave, ParamInfo, ParameterTree, Parametrized};
use serde_json::{Value, json};

use crate::layers::{LAYERS, Layer};

/// The rules and options tried. One that the library has and is not here is tried with none.
fn options(rule: &str) -> Vec<Value> {
    match rule {
        "orthogonal" => vec![
            json!({ "map": "cayley", "trivialization": true }),
            json!({ "map": "cayley", "trivialization": false }),
            json!({ "map": "exp", "trivialization": true }),
            json!({ "map": "exp", "trivialization": false }),
            json!({ "map": "householder", "trivialization": true }),
            json!({ "map": "householder", "trivialization": false }),
            json!({ "trivialization": true }),
        ],
        "low_rank" | "fixed_rank" => {
            vec![json!({ "rank": 2, "map": "exp" }), json!({ "rank": 3, "map": "cayley" })]
        }
        "positive_semidefinite" => vec![json!({ "rank": 2, "map": "exp" })],
        "positive_definite" => vec![json!({ "map": "exp" }), json!({ "map": "cayley" })],
        "spectral_norm" => {
            vec![json!({}), json!({ "n_power_iterations": 3, "eps": 1e-6, "dim": 1 })]
        }
        "sphere" => vec![
            json!({ "dim": 0, "radius": 1.0 }),
            json!({ "dim": 1, "radius": 0.5 }),
            json!({ "dim": null, "radius": 2.0 }),
        ],
        "scale" => vec![
            json!({ "factor": 0.5, "learned": false }),
            json!({ "factor": 2.0, "learned": true }),
        ],
        "non_negative" => vec![json!({ "map": "softplus" }), json!({ "map": "square" })],
        "sigmoid_mask" => {
            vec![json!({}), json!({ "target_sparsity": 0.5, "temperature": 0.5, "initial": 1.0 })]
        }
        "lora" => vec![json!({ "rank": 2, "alpha": 4.0, "seed": 3 })],
        "weight_norm" => vec![json!({ "dim": 0 }), json!({ "dim": 1 }), json!({ "dim": null })],
        _ => vec![json!({})],
    }
}

fn device() -> Device {
    Device::default().autodiff()
}

fn value(net: &Parametrized<AnyModule>, layer: &Layer) -> Vec<f32> {
    net.value(layer.path).unwrap().to_data().iter::<f32>().collect()
}

/// By a snapshot: an effective module in training moves the state of rules.
fn loss(net: &Parametrized<AnyModule>, layer: &Layer) -> f32 {
    layer.loss(&net.valid().effective()).into_scalar::<f32>()
}

#[track_caller]
fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-5, "{what}: {found} {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// The squared norm of the gradient of a parameter, if it has one.
fn squared(grads: &GradientsParams, info: &ParamInfo) -> Option<f32> {
    fn sum<const D: usize>(grad: Tensor<D>) -> f32 {
        grad.square().sum().into_scalar()
    }
    match info.shape.len() {
        1 => grads.get::<1>(info.id).map(sum),
        2 => grads.get::<2>(info.id).map(sum),
        3 => grads.get::<3>(info.id).map(sum),
        4 => grads.get::<4>(info.id).map(sum),
        other => panic!("no original of rank {other} in the table"),
    }
}

/// The whole life of a rule on a layer; false if it does not fit.
fn lives(what: &str, layer: &Layer, rule: &dyn Fn() -> Box<dyn Rule>) -> bool {
    let mut net = Parametrized::new(layer.make(1, &device()));
    let plain = StateDict::of(&net);
    match net.register(layer.path, rule()) {
        Ok(paths) => assert_eq!(paths, [layer.path], "{what}"),
        Err(Error::Rule { path, .. }) => {
            assert_eq!(path, layer.path, "{what}");
            assert_eq!(StateDict::of(&net), plain, "{what}: a failed call changes nothing");
            return false;
        }
        Err(error) => panic!("{what}: {error}"),
    }

    // Gradients reach every original, and five steps move the value and lower the loss.
    let originals: Vec<_> = net
        .named_parameters()
        .into_iter()
        .filter(|info| info.path.contains("parametrizations."))
        .collect();
    assert!(!originals.is_empty(), "{what}");
    let (before, first) = (value(&net, layer), loss(&net, layer));
    let mut optim = AdamConfig::new().init();
    for _ in 0..5 {
        let grads = net.grads(layer.loss(&net.effective()).backward()).unwrap();
        let mut norm = 0.0f32;
        for original in &originals {
            let grad = squared(&grads, original)
                .unwrap_or_else(|| panic!("{what}: no gradient for {}", original.path));
            norm += grad;
        }
        assert!(norm.is_finite() && norm > 0.0, "{what}: {norm}");
        net = optim.step(0.01, net, grads);
    }
    let after = value(&net, layer);
    let moved = after.iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(moved > 1e-4, "{what}: moved by {moved}");
    let last = loss(&net, layer);
    assert!(last < first, "{what}: {first} {last}");

    // Still in the rule's set.
    let list = net.parametrizations(layer.path).unwrap();
    list.links()[0].check(&net.value(layer.path).unwrap()).unwrap();

    // Both kinds of files, into layers of other values.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("net.bpk");
    net.clone().save_file(&file).unwrap();
    let fresh = || Parametrized::new(layer.make(2, &device()));
    let loaded = fresh().try_load_file(&file).unwrap();
    assert_eq!(value(&loaded, layer), after, "{what}");
    assert_eq!(loss(&loaded, layer), last, "{what}");
    let file = dir.path().join("net.safetensors");
    StateDict::of(&net).save(&file).unwrap();
    let state = StateDict::open(&file).unwrap();
    let mut rebuilt = fresh();
    rebuilt.apply_description(state.description().unwrap(), &Rules::builtin()).unwrap();
    let loaded = state.load_into(rebuilt, Strict::Yes).unwrap();
    assert_eq!(value(&loaded, layer), after, "{what}");

    // Taken off again, the value stays and the names are those of the plain layer.
    assert_eq!(layer.loss(&net.clone().fold().valid()).into_scalar::<f32>(), last, "{what}");
    assert_near(what, &value(&net.valid(), layer), &after);
    net.remove(layer.path, Leave::Parametrized).unwrap();
    assert_near(what, &value(&net, layer), &after);
    let names = |state: &StateDict| {
        state.shapes().into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&StateDict::of(&net)), names(&plain), "{what}");
    true
}

#[test]
fn every_rule_lives_on_every_layer_that_it_fits() {
    let rules = Rules::builtin();
    let mut misfits = BTreeSet::new();
    for name in rules.names() {
        for options in options(name) {
            let mut fits = 0;
            for layer in &LAYERS {
                let what = format!("{name} {options} on {}", layer.name);
                let rule = || rules.make(name, &options).unwrap();
                if lives(&what, layer, &rule) {
                    fits += 1;
                } else {
                    misfits.insert(what);
                }
            }
            assert!(fits > 0, "{name} {options} fits no layer");
        }
    }
    // All weights of the table have two dimensions or more, the last two alike.
    assert!(misfits.is_empty(), "{misfits:?}");
}

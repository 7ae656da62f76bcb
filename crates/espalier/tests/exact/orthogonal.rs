//! Orthogonal matrices against `torch.nn.utils.parametrizations.orthogonal`.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use espalier::Error;
use espalier::parametrize::{Orthogonal, RuleError};

use crate::common::{Case, Golden, Holder, Host, Tolerance, everything, tensor};
use crate::life::Life;

const LINEAR: [&str; 3] = ["linear_5x5", "linear_7x4", "linear_4x7"];
const FROM_ORTHOGONAL: &str = "linear_5x5_from_orthogonal";
const LARGE: &str = "linear_6x6_large";
const BATCH: [&str; 2] = ["batch_2x4x4", "batch_2x5x3"];
const CONV2D: &str = "conv2d_2x2x3x2";

/// The rule of a topic.
fn rule(topic: &str) -> Orthogonal {
    let (map, plain) = match topic.strip_suffix("_plain") {
        Some(map) => (map, true),
        None => (topic, false),
    };
    let rule = match map {
        "orthogonal_cayley" => Orthogonal::cayley(),
        "orthogonal_exp" => Orthogonal::exp(),
        "orthogonal_householder" => Orthogonal::householder(),
        "orthogonal_default" => Orthogonal::new(),
        other => panic!("no topic {other}"),
    };
    rule.trivialization(!plain)
}

fn registered<'a, const D: usize, H: Host<D>>(topic: &str, case: &'a Case<'a>) -> Life<'a, D, H> {
    let mut life = Life::<D, H>::of(case, Tolerance::elementwise(case.dtype));
    life.net.register("weight", rule(topic)).unwrap();
    let described = life.net.parametrizations("weight").unwrap();
    assert_eq!(described.is_unsafe, case.note["unsafe"]);
    life.original("original", "original");
    if has_base(case) {
        life.base("base", &case.shape("weight"));
    }
    life.value("initial_value");
    life.state_dict();
    life
}

fn has_base(case: &Case<'_>) -> bool {
    case.note["use_trivialization"] == true
}

fn whole_life<const D: usize, H: Host<D>>(topic: &str, name: &str) {
    for case in Golden::open(topic).case(name) {
        let mut life = registered::<D, H>(topic, &case);
        if has_base(&case) {
            // From here on with the columns that PyTorch drew.
            life.put_base("base");
            life.value("initial_value");
        }
        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);
        match case.note.get("assignment") {
            Some(refused) => {
                assert_eq!(refused["error"], "NotImplementedError");
                cannot_be_assigned(&mut life);
            }
            None => can_be_assigned(&mut life),
        }
    }
}

fn can_be_assigned<const D: usize, H: Host<D>>(life: &mut Life<'_, D, H>) {
    let shape = life.case.shape("weight");
    for assigned in ["assigned_orthogonal", "assigned_general"] {
        life.put("original", "perturbed");
        life.assign(assigned);
        life.original("original", &format!("{assigned}_original"));
        if has_base(life.case) {
            life.base(&format!("{assigned}_base"), &shape);
        }
        life.value(&format!("{assigned}_value"));
    }
}

fn cannot_be_assigned<const D: usize, H: Host<D>>(life: &mut Life<'_, D, H>) {
    let before = everything(&life.net);
    let value = H::turn(life.case.tensor::<D>("weight"));
    let error = life.net.set("weight", value).unwrap_err();
    let refused = matches!(
        &error,
        Error::Rule { path, source: RuleError::NoRightInverse { .. }, .. } if path == "weight"
    );
    assert!(refused, "{error}");
    assert_eq!(everything(&life.net), before);
}

/// All cases of a topic: the usual ones and `linear` beside them.
fn agrees(topic: &str, linear: &[&'static str]) {
    let linear = || LINEAR.into_iter().chain(linear.iter().copied());
    Golden::open(topic).assert_all_tested(linear().chain(BATCH));
    linear().for_each(|name| whole_life::<2, Linear>(topic, name));
    BATCH.into_iter().for_each(|name| whole_life::<3, Holder<3>>(topic, name));
}

#[test]
fn the_cayley_map_agrees() {
    agrees("orthogonal_cayley", &[FROM_ORTHOGONAL]);
}

#[test]
fn the_cayley_map_without_trivialization_agrees() {
    agrees("orthogonal_cayley_plain", &[]);
}

#[test]
fn the_exponential_agrees() {
    agrees("orthogonal_exp", &[FROM_ORTHOGONAL, LARGE]);
}

#[test]
fn the_exponential_without_trivialization_agrees() {
    agrees("orthogonal_exp_plain", &[]);
}

#[test]
fn reflections_agree() {
    agrees("orthogonal_householder", &[]);
}

#[test]
fn reflections_without_trivialization_agree() {
    agrees("orthogonal_householder_plain", &[FROM_ORTHOGONAL]);
}

#[test]
fn the_default_map_agrees() {
    let topic = "orthogonal_default";
    Golden::open(topic).assert_all_tested(LINEAR.into_iter().chain(BATCH).chain([CONV2D]));
    LINEAR.into_iter().for_each(|name| whole_life::<2, Linear>(topic, name));
    BATCH.into_iter().for_each(|name| whole_life::<3, Holder<3>>(topic, name));
    whole_life::<4, Conv2d>(topic, CONV2D);
}

/// PyTorch multiplies by the diagonal as integers, so that anything that shrinks it makes zeros of
/// whole columns. Here only its signs count, and zero counts as positive.
#[test]
fn of_the_diagonal_of_reflections_only_the_signs_count() {
    for name in LINEAR {
        for case in Golden::open("orthogonal_householder").case(name) {
            let mut life = registered::<2, Linear>("orthogonal_householder", &case);
            life.put_base("base");
            let [rows, columns] = case.shape("weight")[..] else { panic!("a matrix") };
            let on_diagonal = |i: usize| i / columns == i % columns;
            let shrunk = case.values("perturbed").into_iter().enumerate().map(|(i, x)| {
                // A positive sign becomes a zero, a negative one small.
                if on_diagonal(i) { x.min(0.0) * 1e-3 } else { x }
            });
            let shrunk: Vec<f64> = shrunk.collect();
            let shrunk: Tensor<2> = tensor(&shrunk, &[rows, columns], case.dtype);
            life.put_tensor("original", shrunk);
            life.value("value");
            life.gradients(&["original"]);
        }
    }
}

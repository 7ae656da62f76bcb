//! Spheres against `geotorch.SphereEmbedded`.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use espalier::parametrize::Sphere;

use crate::common::{Case, Golden, Holder, Host, Tolerance};
use crate::life::Life;

const LINEAR: [&str; 4] = ["linear_3x5", "linear_6x2", "linear_4x4_radius", "linear_3x4_whole"];
const VECTOR: &str = "vector_6";
const CONV2D: &str = "conv2d_4x3x2x2";

fn rule(case: &Case<'_>) -> Sphere {
    let rule = match case.note["dim"].as_u64() {
        Some(dim) => Sphere::dim(dim as usize),
        None => Sphere::whole(),
    };
    rule.radius(case.note["radius"].as_f64().unwrap())
}

fn whole_life<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("sphere").case(name) {
        let mut life = Life::<D, H>::of(&case, Tolerance::elementwise(case.dtype));
        life.net.register("weight", rule(&case)).unwrap();
        life.original("original", "original");
        life.value("initial_value");
        life.state_dict();

        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);

        life.assign("assigned");
        life.original("original", "assigned_original");
        life.value("assigned_value");

        // geotorch refuses what is off the sphere; here the nearest point on it is taken.
        assert_eq!(case.note["assignment_of_general"], "InManifoldError");
        life.assign("general");
        let nearest = on_sphere(&case);
        let found = H::turn(life.net.get::<D>("weight").unwrap());
        life.close("general", found, &nearest);
    }
}

/// The file's `general`, each slice brought to the radius.
fn on_sphere(case: &Case<'_>) -> Vec<f64> {
    let general = case.values("general");
    let slices = if case.note["dim"].is_null() { 1 } else { case.shape("general")[0] };
    let radius = case.note["radius"].as_f64().unwrap();
    let scaled = general.chunks(general.len() / slices).flat_map(|slice| {
        let norm = slice.iter().map(|x| x * x).sum::<f64>().sqrt();
        slice.iter().map(move |x| radius * x / norm)
    });
    scaled.collect()
}

#[test]
fn every_case_is_tested() {
    Golden::open("sphere").assert_all_tested(LINEAR.into_iter().chain([VECTOR, CONV2D]));
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(whole_life::<2, Linear>);
}

#[test]
fn vectors_agree() {
    whole_life::<1, Holder<1>>(VECTOR);
}

#[test]
fn convolutions_agree() {
    whole_life::<4, Conv2d>(CONV2D);
}

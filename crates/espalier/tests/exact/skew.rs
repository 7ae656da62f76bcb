//! Skew-symmetric matrices against `geotorch.Skew`.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use espalier::parametrize::Skew;

use crate::common::{Golden, Holder, Host, ORIGINAL, Tolerance, stored};
use crate::life::Life;

const LINEAR: [&str; 3] = ["linear_1x1", "linear_3x3", "linear_6x6"];
const BATCH: &str = "batch_2x4x4";
const CONV2D: &str = "conv2d_2x2x3x3";

fn whole_life<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("skew").case(name) {
        // Nothing is rounded: each number of the value is one of the original or its negative.
        let mut life = Life::<D, H>::of(&case, Tolerance::EXACT);
        life.net.register("weight", Skew::new()).unwrap();
        life.original("original", "original");
        life.value("initial_value");
        life.state_dict();

        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);

        life.assign("assigned");
        life.original("original", "assigned_original");
        life.value("assigned_value");

        // geotorch refuses a matrix that is not skew; here its lower triangle counts, as the upper
        // one does for the symmetric rule.
        assert_eq!(case.note["assignment_of_general"], "InManifoldError");
        life.assign("general");
        let shape = case.shape("general");
        let side = shape[D - 1];
        let general = case.values("general");
        let place = |i: usize| (i / side % side, i % side);
        let lower = general.iter().enumerate().map(|(i, x)| {
            let (row, column) = place(i);
            if row > column { *x } else { 0.0 }
        });
        let lower: Vec<f64> = lower.collect();
        let original = H::turn(stored::<D, _>(&life.net, ORIGINAL));
        life.close("general", original, &lower);
        let skew: Vec<f64> = (0..lower.len())
            .map(|i| {
                let (row, column) = place(i);
                let turned = i - row * side - column + column * side + row;
                lower[i] - lower[turned]
            })
            .collect();
        life.close("general", H::turn(life.net.get::<D>("weight").unwrap()), &skew);
    }
}

#[test]
fn every_case_is_tested() {
    Golden::open("skew").assert_all_tested(LINEAR.into_iter().chain([BATCH, CONV2D]));
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(whole_life::<2, Linear>);
}

#[test]
fn stacks_of_matrices_agree() {
    whole_life::<3, Holder<3>>(BATCH);
    whole_life::<4, Conv2d>(CONV2D);
}

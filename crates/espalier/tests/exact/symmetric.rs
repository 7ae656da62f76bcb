//! The symmetric rule against that of PyTorch's tutorial.

use burn::nn::Linear;
use espalier::parametrize::Symmetric;

use crate::common::{Golden, Holder, Host, Tolerance};
use crate::life::Life;

const LINEAR: [&str; 2] = ["linear_3x3", "linear_6x6"];
const BATCH: &str = "batch_2x4x4";

fn whole_life<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("symmetric").case(name) {
        // Nothing is rounded: each number of the value is one of the original.
        let mut life = Life::<D, H>::of(&case, Tolerance::EXACT);
        life.net.register("weight", Symmetric::new()).unwrap();
        life.original("original", "original");
        life.value("initial_value");
        life.state_dict();

        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);

        for assigned in ["assigned", "assigned_general"] {
            life.assign(assigned);
            life.original("original", &format!("{assigned}_original"));
            life.value(&format!("{assigned}_value"));
        }
    }
}

#[test]
fn every_case_is_tested() {
    Golden::open("symmetric").assert_all_tested(LINEAR.into_iter().chain([BATCH]));
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(whole_life::<2, Linear>);
}

#[test]
fn stacks_of_matrices_agree() {
    whole_life::<3, Holder<3>>(BATCH);
}

//! The Cayley map against `torch.nn.utils.parametrizations.orthogonal`.

use burn::nn::Linear;
use espalier::Error;
use espalier::parametrize::{Orthogonal, RuleError};

use crate::common::{Golden, Holder, Host, Tolerance, everything};
use crate::life::Life;

const LINEAR: [&str; 3] = ["linear_5x5", "linear_7x4", "linear_4x7"];
const FROM_ORTHOGONAL: &str = "linear_5x5_from_orthogonal";
const BATCH: [&str; 2] = ["batch_2x4x4", "batch_2x5x3"];

fn whole_life<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("orthogonal_cayley").case(name) {
        let mut life = Life::<D, H>::of(&case, Tolerance::elementwise(case.dtype));
        let shape = case.shape("weight");
        life.net.register("weight", Orthogonal::cayley()).unwrap();
        let described = life.net.parametrizations("weight").unwrap();
        assert_eq!(described.is_unsafe, case.note["unsafe"]);
        life.original("original", "original");
        life.base("base", &shape);
        life.value("initial_value");
        life.state_dict();

        // From here on with the columns that PyTorch drew.
        life.put_base("base");
        life.value("initial_value");
        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);

        for assigned in ["assigned_orthogonal", "assigned_general"] {
            life.put("original", "perturbed");
            life.assign(assigned);
            life.original("original", &format!("{assigned}_original"));
            life.base(&format!("{assigned}_base"), &shape);
            life.value(&format!("{assigned}_value"));
        }
    }
}

fn whole_life_plain<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("orthogonal_cayley_plain").case(name) {
        let mut life = Life::<D, H>::of(&case, Tolerance::elementwise(case.dtype));
        let rule = Orthogonal::cayley().trivialization(false);
        life.net.register("weight", rule).unwrap();
        life.original("original", "original");
        life.value("initial_value");
        life.state_dict();

        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);

        assert_eq!(case.note["assignment"]["error"], "NotImplementedError");
        let before = everything(&life.net);
        let value = H::turn(case.tensor::<D>("weight"));
        let error = life.net.set("weight", value).unwrap_err();
        let refused = matches!(
            &error,
            Error::Rule { path, source: RuleError::NoRightInverse { .. }, .. } if path == "weight"
        );
        assert!(refused, "{error}");
        assert_eq!(everything(&life.net), before);
    }
}

#[test]
fn every_case_is_tested() {
    let shapes = || LINEAR.into_iter().chain(BATCH);
    let golden = Golden::open("orthogonal_cayley");
    golden.assert_all_tested(shapes().chain([FROM_ORTHOGONAL]));
    Golden::open("orthogonal_cayley_plain").assert_all_tested(shapes());
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(whole_life::<2, Linear>);
    whole_life::<2, Linear>(FROM_ORTHOGONAL);
}

#[test]
fn stacks_of_matrices_agree() {
    BATCH.into_iter().for_each(whole_life::<3, Holder<3>>);
}

#[test]
fn linear_layers_without_trivialization_agree() {
    LINEAR.into_iter().for_each(whole_life_plain::<2, Linear>);
}

#[test]
fn stacks_of_matrices_without_trivialization_agree() {
    BATCH.into_iter().for_each(whole_life_plain::<3, Holder<3>>);
}

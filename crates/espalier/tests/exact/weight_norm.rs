//! Weight normalization against `torch.nn.utils.parametrizations.weight_norm`.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use espalier::parametrize::WeightNorm;
use espalier::state::Strict;

use crate::common::{Case, Golden, Host, Tolerance};
use crate::life::Life;

const ORIGINALS: [&str; 2] = ["original0", "original1"];

/// The rule for the `dim` of a case: PyTorch takes -1 for none.
fn rule(case: &Case<'_>) -> WeightNorm {
    match case.note["dim"].as_u64() {
        Some(dim) => WeightNorm::dim(dim as usize),
        None => WeightNorm::whole(),
    }
}

fn registered<'a, const D: usize, H: Host<D>>(case: &'a Case<'a>) -> Life<'a, D, H> {
    let mut life = Life::of(case, Tolerance::elementwise(case.dtype));
    life.net.register("weight", rule(case)).unwrap();
    for original in ORIGINALS {
        life.original(original, original);
    }
    life.state_dict();
    life
}

fn whole_life<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("weight_norm").case(name) {
        let mut life = registered::<D, H>(&case);
        life.value("initial_value");

        life.put("original0", "g");
        life.put("original1", "v");
        life.value("value");
        life.gradients(&ORIGINALS);

        life.assign("assigned");
        for original in ORIGINALS {
            life.original(original, &format!("assigned_{original}"));
        }
        life.value("assigned_value");
    }
}

const LINEAR: [&str; 5] =
    ["linear_dim0", "linear_dim1", "linear_dim_none", "linear_dim_minus1", "linear_7x7_dim0"];
const CONV2D: [&str; 3] = ["conv2d_dim0", "conv2d_dim1", "conv2d_dim_none"];
const ZERO_ROW: &str = "linear_dim0_zero_row";

#[test]
fn every_case_is_tested() {
    let tested = LINEAR.into_iter().chain(CONV2D).chain([ZERO_ROW]);
    Golden::open("weight_norm").assert_all_tested(tested);
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(whole_life::<2, Linear>);
}

#[test]
fn convolutions_agree() {
    CONV2D.into_iter().for_each(whole_life::<4, Conv2d>);
}

#[test]
fn a_row_of_zeros_is_nan_as_in_pytorch() {
    for case in Golden::open("weight_norm").case(ZERO_ROW) {
        let life = registered::<2, Linear>(&case);
        life.value("value");
        life.gradients(&ORIGINALS);
    }
}

/// PyTorch's own tensors load under PyTorch's names, the norm of the whole tensor too, which has
/// no dimensions.
#[test]
fn a_state_dict_of_pytorch_loads() {
    for name in LINEAR {
        for case in Golden::open("weight_norm").case(name) {
            let mut life = registered::<2, Linear>(&case);
            let state = case.state_dict_of(&[("original0", "g"), ("original1", "v")]);
            life.net = state.load_into(life.net, Strict::Yes).unwrap();
            life.original("original0", "g");
            life.original("original1", "v");
            life.value("value");
        }
    }
}

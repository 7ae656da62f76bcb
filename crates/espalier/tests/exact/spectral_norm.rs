//! Spectral normalization against `torch.nn.utils.parametrizations.spectral_norm`.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;
use espalier::Parametrized;
use espalier::parametrize::SpectralNorm;

use crate::common::{Case, Golden, Holder, Host, ORIGINAL, Tolerance, gradient};
use crate::life::Life;

const LINEAR: [&str; 4] =
    ["linear_4x6", "linear_7x3_three_iterations", "linear_4x6_dim1", "linear_5x4_eps"];
const CONV2D: &str = "conv2d_3x2x2x2";
const CONV_TRANSPOSE2D: &str = "conv_transpose2d_2x3x2x2";
const BATCH: &str = "batch_3x4x2_dim2";
const VECTORS: [&str; 2] = ["vector_5", "vector_4_eps"];

/// The rule with the options that PyTorch was given.
fn rule(case: &Case<'_>) -> SpectralNorm {
    let options = &case.note["options"];
    let mut rule = SpectralNorm::new();
    if let Some(iterations) = options["n_power_iterations"].as_u64() {
        rule = rule.power_iterations(iterations as usize);
    }
    if let Some(eps) = options["eps"].as_f64() {
        rule = rule.eps(eps);
    }
    match options["dim"].as_u64() {
        Some(dim) => rule.dim(dim as usize),
        None => rule,
    }
}

fn registered<'a, const D: usize, H: Host<D>>(
    case: &'a Case<'a>,
    rule: SpectralNorm,
) -> Life<'a, D, H> {
    let mut life = Life::<D, H>::of(case, Tolerance::elementwise(case.dtype));
    life.net.register("weight", rule).unwrap();
    let described = life.net.parametrizations("weight").unwrap();
    assert_eq!(described.is_unsafe, case.note.get("unsafe").is_some_and(|is| is == true));
    life.original("original", "original");
    life.state_dict();
    life
}

fn vectors<const D: usize, H: Host<D>>(life: &Life<'_, D, H>, prefix: &str) {
    life.buffer::<1>("_u", &format!("{prefix}_u"));
    life.buffer::<1>("_v", &format!("{prefix}_v"));
}

fn put_vectors<const D: usize, H: Host<D>>(life: &mut Life<'_, D, H>, u: &str, v: &str) {
    life.put_buffer::<1>("_u", u);
    life.put_buffer::<1>("_v", v);
}

/// The value and the gradient that `effective` gives are the file's.
#[track_caller]
fn computes<const D: usize, H: Host<D>>(
    life: &Life<'_, D, H>,
    weight: Tensor<D>,
    value: &str,
    grad: &str,
) {
    life.close(value, H::turn(weight.clone()), &life.case.values(value));
    let given = H::turn(life.case.tensor::<D>("grad_value"));
    let grads = life.net.grads((weight * given).sum().backward()).unwrap();
    let found = H::turn(gradient::<D, _>(&life.net, &grads, ORIGINAL));
    life.close(grad, found, &life.case.values(grad));
}

fn whole_life<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("spectral_norm").case(name) {
        // The iterations of registering, from PyTorch's random vectors.
        let mut life = registered::<D, H>(&case, rule(&case).power_iterations(15));
        put_vectors(&mut life, "start_u", "start_v");
        drop(life.net.effective());
        vectors(&life, "fifteen");

        let mut life = registered::<D, H>(&case, rule(&case));
        put_vectors(&mut life, "_u", "_v");
        life.put("original", "perturbed");
        // Reading does not move the vectors, computing the network in training does.
        life.net.get::<D>("weight").unwrap();
        vectors(&life, "");
        for access in ["access1.", "access2.", "access3."] {
            let weight = life.net.effective().weight();
            vectors(&life, access);
            computes(&life, weight, &format!("{access}value"), &format!("{access}grad_original"));
        }
        let valid = life.net.valid();
        for weight in [valid.effective().weight(), valid.get::<D>("weight").unwrap()] {
            life.close("eval_value", H::turn(weight), &case.values("eval_value"));
        }
        let read = life.net.get::<D>("weight").unwrap();
        computes(&life, read, "eval_value", "eval_grad_original");
        vectors(&life, "access3.");

        life.assign("assigned");
        life.original("original", "assigned_original");
        vectors(&life, "access3.");
        let weight = life.net.effective().weight();
        life.close("assigned_value", H::turn(weight), &case.values("assigned_value"));
        vectors(&life, "assigned");
    }
}

#[test]
fn every_case_is_tested() {
    let tested = LINEAR.into_iter().chain(VECTORS).chain([CONV2D, CONV_TRANSPOSE2D, BATCH]);
    Golden::open("spectral_norm").assert_all_tested(tested);
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(whole_life::<2, Linear>);
}

#[test]
fn convolutions_agree() {
    whole_life::<4, Conv2d>(CONV2D);
}

#[test]
fn transposed_convolutions_agree() {
    whole_life::<4, ConvTranspose2d>(CONV_TRANSPOSE2D);
}

#[test]
fn tensors_of_three_dimensions_agree() {
    whole_life::<3, Holder<3>>(BATCH);
}

#[test]
fn vectors_agree() {
    for name in VECTORS {
        for case in Golden::open("spectral_norm").case(name) {
            let mut life = registered::<1, Holder<1>>(&case, rule(&case));
            life.value("initial_value");
            life.put("original", "perturbed");
            life.value("value");
            life.gradients(&["original"]);
            life.assign("assigned");
            life.original("original", "assigned_original");
            life.value("assigned_value");
        }
    }
}

/// A copy has vectors of its own, and a file brings back those that were saved.
#[test]
fn copies_and_files_keep_the_vectors() {
    use espalier::state::{StateDict, Strict};

    for case in Golden::open("spectral_norm").case("linear_4x6") {
        let mut life = registered::<2, Linear>(&case, rule(&case));
        put_vectors(&mut life, "_u", "_v");
        life.put("original", "perturbed");
        let copy = life.net.clone();
        let state = StateDict::of(&life.net);
        for _ in 0..3 {
            drop(life.net.effective());
        }
        vectors(&life, "access3.");
        life.net = copy;
        vectors(&life, "");

        let fresh = Parametrized::new(Linear::holding(case.tensor("assigned")));
        life.net = fresh;
        life.net.register("weight", rule(&case)).unwrap();
        life.net = state.load_into(life.net, Strict::Yes).unwrap();
        vectors(&life, "");
        drop(life.net.effective());
        vectors(&life, "access1.");
    }
}

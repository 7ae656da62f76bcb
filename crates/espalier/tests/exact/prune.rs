//! Magnitude pruning against `torch.nn.utils.prune`.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::optim::SgdConfig;
use burn::tensor::Tensor;
use espalier::prune::{Amount, Importance, L1Unstructured};
use espalier::state::StateDict;
use espalier::{Leave, Parametrized};
use serde_json::Value;

use crate::common::{
    Case, Golden, Host, Tolerance, assert_close, assert_same, gradient, put, stored, values,
};

const LINEAR: [&str; 10] = [
    "linear_float_0p3",
    "linear_float_0p5",
    "linear_int_0",
    "linear_int_7",
    "linear_int_1",
    "linear_float_1p0",
    "linear_float_0p0",
    "linear_float_0p25",
    "linear_float_0p75",
    "linear_float_0p15",
];
const CONV2D: [&str; 4] =
    ["conv2d_float_0p3", "conv2d_float_0p5", "conv2d_int_7", "conv2d_float_1p0"];
const OTHERS: [&str; 5] =
    ["linear_scores", "linear_composed", "conv2d_composed", "global", "train_step"];

/// PyTorch tells fractions from counts by the type of the number; so does the file.
fn amount(number: &Value) -> Amount {
    match number.as_u64() {
        Some(count) => Amount::count(count as usize),
        None => Amount::fraction(number.as_f64().unwrap()),
    }
}

fn unpruned<const D: usize, H: Host<D>>(case: &Case<'_>) -> Parametrized<H> {
    Parametrized::new(H::holding(case.tensor("weight_orig")))
}

/// The mask and the value are the file's, the full weight is still there.
#[track_caller]
fn agrees<const D: usize, H: Host<D>>(net: &Parametrized<H>, case: &Case<'_>, mask: &str) {
    let kept = net.kept("weight").unwrap();
    assert_eq!(kept, case.kept(mask), "{}", case.label(mask));
    let full = case.values("weight_orig");
    let original = H::turn(stored::<D, _>(net, "weight_orig"));
    assert_same(&case.label("weight_orig"), &values(original), &full);
    // The sign of a zero may differ: PyTorch multiplies by the mask.
    let masked: Vec<f64> =
        full.iter().zip(&kept).map(|(value, kept)| if *kept { *value } else { 0.0 }).collect();
    let weight = H::turn(net.effective().weight());
    assert_same(&case.label("weight"), &values(weight), &masked);
}

fn once<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("prune_l1").case(name) {
        let mut net = unpruned::<D, H>(&case);
        let amount = amount(&case.note["amount"]);
        let pruned = net.prune("weight", L1Unstructured::new(amount)).unwrap();
        assert_eq!(pruned, ["weight"]);
        agrees::<D, H>(&net, &case, "weight_mask");
        let weight = H::turn(net.get::<D>("weight").unwrap());
        let label = case.label("weight");
        let exact = Tolerance::EXACT;
        assert_close(&label, &values(weight), &case.values("weight"), exact);

        let state = StateDict::of(&net);
        let names: Vec<&str> = state.shapes().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, case.texts("state_dict"));
        for tensor in state.checkpoint().iter() {
            let what = tensor.name();
            assert_eq!(tensor.shape(), case.shape(what));
            let found = tensor.to_f64_vec().unwrap();
            assert_same(&case.label(what), &found, &case.values(what));
        }
    }
}

fn composed<const D: usize, H: Host<D>>(name: &str) {
    for case in Golden::open("prune_l1").case(name) {
        let mut net = unpruned::<D, H>(&case);
        for (index, number) in case.note["amounts"].as_array().unwrap().iter().enumerate() {
            net.prune("weight", L1Unstructured::new(amount(number))).unwrap();
            agrees::<D, H>(&net, &case, &format!("weight_mask_{index}"));
            let kept = net.kept("weight").unwrap();
            let kept = kept.iter().filter(|kept| **kept).count();
            assert_eq!(case.note["kept"][index], kept);
        }
        let before = net.get::<D>("weight").unwrap();
        net.remove("weight", Leave::Parametrized).unwrap();
        let state = StateDict::of(&net);
        let names: Vec<&str> = state.shapes().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, case.texts("removed_state_dict"));
        let after = net.get::<D>("weight").unwrap();
        let label = case.label("removed_weight");
        let removed = case.values("removed_weight");
        let found = values(H::turn(after.clone()));
        assert_close(&label, &found, &removed, Tolerance::EXACT);
        assert_same(&label, &values(after), &values(before));
    }
}

#[test]
fn every_case_is_tested() {
    let tested = LINEAR.into_iter().chain(CONV2D).chain(OTHERS);
    Golden::open("prune_l1").assert_all_tested(tested);
}

#[test]
fn linear_layers_agree() {
    LINEAR.into_iter().for_each(once::<2, Linear>);
}

#[test]
fn convolutions_agree() {
    CONV2D.into_iter().for_each(once::<4, Conv2d>);
}

#[test]
fn pruning_again_counts_what_remains() {
    composed::<2, Linear>("linear_composed");
    composed::<4, Conv2d>("conv2d_composed");
}

#[test]
fn importance_scores_agree() {
    for case in Golden::open("prune_l1").case("linear_scores") {
        let mut net = unpruned::<2, Linear>(&case);
        let scores = Linear::turn(case.tensor("importance_scores"));
        let importance = Importance::new().with::<2>("weight", scores);
        let method = L1Unstructured::new(amount(&case.note["amount"]));
        net.prune_by("weight", method, &importance).unwrap();
        agrees::<2, Linear>(&net, &case, "weight_mask");
    }
}

#[test]
fn global_pruning_agrees() {
    use espalier::nn::Sequential;
    for case in Golden::open("prune_l1").case("global") {
        let layer = |index| Linear::holding(case.tensor(&format!("{index}.weight_orig")));
        let mut net = Parametrized::new(Sequential::new().with(layer(0)).with(layer(1)));
        for (call, number) in case.note["amounts"].as_array().unwrap().iter().enumerate() {
            let pruned = net.prune_global("**.weight", L1Unstructured::new(amount(number)));
            assert_eq!(pruned.unwrap(), ["0.weight", "1.weight"]);
            for index in 0..2 {
                let kept = net.kept(&format!("{index}.weight")).unwrap();
                let mask = format!("{index}.weight_mask_{call}");
                assert_eq!(kept, case.kept(&mask), "{}", case.label(&mask));
                let count = kept.iter().filter(|kept| **kept).count();
                assert_eq!(case.note["kept"][call][index], count);
            }
        }
    }
}

#[test]
fn a_step_of_sgd_agrees() {
    for case in Golden::open("prune_l1").case("train_step") {
        let tolerance = Tolerance::elementwise(case.dtype);
        let mut net = unpruned::<2, Linear>(&case);
        net.prune("weight", L1Unstructured::new(amount(&case.note["amount"]))).unwrap();
        agrees::<2, Linear>(&net, &case, "weight_mask");
        let given: Tensor<2> = Linear::turn(case.tensor("grad_value"));
        let loss = (net.effective().weight.val() * given).sum();
        let grads = net.grads(loss.backward()).unwrap();
        let grad = Linear::turn(gradient::<2, _>(&net, &grads, "weight_orig"));
        let label = case.label("grad_weight_orig");
        let expected = case.values("grad_weight_orig");
        assert_close(&label, &values(grad), &expected, Tolerance::EXACT);

        let rate = case.note["lr"].as_f64().unwrap();
        net = SgdConfig::new().init().step(rate, net, grads);
        let full = values(Linear::turn(stored::<2, _>(&net, "weight_orig")));
        let label = case.label("stepped_weight_orig");
        assert_close(&label, &full, &case.values("stepped_weight_orig"), tolerance);
        let weight = values(Linear::turn(net.get::<2>("weight").unwrap()));
        let label = case.label("stepped_weight");
        assert_close(&label, &weight, &case.values("stepped_weight"), tolerance);
        // Where pruned, nothing moved at all.
        for (index, kept) in net.kept("weight").unwrap().into_iter().enumerate() {
            if !kept {
                assert_eq!(full[index], case.values("weight_orig")[index]);
                assert_eq!(weight[index].to_bits(), 0, "plus zero");
            }
        }
    }
}

/// A mask reaches a pruned module as numbers, 0 and 1, in PyTorch's layout.
#[test]
fn a_mask_of_pytorch_loads() {
    for case in Golden::open("prune_l1").case("linear_float_0p3") {
        let mut net = unpruned::<2, Linear>(&case);
        net.prune("weight", L1Unstructured::new(30)).unwrap();
        let zeros = Tensor::zeros_like(&stored::<2, _>(&net, "weight_orig"));
        let net = put(net, "weight_orig", zeros);
        let state = case.state_dict("");
        let strict = espalier::state::Strict::No;
        let net = state.load_into(net, strict).unwrap();
        agrees::<2, Linear>(&net, &case, "weight_mask");
    }
}

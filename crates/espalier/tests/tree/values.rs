//! Nested trees and lists of values.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, TensorData};
use espalier::state::StateDict;
use espalier::{AnyTensor, Error, ParameterTree, Tree};

use crate::common::{device, floats, linear, nested, sequential, wrapped};

#[test]
fn shapes_as_a_nested_tree() {
    let shapes = nested().tree_map(|_, value| value.dims());
    let expected = "\
stage
  blocks
    0
      linear
        weight: [2, 2]
      norm
        gamma: [2]
        beta: [2]
    1
      linear
        weight: [2, 2]
      norm
        gamma: [2]
        beta: [2]
  skip
    weight: [2, 2]
    bias: [2]
head
  weight: [2, 1]
  bias: [1]
";
    assert_eq!(shapes.to_string(), expected);
    assert_eq!(shapes.get("stage.skip.bias"), Some(&vec![2]));
    assert_eq!(shapes.get("stage.skip"), None, "a branch has no value");
    assert_eq!(shapes.subtree("stage.blocks").map(Tree::len), Some(6));
    assert_eq!(shapes.paths()[0], "stage.blocks.0.linear.weight");
    let trainable = nested().tree_map(|info, _| info.trainable);
    assert!(trainable.leaves().iter().all(|(_, trained)| **trained));
}

#[test]
fn a_bare_parameter_is_a_tree_of_one_value() {
    let param = Param::from_tensor(Tensor::<1>::ones([3], &device()));
    let shapes = param.tree_map(|_, value| value.dims());
    assert_eq!(shapes.to_string(), "[3]\n");
    assert_eq!(param.get_parameter::<1>("").unwrap().dims(), [3]);
}

#[test]
fn a_tree_that_was_scaled_goes_back() {
    let mut net = sequential();
    let bias = floats(net.get_parameter::<1>("0.bias").unwrap());
    let info = net.parameter("0.bias").unwrap();
    let tree = net.params_tree();
    assert_eq!(tree.len(), 6, "no running statistics");
    net.set_tree(&tree.map(|value| value.scale(2.0))).unwrap();
    let doubled: Vec<f32> = bias.iter().map(|value| 2.0 * value).collect();
    assert_eq!(floats(net.get_parameter::<1>("0.bias").unwrap()), doubled);
    assert_eq!(net.parameter("0.bias").unwrap(), info);
    // The tree was a copy.
    assert_eq!(tree.get("0.bias").unwrap().to_data().try_to_vec::<f32>().unwrap(), bias);
}

#[test]
fn a_tree_that_does_not_fit_says_all_and_changes_nothing() {
    let mut net = sequential();
    let before = StateDict::of(&net);
    let mut tree = Tree::new();
    for (path, value) in net.params_tree().leaves() {
        if path != "3.bias" {
            tree.insert(&path, value.scale(0.0));
        }
    }
    tree.insert("0.weight", Tensor::<2>::zeros([3, 4], &device()).into());
    tree.insert("3.biass", Tensor::<1>::zeros([2], &device()).into());
    let error = net.set_tree(&tree).unwrap_err();
    let Error::Tree(report) = &error else { panic!("{error}") };
    assert_eq!((report.missing.len(), report.unexpected.len(), report.shapes.len()), (1, 1, 1));
    assert_eq!(
        error.to_string(),
        "the values do not fit; nothing was changed\n  missing: `3.bias` (there is `3.biass`)\n  \
         unexpected: `3.biass`\n  shape of `0.weight`: expected [4, 3], found [3, 4]"
    );
    assert_eq!(StateDict::of(&net), before);
}

#[test]
fn trees_zip_by_path_and_say_what_is_missing() {
    let params = sequential().params_tree();
    let mut fewer: Tree<AnyTensor> = Tree::new();
    fewer.insert("0.weight", params.get("0.weight").unwrap().clone());
    fewer.insert("other", params.get("0.bias").unwrap().clone());
    let report = params.zip(&fewer).unwrap_err();
    assert_eq!(report.missing, ["0.bias", "1.gamma", "1.beta", "3.weight", "3.bias"]);
    assert_eq!(report.unexpected, ["other"]);
}

#[test]
fn weights_are_a_list_in_visit_order_with_the_statistics() {
    let net = sequential();
    let _: Tensor<2> = net.forward(Tensor::<2>::ones([5, 4], &device())).unwrap();
    let weights = net.get_weights();
    let shapes: Vec<Vec<usize>> = weights.iter().map(|data| data.shape().to_vec()).collect();
    let expected: [&[usize]; 8] = [&[4, 3], &[3], &[3], &[3], &[3], &[3], &[3, 2], &[2]];
    assert_eq!(shapes, expected);

    let mut other = sequential();
    let _: Tensor<2> = other.forward(Tensor::<2>::zeros([5, 4], &device())).unwrap();
    other.set_weights(weights.clone()).unwrap();
    assert_eq!(other.get_weights(), weights);
    assert_eq!(StateDict::of(&other), StateDict::of(&net));
    assert_eq!(StateDict::of(&other.valid()), StateDict::of(&net));
}

#[test]
fn weights_of_other_floats_are_converted() {
    let mut net = linear(2, 1);
    let weights = vec![TensorData::from([[1.5f64], [2.5]]), TensorData::from([-1.0f64])];
    net.set_weights(weights).unwrap();
    assert_eq!(net.weight.val().dtype(), DType::F32);
    assert_eq!(floats(net.weight.val()), [1.5, 2.5]);
    assert!(net.weight.is_require_grad());
}

#[test]
fn weights_that_do_not_fit_say_all_and_change_nothing() {
    let mut net = sequential();
    let before = net.get_weights();
    let mut weights = before.clone();
    weights[0] = TensorData::from([[1.0f32]]);
    weights[2] = TensorData::from([1i64, 2, 3]);
    weights.truncate(7);
    let error = net.set_weights(weights.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the values do not fit; nothing was changed\n  missing: `3.bias`\n  shape of `0.weight`: \
         expected [4, 3], found [1, 1]\n  dtype of `1.gamma`: expected f32, found i64"
    );
    let mut weights = before.clone();
    weights.push(TensorData::from([1.0f32]));
    let error = net.set_weights(weights).unwrap_err();
    assert!(error.to_string().ends_with("\n  unexpected: `array 8`"), "{error}");
    assert_eq!(net.get_weights(), before);
}

#[test]
fn a_wrapper_gives_and_takes_originals_masks_and_bases() {
    let (net, mut other) = (wrapped(), wrapped());
    let weights = net.get_weights();
    assert!(weights.iter().any(|data| data.dtype().is_bool()), "the masks");
    other.set_weights(weights.clone()).unwrap();
    assert_eq!(other.get_weights(), weights);
    assert_eq!(StateDict::of(&other), StateDict::of(&net));
    assert_eq!(
        floats(other.get::<2>("0.weight").unwrap()),
        floats(net.get::<2>("0.weight").unwrap())
    );
    assert_eq!(other.kept("4.weight").unwrap(), net.kept("4.weight").unwrap());
}

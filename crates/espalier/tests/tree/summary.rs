//! Tables and trees to read.

use burn::module::{Module, Param, ParamGroup};
use burn::tensor::{DType, Tensor, TensorData};
use espalier::ParameterTree;
use espalier::nn::Sequential;

use crate::common::{device, linear, nested, sequential, wrapped};

#[test]
fn a_table_with_totals() {
    let mut net = sequential().freeze_group(ParamGroup::from_regex(r"^3\.").unwrap());
    net.set_parameter("0.bias", Tensor::<1>::zeros([3], &device())).unwrap();
    let net = net;
    let expected = "\
path            layer      shape   in PyTorch  dtype  count  state    zeros
0.weight        Linear     [4, 3]  [3, 4]      f32       12  trained      0
0.bias          Linear     [3]     [3]         f32        3  trained      3
1.gamma         BatchNorm  [3]     [3]         f32        3  trained      0
1.beta          BatchNorm  [3]     [3]         f32        3  trained      3
1.running_mean  BatchNorm  [3]     [3]         f32        3  buffer       3
1.running_var   BatchNorm  [3]     [3]         f32        3  buffer       0
3.weight        Linear     [3, 2]  [2, 3]      f32        6  frozen       0
3.bias          Linear     [2]     [2]         f32        2  frozen       0
parameters: 29 (21 trained, 8 frozen)
buffers: 6
bytes: 140
zeros: 6 (sparsity 20.7 %)
";
    assert_eq!(net.summary().to_string(), expected);
    assert_eq!(
        net.summary().tree(),
        "\
Sequential (29)
  0: Linear (15)
    weight [4, 3] f32
    bias [3] f32, 100.0 % zeros
  1: BatchNorm (6)
    gamma [3] f32
    beta [3] f32, 100.0 % zeros
    running_mean [3] f32, buffer
    running_var [3] f32, buffer
  2: Relu
  3: Linear (8)
    weight [3, 2] f32, frozen
    bias [2] f32, frozen
"
    );
}

#[test]
fn without_autodiff_nothing_is_called_frozen() {
    let valid = sequential().freeze().valid();
    let summary = valid.summary();
    assert_eq!(summary.rows()[0].info.state(), "untracked");
    assert!(
        summary.to_string().contains("(0 trained, 0 frozen, 29 without autodiff)"),
        "{summary}"
    );
    assert!(summary.tree().contains("weight [4, 3] f32\n"));
    assert_eq!(summary.totals().untracked, 29);
}

#[test]
fn totals_count_shared_parameters_once() {
    let shared = linear(2, 2);
    let net = Sequential::new().with(shared.clone()).with(shared);
    let summary = net.summary();
    let totals = summary.totals();
    assert_eq!((totals.parameters, totals.bytes), (6, 24));
    assert_eq!(summary.rows()[2].tied_to.as_deref(), Some("0.weight"));
    assert_eq!(
        summary.tree(),
        "Sequential (6)\n  0: Linear (6)\n    weight [2, 2] f32\n    bias [2] f32\n  1\n    \
         weight [2, 2] f32, = 0.weight\n    bias [2] f32, = 0.bias\n"
    );
    assert_eq!(net.named_parameters().len(), 2);
}

#[test]
fn zeros_of_every_float_dtype_are_counted_exactly() {
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let values = TensorData::from([0.0f32, -0.0, 1e-3, f32::NAN, 0.0, 2.0]);
        let tensor = Tensor::<1>::from_data(values.convert_dtype(dtype), (&device(), dtype));
        let summary = Param::from_tensor(tensor).summary();
        assert_eq!(summary.rows()[0].zeros, 3, "{dtype:?}");
        assert_eq!(summary.totals().bytes, 6 * dtype.size());
        assert_eq!(summary.totals().sparsity(), 0.5);
    }
    assert_eq!(nested().summary().totals().zeros, 4, "the betas; the biases are random");
}

#[test]
fn a_wrapper_says_how_each_parameter_is_computed() {
    let net = wrapped();
    let expected = "\
path            layer      shape   in PyTorch  dtype  count  state    zeros
0.weight        Linear     [4, 4]  [4, 4]      f32       16  trained      0  orthogonal(cayley, trivialization)
0.bias          Linear     [4]     [4]         f32        4  trained      0
1.gamma         BatchNorm  [4]     [4]         f32        4  trained      0
1.beta          BatchNorm  [4]     [4]         f32        4  trained      4
1.running_mean  BatchNorm  [4]     [4]         f32        4  buffer       4
1.running_var   BatchNorm  [4]     [4]         f32        4  buffer       0
3.weight        Linear     [4, 4]  [4, 4]      f32       16  trained      4  mask 25.0 %
3.bias          Linear     [4]     [4]         f32        4  trained      0  = 0.bias
4.weight        Linear     [4, 2]  [2, 4]      f32        8  trained      2  weight_norm(dim 0), mask 25.0 %
4.bias          Linear     [2]     [2]         f32        2  trained      0
parameters: 54 (54 trained, 0 frozen)
computed from: 56 in originals
buffers: 8
bytes: 248
zeros: 10 (sparsity 18.5 %)
";
    assert_eq!(net.summary().to_string(), expected);
    let tree = net.summary().tree();
    assert!(
        tree.starts_with(
            "Sequential (54)\n  0: Linear (20)\n    weight [4, 4] f32, orthogonal(cayley, trivialization)\n"
        ),
        "{tree}"
    );
    assert!(tree.contains("    bias [4] f32, = 0.bias\n"), "{tree}");
    assert!(tree.contains("  2: Relu\n  3: Linear (20)\n"), "{tree}");

    // The trait shows what is saved.
    let saved = ParameterTree::summary(&net);
    assert_eq!(saved.totals().parameters, 56);
    assert!(saved.rows().iter().any(|row| row.info.path == "4.weight_mask"));
}

//! Every constraint on every layer, against plain loops.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use espalier::Parametrized;
use espalier::constrain::{
    Constraint, Constraints, MaxNorm, MinMaxNorm, NonNeg, OrthogonalProjection, UnitNorm,
};

use crate::common::{
    assert_near, layers, linear, norm, norms, numbers, off_orthogonal, only, slices, values,
};

/// Keras's formula: every slice times `desired / (1e-7 + norm)`.
fn rescaled(
    values: &[f64],
    shape: &[usize],
    dim: Option<usize>,
    desired: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let mut out = values.to_vec();
    for places in slices(shape, dim) {
        let norm = norm(values, &places);
        places.iter().for_each(|place| out[*place] *= desired(norm) / (1e-7 + norm));
    }
    out
}

/// `constraint` on every kind of layer does what Keras's formula says, and twice what once.
fn on_layers(
    constraint: impl Constraint + Copy + 'static,
    dim: Option<usize>,
    desired: impl Fn(f64) -> f64,
    idempotent: bool,
) {
    for (layer, shape) in layers() {
        let net = Parametrized::new(layer);
        let before = values(&net, "weight", &shape);
        let expected = rescaled(&before, &shape, dim, &desired);
        let net = only(constraint).apply(net).unwrap();
        let once = values(&net, "weight", &shape);
        assert_near(&once, &expected);
        let net = only(constraint).apply(net).unwrap();
        if idempotent {
            assert_near(&values(&net, "weight", &shape), &once);
        } else {
            let again = rescaled(&once, &shape, dim, &desired);
            assert_near(&values(&net, "weight", &shape), &again);
        }
    }
}

#[test]
fn max_norm_bounds_the_slices_of_a_dimension_or_the_whole() {
    on_layers(MaxNorm::new(1.5), Some(0), |n| n.min(1.5), true);
    on_layers(MaxNorm::new(1.5).dim(1), Some(1), |n| n.min(1.5), true);
    on_layers(MaxNorm::new(1.5).whole(), None, |n| n.min(1.5), true);
    on_layers(MaxNorm::default(), Some(0), |n| n.min(2.0), true);
}

#[test]
fn unit_norm_makes_slices_of_length_one() {
    on_layers(UnitNorm::new(), Some(0), |_| 1.0, true);
    on_layers(UnitNorm::default().dim(1), Some(1), |_| 1.0, true);
    on_layers(UnitNorm::new().whole(), None, |_| 1.0, true);
}

#[test]
fn min_max_norm_goes_the_given_part_of_the_way() {
    on_layers(MinMaxNorm::new(1.8, 2.2), Some(0), |n| n.clamp(1.8, 2.2), true);
    on_layers(MinMaxNorm::default().dim(1), Some(1), |n| n.clamp(0.0, 1.0), true);
    let desired = |n: f64| 0.25 * n.clamp(1.8, 2.2) + 0.75 * n;
    on_layers(MinMaxNorm::new(1.8, 2.2).rate(0.25), Some(0), desired, false);
    on_layers(MinMaxNorm::new(1.8, 2.2).rate(0.25).whole(), None, desired, false);
}

#[test]
fn non_neg_keeps_what_is_not_negative_to_the_bit() {
    for (layer, shape) in layers() {
        let net = Parametrized::new(layer);
        let before = values(&net, "weight", &shape);
        assert!(before.iter().any(|x| *x < 0.0));
        let expected: Vec<f64> = before.iter().map(|x| x.max(0.0)).collect();
        let net = only(NonNeg::new()).apply(net).unwrap();
        assert_eq!(values(&net, "weight", &shape), expected);
    }
}

#[test]
fn numbers_by_hand() {
    let weight = Tensor::<2>::from_floats([[3.0, 1.0], [4.0, 0.0]], &Device::default());
    let layer = || Linear { weight: Param::from_tensor(weight.clone()), bias: None };
    let of = |constraints: Constraints| {
        let layer = constraints.apply_module(layer()).unwrap();
        layer.weight.val().into_data().iter::<f64>().collect::<Vec<_>>()
    };
    // Stored [in, out]: the output features are (3, 4) and (1, 0).
    assert_near(&of(only(MaxNorm::new(2.0))), &[1.2, 1.0, 1.6, 0.0]);
    assert_near(&of(only(UnitNorm::new())), &[0.6, 1.0, 0.8, 0.0]);
    assert_near(&of(only(MinMaxNorm::new(2.0, 4.0))), &[2.4, 2.0, 3.2, 0.0]);
    assert_near(&of(only(MinMaxNorm::new(2.0, 4.0).rate(0.5))), &[2.7, 1.5, 3.6, 0.0]);
    // The inputs are (3, 1) and (4, 0).
    let root = 10f64.sqrt();
    assert_near(&of(only(UnitNorm::new().dim(1))), &[3.0 / root, 1.0 / root, 1.0, 0.0]);
    // The whole has norm sqrt(26).
    let root = 26f64.sqrt();
    assert_near(&of(only(MaxNorm::new(1.0).whole())), &[3.0 / root, 1.0 / root, 4.0 / root, 0.0]);
    // Columns of PyTorch's [[3, 4], [1, 0]]: the first becomes (3, 1) / sqrt(10), the second is made
    // orthogonal to it, with the sign that gives R a positive diagonal.
    let root = 10f64.sqrt();
    assert_near(
        &of(only(OrthogonalProjection::new())),
        &[3.0 / root, 1.0 / root, 1.0 / root, -3.0 / root],
    );
}

#[test]
fn slices_within_the_bounds_stay_to_the_bit_and_zeros_stay_zeros() {
    let device = Device::default();
    let weight = Tensor::<2>::from_floats([[0.3, 0.0, 9.0], [-0.4, 0.0, 0.0]], &device);
    for constraint in [MinMaxNorm::new(0.1, 1.0), MinMaxNorm::new(0.5, 0.5)] {
        let layer = Linear { weight: Param::from_tensor(weight.clone()), bias: None };
        let layer = only(constraint).apply_module(layer).unwrap();
        let found: Vec<f32> = layer.weight.val().into_data().try_to_vec().unwrap();
        assert_eq!((found[1], found[4], found[5]), (0.0, 0.0, 0.0));
        assert!((found[0] - 0.3).abs() < 1e-6 && found[2] <= 1.0);
        if constraint == MinMaxNorm::new(0.1, 1.0) {
            assert_eq!((found[0], found[3]), (0.3, -0.4));
        }
    }
}

#[test]
fn projections_are_orthogonal_in_every_shape_and_keep_what_is() {
    for (inputs, outputs) in [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (1, 1)] {
        let layer = LinearConfig::new(inputs, outputs).with_bias(false).init(&Device::default());
        let mut net = Parametrized::new(layer);
        net.set("weight", numbers([inputs, outputs], 3)).unwrap();
        let net = only(OrthogonalProjection::new()).apply(net).unwrap();
        let once: Tensor<2> = net.get("weight").unwrap();
        assert!(off_orthogonal(once.clone()) < 1e-6, "{inputs} to {outputs}");
        let net = only(OrthogonalProjection::new()).apply(net).unwrap();
        let again = values(&net, "weight", &[outputs, inputs]);
        let once: Vec<f64> = once.transpose().into_data().iter::<f64>().collect();
        assert_near(&again, &once);
    }
}

#[test]
fn the_last_two_dimensions_of_a_convolution_are_a_batch_of_matrices() {
    let (layer, shape) = layers().remove(1);
    let net = only(OrthogonalProjection::new()).apply(Parametrized::new(layer)).unwrap();
    let found = values(&net, "weight", &shape);
    for window in found.chunks_exact(6) {
        let dot = |a: usize, b: usize| (0..3).map(|i| window[2 * i + a] * window[2 * i + b]).sum();
        assert_near(&[dot(0, 0), dot(0, 1), dot(1, 1)], &[1.0, 0.0, 1.0]);
    }
}

#[test]
fn other_float_types_keep_theirs() {
    for dtype in [DType::F64, DType::F16, DType::BF16] {
        let mut net = linear(2);
        let tolerance = if dtype == DType::F64 { 1e-6 } else { 1e-2 };
        let weight = net.get::<2>("weight").unwrap().cast(dtype).detach();
        net = Parametrized::new(Linear { weight: Param::from_tensor(weight), bias: None });
        for constraints in
            [only(UnitNorm::new()), only(MaxNorm::new(1.0)), only(MinMaxNorm::new(1.0, 1.0))]
        {
            net = constraints.apply(net).unwrap();
            let value = net.value("weight").unwrap();
            assert_eq!(value.dtype(), dtype);
            let found = norms(&values(&net, "weight", &[3, 4]), &[3, 4], Some(0));
            assert!(found.iter().all(|n| (n - 1.0).abs() < tolerance), "{dtype:?}: {found:?}");
        }
        net = only(NonNeg::new()).apply(net).unwrap();
        assert_eq!(net.value("weight").unwrap().dtype(), dtype);
        assert!(values(&net, "weight", &[3, 4]).iter().all(|x| *x >= 0.0));
        net = only(OrthogonalProjection::new()).apply(net).unwrap();
        assert_eq!(net.value("weight").unwrap().dtype(), dtype);
        let weight = net.get::<2>("weight").unwrap().cast(DType::F32);
        assert!(off_orthogonal(weight) < tolerance);
    }
}

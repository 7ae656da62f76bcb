//! What integration tests cannot reach.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, TensorData};

use super::gradient::{largest, slice_norm};
use super::*;
use crate::nn::Sequential;
use burn::nn::LinearConfig;

type Grads = (Sequential, GradientsParams);

fn grads(device: &Device, dtype: DType) -> Grads {
    let net = Sequential::new()
        .with(LinearConfig::new(37, 11).init(device))
        .with(LinearConfig::new(11, 3).init(device));
    let mut grads = GradientsParams::new();
    struct Fill<'a>(&'a mut GradientsParams, DType);
    impl ModuleVisitor for Fill<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let shape = param.shape();
            let values: Vec<f64> =
                (0..shape.num_elements()).map(|i| (i as f64 * 0.7).sin() * 3.0).collect();
            let data = TensorData::new(values, shape).convert_dtype(self.1);
            let device = param.device();
            self.0.register(param.id, Tensor::<D>::from_data(data, (&device, self.1)));
        }
    }
    net.visit(&mut Fill(&mut grads, dtype));
    (net, grads)
}

fn values(net: &Sequential, grads: &mut GradientsParams) -> Vec<f64> {
    let taken = Taken::take(net, grads, false);
    taken.put(grads);
    struct Read<'a>(&'a GradientsParams, Vec<f64>);
    impl ModuleVisitor for Read<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = self.0.get::<D>(param.id).unwrap().into_data();
            self.1.extend(data.iter::<f64>());
        }
    }
    let mut read = Read(grads, Vec::new());
    net.visit(&mut read);
    read.1
}

#[test]
fn slices_and_tensor_operations_agree() {
    for (dtype, rtol) in [(DType::F32, 1e-6), (DType::F64, 1e-13)] {
        for norm in [NormKind::L1, NormKind::L2, NormKind::Inf, NormKind::P(3.0)] {
            let mut found = Vec::new();
            for host in [true, false] {
                let (net, mut grads) = grads(&Device::default(), dtype);
                let mut taken = Taken::take(&net, &mut grads, host);
                let clipped = taken.clip_norm(0.5, norm, NonFinite::Error).unwrap();
                taken.0.iter_mut().for_each(|(_, gradient)| gradient.clamp(0.02));
                taken.put(&mut grads);
                let mut all = vec![clipped.norm, clipped.coefficient];
                all.extend(values(&net, &mut grads));
                found.push(all);
            }
            for (a, b) in found[0].iter().zip(&found[1]) {
                assert!((a - b).abs() <= rtol * b.abs(), "{norm:?} {dtype:?}: {a} {b}");
            }
            assert!(found[0][0] > 1.0);
        }
    }
}

#[test]
fn both_find_what_is_not_finite() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for host in [true, false] {
            let (net, mut grads) = grads(&Device::default(), DType::F32);
            let mut taken = Taken::take(&net, &mut grads, host);
            taken.0[2].1.scale(bad);
            let paths = taken.non_finite();
            assert_eq!(paths, ["1.weight"], "{bad} {host}");
        }
    }
}

#[test]
fn norms_of_extreme_numbers_are_right() {
    for norm in [NormKind::L2, NormKind::P(3.0), NormKind::P(40.0)] {
        for scale in [1e200, 1e-200] {
            let found = slice_norm(&[3.0 * scale, 4.0 * scale], norm);
            let expected = slice_norm(&[3.0, 4.0], norm) * scale;
            assert!((found / expected - 1.0).abs() < 1e-14, "{norm:?} {scale}");
        }
        assert_eq!(slice_norm::<f64>(&[], norm), 0.0);
        assert!(slice_norm(&[1.0, f64::NAN, 2.0], norm).is_nan());
        assert_eq!(slice_norm(&[1.0, f64::INFINITY], norm), f64::INFINITY);
    }
    let mut values = vec![1.0f32; 100];
    values[40] = f32::NAN;
    assert!(largest(&values).is_nan());
    values[40] = -7.0;
    assert_eq!(largest(&values), 7.0);
}

#[test]
fn numbers_whose_reciprocal_is_infinite_have_a_norm() {
    let tiny = f64::from_bits(3);
    for (norm, expected) in [
        (NormKind::L2, f64::from_bits(6)),
        (NormKind::Inf, tiny),
        (NormKind::L1, f64::from_bits(12)),
        (NormKind::P(3.0), f64::from_bits(5)),
    ] {
        let found = slice_norm(&[tiny, -tiny, tiny, tiny], norm);
        assert_eq!(found.to_bits(), expected.to_bits(), "{norm:?}: {found:e}");
    }
}

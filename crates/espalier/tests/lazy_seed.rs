//! Seeds of lazy layers from the device's generator. Alone in its process, which has one.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use burn::tensor::{Device, Tensor};
use espalier::nn::lazy::{LazyLinear, LazyLinearConfig};

#[test]
fn the_devices_seed_fixes_the_values_whatever_is_touched_first() {
    let device = Device::default();
    let pair = || {
        device.seed(42);
        [(); 2].map(|()| LazyLinearConfig::new(3).init(&device))
    };
    let touch = |layer: &LazyLinear| {
        layer.forward(Tensor::<2>::ones([1, 4], &device)).unwrap();
    };
    let weights = |pair: &[LazyLinear; 2]| {
        [0, 1].map(|i| pair[i].weight().unwrap().into_data().try_to_vec::<f32>().unwrap())
    };
    let (first, second) = (pair(), pair());
    first.iter().for_each(touch);
    second.iter().rev().for_each(touch);
    assert_eq!(weights(&first), weights(&second));
    assert_ne!(weights(&first)[0], weights(&first)[1], "two layers, two seeds");
}

//! Gradients of a wrapper by effective names.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use espalier::nn::Sequential;
use espalier::{Error, Parametrized};

use crate::common::{device, floats, linear, wrapped};

fn grads(net: &Parametrized<Sequential>) -> GradientsParams {
    let step = net.effective();
    let x = Tensor::<1>::from_floats([1.0, -2.0, 0.5, 3.0], &device()).reshape([1, 4]);
    let y: Tensor<2> = step.forward(x.repeat(&[3, 1])).unwrap();
    net.grads(y.square().sum().backward()).unwrap()
}

#[test]
fn one_original_gives_its_gradient_under_both_names() {
    let net = wrapped();
    let grads = grads(&net);
    let effective = net.gradient::<2>("0.weight", &grads).unwrap().unwrap();
    let saved = net.gradient::<2>("0.parametrizations.weight.original", &grads).unwrap().unwrap();
    assert_eq!(floats(effective), floats(saved));
    assert!(net.gradient::<2>("3.weight", &grads).unwrap().is_some(), "masked");
    let tied = net.gradient::<1>("3.bias", &grads).unwrap().unwrap();
    assert_eq!(floats(tied), floats(net.gradient::<1>("0.bias", &grads).unwrap().unwrap()));
    assert!(net.gradient::<1>("4.bias", &GradientsParams::new()).unwrap().is_none());
    let zeros = net.gradient_or_zeros::<1>("4.bias", &GradientsParams::new()).unwrap();
    assert_eq!(floats(zeros), [0.0, 0.0]);
}

#[test]
fn several_originals_are_an_error_that_names_them() {
    let net = wrapped();
    let grads = grads(&net);
    let error = net.gradient::<2>("4.weight", &grads).unwrap_err();
    assert!(matches!(error, Error::ComputedGradient { .. }));
    assert_eq!(
        error.to_string(),
        "`4.weight` is computed and has no gradient of its own; those of its originals are at \
         `4.parametrizations.weight.original0`, `4.parametrizations.weight.original1`"
    );
    for index in 0..2 {
        let path = format!("4.parametrizations.weight.original{index}");
        assert!(net.gradient::<2>(&path, &grads).unwrap().is_some());
    }
    let error = net.gradient::<2>("4.wieght", &grads).unwrap_err();
    assert!(error.to_string().contains("nearest: `4.weight`"), "{error}");
    let error = net.gradient::<1>("0.weight", &grads).unwrap_err();
    assert_eq!(error.to_string(), "`0.weight`: read as a tensor of rank 1, it has rank 2 [4, 4]");
}

#[test]
fn a_transposed_tie_turns_the_gradient() {
    let net = Sequential::new().with(linear(4, 2)).with(linear(2, 4));
    let mut net = Parametrized::new(net);
    net.tie_transposed("1.weight", "0.weight").unwrap();
    let grads = grads(&net);
    let first = net.gradient::<2>("0.weight", &grads).unwrap().unwrap();
    let second = net.gradient::<2>("1.weight", &grads).unwrap().unwrap();
    assert_eq!((first.dims(), second.dims()), ([4, 2], [2, 4]));
    assert_eq!(floats(first.transpose()), floats(second));
    let zeros = net.gradient_or_zeros::<2>("1.weight", &GradientsParams::new()).unwrap();
    assert_eq!(zeros.dims(), [2, 4]);
}

#[test]
fn an_unfit_rank_names_the_path() {
    let error = wrapped().get::<1>("0.weight").unwrap_err();
    assert_eq!(error.to_string(), "`0.weight`: read as a tensor of rank 1, it has rank 2 [4, 4]");
    assert!(matches!(error, Error::PathRank { expected: 1, .. }));
}

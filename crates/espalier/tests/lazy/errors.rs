//! What is refused, and in which words.

use burn::nn::{Initializer, PaddingConfig3d, Relu};
use burn::tensor::{Device, Tensor};
use espalier::init::Init;
use espalier::nn::lazy::*;
use espalier::nn::{Layer, Sequential};
use espalier::parametrize::Symmetric;
use espalier::prune::L1Unstructured;
use espalier::{AnyTensor, Error, Parametrized, Selector};

use crate::common::{INPUT, device, images, lazy};

const MEND: &str = "not initialized yet, since the layer has not seen an input; run one forward \
                    pass first, or load a state dict";

#[test]
fn touching_a_parameter_before_the_first_pass_says_what_to_do() {
    let mut net = Parametrized::new(lazy(&device(), 0));
    let before = net.description();
    let expected = |path: &str, layer: &str| format!("`{path}` ({layer}): {MEND}");
    let linear = expected("4.weight", "LazyLinear");
    let errors = [
        net.get::<2>("4.weight").unwrap_err(),
        net.value("4.weight").unwrap_err(),
        net.set("4.weight", Tensor::<2>::ones([4, 6], &device())).unwrap_err(),
        net.register("4.weight", Symmetric::new()).unwrap_err(),
        net.prune("4.weight", L1Unstructured::new(0.5)).unwrap_err(),
        net.prune_global("4.weight", L1Unstructured::new(0.5)).unwrap_err(),
        net.tie("4.weight", "6.weight").unwrap_err(),
        net.zeros("4.weight").unwrap_err(),
        net.parametrizations("4.weight").unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::Uninitialized { layer: "LazyLinear", .. }), "{error:?}");
        assert_eq!(error.to_string(), linear);
    }
    let error = net.tie("6.weight", "4.weight").unwrap_err();
    assert_eq!(error.to_string(), expected("6.weight", "LazyLinear"));
    let error = net.get::<1>("1.gamma").unwrap_err();
    assert_eq!(error.to_string(), expected("1.gamma", "LazyBatchNorm"));
    let error = net.register("*.weight", Symmetric::new()).unwrap_err();
    assert_eq!(error.to_string(), expected("0.weight", "LazyConv2d"));
    assert_eq!(net.description(), before, "nothing was registered");
    let error =
        Init::Constant(0.0).apply(lazy(&device(), 0), &Selector::path("4.bias"), 0).unwrap_err();
    assert_eq!(error.to_string(), expected("4.bias", "LazyLinear"));

    let _: Tensor<2> = net.effective().forward(images(0, &device())).unwrap();
    assert_eq!(net.get::<2>("4.weight").unwrap().dims(), [36, 6]);
    net.prune("4.weight", L1Unstructured::new(0.5)).unwrap();
    assert_eq!(net.zeros("4.weight").unwrap(), 108);
}

#[test]
fn a_layers_own_accessors_say_it_too() {
    let device = Device::default();
    let mut layer = LazyLinearConfig::new(2).init(&device);
    assert_eq!(layer.get().unwrap_err().to_string(), format!("LazyLinear: {MEND}"));
    assert_eq!(layer.get_mut().unwrap_err().to_string(), format!("LazyLinear: {MEND}"));
    let weight = layer.weight().unwrap_err().to_string();
    assert_eq!(weight, format!("`weight` (LazyLinear): {MEND}"));
    let bias = LazyConv2dConfig::new(2, [1, 1]).init(&device).bias().unwrap_err().to_string();
    assert_eq!(bias, format!("`bias` (LazyConv2d): {MEND}"));
    assert!(!layer.is_initialized());
}

#[test]
fn another_width_is_the_ordinary_error() {
    let device = Device::default();
    let layer = LazyLinearConfig::new(2).init(&device);
    layer.forward(Tensor::<2>::ones([1, 3], &device)).unwrap();
    let error = layer.forward(Tensor::<2>::ones([1, 4], &device)).unwrap_err();
    assert_eq!(error.to_string(), "Linear: expected 3 input features, found 4 (input [1, 4])");
    let net = Sequential::new().with(Relu::new()).with(layer);
    let error = net.forward::<2, 2>(Tensor::ones([1, 4], &device)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `1` (Linear): expected 3 input features, found 4 (input [1, 4])"
    );
}

#[test]
fn an_input_that_does_not_fit_initializes_nothing() {
    let device = Device::default();
    let any = |dims: &[usize]| -> AnyTensor {
        match *dims {
            [a] => Tensor::<1>::ones([a], &device).into(),
            [a, b] => Tensor::<2>::ones([a, b], &device).into(),
            [a, b, c] => Tensor::<3>::ones([a, b, c], &device).into(),
            [a, b, c, d] => Tensor::<4>::ones([a, b, c, d], &device).into(),
            _ => unreachable!("the cases have up to four dimensions"),
        }
    };
    let conv = LazyConv2dConfig::new(4, [3, 3]).with_groups(2).init(&device);
    for (dims, message) in [
        (
            &[1, 2, 4][..],
            "LazyConv2d: expected 4 dimensions [batch, channels, height, width], found 3 (input \
             [1, 2, 4])",
        ),
        (
            &[1, 3, 4, 4],
            "LazyConv2d: expected a multiple of 2 input channels (its groups), found 3 (input \
             [1, 3, 4, 4])",
        ),
        (
            &[1, 0, 4, 4],
            "LazyConv2d: expected at least 1 input channels, found 0 (input [1, 0, 4, 4])",
        ),
        (
            &[1, 2, 4, 2],
            "LazyConv2d: expected at least 3 pixels, padding included, found 2 (input [1, 2, 4, \
             2])",
        ),
    ] {
        assert_eq!(conv.forward_any(any(dims)).unwrap_err().to_string(), message);
    }
    assert!(!conv.is_initialized());
    let linear = LazyLinearConfig::new(2).init(&device);
    let error = linear.forward(Tensor::<2>::ones([3, 0], &device)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LazyLinear: expected at least 1 input features, found 0 (input [3, 0])"
    );
    let norm = LazyBatchNormConfig::new().init(&device);
    let error = norm.forward(Tensor::<1>::ones([3], &device)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LazyBatchNorm: expected at least 1 channels, found none (input [3])"
    );
    let conv = LazyConv1dConfig::new(1, 2).init(&device);
    let error = conv.forward_any(any(&[2, 2])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LazyConv1d: expected 3 dimensions [batch, channels, length], found 2 (input [2, 2])"
    );
    let conv = LazyConv3dConfig::new(1, [3; 3])
        .with_stride([2; 3])
        .with_padding(PaddingConfig3d::Same)
        .init(&device);
    let error = conv.forward(Tensor::ones([1, 1, 4, 4, 4], &device)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LazyConv3d: expected a size with as much `Same` padding before as after, found 4, padded \
         by 0 and 1 (input [1, 1, 4, 4, 4])"
    );
}

#[test]
fn a_configuration_that_no_input_fits_is_an_error_and_no_panic() {
    let device = Device::default();
    let linear = |config: LazyLinearConfig| {
        config.init(&device).forward(Tensor::<2>::ones([1, 2], &device)).unwrap_err().to_string()
    };
    assert_eq!(
        linear(LazyLinearConfig::new(0)),
        "LazyLinear: expected a configuration with output features of at least 1, found 0 (input \
         [1, 2])"
    );
    let orthogonal = Initializer::Orthogonal { gain: 1.0 };
    assert_eq!(
        linear(LazyLinearConfig::new(2).with_initializer(orthogonal)),
        "LazyLinear: expected an initializer that fills biases too, or `with_bias(false)`, found \
         Orthogonal (input [1, 2])"
    );
    let swapped = Initializer::Uniform { min: 1.0, max: 0.0 };
    assert_eq!(
        linear(LazyLinearConfig::new(2).with_initializer(swapped)),
        "LazyLinear: expected an initializer that can draw, found one that says: expected a lower \
         bound below the upper, both finite, found 1 and 0 (input [1, 2])"
    );
    let conv = |config: LazyConv2dConfig| {
        config.init(&device).forward(Tensor::ones([1, 2, 4, 4], &device)).unwrap_err().to_string()
    };
    let base = || LazyConv2dConfig::new(3, [2, 2]);
    for (config, message) in [
        (base().with_groups(0), "expected a configuration with groups of at least 1, found 0"),
        (base().with_groups(2), "expected a multiple of 2 output channels (its groups), found 3"),
        (
            base().with_stride([1, 0]),
            "expected a configuration with a stride of at least 1, found 0",
        ),
        (
            LazyConv2dConfig::new(3, [0, 2]),
            "expected a configuration with a kernel of at least 1, found 0",
        ),
    ] {
        assert_eq!(conv(config), format!("LazyConv2d: {message} (input [1, 2, 4, 4])"));
    }
    let norm = |config: LazyBatchNormConfig| {
        config.init(&device).forward(Tensor::<2>::ones([1, 2], &device)).unwrap_err().to_string()
    };
    assert_eq!(
        norm(LazyBatchNormConfig::new().with_epsilon(0.0)),
        "LazyBatchNorm: expected a finite, positive epsilon, found 0 (input [1, 2])"
    );
    assert_eq!(
        norm(LazyBatchNormConfig::new().with_momentum(f64::NAN)),
        "LazyBatchNorm: expected a momentum in 0.0..=1.0, found NaN (input [1, 2])"
    );
}

#[test]
fn in_a_network_the_layer_is_named() {
    let net = Sequential::new().with(lazy(&Device::default(), 0));
    let x = Tensor::<4>::ones([1, 2, 2, 2], &Device::default());
    let error = net.forward::<4, 2>(x).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `0.0` (LazyConv2d): expected at least 3 pixels, padding included, found 2 (input \
         [1, 2, 2, 2])"
    );
    assert_eq!(net.check(&INPUT).unwrap(), [8, 2]);
    let error = net.check(&[1, 2, 2, 2]).unwrap_err();
    assert_eq!((error.name.as_str(), error.kind), ("0.0", "LazyConv2d"));
}

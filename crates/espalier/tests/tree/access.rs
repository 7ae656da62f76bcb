//! Values and gradients by path.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use espalier::{Error, Kind, ParameterTree, Parametrized};

use crate::common::{device, floats, linear, nested, sequential, wrapped};

#[test]
fn a_parameter_tells_what_it_is() {
    let net = nested();
    let info = net.parameter("stage.skip.weight").unwrap();
    assert_eq!((info.name(), info.layer.as_str(), info.state()), ("weight", "Linear", "trained"));
    assert_eq!((info.shape.as_slice(), info.dtype, info.bytes()), (&[2, 2][..], DType::F32, 16));
    assert_eq!(info.device, device());
    let head = net.parameter("head.weight").unwrap();
    assert_eq!(head.torch_shape(), [1, 2]);
    assert_eq!(head.shape, [2, 1]);
    assert_eq!(net.buffer("stage.blocks.1.norm.running_var").unwrap().kind, Kind::Buffer);
}

#[test]
fn reading_by_path_keeps_the_graph() {
    let net = sequential();
    let weight: Tensor<2> = net.get_parameter("3.weight").unwrap();
    assert!(weight.is_require_grad());
    let grads = weight.clone().sum().backward();
    assert!(weight.grad(&grads).is_some());
    assert_eq!(floats(net.get_buffer::<1>("1.running_var").unwrap()), [1.0; 3]);
}

#[test]
fn an_edit_keeps_identity_dtype_device_and_trainability() {
    let mut net = sequential();
    let before = net.parameter("0.bias").unwrap();
    // A tracked value of another dtype: converted and cut off, as `copy_` does.
    let value = Tensor::<1>::from_data([1.5, -2.0, 0.25], (&device(), DType::F64)).require_grad();
    net.set_parameter("0.bias", value * 2.0).unwrap();
    assert_eq!(net.parameter("0.bias").unwrap(), before);
    let bias: Tensor<1> = net.get_parameter("0.bias").unwrap();
    assert_eq!(bias.dtype(), DType::F32);
    assert_eq!(floats(bias), [3.0, -4.0, 0.5]);

    let mut frozen = net.freeze();
    frozen.set_parameter("0.bias", Tensor::<1>::zeros([3], &device())).unwrap();
    assert_eq!(frozen.parameter("0.bias").unwrap().state(), "frozen");

    // Without autodiff, and back.
    let mut valid = frozen.unfreeze().valid();
    valid.set_parameter("0.bias", Tensor::<1>::ones([3], &device())).unwrap();
    assert!(!valid.get_parameter::<1>("0.bias").unwrap().is_autodiff());
    assert_eq!(valid.train().parameter("0.bias").unwrap().state(), "trained");
}

#[test]
fn every_name_of_a_shared_parameter_sees_an_edit() {
    let shared = linear(2, 2);
    let mut net = espalier::nn::Sequential::new().with(shared.clone()).with(shared);
    net.set_parameter("1.bias", Tensor::<1>::full([2], 7.0, &device())).unwrap();
    assert_eq!(floats(net.get_parameter::<1>("0.bias").unwrap()), [7.0, 7.0]);
    assert_eq!(floats(net.get_parameter::<1>("1.bias").unwrap()), [7.0, 7.0]);
}

#[test]
fn a_running_statistic_is_read_up_to_date_and_an_edit_stays() {
    let mut net = sequential();
    let x = Tensor::<2>::ones([5, 4], &device());
    let _: Tensor<2> = net.forward(x.clone()).unwrap();
    let _: Tensor<2> = net.forward(x.clone()).unwrap();
    let seen = floats(net.get_buffer::<1>("1.running_mean").unwrap());
    assert_eq!(seen, floats(net.valid().get_buffer::<1>("1.running_mean").unwrap()));

    // Burn holds the last update back: it must not overwrite what is set.
    let _: Tensor<2> = net.forward(x).unwrap();
    net.set_buffer("1.running_mean", Tensor::<1>::full([3], 9.0, &device())).unwrap();
    assert_eq!(floats(net.get_buffer::<1>("1.running_mean").unwrap()), [9.0; 3]);
    assert_eq!(floats(net.valid().get_buffer::<1>("1.running_mean").unwrap()), [9.0; 3]);
    assert!(!net.buffer("1.running_mean").unwrap().trainable);
}

#[test]
fn errors_name_the_path_and_change_nothing() {
    let mut net = sequential();
    let before = net.get_weights();
    let text = |error: Error| error.to_string();
    let zeros = || Tensor::<1>::zeros([3], &device());

    let error = net.set_parameter("0.bais", zeros()).unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }));
    assert_eq!(
        text(error),
        "`0.bais` matches no parameter; nearest: `0.bias`, `3.bias`, `0.weight`"
    );
    let error = net.set_parameter("0.weight", zeros()).unwrap_err();
    assert_eq!(text(error), "`0.weight`: expected shape [4, 3], found [3]");
    let error = net.set_parameter("3.bias", zeros()).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }));
    assert_eq!(text(error), "`3.bias`: expected shape [2], found [3]");
    let error = net.get_parameter::<1>("0.weight").unwrap_err();
    assert!(matches!(error, Error::PathRank { expected: 1, .. }));
    assert_eq!(text(error), "`0.weight`: read as a tensor of rank 1, it has rank 2 [4, 3]");
    let error = net.set_parameter("1.running_mean", zeros()).unwrap_err();
    assert!(matches!(error, Error::Kind { expected: Kind::Parameter, .. }));
    assert_eq!(
        text(error),
        "`1.running_mean` is not a parameter; `get_buffer` and `set_buffer` reach it"
    );
    let error = net.get_buffer::<1>("0.bias").unwrap_err();
    assert_eq!(
        text(error),
        "`0.bias` is not a buffer; `get_parameter` and `set_parameter` reach it"
    );
    let error = net.buffer("1.runing_mean").unwrap_err();
    assert_eq!(
        text(error),
        "`1.runing_mean` matches no parameter; nearest: `1.running_mean`, `1.running_var`"
    );
    assert_eq!(net.get_weights(), before);
}

#[test]
fn gradients_are_absent_before_backward_and_there_after() {
    let net = sequential();
    let none = GradientsParams::new();
    assert!(net.gradient::<2>("0.weight", &none).unwrap().is_none());
    let zeros = net.gradient_or_zeros::<2>("0.weight", &none).unwrap();
    assert_eq!((zeros.dims(), zeros.is_autodiff()), ([4, 3], false));
    assert_eq!(floats(zeros), [0.0; 12]);

    let y: Tensor<2> = net.forward(Tensor::<2>::ones([5, 4], &device())).unwrap();
    let grads = GradientsParams::from_grads(y.sum().backward(), &net);
    let bias = net.gradient::<1>("3.bias", &grads).unwrap().unwrap();
    assert_eq!(floats(bias), [5.0, 5.0]);
    assert_eq!(net.gradients_tree(&grads).len(), 6);

    let error = net.gradient::<1>("0.weight", &grads).unwrap_err();
    assert!(matches!(error, Error::PathRank { expected: 1, .. }), "not a panic: {error}");
    assert!(matches!(net.gradient::<1>("1.running_mean", &grads), Err(Error::Kind { .. })));
    assert!(matches!(net.gradient::<1>("nothing", &grads), Err(Error::NoMatch { .. })));
}

#[test]
fn the_trait_reaches_originals_and_masks_of_a_wrapper() {
    let mut net: Parametrized<_> = wrapped();
    let path = "4.parametrizations.weight.original0";
    let magnitudes: Tensor<2> = net.get_parameter(path).unwrap();
    assert_eq!(magnitudes.dims(), [1, 2]);
    net.set_parameter(path, magnitudes.detach() * 2.0).unwrap();
    let error = net.get_buffer::<2>("4.weight_mask").unwrap_err();
    assert!(matches!(error, Error::NotFloat { .. }), "{error}");
    assert!(error.to_string().starts_with("`4.weight_mask` holds no floats but "), "{error}");
    let error = net.get_parameter::<2>("4.weight").unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }), "the trait speaks of what is saved");
}

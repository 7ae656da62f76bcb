//! What a lazy layer is before and after its first forward pass.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv2d, Conv3d};
use burn::nn::{BatchNorm, Initializer, Linear, PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::{Device, Tensor};
use espalier::init::{Init, Rng};
use espalier::nn::lazy::*;
use espalier::nn::{Layer, Sequential};
use espalier::{AnyTensor, ParameterTree, Selector};

use crate::common::{INPUT, all, data, device, ids, images, lazy, normal, shapes};

/// Checks a layer through its life; `inner` gives the plain layer.
fn life<L: Layer, P: Layer, const D: usize>(
    layer: L,
    input: [usize; D],
    before: &[&[usize]],
    after: &[&[usize]],
    inner: impl Fn(&L) -> &P,
) {
    let device = Device::default();
    let (lazy_name, name) = (layer.kind(), burn::module::extract_type_name::<P>());
    assert_eq!(lazy_name, format!("Lazy{name}"));
    let listed = |layer: &L| shapes(layer).into_iter().map(|(_, shape)| shape).collect::<Vec<_>>();
    assert_eq!(listed(&layer), before);
    assert_eq!(Module::num_params(&layer), 0);
    assert!(all(&layer).iter().all(|info| info.layer == lazy_name && info.is_uninitialized()));
    let (identities, dims) = (ids(&layer), layer.output_dims(&input).unwrap());
    assert_eq!(listed(&layer), before, "asking for shapes initializes nothing");

    let x = normal(input, 1, &device);
    let y: Tensor<D> = layer.forward_any(x.clone().into()).unwrap().into_rank().unwrap();
    assert_eq!(y.dims().as_slice(), dims);
    assert_eq!(layer.output_dims(&input).unwrap(), dims);
    assert_eq!(layer.kind(), name);
    assert_eq!(listed(&layer), after);
    assert_eq!(ids(&layer), identities, "the optimizer's groups hold these");
    assert!(all(&layer).iter().all(|info| info.layer == name && !info.is_uninitialized()));
    let plain = inner(&layer);
    let same: Tensor<D> = plain.forward_any(x.into()).unwrap().into_rank().unwrap();
    assert_eq!(data(y), data(same));
}

#[test]
fn a_linear_layer_takes_its_features_from_the_last_dimension() {
    let device = Device::default();
    let new = || LazyLinearConfig::new(3).init(&device);
    let get = |layer: &LazyLinear| -> *const Linear { layer.get().unwrap() };
    let layer = new();
    layer.forward(normal([2, 5], 0, &device)).unwrap();
    assert_eq!(get(&layer), get(&layer));
    life(new(), [2, 5], &[&[0, 3], &[0]], &[&[5, 3], &[3]], |l: &LazyLinear| l.get().unwrap());
    life(new(), [5], &[&[0, 3], &[0]], &[&[5, 3], &[3]], |l: &LazyLinear| l.get().unwrap());
    life(new(), [2, 2, 2, 5], &[&[0, 3], &[0]], &[&[5, 3], &[3]], |l: &LazyLinear| {
        l.get().unwrap()
    });
    let unbiased = LazyLinearConfig::new(3).with_bias(false).init(&device);
    life(unbiased, [2, 5], &[&[0, 3]], &[&[5, 3]], |l: &LazyLinear| l.get().unwrap());
}

#[test]
fn convolutions_take_their_channels_from_the_second_dimension() {
    let device = Device::default();
    let one = LazyConv1dConfig::new(4, 3)
        .with_groups(2)
        .with_stride(2)
        .with_padding(PaddingConfig1d::Explicit(1, 0))
        .init(&device);
    life(one, [2, 6, 9], &[&[4, 0, 3], &[0]], &[&[4, 3, 3], &[4]], |l: &LazyConv1d| -> &Conv1d {
        l.get().unwrap()
    });
    let two = LazyConv2dConfig::new(4, [3, 2])
        .with_dilation([1, 2])
        .with_padding(PaddingConfig2d::Same)
        .with_bias(false)
        .init(&device);
    life(two, [2, 3, 8, 7], &[&[4, 0, 3, 2]], &[&[4, 3, 3, 2]], |l: &LazyConv2d| -> &Conv2d {
        l.get().unwrap()
    });
    let three =
        LazyConv3dConfig::new(2, [3, 3, 1]).with_padding(PaddingConfig3d::Same).init(&device);
    let after: [&[usize]; 2] = [&[2, 3, 3, 3, 1], &[2]];
    life(three, [1, 3, 4, 5, 6], &[&[2, 0, 3, 3, 1], &[0]], &after, |l: &LazyConv3d| -> &Conv3d {
        l.get().unwrap()
    });
}

#[test]
fn a_batch_norm_takes_its_channels_from_inputs_of_any_rank() {
    let (before, after): ([&[usize]; 4], [&[usize]; 4]) = ([&[0]; 4], [&[3]; 4]);
    let new = || LazyBatchNormConfig::new().with_momentum(0.2).init(&Device::default());
    let get = |layer: &LazyBatchNorm| -> *const BatchNorm { layer.get().unwrap() };
    life(new(), [4, 3], &before, &after, |l: &LazyBatchNorm| l.get().unwrap());
    life(new(), [4, 3, 5], &before, &after, |l: &LazyBatchNorm| l.get().unwrap());
    life(new(), [4, 3, 5, 5], &before, &after, |l: &LazyBatchNorm| l.get().unwrap());
    life(new(), [4, 3, 2, 2, 2], &before, &after, |l: &LazyBatchNorm| l.get().unwrap());
    let layer = new();
    layer.forward(Tensor::<2>::ones([4, 3], &Device::default())).unwrap();
    let layer = layer.clone();
    let norm = layer.get().unwrap();
    assert_eq!(get(&layer), std::ptr::from_ref(norm));
    assert_eq!((norm.momentum, norm.epsilon), (0.2, 1e-5));
    assert_eq!(data(norm.gamma.val()), [1.0; 3]);
    assert_eq!(data(norm.beta.val()), [0.0; 3]);
    assert_eq!(data(norm.running_mean.value()), [0.0; 3]);
    assert_eq!(data(norm.running_var.value()), [1.0; 3]);
}

#[test]
fn buffers_stay_buffers() {
    let net = lazy(&Device::default(), 1);
    let names = |net: &Sequential| -> Vec<String> {
        net.named_buffers().into_iter().map(|info| info.path).collect()
    };
    assert_eq!(names(&net), ["1.running_mean", "1.running_var"]);
    let identities = ids(&net);
    assert_eq!(net.check(&INPUT).unwrap(), [8, 2]);
    let _: Tensor<2> = net.forward(images(0, &Device::default())).unwrap();
    assert_eq!(names(&net), ["1.running_mean", "1.running_var"]);
    assert_eq!(ids(&net), identities);
}

#[test]
fn selectors_by_layer_type_follow_the_type() {
    let net = lazy(&Device::default(), 1);
    let paths = |net: &Sequential, layer: &str| {
        Selector::layer(layer).select(net).map(|selection| selection.paths())
    };
    assert_eq!(paths(&net, "LazyLinear").unwrap(), ["4.weight", "4.bias", "6.weight", "6.bias"]);
    assert!(paths(&net, "Linear").is_err());
    let before = net.named_parameters();
    let weight = before.iter().find(|info| info.path == "4.weight").unwrap();
    assert_eq!(weight.layout().torch_shape(&weight.shape), [6, 0]);
    let _: Tensor<2> = net.forward(images(0, &Device::default())).unwrap();
    assert_eq!(paths(&net, "Linear").unwrap(), ["4.weight", "4.bias", "6.weight", "6.bias"]);
    assert!(paths(&net, "LazyLinear").is_err());
    assert_eq!(net[4].type_name(), "Linear");
}

#[test]
fn values_depend_on_seed_and_shape_alone() {
    let device = Device::default();
    let (first, second) = (lazy(&device, 3), lazy(&device, 3));
    let _: Tensor<2> = first.forward(images(0, &device)).unwrap();
    // From the last to the first, each on an input of its own.
    let dims: [&[usize]; 7] =
        [&INPUT, &[8, 4, 3, 3], &[8, 4, 3, 3], &[8, 4, 3, 3], &[8, 36], &[8, 6], &[8, 6]];
    for (layer, dims) in second.iter().zip(dims).rev() {
        let x: AnyTensor = match dims.len() {
            2 => Tensor::<2>::ones([dims[0], dims[1]], &device).into(),
            _ => Tensor::<4>::ones([dims[0], dims[1], dims[2], dims[3]], &device).into(),
        };
        layer.forward_any(x).unwrap();
    }
    let weights = |net: &Sequential| -> Vec<Vec<f32>> {
        let linear = |i: usize| data(net[i].get::<LazyLinear>().unwrap().weight().unwrap());
        vec![
            data(net[0].get::<LazyConv2d>().unwrap().weight().unwrap()),
            data(net[0].get::<LazyConv2d>().unwrap().bias().unwrap().unwrap()),
            linear(4),
            linear(6),
        ]
    };
    assert_eq!(weights(&first), weights(&second));
    let other = lazy(&device, 4);
    let _: Tensor<2> = other.forward(images(0, &device)).unwrap();
    for (a, b) in weights(&first).iter().zip(weights(&other)) {
        assert_ne!(*a, b);
    }
}

#[test]
fn initial_values_are_distributed_as_those_of_the_plain_layer() {
    let device = Device::default();
    let moments = |values: &[f32]| {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let var = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        (mean, var.sqrt(), values.iter().fold(0f32, |a, b| a.max(b.abs())))
    };
    // Fans of the weight: 64 in, 48 out.
    let cases = [
        (None, 1.0 / 3f64.sqrt() / 64f64.sqrt()),
        (Some(Initializer::KaimingUniform { gain: 2.0, fan_out_only: true }), 2.0 / 48f64.sqrt()),
        (Some(Initializer::KaimingNormal { gain: 0.5, fan_out_only: false }), 0.5 / 8.0),
        (Some(Initializer::XavierUniform { gain: 1.0 }), (2.0 / 112f64).sqrt()),
        (Some(Initializer::XavierNormal { gain: 3.0 }), 3.0 * (2.0 / 112f64).sqrt()),
        (Some(Initializer::Uniform { min: -1.0, max: 1.0 }), 1.0 / 3f64.sqrt()),
        (Some(Initializer::Normal { mean: 0.0, std: 0.25 }), 0.25),
    ];
    for (initializer, std) in cases {
        let mut config = LazyLinearConfig::new(48).with_seed(Some(5));
        if let Some(initializer) = initializer.clone() {
            config = config.with_initializer(initializer);
        }
        let layer = config.init(&device);
        layer.forward(Tensor::<2>::ones([1, 64], &device)).unwrap();
        let weight = data(layer.weight().unwrap());
        let (mean, found, largest) = moments(&weight);
        assert!(mean.abs() < 0.06 * std, "{initializer:?}: mean {mean}");
        assert!((found / std - 1.0).abs() < 0.04, "{initializer:?}: {found} against {std}");
        let uniform = initializer.as_ref().is_none_or(|i| format!("{i:?}").contains("Uniform"));
        if uniform {
            assert!(f64::from(largest) <= 3f64.sqrt() * std * (1.0 + 1e-6));
        }
        assert_eq!(layer.bias().unwrap().unwrap().dims(), [48]);
    }
    let ones = LazyLinearConfig::new(2).with_initializer(Initializer::Ones).init(&device);
    let y = ones.forward(Tensor::<2>::ones([1, 3], &device)).unwrap();
    assert_eq!(data(y), [4.0, 4.0]);
    let orthogonal = LazyLinearConfig::new(4)
        .with_initializer(Initializer::Orthogonal { gain: 1.0 })
        .with_bias(false)
        .init(&device);
    orthogonal.forward(Tensor::<2>::ones([1, 4], &device)).unwrap();
    let q = orthogonal.weight().unwrap();
    let off = (q.clone().transpose().matmul(q) - Tensor::eye(4, &device)).abs().max();
    assert!(off.into_scalar::<f32>() < 1e-5);
    // 3 channels in 3 groups, a kernel of 9: fan_in 9.
    let conv = LazyConv2dConfig::new(96, [3, 3]).with_groups(3).with_seed(Some(9)).init(&device);
    conv.forward(Tensor::ones([1, 3, 3, 3], &device)).unwrap();
    let (_, std, largest) = moments(&data(conv.weight().unwrap()));
    assert!((std * 27f64.sqrt() - 1.0).abs() < 0.04 && largest <= 1.0 / 3.0, "{std} {largest}");
}

#[test]
fn of_threads_that_come_first_together_one_initializes() {
    let device = device();
    for round in 0..8 {
        let layer = LazyLinearConfig::new(64).init(&device);
        let outputs: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    // A clone, as the effective module of a step is.
                    let layer = layer.clone();
                    let x = normal([2, 64], round, &device);
                    scope.spawn(move || data(layer.forward(x).unwrap()))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
        let again = data(layer.forward(normal([2, 64], round, &device)).unwrap());
        assert_eq!(again, outputs[0], "the parameters are those of the layer itself");
    }
}

#[test]
fn threads_of_two_widths_agree_on_one() {
    let device = Device::default();
    let layer = LazyLinearConfig::new(8).init(&device);
    let found: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let (layer, device) = (layer.clone(), device.clone());
                scope.spawn(move || {
                    layer.forward(Tensor::<2>::ones([1, 16 + i % 2], &device)).is_ok()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(found.iter().filter(|ok| **ok).count(), 2, "{found:?}");
}

#[test]
fn clones_are_filled_together_and_changed_apart() {
    let device = Device::default();
    let layer = LazyLinearConfig::new(2).init(&device);
    let mut twin = layer.clone();
    layer.forward(Tensor::<2>::ones([1, 3], &device)).unwrap();
    assert_eq!(data(twin.weight().unwrap()), data(layer.weight().unwrap()));
    let linear = twin.get_mut().unwrap();
    linear.weight = linear.weight.clone().map(|w| w * 2.0);
    assert_ne!(data(twin.weight().unwrap()), data(layer.weight().unwrap()));

    let norm = LazyBatchNormConfig::new().init(&device);
    let moved = norm.clone().freeze();
    norm.forward(Tensor::<2>::ones([2, 3], &device)).unwrap();
    assert!(!moved.is_initialized(), "a changed copy goes its own way");
    moved.forward(Tensor::<2>::ones([2, 5], &device)).unwrap();
    assert_eq!(norm.get().unwrap().running_mean.value().dims(), [3]);
    assert_eq!(moved.get().unwrap().running_mean.value().dims(), [5]);
}

#[test]
fn copies_made_by_valid_and_train_are_filled_by_themselves_with_the_same_values() {
    let net = lazy(&device(), 7);
    let (valid, trained) = (net.valid(), net.clone().train());
    let _: Tensor<2> = valid.forward(images(0, &Device::default())).unwrap();
    assert_eq!(net.num_params(), 0);
    assert_eq!(trained.num_params(), 0);
    let a: Tensor<2> = net.valid().forward(images(1, &Device::default())).unwrap();
    let b: Tensor<2> = valid.forward(images(1, &Device::default())).unwrap();
    assert_eq!(data(a), data(b));
    assert_eq!(ids(&net), ids(&valid));
    let back = valid.train();
    let y: Tensor<2> = back.forward(images(0, &device())).unwrap();
    assert!(y.is_autodiff());
    assert!(back.named_parameters().iter().all(|info| info.trainable));
}

#[test]
fn freezing_moving_and_casting_before_the_first_pass_hold_after_it() {
    let net = lazy(&device(), 7);
    let frozen = net.clone().freeze();
    let _: Tensor<2> = frozen.forward(images(0, &device())).unwrap();
    assert!(frozen.named_parameters().iter().all(|info| !info.trainable));
    assert_eq!(net.num_params(), 0, "the frozen copy is another one");
    // Frozen while no device records gradients, found out when training begins.
    let frozen = lazy(&Device::default(), 7).freeze();
    let _: Tensor<2> = frozen.forward(images(0, &Device::default())).unwrap();
    assert!(frozen.train().named_parameters().iter().all(|info| !info.trainable));
    let trained = lazy(&Device::default(), 7);
    let _: Tensor<2> = trained.forward(images(0, &Device::default())).unwrap();
    assert!(trained.train().named_parameters().iter().all(|info| info.trainable));

    let moved = net.to_device(&Device::default());
    assert_eq!(moved.devices().len(), 1);
    let _: Tensor<2> = moved.forward(images(0, &moved.devices()[0])).unwrap();
    assert!(moved.num_params() > 0);
}

#[test]
fn a_dry_run_initializes_and_leaves_statistics_alone() {
    let net = initialize(lazy(&device(), 5), &INPUT).unwrap();
    let norm = net[1].get::<LazyBatchNorm>().unwrap().get().unwrap();
    assert_eq!(data(norm.running_mean.value_sync()), [0.0; 4]);
    assert_eq!(data(norm.running_var.value_sync()), [1.0; 4]);
    assert!(net.named_parameters().iter().all(|info| info.trainable && info.numel() > 0));
    let direct = lazy(&device(), 5);
    let _: Tensor<2> = direct.forward(images(0, &device())).unwrap();
    let weight = |net: &Sequential| data(net[4].get::<LazyLinear>().unwrap().weight().unwrap());
    assert_eq!(weight(&net), weight(&direct));
    let error = initialize(lazy(&device(), 5), &[1, 2, 2, 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `0` (LazyConv2d): expected at least 3 pixels, padding included, found 2 (input \
         [1, 2, 2, 2])"
    );
}

#[test]
fn printed_as_what_it_is() {
    let device = Device::default();
    let layer = LazyLinearConfig::new(2).init(&device);
    assert_eq!(layer.to_string(), "LazyLinear {d_output: 2, bias: true}");
    layer.forward(Tensor::<2>::ones([1, 3], &device)).unwrap();
    assert_eq!(layer.to_string(), layer.get().unwrap().to_string());
    let net = lazy(&device, 0);
    assert!(
        net.to_string().contains("1: LazyBatchNorm {momentum: 0.1, epsilon: 0.00001}"),
        "{net}"
    );
    assert!(
        net.to_string().contains("LazyConv2d {ch_out: 4, kernel_size: [3, 3], stride: [1, 1]}")
    );
}

#[test]
fn configurations_are_saved_like_burns() {
    use burn::config::Config;
    let config = LazyConv1dConfig::new(4, 3).with_seed(Some(3)).with_groups(2);
    let file = tempfile::NamedTempFile::new().unwrap();
    config.save(file.path()).unwrap();
    let loaded = LazyConv1dConfig::load(file.path()).unwrap();
    assert_eq!(format!("{loaded:?}"), format!("{config:?}"));
}

/// Weight and bias are uniform in `±1 / sqrt(fan_in)`, from streams 0 and 1 of the seed.
#[track_caller]
fn drawn<L: Layer, const D: usize>(layer: L, input: [usize; D]) {
    layer.forward_any(normal(input, 1, &Device::default()).into()).unwrap();
    let state = layer.state_dict();
    let shapes: Vec<Vec<usize>> =
        state.shapes().into_iter().map(|(_, shape)| shape.into()).collect();
    let bound = 1.0 / (shapes[0][1..].iter().product::<usize>() as f64).sqrt();
    for (stream, (tensor, shape)) in state.checkpoint().iter().zip(&shapes).enumerate() {
        let mut rng = Rng::stream(9, stream as u64);
        let expected = Init::Uniform(-bound, bound).values(shape, &mut rng).unwrap();
        let expected: Vec<f64> =
            expected.into_iter().map(|value| f64::from(value as f32)).collect();
        assert_eq!(tensor.to_f64_vec().unwrap(), expected, "{}", tensor.name());
    }
}

#[test]
fn weight_and_bias_come_from_streams_of_their_own() {
    let device = Device::default();
    drawn(LazyLinearConfig::new(3).with_seed(Some(9)).init(&device), [2, 5]);
    drawn(LazyConv1dConfig::new(4, 3).with_seed(Some(9)).init(&device), [2, 3, 8]);
    let grouped = LazyConv2dConfig::new(4, [3, 2]).with_groups(2).with_seed(Some(9));
    drawn(grouped.init(&device), [2, 6, 8, 8]);
    drawn(LazyConv3dConfig::new(4, [2, 2, 2]).with_seed(Some(9)).init(&device), [2, 3, 4, 4, 4]);
}

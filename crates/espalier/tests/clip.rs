//! Clipping of gradients against PyTorch, and gradients that are not finite.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "exact/common.rs"]
mod common;

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Tensor;
use common::{Case, Golden, Tolerance, assert_close, device, gradient};
use espalier::clip::{
    Clipped, NonFinite, NormKind, check_finite, clip_grad_norm, clip_grad_value, grad_norm,
};
use espalier::nn::Sequential;
use espalier::parametrize::WeightNorm;
use espalier::{Error, ParameterTree, Parametrized};

type Net = Parametrized<Sequential>;

/// Three parameters, of the shapes in the golden file.
fn net() -> Net {
    let net = Sequential::new()
        .with(LinearConfig::new(4, 5).init(&device()))
        .with(LinearConfig::new(5, 3).with_bias(false).init(&device()));
    Parametrized::new(net)
}

const PATHS: [&str; 3] = ["0.weight", "0.bias", "1.weight"];

fn grads(net: &Net, case: &Case<'_>) -> GradientsParams {
    let mut grads = GradientsParams::new();
    for (index, info) in net.named_parameters().iter().enumerate() {
        let what = format!("grad{index}");
        match info.shape.len() {
            1 => grads.register(info.id, case.tensor::<1>(&what).without_autodiff()),
            _ => grads.register(info.id, case.tensor::<2>(&what).without_autodiff()),
        }
    }
    grads
}

fn values(net: &Net, grads: &GradientsParams, index: usize) -> Vec<f64> {
    match index {
        1 => common::values(gradient::<1, _>(net, grads, PATHS[index])),
        _ => common::values(gradient::<2, _>(net, grads, PATHS[index])),
    }
}

fn assert_clipped(net: &Net, grads: &GradientsParams, case: &Case<'_>) {
    assert_eq!(grads.len(), 3);
    for index in 0..3 {
        let what = format!("clipped{index}");
        let tolerance = Tolerance::new(1.3e-6, 0.0).or(case.dtype, Tolerance::new(1e-12, 0.0));
        let expected = case.values(&what);
        assert_close(&case.label(&what), &values(net, grads, index), &expected, tolerance);
    }
}

#[test]
fn norms_and_clipped_gradients_agree_with_pytorch() {
    let golden = Golden::open("clip");
    for (name, norm) in [
        ("l1", NormKind::L1),
        ("l2", NormKind::L2),
        ("inf", NormKind::Inf),
        ("p3", NormKind::P(3.0)),
    ] {
        for name in [name.to_owned(), format!("{name}_within")] {
            for case in golden.case(&name) {
                let net = net();
                let mut grads = grads(&net, &case);
                let max_norm = case.note["max_norm"].as_f64().unwrap();
                let found =
                    clip_grad_norm(&net, &mut grads, max_norm, norm, NonFinite::Error).unwrap();
                let tolerance =
                    Tolerance::new(1.3e-6, 0.0).or(case.dtype, Tolerance::new(1e-12, 0.0));
                assert_close(&case.label("norm"), &[found.norm], &case.values("norm"), tolerance);
                assert_eq!(found.coefficient < 1.0, !name.ends_with("within"));
                assert_clipped(&net, &grads, &case);
            }
        }
    }
    for case in golden.case("value") {
        let net = net();
        let mut grads = grads(&net, &case);
        clip_grad_value(&net, &mut grads, case.note["limit"].as_f64().unwrap()).unwrap();
        assert_clipped(&net, &grads, &case);
    }
    assert_eq!(golden.names().len(), 9);
}

#[test]
fn gradients_that_are_not_finite_are_named_and_kept() {
    let golden = Golden::open("clip");
    let [case, _] = golden.case("l2");
    let net = net();
    let with = |bad: f32| {
        let mut grads = grads(&net, &case);
        let id = net.named_parameters()[1].id;
        let bias = grads.remove::<1>(id).unwrap();
        grads
            .register(id, bias * Tensor::from_floats([1.0, bad, 1.0, 1.0, 1.0], &device().inner()));
        grads
    };
    for bad in [f32::NAN, f32::INFINITY] {
        let mut grads = with(bad);
        let clip = |grads: &mut GradientsParams, policy| {
            clip_grad_norm(&net, grads, 0.7, NormKind::L2, policy)
        };
        let error = clip(&mut grads, NonFinite::Error).unwrap_err();
        assert!(
            matches!(&error, Error::NonFiniteGradient { paths } if paths == &["0.bias"]),
            "{error}"
        );
        assert!(error.to_string().contains("`0.bias` is NaN or infinite"), "{error}");
        assert_eq!(values(&net, &grads, 0), case.values("grad0"), "kept");
        let Clipped { norm, coefficient, skip } = clip(&mut grads, NonFinite::Skip).unwrap();
        assert!(skip && coefficient == 1.0 && !norm.is_finite());
        assert_eq!(values(&net, &grads, 2), case.values("grad2"), "kept");
        assert!(!check_finite(&net, &mut grads, NonFinite::Skip).unwrap());
        assert!(check_finite(&net, &mut grads, NonFinite::Pass).unwrap());
        assert!(check_finite(&net, &mut grads, NonFinite::Error).is_err());
        let passed = clip(&mut grads, NonFinite::Pass).unwrap();
        assert!(!passed.skip);
        // As in PyTorch: NaN spreads, an infinite norm makes zeros.
        let first = values(&net, &grads, 0);
        assert!(first.iter().all(|x| if bad.is_nan() { x.is_nan() } else { *x == 0.0 }));
    }
    let mut fine = with(1.0);
    assert!(check_finite(&net, &mut fine, NonFinite::Error).unwrap());
}

#[test]
fn many_paths_are_cut_short() {
    let paths = (0..5).map(|i| format!("{i}.weight")).collect();
    let text = Error::NonFiniteGradient { paths }.to_string();
    assert!(
        text.starts_with("the gradient of `0.weight`, `1.weight`, `2.weight` and 2 more are NaN"),
        "{text}"
    );
}

#[test]
fn impossible_bounds_are_refused() {
    let golden = Golden::open("clip");
    let [case, _] = golden.case("l2");
    let net = net();
    let mut grads = grads(&net, &case);
    for bound in [-1.0, f64::NAN] {
        let clipped = clip_grad_norm(&net, &mut grads, bound, NormKind::L2, NonFinite::Pass);
        assert!(matches!(clipped, Err(Error::Clip { .. })));
        assert!(matches!(clip_grad_value(&net, &mut grads, bound), Err(Error::Clip { .. })));
    }
    for p in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(grad_norm(&net, &mut grads, NormKind::P(p)).is_err());
    }
    assert_eq!(values(&net, &grads, 0), case.values("grad0"));
}

#[test]
fn originals_of_slots_are_clipped_and_stepped() {
    let mut net = net();
    net.register("1.weight", WeightNorm::dim(0)).unwrap();
    let loss = |net: &Net| {
        let y: Tensor<2> = net.effective().forward(Tensor::<2>::ones([6, 4], &device())).unwrap();
        net.grads((y * 50.0).square().mean().backward()).unwrap()
    };
    let mut grads = loss(&net);
    assert_eq!(grads.len(), 4);
    let before = grad_norm(&net, &mut grads, NormKind::L2).unwrap();
    let clipped = clip_grad_norm(&net, &mut grads, 1.0, NormKind::L2, NonFinite::Error).unwrap();
    assert_eq!(clipped.norm, before);
    assert!(before > 10.0);
    let after = grad_norm(&net, &mut grads, NormKind::L2).unwrap();
    assert!((after - 1.0).abs() < 1e-6, "{after}");
    assert_eq!(grads.len(), 4);
    let start = net.deep_copy();
    let net = SgdConfig::new().init().step(1.0, net, grads);
    // One step of rate 1 goes exactly as far as the gradient is long.
    let mut moved = 0.0;
    for info in start.named_parameters() {
        let distance = |net: &Net| match info.shape.len() {
            1 => common::values(common::stored::<1, _>(net, &info.path)),
            _ => common::values(common::stored::<2, _>(net, &info.path)),
        };
        let pairs = distance(&start).into_iter().zip(distance(&net));
        moved += pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    }
    assert!((moved.sqrt() - 1.0).abs() < 1e-5, "{moved}");
    assert!(net.devices()[0].is_autodiff());
}

#[test]
fn no_gradients_have_norm_zero() {
    let net = net();
    let mut grads = GradientsParams::new();
    assert_eq!(grad_norm(&net, &mut grads, NormKind::L2).unwrap(), 0.0);
    let clipped = clip_grad_norm(&net, &mut grads, 1.0, NormKind::Inf, NonFinite::Error).unwrap();
    assert_eq!(clipped, Clipped { norm: 0.0, coefficient: 1.0, skip: false });
}

//! Networks and plain loops that the tests share.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{EmbeddingConfig, Linear, LinearConfig, Tanh};
use burn::tensor::{Device, Tensor, TensorData};
use espalier::constrain::{Constraint, Constraints};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::state::StateDict;
use espalier::{AnyModule, Layout, Parametrized, Selector};

pub fn device() -> Device {
    Device::default().autodiff()
}

/// Normal numbers, the same for a seed.
pub fn numbers<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape).convert::<f32>(), &device())
}

/// A layer without a bias: four inputs, three outputs.
pub fn linear(seed: u64) -> Parametrized<Linear> {
    Parametrized::new(Linear { weight: Param::from_tensor(numbers([4, 3], seed)), bias: None })
}

/// A square layer without a bias.
pub fn square(seed: u64) -> Parametrized<Linear> {
    Parametrized::new(Linear { weight: Param::from_tensor(numbers([4, 4], seed)), bias: None })
}

/// Two square layers with biases and an activation between.
pub fn pair(seed: u64) -> Parametrized<Sequential> {
    let linear = || LinearConfig::new(4, 4).init(&device());
    let net = Sequential::new().with(linear()).with(Tanh::new()).with(linear());
    let every = Selector::glob("**").unwrap();
    Parametrized::new(Init::Normal(0.0, 1.0).apply(net, &every, seed).unwrap())
}

/// A layer of each kind, and the shape of its weight in PyTorch's layout.
pub fn layers() -> Vec<(AnyModule, Vec<usize>)> {
    let device = device();
    let layers = [
        (AnyModule::new(LinearConfig::new(5, 3).init(&device)), vec![3, 5]),
        (AnyModule::new(Conv2dConfig::new([2, 4], [3, 2]).init(&device)), vec![4, 2, 3, 2]),
        (AnyModule::new(EmbeddingConfig::new(6, 3).init(&device)), vec![6, 3]),
    ];
    let weight = Selector::path("weight");
    let filled = |layer| Init::Normal(0.0, 1.0).apply(layer, &weight, 5).unwrap();
    layers.into_iter().map(|(layer, shape)| (filled(layer), shape)).collect()
}

pub fn only(constraint: impl Constraint + 'static) -> Constraints {
    Constraints::new().with("weight", constraint).unwrap()
}

/// The values of a parameter in PyTorch's layout, of an original as it is stored; row-major.
pub fn values<M: Module>(net: &Parametrized<M>, path: &str, shape: &[usize]) -> Vec<f64> {
    let value = net.value(path).unwrap();
    let info = net.entries().into_iter().find(|info| info.path == path);
    let transposed = info.is_some_and(|info| info.layout() == Layout::Transposed);
    let value = if transposed { value.transpose() } else { value };
    assert_eq!(value.dims(), shape);
    value.to_data().iter::<f64>().collect()
}

/// The places of each slice of a row-major tensor: one for each index of `dim`, or all.
pub fn slices(shape: &[usize], dim: Option<usize>) -> Vec<Vec<usize>> {
    let total: usize = shape.iter().product();
    let Some(dim) = dim else { return vec![(0..total).collect()] };
    let stride: usize = shape[dim + 1..].iter().product();
    let index = |place: usize| place / stride % shape[dim];
    (0..shape[dim]).map(|k| (0..total).filter(|place| index(*place) == k).collect()).collect()
}

pub fn norm(values: &[f64], places: &[usize]) -> f64 {
    places.iter().map(|place| values[*place] * values[*place]).sum::<f64>().sqrt()
}

/// The norms of the slices.
pub fn norms(values: &[f64], shape: &[usize], dim: Option<usize>) -> Vec<f64> {
    slices(shape, dim).iter().map(|places| norm(values, places)).collect()
}

#[track_caller]
pub fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-6, "{found}, expected {expected}");
    }
}

/// The largest element of `|W^T W - I|` of a tall matrix, or of `|W W^T - I|` of a wide one.
pub fn off_orthogonal(w: Tensor<2>) -> f64 {
    let w = w.inner();
    let w = if w.dims()[0] < w.dims()[1] { w.transpose() } else { w };
    let eye = Tensor::eye(w.dims()[1], &w.device());
    (w.clone().transpose().matmul(w) - eye).abs().max().into_scalar::<f64>()
}

/// What a call that fails may not change.
pub fn everything<M: Module>(net: &Parametrized<M>) -> (StateDict, String) {
    (StateDict::of(net), net.description())
}

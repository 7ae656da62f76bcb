//! Networks and inputs that the tests share.

use burn::module::ParamId;
use burn::nn::Tanh;
use burn::tensor::{Device, Tensor, TensorData};
use espalier::init::Rng;
use espalier::nn::lazy::{LazyBatchNormConfig, LazyConv2dConfig, LazyLinearConfig};
use espalier::nn::{Flatten, Sequential};
use espalier::{ParamInfo, ParameterTree};

pub fn device() -> Device {
    Device::default().autodiff()
}

pub fn normal<const D: usize>(dims: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, dims).convert::<f32>(), device)
}

/// Convolution, batch norm and two linear layers, all lazy, the same values for a seed.
pub fn lazy(device: &Device, seed: u64) -> Sequential {
    Sequential::new()
        .with(LazyConv2dConfig::new(4, [3, 3]).with_seed(Some(seed)).init(device))
        .with(LazyBatchNormConfig::new().init(device))
        .with(Tanh::new())
        .with(Flatten::new())
        .with(LazyLinearConfig::new(6).with_seed(Some(seed + 1)).init(device))
        .with(Tanh::new())
        .with(LazyLinearConfig::new(2).with_seed(Some(seed + 2)).init(device))
}

pub const INPUT: [usize; 4] = [8, 2, 5, 5];

pub fn images(seed: u64, device: &Device) -> Tensor<4> {
    normal(INPUT, seed, device)
}

pub fn ids<M: ParameterTree>(module: &M) -> Vec<(String, ParamId)> {
    all(module).into_iter().map(|info| (info.path, info.id)).collect()
}

/// Of the parameters alone: a running statistic keeps its own when a record is loaded.
pub fn parameter_ids<M: ParameterTree>(module: &M) -> Vec<(String, ParamId)> {
    module.named_parameters().into_iter().map(|info| (info.path, info.id)).collect()
}

/// Parameters, then buffers.
pub fn all<M: ParameterTree>(module: &M) -> Vec<ParamInfo> {
    let mut all = module.named_parameters();
    all.extend(module.named_buffers());
    all
}

pub fn shapes<M: ParameterTree>(module: &M) -> Vec<(String, Vec<usize>)> {
    all(module).into_iter().map(|info| (info.path, info.shape)).collect()
}

pub fn data<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

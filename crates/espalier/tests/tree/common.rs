//! Modules that the tests share.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::L1Unstructured;

pub fn device() -> Device {
    Device::default().autodiff()
}

pub fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&device())
}

/// Linear 4-3, batch norm, ReLU, linear 3-2.
pub fn sequential() -> Sequential {
    Sequential::new()
        .with(linear(4, 3))
        .with(BatchNormConfig::new(3).init(&device()))
        .with(Relu::new())
        .with(linear(3, 2))
}

#[derive(Module, Debug)]
pub struct Block {
    pub linear: Linear,
    pub norm: BatchNorm,
    pub dropout: Dropout,
    pub relu: Relu,
}

#[derive(Module, Debug)]
pub struct Stage {
    pub blocks: Vec<Block>,
    pub skip: Option<Linear>,
}

/// Three levels below itself: `stage.blocks.0.linear`.
#[derive(Module, Debug)]
pub struct Net {
    pub stage: Stage,
    pub head: Linear,
}

pub fn nested() -> Net {
    let block = || Block {
        linear: LinearConfig::new(2, 2).with_bias(false).init(&device()),
        norm: BatchNormConfig::new(2).init(&device()),
        dropout: DropoutConfig::new(0.1).init(),
        relu: Relu::new(),
    };
    let stage = Stage { blocks: vec![block(), block()], skip: Some(linear(2, 2)) };
    Net { stage, head: linear(2, 1) }
}

/// Orthogonal, weight norm and mask, mask only, a tie.
pub fn wrapped() -> Parametrized<Sequential> {
    let net = Sequential::new()
        .with(linear(4, 4))
        .with(BatchNormConfig::new(4).init(&device()))
        .with(Relu::new())
        .with(linear(4, 4))
        .with(linear(4, 2));
    let mut net = Parametrized::new(net);
    net.register("0.weight", Orthogonal::cayley()).unwrap();
    net.register("4.weight", WeightNorm::dim(0)).unwrap();
    net.prune("4.weight", L1Unstructured::new(0.25)).unwrap();
    net.prune("3.weight", L1Unstructured::new(4)).unwrap();
    net.tie("3.bias", "0.bias").unwrap();
    net
}

pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

pub fn lines<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// The names in a burnpack file.
pub fn saved_names(file: &std::path::Path) -> Vec<String> {
    let tensors = burn_pack::Reader::from_file(file).and_then(|file| file.into_tensors()).unwrap();
    tensors.iter().map(|tensor| tensor.name.to_string()).collect()
}

//! Networks that the tests share.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Tanh};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use espalier::Parametrized;
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier_checkpoint::{Checkpoint, NamedTensor};

#[derive(Module, Debug)]
pub struct Language {
    pub embedding: Embedding,
    pub output: Linear,
}

pub fn device() -> Device {
    Device::default().autodiff()
}

pub fn language() -> Parametrized<Language> {
    let device = device();
    let mut net = Parametrized::new(Language {
        embedding: EmbeddingConfig::new(7, 4).init(&device),
        output: LinearConfig::new(4, 7).with_bias(false).init(&device),
    });
    net.init("*.weight", Init::Normal(0.0, 1.0), 11).unwrap();
    net
}

/// Three linear layers of four, tanh between, no ties.
pub fn mlp(seed: u64) -> Parametrized<Sequential> {
    let device = device();
    let linear = || LinearConfig::new(4, 4).init(&device);
    let net = Sequential::new().with(linear()).with(Tanh::new());
    let net = net.with(linear()).with(Tanh::new()).with(linear());
    let mut net = Parametrized::new(net);
    net.init("*.*", Init::Uniform(-0.7, 0.7), seed).unwrap();
    net
}

/// The same with one layer at places 2 and 4.
pub fn shared(seed: u64) -> Parametrized<Sequential> {
    let mut net = mlp(seed);
    net.tie_layers("4", "2").unwrap();
    net
}

pub fn inputs(seed: u64) -> Tensor<2> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f32> = (0..6 * 4).map(|_| rng.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, [6, 4]), &device())
}

pub fn loss(module: &Sequential, seed: u64) -> Tensor<1> {
    let y: Tensor<2> = module.forward(inputs(seed)).unwrap();
    (y - 0.5).square().mean()
}

pub fn gradients(net: &Parametrized<Sequential>, seed: u64) -> GradientsParams {
    net.grads(loss(&net.effective(), seed).backward()).unwrap()
}

pub fn train(
    mut net: Parametrized<Sequential>,
    optim: &mut ModuleOptimizer,
    steps: u64,
) -> Parametrized<Sequential> {
    for step in 0..steps {
        let grads = gradients(&net, step);
        net = optim.step(0.02, net, grads);
    }
    net
}

pub fn values<M: Module>(net: &Parametrized<M>, path: &str) -> Vec<f32> {
    net.value(path).unwrap().to_data().iter::<f32>().collect()
}

/// Both names of each of the shared layer's parameters have the same values.
#[track_caller]
pub fn assert_shared(net: &Parametrized<Sequential>) {
    for name in ["weight", "bias"] {
        let [first, second] = ["2", "4"].map(|layer| values(net, &format!("{layer}.{name}")));
        assert_eq!(first, second, "{name}");
        assert!(first.iter().any(|value| *value != first[0]), "nothing to compare");
    }
}

pub fn state_of(tensors: impl IntoIterator<Item = NamedTensor>) -> espalier::state::StateDict {
    let mut checkpoint = Checkpoint::new();
    tensors.into_iter().for_each(|tensor| checkpoint.push(tensor).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.safetensors");
    espalier_checkpoint::write_safetensors(&path, &checkpoint).unwrap();
    espalier::state::StateDict::open(&path).unwrap()
}

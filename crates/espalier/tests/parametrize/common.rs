//! Networks, own rules and comparisons that the tests share.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig, Tanh};
use burn::tensor::{Device, Tensor, TensorData};
use espalier::init::{Init, Rng};
use espalier::nn::Sequential;
use espalier::parametrize::{Parametrization, RuleError, Rules};
use espalier::state::StateDict;
use espalier::{ParameterTree, Parametrized};

pub fn device() -> Device {
    Device::default().autodiff()
}

/// Normal numbers, the same for a seed.
pub fn numbers<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape).convert::<f32>(), &device())
}

/// A square layer without a bias.
pub fn square(seed: u64) -> Parametrized<Linear> {
    let weight = Param::from_tensor(numbers([4, 4], seed));
    Parametrized::new(Linear { weight, bias: None })
}

/// Two square layers with an activation between.
pub fn pair(seed: u64) -> Parametrized<Sequential> {
    let linear = || LinearConfig::new(4, 4).init(&device());
    let net = Sequential::new().with(linear()).with(Tanh::new()).with(linear());
    let every = espalier::Selector::glob("**").unwrap();
    Parametrized::new(Init::Uniform(-0.5, 0.5).apply(net, &every, seed).unwrap())
}

pub fn weight<M: Module>(net: &Parametrized<M>, path: &str) -> Tensor<2> {
    net.get(path).unwrap()
}

#[track_caller]
pub fn assert_near<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    let off = (found.inner() - expected.inner()).abs().max().into_scalar::<f32>();
    assert!(off < 2e-5, "off by {off}");
}

#[track_caller]
pub fn assert_equal<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    found.into_data().assert_eq(&expected.into_data(), true);
}

pub fn names<M: Module>(net: &Parametrized<M>) -> Vec<String> {
    net.named_parameters().into_iter().map(|info| info.path).collect()
}

/// What a call that fails may not change.
pub fn everything<M: Module>(net: &Parametrized<M>) -> (StateDict, String) {
    (StateDict::of(net), net.description())
}

/// A rule that doubles and counts how often it is evaluated.
#[derive(Module, Debug)]
pub struct Doubled {
    #[module(skip)]
    pub counter: &'static AtomicUsize,
}

impl Parametrization<2> for Doubled {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        self.counter.fetch_add(1, Ordering::Relaxed);
        originals[0].clone() * 2.0
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value / 2.0])
    }
}

/// A number of evaluations, for one test.
pub fn counter() -> &'static AtomicUsize {
    Box::leak(Box::new(AtomicUsize::new(0)))
}

pub fn evaluations(counter: &AtomicUsize) -> usize {
    counter.swap(0, Ordering::Relaxed)
}

/// Adds one. It cannot be inverted.
#[derive(Module, Debug)]
pub struct PlusOne {}

impl Parametrization<2> for PlusOne {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() + 1.0
    }
}

/// A scale that is learned, times the original.
#[derive(Module, Debug)]
pub struct Scaled {
    pub scale: Param<Tensor<1>>,
}

impl Parametrization<2> for Scaled {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() * self.scale.val().unsqueeze()
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value / self.scale.val().detach().unsqueeze()])
    }
}

pub fn scaled(by: f32) -> Scaled {
    Scaled { scale: Param::from_tensor(Tensor::full([1], by, &device())) }
}

/// A sum of two originals.
#[derive(Module, Debug)]
pub struct Halves {}

impl Parametrization<2> for Halves {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() + originals[1].clone()
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value.clone() * 0.25, value * 0.75])
    }
}

/// The builtin rules and these.
pub fn rules() -> Rules {
    use espalier::parametrize::Own;
    Rules::builtin()
        .with("halves", |_| Ok(Box::new(Own::new("halves", Halves {}))))
        .with("plus_one", |_| Ok(Box::new(Own::new("plus_one", PlusOne {}))))
        .with("scaled", |_| Ok(Box::new(Own::new("scaled", scaled(2.0)))))
}

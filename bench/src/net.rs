//! The networks that are trained, and steps of them.

use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use espalier::Parametrized;
use espalier::optim::{AdamW, Groups};

/// Linear layers with rectifiers between them.
#[derive(Module, Debug)]
pub struct Net {
    /// The layers.
    pub layers: Vec<Linear>,
    relu: Relu,
}

impl Net {
    /// The output for a batch.
    pub fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if index + 1 < self.layers.len() {
                x = self.relu.forward(x);
            }
        }
        x
    }

    /// The mean squared error.
    pub fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        (self.forward(x.clone()) - y.clone()).square().mean()
    }
}

/// A network and a batch.
#[derive(Debug)]
pub struct Case {
    /// The network.
    pub net: Net,
    /// Inputs.
    pub x: Tensor<2>,
    /// Targets.
    pub y: Tensor<2>,
}

impl Case {
    /// Layers of these widths, and a batch of random numbers.
    pub fn new(widths: &[usize], batch: usize) -> Self {
        let device = Device::flex().autodiff();
        let linear = |w: &[usize]| LinearConfig::new(w[0], w[1]).init(&device);
        let net = Net { layers: widths.windows(2).map(linear).collect(), relu: Relu::new() };
        let random = |width| Tensor::<2>::random([batch, width], Distribution::Default, &device);
        Self { net, x: random(widths[0]), y: random(widths[widths.len() - 1]) }
    }
}

/// Seconds of one of `n` times.
pub fn timed(n: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..n).for_each(|_| work());
    start.elapsed().as_secs_f64() / n.max(1) as f64
}

/// Takes a value out to change it, as an owner does in a loop.
pub fn replace<T>(slot: &mut Option<T>, change: impl FnOnce(T) -> T) {
    *slot = slot.take().map(change);
}

/// Steps of the plain network.
pub fn plain(case: Case, mut optim: ModuleOptimizer) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case;
    let mut net = Some(net);
    move |n| {
        timed(n, || {
            replace(&mut net, |net| {
                let grads = net.loss(&x, &y).backward();
                let grads = GradientsParams::from_grads(grads, &net);
                optim.step(1e-3, net, grads)
            });
        })
    }
}

/// Steps of the wrapped network with parameter groups and AdamW, parametrized by `prepare`.
pub fn framed(
    case: Case,
    prepare: impl FnOnce(&mut Parametrized<Net>),
) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case;
    let mut net = Parametrized::new(net);
    prepare(&mut net);
    let groups = Groups::new(AdamW::new()).build(&net);
    let mut optim = groups.unwrap_or_else(|error| panic!("{error}"));
    let mut net = Some(net);
    move |n| {
        timed(n, || {
            replace(&mut net, |net| {
                let grads = net.grads(net.effective().loss(&x, &y).backward());
                let grads = grads.unwrap_or_else(|error| panic!("{error}"));
                optim.step(net, grads)
            });
        })
    }
}

//! A recurrent cell whose weight is computed once for all time steps.
//!
//! Run it: `cargo run --release --example cached_rnn`

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::parametrize::{self, Own, Parametrization, RuleError};

static EVALUATIONS: AtomicUsize = AtomicUsize::new(0);

/// Half of the original, and a count of how often it was asked.
#[derive(Module, Debug)]
struct Half {}

impl Parametrization<2> for Half {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        EVALUATIONS.fetch_add(1, Ordering::Relaxed);
        originals[0].clone() * 0.5
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value * 2.0])
    }
}

/// `h' = tanh(x + W h)`.
#[derive(Module, Debug)]
struct Cell {
    hidden: Linear,
}

impl Cell {
    fn step(&self, x: Tensor<2>, h: Tensor<2>) -> Tensor<2> {
        (x + self.hidden.forward(h)).tanh()
    }
}

/// Eight time steps; `cell` is asked for the module at each, as a Python loop reads `cell.weight`.
fn unroll(cell: impl Fn() -> Cell, device: &Device) -> Tensor<1> {
    let mut h = Tensor::<2>::zeros([2, 4], device);
    for t in 0..8 {
        h = cell().step(Tensor::full([2, 4], 0.1 * t as f32, device), h);
    }
    h.square().mean()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let mut net = Parametrized::new(Cell { hidden: LinearConfig::new(4, 4).init(&device) });
    net.register("hidden.weight", Own::new("half", Half {}))?;

    EVALUATIONS.store(0, Ordering::Relaxed);
    let apart = unroll(|| net.effective(), &device);
    let without = EVALUATIONS.swap(0, Ordering::Relaxed);

    // with parametrize.cached():
    let scope = parametrize::cached(&net);
    let shared = unroll(|| scope.effective(), &device);
    let again: Tensor<2> = scope.get("hidden.weight")?; // the tensor that the steps used
    let within = EVALUATIONS.swap(0, Ordering::Relaxed);
    println!("evaluations of the rule: {without} without a scope, {within} within");
    assert_eq!((without, within), (8, 1));

    let (a, b) = (apart.clone().into_scalar::<f32>(), shared.clone().into_scalar::<f32>());
    assert_eq!(a, b, "the same loss");
    // The time steps share one graph: gradients add up in the one weight.
    let penalty = again.square().sum() * 0.01;
    let grads = net.grads((shared + penalty).backward())?;
    println!("gradients for {} parameters", grads.len());
    assert_eq!(grads.len(), 2);
    // A step while `scope` is still used would not compile: what it holds cannot be stale.
    Ok(())
}

//! Training that stays in the set.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use espalier::constrain::{
    Constraints, MaxNorm, MinMaxNorm, NonNeg, OrthogonalProjection, UnitNorm,
};
use espalier::nn::Sequential;
use espalier::optim::{Adam, Sgd};
use espalier::parametrize::WeightNorm;
use espalier::prune::L1Unstructured;
use espalier::{Error, Parametrized};

use crate::common::{norms, numbers, off_orthogonal, pair, values};

const STEPS: u64 = 50;

fn gradients(net: &Parametrized<Sequential>, step: u64) -> (f32, burn::optim::GradientsParams) {
    let y: Tensor<2> = net.effective().forward(numbers([8, 4], 100 + step % 5)).unwrap();
    let loss = (y - numbers([8, 4], 7)).square().mean();
    (loss.clone().into_scalar::<f32>(), net.grads(loss.backward()).unwrap())
}

/// Trains with each optimizer and asks `holds` after each step.
fn stays(
    prepare: impl Fn(&mut Parametrized<Sequential>) -> Result<(), Error>,
    constraints: &Constraints,
    holds: impl Fn(&Parametrized<Sequential>) -> bool,
) {
    let optimizers: [(&str, ModuleOptimizer, f64); 2] =
        [("sgd", Sgd::new().with_momentum(0.9).into(), 0.02), ("adam", Adam::new().into(), 0.01)];
    for (name, mut optim, rate) in optimizers {
        let mut net = pair(11);
        prepare(&mut net).unwrap();
        net = constraints.apply(net).unwrap();
        let (mut first, mut last) = (None, f32::NAN);
        for step in 0..STEPS {
            let (loss, grads) = gradients(&net, step);
            net = constraints.apply(optim.step(rate, net, grads)).unwrap();
            assert!(holds(&net), "{name}, step {step}");
            first.get_or_insert(loss);
            last = loss;
        }
        assert!(last < first.unwrap(), "{name} learns: {first:?} to {last}");
    }
}

fn weight_norms(net: &Parametrized<Sequential>, path: &str) -> Vec<f64> {
    norms(&values(net, path, &[4, 4]), &[4, 4], Some(0))
}

#[test]
fn norms_and_signs() {
    let constraints = Constraints::new()
        .with("0.weight", MaxNorm::new(1.0))
        .unwrap()
        .with("2.weight", UnitNorm::new())
        .unwrap()
        .with("*.bias", NonNeg::new())
        .unwrap();
    stays(
        |_| Ok(()),
        &constraints,
        |net| {
            weight_norms(net, "0.weight").iter().all(|n| *n < 1.0 + 1e-6)
                && weight_norms(net, "2.weight").iter().all(|n| (n - 1.0).abs() < 1e-6)
                && ["0.bias", "2.bias"]
                    .iter()
                    .all(|path| values(net, path, &[4]).iter().all(|x| *x >= 0.0))
        },
    );
}

#[test]
fn norms_between_bounds_and_orthogonal_matrices() {
    let constraints = Constraints::new()
        .with("0.weight", MinMaxNorm::new(0.9, 1.1))
        .unwrap()
        .with("2.weight", OrthogonalProjection::new())
        .unwrap();
    stays(
        |_| Ok(()),
        &constraints,
        |net| {
            weight_norms(net, "0.weight").iter().all(|n| (0.899_999..1.100_001).contains(n))
                && off_orthogonal(net.get("2.weight").unwrap()) < 2e-6
        },
    );
}

#[test]
fn parametrized_pruned_and_tied_weights() {
    let constraints = Constraints::new().with("0.weight", MaxNorm::new(1.0)).unwrap();
    stays(
        |net| {
            net.register("0.weight", WeightNorm::dim(0))?;
            net.prune("0.weight", L1Unstructured::new(4))?;
            net.tie("2.weight", "0.weight")
        },
        &constraints,
        |net| {
            weight_norms(net, "0.weight").iter().all(|n| *n < 1.0 + 1e-6)
                && net.zeros("2.weight").unwrap() == 4
        },
    );
}

#[test]
fn momentum_goes_on_through_the_projection() {
    // A bound that is never reached: the same to the bit as without.
    let train = |constraints: &Constraints| {
        let mut optim: ModuleOptimizer = Sgd::new().with_momentum(0.9).into();
        let mut net = pair(12);
        for step in 0..10 {
            let (_, grads) = gradients(&net, step);
            net = constraints.apply(optim.step(0.05, net, grads)).unwrap();
        }
        (net.num_params(), values(&net, "0.weight", &[4, 4]), values(&net, "2.bias", &[4]))
    };
    let far = Constraints::new().with("**", MaxNorm::new(1e6)).unwrap();
    assert_eq!(train(&far), train(&Constraints::new()));
}

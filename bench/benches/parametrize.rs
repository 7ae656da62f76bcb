//! Parametrized weights against PyTorch's and geotorch's: one weight forward and backward, and a
//! training step.
#![allow(missing_docs)]

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Distribution, Tensor};
use espalier::Parametrized;
use espalier::optim::AdamW;
use espalier::parametrize::{
    LowRank, Orthogonal, PositiveDefinite, Rule, SpectralNorm, Symmetric, WeightNorm,
};
use espalier_bench::{Case, Contest, Row, Table, framed, plain, timed, wanted};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sizes and targets against the peer's.
type Sizes = &'static [(usize, Option<f64>)];

const EVEN: Option<f64> = Some(1.0);
const HALF: Option<f64> = Some(1.0 / 2.0);
const FIFTH: Option<f64> = Some(1.0 / 5.0);
const EIGHTH: Option<f64> = Some(1.0 / 8.0);
const TENTH: Option<f64> = Some(1.0 / 10.0);
const FIFTEENTH: Option<f64> = Some(1.0 / 15.0);

const EXPONENTIAL: Sizes = &[(64, None), (256, FIFTH), (512, FIFTH), (1024, FIFTH)];
const HOUSEHOLDER: Sizes = &[(64, None), (256, EIGHTH), (512, FIFTEENTH), (1024, FIFTEENTH)];
const CAYLEY: Sizes = &[(64, HALF), (256, HALF), (512, HALF), (1024, HALF)];
/// For weight and spectral norm.
const NORM: Sizes = &[(64, EVEN), (256, EVEN), (512, EVEN), (1024, EVEN)];
const SYMMETRIC: Sizes = &[(256, HALF), (1024, HALF)];
const POSITIVE_DEFINITE: Sizes = &[(64, None), (256, FIFTH), (512, FIFTH)];
const LOW_RANK: Sizes = &[(64, TENTH), (256, TENTH), (512, TENTH)];

/// Numbers of standard deviation `1/sqrt(n)` in everything that is trained: away from the point
/// where registering starts.
struct Start {
    deviation: f64,
}

impl ModuleMapper for Start {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        param.map(|old| {
            let normal = Distribution::Normal(0.0, self.deviation);
            Tensor::random(old.dims(), normal, &old.device()).detach().require_grad()
        })
    }
}

/// Forward and backward through an `n x n` weight, for a gradient of ones: what a loss does beside
/// the rule is left out.
fn weight<R: Rule + 'static>(n: usize, rule: R) -> impl FnMut(usize) -> f64 + use<R> {
    let device = Device::flex().autodiff();
    let layer: Linear = LinearConfig::new(n, n).with_bias(false).init(&device);
    let mut net = Parametrized::new(layer);
    net.register("weight", rule).unwrap_or_else(|error| panic!("{error}"));
    let net = net.map(&mut Start { deviation: 1.0 / (n as f64).sqrt() });
    move |iterations| {
        timed(iterations, || {
            let grads = net.grads(net.effective().weight.val().backward());
            grads.map(drop).unwrap_or_else(|error| panic!("{error}"));
        })
    }
}

/// The rows of a rule. Its name, words joined by `_`, names the part, and the peer's case.
fn weights<R: Rule + Clone + 'static>(
    contest: &Contest,
    table: &mut Table,
    name: &str,
    sizes: Sizes,
    rule: &R,
) {
    let part = name.replace(' ', "_");
    if !wanted(&part) {
        return;
    }
    let peer = match name {
        "positive definite" | "low rank" => "geotorch",
        _ => "PyTorch",
    };
    if !contest.has(peer) {
        println!("{name}: no {peer}");
    }
    for &(n, target) in sizes {
        let cases = if contest.has(peer) { vec![format!("weight/{part}/{n}")] } else { Vec::new() };
        let times = contest.compete(&mut [&mut weight(n, rule.clone())], &cases);
        table.0.push(Row {
            case: format!("{name}, {n} x {n}"),
            peer: peer.to_owned(),
            ours: times[0].clone(),
            theirs: times.get(1).cloned().unwrap_or_default(),
            target: target.filter(|_| times.len() > 1),
        });
    }
}

/// A training step with weight normalization on every layer.
fn steps(contest: &Contest, table: &mut Table) {
    let net = "784-512-512-10";
    let case = || Case::new(&[784, 512, 512, 10], 128);
    let mut wrapped = framed(case(), |net| {
        let registered = net.register("layers.*.weight", WeightNorm::dim(0));
        let registered = registered.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(registered.len(), 3, "every layer");
    });
    let mut alone = plain(case(), ModuleOptimizer::from(AdamW::new()));
    let forms = ["weight_norm", "weight_norm+fused", "default", "fused"];
    let cases = forms.map(|form| format!("step/{net}/{form}"));
    let times = contest.compete(&mut [&mut wrapped, &mut alone], &cases);
    let row = |kind: &str, ours: usize, peer: &str, theirs: usize, target| {
        let case = format!("step {net}, {kind}, batch 128");
        let (ours, theirs) = (times[ours].clone(), times.get(theirs)?.clone());
        Some(Row { case, peer: peer.to_owned(), ours, theirs, target })
    };
    let rows = [
        row("weight norm", 0, "ours, plain", 1, Some(1.2)),
        row("weight norm", 0, "PyTorch, weight norm", 2, EVEN),
        row("weight norm", 0, "PyTorch, weight norm, fused", 3, EVEN),
        row("plain", 1, "PyTorch", 4, None),
        row("plain", 1, "PyTorch, fused", 5, None),
    ];
    table.0.extend(rows.into_iter().flatten());
}

fn main() {
    let contest = Contest::start();
    let mut table = Table::default();
    let (c, t) = (&contest, &mut table);
    weights(c, t, "matrix exponential", EXPONENTIAL, &Orthogonal::exp());
    weights(c, t, "householder", HOUSEHOLDER, &Orthogonal::householder());
    weights(c, t, "cayley", CAYLEY, &Orthogonal::cayley());
    weights(c, t, "weight norm", NORM, &WeightNorm::dim(0));
    weights(c, t, "spectral norm", NORM, &SpectralNorm::new());
    weights(c, t, "symmetric", SYMMETRIC, &Symmetric::new());
    weights(c, t, "positive definite", POSITIVE_DEFINITE, &PositiveDefinite::new());
    weights(c, t, "low rank", LOW_RANK, &LowRank::new(8));
    if wanted("step") {
        steps(c, t);
    }
    println!("{table}");
}

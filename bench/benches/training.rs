//! Training steps and optimizers against PyTorch's and plain Burn's.
#![allow(missing_docs)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use burn::module::{Module, ParamId};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use espalier::Parametrized;
use espalier::optim::{Adam, AdamW, Groups, Sgd};
use espalier_bench::{Peer, Row, Table, turns};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;

/// Name, widths, batch, and the target against PyTorch's fused AdamW.
const NETS: [(&str, &[usize], usize, f64); 3] = [
    ("32-32-32-8", &[32, 32, 32, 8], 16, 1.0 / 3.0),
    ("784-512-512-10", &[784, 512, 512, 10], 128, 1.15),
    ("1024-4096-1024", &[1024, 4096, 1024], 256, 1.15),
];

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Linear>,
    relu: Relu,
}

impl Net {
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if index + 1 < self.layers.len() {
                x = self.relu.forward(x);
            }
        }
        x
    }
}

/// A network and a batch.
struct Case {
    net: Net,
    x: Tensor<2>,
    y: Tensor<2>,
}

impl Case {
    fn new(widths: &[usize], batch: usize) -> Self {
        let device = Device::flex().autodiff();
        let linear = |w: &[usize]| LinearConfig::new(w[0], w[1]).init(&device);
        let net = Net { layers: widths.windows(2).map(linear).collect(), relu: Relu::new() };
        let random = |width| Tensor::<2>::random([batch, width], Distribution::Default, &device);
        Self { net, x: random(widths[0]), y: random(widths[widths.len() - 1]) }
    }
}

fn loss(net: &Net, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
    (net.forward(x.clone()) - y.clone()).square().mean()
}

fn timed(n: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..n).for_each(|_| work());
    start.elapsed().as_secs_f64() / n.max(1) as f64
}

/// Takes a value out to change it, as an owner does in a loop.
fn replace<T>(slot: &mut Option<T>, change: impl FnOnce(T) -> T) {
    *slot = slot.take().map(change);
}

/// Steps of the plain network.
fn plain(case: Case, mut optim: ModuleOptimizer) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case;
    let mut net = Some(net);
    move |n| {
        timed(n, || {
            replace(&mut net, |net| {
                let grads = loss(&net, &x, &y).backward();
                let grads = GradientsParams::from_grads(grads, &net);
                optim.step(1e-3, net, grads)
            });
        })
    }
}

/// Steps of the wrapped network with parameter groups.
fn framed(case: Case) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case;
    let net = Parametrized::new(net);
    let groups = Groups::new(AdamW::new()).build(&net);
    let mut optim = groups.unwrap_or_else(|error| panic!("{error}"));
    let mut net = Some(net);
    move |n| {
        timed(n, || {
            replace(&mut net, |net| {
                let grads = net.grads(loss(&net.effective(), &x, &y).backward());
                let grads = grads.unwrap_or_else(|error| panic!("{error}"));
                optim.step(net, grads)
            });
        })
    }
}

/// Milliseconds of a step's parts: forward, backward, collecting gradients, optimizer.
fn profile(case: Case, n: usize) -> [f64; 4] {
    let Case { net, x, y } = case;
    let mut net = Some(net);
    let mut optim = ModuleOptimizer::from(AdamW::new());
    let mut spent = [0.0; 4];
    let warm = n / 4;
    for round in 0..n + warm {
        replace(&mut net, |net| {
            let start = Instant::now();
            let loss = loss(&net, &x, &y);
            let forward = start.elapsed();
            let grads = loss.backward();
            let backward = start.elapsed();
            let grads = GradientsParams::from_grads(grads, &net);
            let collected = start.elapsed();
            let net = optim.step(1e-3, net, grads);
            if round >= warm {
                let parts = [
                    forward,
                    backward - forward,
                    collected - backward,
                    start.elapsed() - collected,
                ];
                for (spent, part) in spent.iter_mut().zip(parts) {
                    *spent += part.as_secs_f64() * 1e3 / n as f64;
                }
            }
            net
        });
    }
    spent
}

/// An optimizer alone over 8.4 M parameters, with gradients that are there already.
fn update(mut optim: ModuleOptimizer) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = Case::new(&[1024, 4096, 1024], 2);
    let mut grads = loss(&net, &x, &y).backward();
    let mut matrices: Vec<(ParamId, Tensor<2>)> = Vec::new();
    let mut vectors: Vec<(ParamId, Tensor<1>)> = Vec::new();
    for layer in &net.layers {
        let grad = layer.weight.val().grad_remove(&mut grads);
        matrices.extend(grad.map(|grad| (layer.weight.id, grad)));
        if let Some(bias) = &layer.bias {
            vectors.extend(bias.val().grad_remove(&mut grads).map(|grad| (bias.id, grad)));
        }
    }
    let mut net = Some(net);
    move |n| {
        let mut seconds = 0.0;
        for _ in 0..n {
            // As after a backward pass: nothing else holds the gradients. Not timed.
            let mut grads = GradientsParams::new();
            matrices.iter().for_each(|(id, grad)| grads.register(*id, grad.clone() * 1.0));
            vectors.iter().for_each(|(id, grad)| grads.register(*id, grad.clone() * 1.0));
            seconds += timed(1, || {
                let grads = std::mem::take(&mut grads);
                replace(&mut net, |net| optim.step(1e-3, net, grads));
            });
        }
        seconds / n.max(1) as f64
    }
}

fn burn_adamw() -> ModuleOptimizer {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init()
}

/// A peer that may be missing.
type Peers<'a> = Option<&'a RefCell<Peer>>;

/// Seconds of ours, of Burn's, and of the peer's default and fused forms.
fn compete(ours: &mut [&mut dyn FnMut(usize) -> f64], peer: Peers<'_>, case: &str) -> Vec<f64> {
    let run = |mode: &str, n| match peer {
        Some(peer) => peer.borrow_mut().run(&format!("{case}/{mode}"), n),
        None => f64::NAN,
    };
    let (mut default, mut fused) = (|n| run("default", n), |n| run("fused", n));
    let mut all: Vec<&mut dyn FnMut(usize) -> f64> = Vec::new();
    all.extend(ours.iter_mut().map(|one| &mut **one as &mut dyn FnMut(usize) -> f64));
    if peer.is_some() {
        all.push(&mut default);
        all.push(&mut fused);
    }
    turns(&mut all, ROUNDS)
}

fn steps(peer: Peers<'_>, table: &mut Table, parts: &mut Vec<String>) {
    for (name, widths, batch, target) in NETS {
        let case = || Case::new(widths, batch);
        let mut alone = plain(case(), ModuleOptimizer::from(AdamW::new()));
        let mut frame = framed(case());
        let mut burn = plain(case(), burn_adamw());
        let seconds =
            compete(&mut [&mut alone, &mut frame, &mut burn], peer, &format!("step/{name}"));
        let theirs = [
            ("plain Burn", Some(&seconds[2]), None),
            ("PyTorch AdamW", seconds.get(3), Some(1.0)),
            ("PyTorch AdamW, fused", seconds.get(4), Some(target)),
        ];
        for (peer, theirs, target) in theirs {
            let Some(&theirs) = theirs else { continue };
            for (what, ours) in [("step", seconds[0]), ("step, wrapped", seconds[1])] {
                let case = format!("{what} {name}, batch {batch}");
                table.0.push(Row { case, peer: peer.to_owned(), ours, theirs, target });
            }
        }
        let n = (1.0 / seconds[0]).ceil() as usize;
        let [forward, backward, collect, optimizer] = profile(case(), n);
        parts.push(format!(
            "{name}: forward {forward:.3} ms, backward {backward:.3}, collecting gradients \
             {collect:.3}, optimizer {optimizer:.3}"
        ));
    }
}

fn optimizers(peer: Peers<'_>, table: &mut Table) {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let all: [(&str, ModuleOptimizer, ModuleOptimizer); 3] = [
        (
            "sgd",
            Sgd::new().with_momentum(0.9).into(),
            SgdConfig::new().with_momentum(Some(momentum)).init(),
        ),
        ("adam", Adam::new().into(), AdamConfig::new().with_epsilon(1e-8).init()),
        ("adamw", AdamW::new().into(), burn_adamw()),
    ];
    for (name, ours, burn) in all {
        let (mut ours, mut burn) = (update(ours), update(burn));
        let seconds = compete(&mut [&mut ours, &mut burn], peer, &format!("optimizer/{name}"));
        let theirs = [
            ("plain Burn", Some(&seconds[1]), None),
            ("PyTorch", seconds.get(2), None),
            ("PyTorch, fused", seconds.get(3), Some(1.0)),
        ];
        for (peer, theirs, target) in theirs {
            let Some(&theirs) = theirs else { continue };
            let (case, ours) = (format!("{name} over 8.4 M parameters"), seconds[0]);
            table.0.push(Row { case, peer: peer.to_owned(), ours, theirs, target });
        }
    }
}

fn main() {
    let python = std::env::var_os("ESPALIER_PYTHON").map(PathBuf::from);
    let peer = python.and_then(|python| match Peer::start(&python) {
        Ok(peer) => Some(RefCell::new(peer)),
        Err(error) => {
            eprintln!("no peer: {}: {error}", python.display());
            None
        }
    });
    match &peer {
        Some(peer) => println!("in turns with {}, {ROUNDS} rounds\n", peer.borrow().name()),
        None => println!("without PyTorch; ESPALIER_PYTHON names a Python that has it\n"),
    }
    let (mut table, mut parts) = (Table::default(), Vec::new());
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wanted = |group: &str| only.is_empty() || only.iter().any(|only| only == group);
    if wanted("steps") {
        steps(peer.as_ref(), &mut table, &mut parts);
    }
    if wanted("optimizers") {
        optimizers(peer.as_ref(), &mut table);
    }
    println!("{table}");
    parts.iter().for_each(|line| println!("{line}"));
}

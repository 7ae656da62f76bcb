//! Training steps and optimizers against PyTorch's and plain Burn's.
#![allow(missing_docs)]

use std::time::Instant;

use burn::module::ParamId;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use espalier::optim::{Adam, AdamW, Sgd};
use espalier_bench::{Case, Contest, Row, Table, framed, plain, replace, timed, wanted};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, widths, batch, and the target against PyTorch's fused AdamW.
const NETS: [(&str, &[usize], usize, f64); 3] = [
    ("32-32-32-8", &[32, 32, 32, 8], 16, 1.0 / 3.0),
    ("784-512-512-10", &[784, 512, 512, 10], 128, 1.15),
    ("1024-4096-1024", &[1024, 4096, 1024], 256, 1.15),
];

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
            let loss = net.loss(&x, &y);
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
    let mut grads = net.loss(&x, &y).backward();
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

fn steps(contest: &Contest, table: &mut Table, parts: &mut Vec<String>) {
    for (name, widths, batch, target) in NETS {
        let case = || Case::new(widths, batch);
        let mut alone = plain(case(), ModuleOptimizer::from(AdamW::new()));
        let mut frame = framed(case(), |_| ());
        let mut burn = plain(case(), burn_adamw());
        let times = contest
            .compete(&mut [&mut alone, &mut frame, &mut burn], &forms(&format!("step/{name}")));
        let theirs = [
            ("plain Burn", Some(&times[2]), None),
            ("PyTorch AdamW", times.get(3), Some(1.0)),
            ("PyTorch AdamW, fused", times.get(4), Some(target)),
        ];
        for (peer, theirs, target) in theirs {
            let Some(theirs) = theirs else { continue };
            for (what, ours) in [("step", &times[0]), ("step, wrapped", &times[1])] {
                let (ours, theirs) = (ours.clone(), theirs.clone());
                let case = format!("{what} {name}, batch {batch}");
                table.0.push(Row { case, peer: peer.to_owned(), ours, theirs, target });
            }
        }
        let n = (1.0 / times[0].median()).ceil() as usize;
        let [forward, backward, collect, optimizer] = profile(case(), n);
        parts.push(format!(
            "{name}: forward {forward:.3} ms, backward {backward:.3}, collecting gradients \
             {collect:.3}, optimizer {optimizer:.3}"
        ));
    }
}

fn optimizers(contest: &Contest, table: &mut Table) {
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
        let times =
            contest.compete(&mut [&mut ours, &mut burn], &forms(&format!("optimizer/{name}")));
        let theirs = [
            ("plain Burn", Some(&times[1]), None),
            ("PyTorch", times.get(2), None),
            ("PyTorch, fused", times.get(3), Some(1.0)),
        ];
        for (peer, theirs, target) in theirs {
            let Some(theirs) = theirs.cloned() else { continue };
            let (case, ours) = (format!("{name} over 8.4 M parameters"), times[0].clone());
            table.0.push(Row { case, peer: peer.to_owned(), ours, theirs, target });
        }
    }
}

/// The peer's default and fused forms of a case.
fn forms(case: &str) -> [String; 2] {
    ["default", "fused"].map(|form| format!("{case}/{form}"))
}

fn main() {
    let contest = Contest::start();
    let (mut table, mut parts) = (Table::default(), Vec::new());
    if wanted("steps") {
        steps(&contest, &mut table, &mut parts);
    }
    if wanted("optimizers") {
        optimizers(&contest, &mut table);
    }
    println!("{table}");
    parts.iter().for_each(|line| println!("{line}"));
}

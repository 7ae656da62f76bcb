//! Training steps and optimizers against PyTorch's and plain Burn's.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use espalier::Parametrized;
use espalier::optim::{Adam, AdamW, Groups, Sgd};
use espalier_bench::{Peer, Row, Table, turns};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Linear>,
    relu: Relu,
}
impl Net {
    fn new(widths: &[usize], device: &Device) -> Self {
        let layers =
            widths.windows(2).map(|w| LinearConfig::new(w[0], w[1]).init(device)).collect();
        Self { layers, relu: Relu::new() }
    }
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if i + 1 < self.layers.len() {
                x = self.relu.forward(x);
            }
        }
        x
    }
}

struct Case {
    net: Net,
    x: Tensor<2>,
    y: Tensor<2>,
}

fn case(widths: &[usize], batch: usize) -> Case {
    let device = Device::flex().autodiff();
    let net = Net::new(widths, &device);
    let x = Tensor::<2>::random([batch, widths[0]], Distribution::Default, &device);
    let y = Tensor::<2>::random([batch, widths[widths.len() - 1]], Distribution::Default, &device);
    Case { net, x, y }
}

fn timed(n: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..n).for_each(|_| work());
    start.elapsed().as_secs_f64() / n.max(1) as f64
}

fn plain(widths: &[usize], batch: usize, mut optim: ModuleOptimizer) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case(widths, batch);
    let mut net = Some(net);
    move |n| {
        timed(n, || {
            let model = net.take().unwrap_or_else(|| unreachable!());
            let loss = (model.forward(x.clone()) - y.clone()).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            net = Some(optim.step(1e-3, model, grads));
        })
    }
}

fn framed(widths: &[usize], batch: usize) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case(widths, batch);
    let net = Parametrized::new(net);
    let mut optim = Groups::new(AdamW::new()).build(&net).unwrap_or_else(|_| unreachable!());
    let mut net = Some(net);
    move |n| {
        timed(n, || {
            let model = net.take().unwrap_or_else(|| unreachable!());
            let grads = {
                let step = model.effective();
                let loss = (step.forward(x.clone()) - y.clone()).square().mean();
                model.grads(loss.backward()).unwrap_or_else(|_| unreachable!())
            };
            net = Some(optim.step(model, grads));
        })
    }
}

/// What a step spends where, in milliseconds.
fn profile(widths: &[usize], batch: usize, n: usize) -> [f64; 4] {
    let Case { net, x, y } = case(widths, batch);
    let mut net = Some(net);
    let mut optim = ModuleOptimizer::from(AdamW::new());
    let mut spent = [0.0; 4];
    for round in 0..n + n / 4 {
        let mut times = [0.0; 4];
        let model = net.take().unwrap_or_else(|| unreachable!());
        let start = Instant::now();
        let loss = (model.forward(x.clone()) - y.clone()).square().mean();
        times[0] = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let grads = loss.backward();
        times[1] = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let grads = GradientsParams::from_grads(grads, &model);
        times[2] = start.elapsed().as_secs_f64();
        let start = Instant::now();
        net = Some(optim.step(1e-3, model, grads));
        times[3] = start.elapsed().as_secs_f64();
        if round >= n / 4 {
            spent.iter_mut().zip(times).for_each(|(spent, time)| *spent += time * 1e3 / n as f64);
        }
    }
    spent
}

/// An optimizer alone over 8.4 M parameters: the gradients are there, as for the peer.
fn update(mut optim: ModuleOptimizer) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = case(&[1024, 4096, 1024], 2);
    let loss = (net.forward(x) - y).square().mean();
    let mut grads = loss.backward();
    let mut kept: Vec<(burn::module::ParamId, Tensor<2>)> = Vec::new();
    let mut flat: Vec<(burn::module::ParamId, Tensor<1>)> = Vec::new();
    for layer in &net.layers {
        kept.extend(layer.weight.val().grad_remove(&mut grads).map(|g| (layer.weight.id, g)));
        if let Some(bias) = &layer.bias {
            flat.extend(bias.val().grad_remove(&mut grads).map(|g| (bias.id, g)));
        }
    }
    drop(grads);
    let mut net = Some(net);
    move |n| {
        let mut seconds = 0.0;
        for _ in 0..n {
            // As after a backward pass: nothing else holds the gradients. Not timed.
            let mut grads = GradientsParams::new();
            kept.iter().for_each(|(id, grad)| grads.register(*id, grad.clone() * 1.0));
            flat.iter().for_each(|(id, grad)| grads.register(*id, grad.clone() * 1.0));
            let model = net.take().unwrap_or_else(|| unreachable!());
            let start = Instant::now();
            net = Some(optim.step(1e-3, model, grads));
            seconds += start.elapsed().as_secs_f64();
        }
        seconds / n.max(1) as f64
    }
}

const NETS: [(&str, &[usize], usize); 3] = [
    ("32-32-32-8", &[32, 32, 32, 8], 16),
    ("784-512-512-10", &[784, 512, 512, 10], 128),
    ("1024-4096-1024", &[1024, 4096, 1024], 256),
];

fn main() {
    let python = std::env::var_os("ESPALIER_PYTHON").map(PathBuf::from);
    let mut peer = python.and_then(|p| Peer::start(&p).ok()).unwrap_or_else(|| panic!("no peer"));
    println!("{}", peer.name());
    let burn = || AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
    let mut table = Table::default();
    for (name, widths, batch) in NETS {
        let mut ours = plain(widths, batch, ModuleOptimizer::from(AdamW::new()));
        let mut frame = framed(widths, batch);
        let mut theirs = plain(widths, batch, burn());
        let mut peer2 = Vec::new();
        let seconds = {
            let peer = std::cell::RefCell::new(&mut peer);
            turns(
                &mut [
                    &mut ours,
                    &mut frame,
                    &mut theirs,
                    &mut |n| peer.borrow_mut().run(&format!("step/{name}/default"), n),
                    &mut |n| peer.borrow_mut().run(&format!("step/{name}/fused"), n),
                ],
                9,
            )
        };
        peer2.push(("burn", seconds[2], None));
        peer2.push(("torch default", seconds[3], Some(1.0)));
        peer2.push((
            "torch fused",
            seconds[4],
            Some(if widths[0] == 32 { 1.0 / 3.0 } else { 1.15 }),
        ));
        for (who, theirs, target) in peer2 {
            for (case, ours) in [("step", seconds[0]), ("framed step", seconds[1])] {
                table.0.push(Row {
                    case: format!("{case} {name}"),
                    peer: who.into(),
                    ours,
                    theirs,
                    target,
                });
            }
        }
        let n = (1.0 / seconds[0]).ceil() as usize;
        let [forward, backward, grads, optimizer] = profile(widths, batch, n);
        println!(
            "{name}: forward {forward:.3}, backward {backward:.3}, gradients {grads:.3}, optimizer {optimizer:.3} ms"
        );
    }
    for (name, ours, theirs) in [
        ("adamw", ModuleOptimizer::from(AdamW::new()), burn()),
        ("adam", ModuleOptimizer::from(Adam::new()), burn()),
        (
            "sgd",
            ModuleOptimizer::from(Sgd::new().with_momentum(0.9)),
            SgdConfig::new()
                .with_momentum(Some(burn::optim::momentum::MomentumConfig::new()))
                .init(),
        ),
    ] {
        let (mut ours, mut theirs) = (update(ours), update(theirs));
        let seconds = {
            let peer = std::cell::RefCell::new(&mut peer);
            turns(
                &mut [
                    &mut ours,
                    &mut theirs,
                    &mut |n| peer.borrow_mut().run(&format!("optimizer/{name}/default"), n),
                    &mut |n| peer.borrow_mut().run(&format!("optimizer/{name}/fused"), n),
                ],
                9,
            )
        };
        for (who, theirs, target) in [
            ("burn", seconds[1], None),
            ("torch default", seconds[2], None),
            ("torch fused", seconds[3], Some(1.0)),
        ] {
            table.0.push(Row {
                case: format!("{name} 8.4 M"),
                peer: who.into(),
                ours: seconds[0],
                theirs,
                target,
            });
        }
    }
    println!("{table}");
}

//! Pruning against PyTorch's: choosing the weights of a large model, and training steps under masks.
#![allow(missing_docs)]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use espalier::Parametrized;
use espalier::optim::AdamW;
use espalier::prune::{L1Unstructured, MaskMode};
use espalier_bench::{Case, Contest, Row, Table, framed, plain, timed, wanted};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Layers of a million weights.
#[derive(Module, Debug)]
struct Layers {
    layers: Vec<Linear>,
}

/// Millions of weights, all in the competition.
fn model(millions: usize) -> Parametrized<Layers> {
    let device = Device::flex();
    let layer = || {
        let layer: Linear = LinearConfig::new(1000, 1000).with_bias(false).init(&device);
        // Burn draws the numbers when they are asked for first.
        layer.weight.val();
        layer
    };
    Parametrized::new(Layers { layers: (0..millions).map(|_| layer()).collect() })
}

fn choose(net: &mut Parametrized<Layers>) {
    let pruned = net.prune_global("**.weight", L1Unstructured::new(0.8));
    pruned.unwrap_or_else(|error| panic!("{error}"));
}

/// Four fifths of the weights, by magnitude, all layers together. Undone between turns, untimed.
fn global(millions: usize) -> impl FnMut(usize) -> f64 {
    let mut net = model(millions);
    move |n| {
        let mut seconds = 0.0;
        for _ in 0..n {
            seconds += timed(1, || choose(&mut net));
            net.restore("**.weight").unwrap_or_else(|error| panic!("{error}"));
        }
        seconds / n.max(1) as f64
    }
}

/// A number of bytes from what Linux tells of this process.
fn memory(what: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(what))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// Memory that choosing takes beside the weights, as a fraction of them: the masks are 1/32.
fn extra_memory(millions: usize) -> Option<f64> {
    let mut net = model(millions);
    // The highest mark so far is forgotten.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = memory("VmRSS:")?;
    choose(&mut net);
    let highest = memory("VmHWM:")?;
    Some((highest - before) / (4e6 * millions as f64))
}

fn steps(contest: &Contest, table: &mut Table) {
    let net = "784-512-512-10";
    let case = || Case::new(&[784, 512, 512, 10], 128);
    let pruned = |mode| {
        framed(case(), move |net| {
            let pruned = net.prune("layers.*.weight", L1Unstructured::new(0.9));
            assert_eq!(pruned.unwrap_or_else(|error| panic!("{error}")).len(), 3, "every layer");
            let set = net.set_mask_mode("layers.*.weight", mode);
            set.unwrap_or_else(|error| panic!("{error}"));
        })
    };
    let (mut stored, mut exact) = (pruned(MaskMode::Stored), pruned(MaskMode::Exact));
    let mut alone = plain(case(), ModuleOptimizer::from(AdamW::new()));
    let cases = ["pruned", "pruned+fused"].map(|form| format!("step/{net}/{form}"));
    let times = contest.compete(&mut [&mut stored, &mut exact, &mut alone], &cases);
    let mut row = |mode: &str, ours: usize, peer: &str, theirs: usize, target| {
        let Some(theirs) = times.get(theirs) else { return };
        table.0.push(Row {
            case: format!("step {net}, {mode}, batch 128"),
            peer: peer.to_owned(),
            ours: times[ours].clone(),
            theirs: theirs.clone(),
            target,
        });
    };
    for (mode, ours, target) in [("stored", 0, 1.05), ("exact", 1, 1.25)] {
        row(mode, ours, "ours, plain", 2, Some(target));
        row(mode, ours, "PyTorch, pruned", 3, Some(1.0));
        row(mode, ours, "PyTorch, pruned, fused", 4, None);
    }
}

fn main() {
    let contest = Contest::start();
    let mut table = Table::default();
    for millions in [25, 105] {
        if wanted("global") || wanted(&format!("global{millions}")) {
            let cases = if contest.has("PyTorch") {
                vec![format!("prune/global/{millions}")]
            } else {
                Vec::new()
            };
            let times = contest.compete(&mut [&mut global(millions)], &cases);
            table.0.push(Row {
                case: format!("global, L1, 80 % of {millions} M"),
                peer: "PyTorch".to_owned(),
                ours: times[0].clone(),
                theirs: times.get(1).cloned().unwrap_or_default(),
                target: (times.len() > 1).then_some(1.0 / 40.0),
            });
        }
    }
    if wanted("global")
        && let Some(extra) = extra_memory(105)
    {
        let verdict = if extra <= 1.0 / 32.0 + 0.05 { "met" } else { "missed" };
        println!(
            "memory beside 105 M weights while choosing: {:.1} % of them, masks included \
                 (at most 8.1 %: {verdict})\n",
            100.0 * extra
        );
    }
    if wanted("step") {
        steps(&contest, &mut table);
    }
    println!("{table}");
}

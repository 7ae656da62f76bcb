//! What watching a training costs: the same steps with a watch and without.
#![allow(missing_docs)]

use std::time::Instant;

use espalier::Parametrized;
use espalier::observe::{Jsonl, TensorBoard, Watch};
use espalier::optim::{AdamW, Groups};
use espalier_bench::{Case, Row, Table, Times, turns};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WIDTHS: [usize; 4] = [784, 512, 512, 10];
const BATCH: usize = 128;
/// The default of `Watch`.
const INTERVAL: usize = 200;

/// A training that is watched every `every` steps; 0: not at all.
fn training(every: usize) -> impl FnMut(usize) -> f64 {
    let Case { net, x, y } = Case::new(&WIDTHS, BATCH);
    let net = Parametrized::new(net);
    let mut optim = Groups::new(AdamW::new()).build(&net).unwrap_or_else(|_| unreachable!());
    let mut net = Some(net);
    let dir = std::env::temp_dir().join(format!("espalier-bench-{}", std::process::id()));
    let board = TensorBoard::create(&dir).unwrap_or_else(|error| panic!("{error}"));
    let lines = Jsonl::create(dir.join("watch.jsonl")).unwrap_or_else(|error| panic!("{error}"));
    let mut watch = Watch::new().every(every).to(board).to(lines);
    let mut step = 1;
    move |n| {
        let start = Instant::now();
        for _ in 0..n {
            let model = net.take().unwrap_or_else(|| unreachable!());
            let grads = {
                let step = model.effective();
                model.grads(step.loss(&x, &y).backward()).unwrap_or_else(|_| unreachable!())
            };
            watch.before(step, &model, &grads).unwrap_or_else(|error| panic!("{error}"));
            let model = optim.step(model, grads);
            watch.after(step, &model).unwrap_or_else(|error| panic!("{error}"));
            net = Some(model);
            step += 1;
        }
        start.elapsed().as_secs_f64() / n.max(1) as f64
    }
}

fn main() {
    let (mut plain, mut each, mut usual) = (training(0), training(1), training(INTERVAL));
    // Whole intervals, so that every turn has its share of observed steps.
    let times = turns(&mut [
        &mut |n| plain(n.next_multiple_of(INTERVAL)),
        &mut |n| usual(n.next_multiple_of(INTERVAL)),
        &mut |n| each(n),
    ]);
    let row = |case: &str, ours: &Times, target| Row {
        case: format!("step 784-512-512-10, {case}"),
        peer: "not watched".into(),
        ours: ours.clone(),
        theirs: times[0].clone(),
        target,
    };
    let table = Table(vec![
        row("watched every 200", &times[1], Some(1.02)),
        row("watched at each step", &times[2], None),
    ]);
    println!("{table}");
    // What one observation costs, spread over the default interval: less noisy than the ratio.
    let share = (times[2].ratio(&times[0]) - 1.0) / INTERVAL as f64;
    println!(
        "an observation: {:.3} ms, {:.3} % of {INTERVAL} steps",
        (times[2].median() - times[0].median()) * 1e3,
        share * 1e2
    );
    let dir = std::env::temp_dir().join(format!("espalier-bench-{}", std::process::id()));
    std::fs::remove_dir_all(dir).ok();
}

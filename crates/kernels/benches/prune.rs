//! Selection of the lowest scores, and masks.
//!
//! `cargo bench -p espalier-kernels --bench prune`
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use espalier_kernels::{
    Bits, Candidate, Lines, Order, Scores, Values, mask, masked, prune_lowest, prune_n_of_m,
};

/// About normal, as trained weights are.
fn numbers(n: usize) -> Vec<f32> {
    let mut state = 42u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..n).map(|_| (next() + next() + next() + next()) * 0.05).collect()
}

fn lowest(c: &mut Criterion) {
    let mut group = c.benchmark_group("prune_lowest");
    group.sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
    let weights = numbers(105_000_000);
    let mut run = |name: &str, n: usize, scores: Scores<'_>, order: Order, before: f64| {
        let mut start = Bits::all(n);
        prune_lowest(
            &mut [Candidate { scores, order: Order::Stored, kept: &mut start }],
            (n as f64 * before) as usize,
        );
        let count = start.count() / 5 * 4;
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut kept = start.clone();
                let threshold =
                    prune_lowest(&mut [Candidate { scores, order, kept: &mut kept }], count);
                black_box((kept, threshold))
            });
        });
    };
    let few: Vec<f32> = weights[..25_000_000].iter().map(|x| (x * 40.0).round()).collect();
    let wide: Vec<f64> = weights[..25_000_000].iter().map(|x| f64::from(*x)).collect();
    let half: Vec<half::f16> =
        weights[..25_000_000].iter().map(|x| half::f16::from_f32(*x)).collect();
    for n in [25_000_000, 105_000_000] {
        let scores = Scores::Magnitude(Values::F32(&weights[..n]));
        run(&format!("{}M f32", n / 1_000_000), n, scores, Order::Stored, 0.0);
    }
    let n = few.len();
    let across = Order::Transposed { batch: 1, rows: 5000, columns: 5000 };
    let magnitude = Scores::Magnitude;
    let single = magnitude(Values::F32(&weights[..n]));
    run("25M f32, half pruned before", n, single, Order::Stored, 0.5);
    run("25M f32, few values", n, magnitude(Values::F32(&few)), Order::Stored, 0.0);
    run("25M f32, few values, transposed", n, magnitude(Values::F32(&few)), across, 0.0);
    run("25M f64", n, magnitude(Values::F64(&wide)), Order::Stored, 0.0);
    run("25M f16", n, magnitude(Values::F16(&half)), Order::Stored, 0.0);
    run("25M random", n, Scores::Random { seed: 1 }, Order::Stored, 0.0);
    run("25M random, transposed", n, Scores::Random { seed: 1 }, across, 0.0);
    group.finish();

    let mut group = c.benchmark_group("prune_n_of_m");
    group.sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
    for (name, inner) in [("25M, 2 of 4, last", 1), ("25M, 2 of 4, first", 5000)] {
        let lines = Lines { outer: n / 5000 / inner, length: 5000, inner };
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut kept = Bits::all(n);
                prune_n_of_m(&single, &mut kept, &lines, 2, 4);
                kept
            });
        });
    }
}

fn masks(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    let n = 670_000;
    let mut weights = numbers(n);
    let mut kept = Bits::all(n);
    let candidate =
        Candidate { scores: Scores::Random { seed: 1 }, order: Order::Stored, kept: &mut kept };
    prune_lowest(&mut [candidate], n / 5 * 4);
    group.bench_function("0.67M, new", |b| b.iter(|| black_box(masked(&weights, &kept))));
    group.bench_function("0.67M, in place", |b| b.iter(|| mask(&mut weights, &kept)));
    group.bench_function("0.67M, transposed bits", |b| {
        b.iter(|| kept.transposed(1, 1000, 670));
    });
    group.finish();
}

criterion_group!(benches, lowest, masks);
criterion_main!(benches);

//! Kernels that pass over a tensor, forward and backward together.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use espalier_kernels::{
    Slices, Spectral, spectral_norm, spectral_norm_backward, symmetric, symmetric_backward,
    weight_norm, weight_norm_backward,
};

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn weight_norms(c: &mut Criterion) {
    let mut group = c.benchmark_group("weight_norm");
    let square = |n| [("kept last", n, n, 1), ("kept first", 1, n, n), ("whole", 1, 1, n * n)];
    let linear = [("784 x 512, kept last", 784, 512, 1)];
    for n in [64, 256, 512, 1024] {
        for (name, outer, kept, inner) in square(n) {
            weight_norm_case(&mut group, &format!("{n}, {name}"), Slices { outer, kept, inner });
        }
    }
    for (name, outer, kept, inner) in linear {
        weight_norm_case(&mut group, name, Slices { outer, kept, inner });
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn weight_norm_case(group: &mut Group<'_>, name: &str, slices: Slices) {
    let (g, v) = (numbers(slices.kept, 1), numbers(slices.len(), 2));
    let mut grad = numbers(slices.len(), 3);
    group.bench_function(name, |b| {
        b.iter(|| {
            let (w, norms) = weight_norm(&slices, &g, &v);
            black_box(w);
            // In place: again and again on the same memory.
            weight_norm_backward(&slices, &g, &v, &norms, &mut grad)
        });
    });
}

fn spectral_norms(c: &mut Criterion) {
    let mut group = c.benchmark_group("spectral_norm");
    for n in [64, 256, 512, 1024] {
        for transposed in [false, true] {
            let (w, grad) = (numbers(n * n, 1), numbers(n * n, 2));
            let (mut u, mut v) = (numbers(n, 3), numbers(n, 4));
            let matrix = Spectral { rows: n, columns: n, transposed };
            let name = if transposed { format!("{n}, transposed") } else { n.to_string() };
            group.bench_function(name, |b| {
                b.iter(|| {
                    let (out, sigma) = spectral_norm(&matrix, &w, &mut u, &mut v, 1e-12, 1);
                    black_box(out);
                    spectral_norm_backward(&matrix, &w, &u, &v, sigma, &grad)
                });
            });
        }
    }
}

fn triangles(c: &mut Criterion) {
    let mut group = c.benchmark_group("symmetric");
    for n in [64, 256, 1024] {
        let (x, grad) = (numbers(n * n, 1), numbers(n * n, 2));
        for lower in [false, true] {
            group.bench_function(format!("{n}, {}", if lower { "lower" } else { "upper" }), |b| {
                b.iter(|| {
                    black_box(symmetric(1, n, lower, &x));
                    symmetric_backward(1, n, lower, &grad)
                });
            });
        }
    }
}

criterion_group!(benches, weight_norms, spectral_norms, triangles);
criterion_main!(benches);

//! A value and its gradient by each orthogonal map, in `f32`.
//!
//! `cargo bench -p espalier-kernels --bench orthogonal`

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use espalier_kernels::{Frame, OrthogonalMap, orthogonal, orthogonal_backward};

/// Numbers of about unit spread divided by the root of the side: `A` then has a spectral norm of about 2.
fn numbers(n: usize, side: usize) -> Vec<f32> {
    let mut state = 42u64;
    let scale = 1.7 / (side as f64).sqrt();
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (((state >> 33) as f64 / (1u64 << 30) as f64 - 1.0) * scale) as f32
        })
        .collect()
}

fn maps(c: &mut Criterion) {
    let mut group = c.benchmark_group("orthogonal");
    group.sample_size(10).warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_millis(600));
    let square = [64, 256, 512, 1024].map(|n| (n, n));
    let thin = [64, 256, 512].map(|n| (n, 8));
    for map in [OrthogonalMap::Exp, OrthogonalMap::Householder, OrthogonalMap::Cayley] {
        for (rows, columns) in square.into_iter().chain(thin) {
            let frame = Frame { batch: 1, rows, columns, transposed: false };
            let (x, grad) = (numbers(rows * columns, rows), numbers(rows * columns, 1));
            let id = BenchmarkId::new(format!("{map:?}"), format!("{rows}x{columns}"));
            group.bench_function(id, |b| {
                b.iter(|| {
                    let Ok((q, Some(tape))) = orthogonal(map, &frame, &x, None, true) else {
                        panic!("slices of the frame's length, and a tape");
                    };
                    black_box(q);
                    black_box(orthogonal_backward(&tape, &x, None, &grad))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, maps);
criterion_main!(benches);

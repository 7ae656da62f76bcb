//! What unit tests share.

use crate::Real;

/// Numbers between -0.5 and 0.5, the same for a seed.
pub(crate) fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
        })
        .collect()
}

/// In single precision.
pub(crate) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Every element near the expected one, relative to the larger of it and 1.
#[track_caller]
pub(crate) fn assert_near<T: Real>(found: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found.wide() - expected).abs() / expected.abs().max(1.0);
        assert!(off <= tolerance, "{i}: found {}, expected {expected}", found.wide());
    }
}

/// `gradient` is that of `loss` at `x`, by central differences (at some of the places).
#[track_caller]
pub(crate) fn assert_gradient(x: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len());
    let h = 1e-6;
    let mut moved = x.to_vec();
    for i in (0..x.len()).step_by((x.len() / 97).max(1)) {
        moved[i] = x[i] + h;
        let above = loss(&moved);
        moved[i] = x[i] - h;
        let slope = (above - loss(&moved)) / (2.0 * h);
        moved[i] = x[i];
        let off = (slope - gradient[i]).abs() / slope.abs().max(1.0);
        assert!(off < 1e-7, "{i}: slope {slope}, gradient {}", gradient[i]);
    }
}

/// The same result on one thread and on four.
#[track_caller]
pub(crate) fn assert_same_on_threads<R: PartialEq + Send>(work: impl Fn() -> R + Sync) {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&work)
    };
    assert!(on(1) == on(4), "one thread and four differ");
}

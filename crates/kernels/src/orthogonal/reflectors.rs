//! The Householder map backwards: a QR factorization whose vectors are kept.

use faer::Accum;
use pulp::Arch;

use super::matrix::{Matrix, product};
use crate::Real;

/// Columns that are eliminated one by one before the rest is brought up to date.
const PANEL: usize = 32;

/// LAPACK's `geqrf` in place: `R` on and above the diagonal, below it the vectors, whose first
/// element is 1. The result holds what the reflections `I - tau v v^T` are scaled by.
pub(super) fn factorize<T: Real>(a: &mut Matrix<T>) -> Vec<T> {
    let (n, k) = (a.rows(), a.columns());
    let mut scales = Vec::with_capacity(k);
    for start in (0..k).step_by(PANEL) {
        let end = k.min(start + PANEL);
        let mut panel = Matrix::zeros(n - start, end - start);
        for i in start..n {
            panel.row_mut(i - start).copy_from_slice(&a.row(i)[start..end]);
        }
        for j in 0..end - start {
            scales.push(eliminate(&mut panel, j));
        }
        for i in start..n {
            a.row_mut(i)[start..end].copy_from_slice(panel.row(i - start));
        }
        if end < k {
            update(a, panel, &scales[start..], end);
        }
    }
    scales
}

/// Makes column `j` of the panel zero below the diagonal and applies the reflection to the columns
/// after it.
fn eliminate<T: Real>(panel: &mut Matrix<T>, j: usize) -> T {
    let (n, width) = (panel.rows(), panel.columns());
    let head = panel.row(j)[j].wide();
    let tail: f64 = (j + 1..n).map(|i| panel.row(i)[j].wide().powi(2)).sum::<f64>().sqrt();
    if tail == 0.0 {
        return T::ZERO;
    }
    let norm = -head.hypot(tail).copysign(head);
    let (scale, divisor) = (T::of((norm - head) / norm), T::of(1.0 / (head - norm)));
    panel.row_mut(j)[j] = T::of(norm);
    let mut sums = panel.row(j).to_vec();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for i in j + 1..n {
                let row = panel.row_mut(i);
                row[j] *= divisor;
                let v = row[j];
                sums[j + 1..].iter_mut().zip(&row[j + 1..]).for_each(|(sum, &x)| *sum += v * x);
            }
            sums.iter_mut().for_each(|sum| *sum *= scale);
            for i in j..n {
                let row = panel.row_mut(i);
                let v = if i == j { T::of(1.0) } else { row[j] };
                row[j + 1..width].iter_mut().zip(&sums[j + 1..]).for_each(|(x, &s)| *x -= v * s);
            }
        },
    );
    scale
}

/// Applies the panel's reflections, `I - V T^T V^T`, to the columns from `end` on.
fn update<T: Real>(a: &mut Matrix<T>, mut v: Matrix<T>, scales: &[T], end: usize) {
    let (n, k, width) = (a.rows(), a.columns(), scales.len());
    for i in 0..width {
        v.row_mut(i)[i] = T::of(1.0);
        v.row_mut(i)[i + 1..].fill(T::ZERO);
    }
    let mut gram = Matrix::zeros(width, width);
    product(gram.view_mut(), Accum::Replace, 1.0, v.transpose(), v.view());
    // T by columns: a reflection that is the identity has scale zero, so there is no inverse to take.
    let mut t = Matrix::<T>::zeros(width, width);
    for j in 0..width {
        for i in 0..j {
            let sum = (i..j).fold(T::ZERO, |sum, p| sum + t.row(i)[p] * gram.row(p)[j]);
            t.row_mut(i)[j] = -scales[j] * sum;
        }
        t.row_mut(j)[j] = scales[j];
    }
    let mut sums = Matrix::zeros(width, k - end);
    let rows = n - v.rows()..n;
    let block = a.block(rows.clone(), end..k);
    product(sums.view_mut(), Accum::Replace, 1.0, v.transpose(), block);
    let mut scaled = Matrix::zeros(width, k - end);
    product(scaled.view_mut(), Accum::Replace, 1.0, t.transpose(), sums.view());
    product(a.block_mut(rows, end..k), Accum::Add, -1.0, v.view(), scaled.view());
}

use super::*;
use crate::householder_reflectors;
use crate::test::{self, dot};

const MAPS: [OrthogonalMap; 3] =
    [OrthogonalMap::Exp, OrthogonalMap::Cayley, OrthogonalMap::Householder];

/// Numbers between -1 and 1, the same for a seed.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    test::numbers(n, seed).into_iter().map(|x| 2.0 * x).collect()
}

fn frame(batch: usize, rows: usize, columns: usize, transposed: bool) -> Frame {
    Frame { batch, rows, columns, transposed }
}

/// Matrices whose strictly lower part has about this spectral norm, the batch's second one half.
fn inputs(frame: &Frame, norm: f64, seed: u64) -> Vec<f64> {
    let scale = norm / (frame.rows as f64).sqrt();
    let mut x = numbers(frame.batch * frame.size(), seed);
    for (i, x) in x.iter_mut().enumerate() {
        *x *= scale / (1 + i / frame.size()) as f64;
    }
    x
}

/// The element of a matrix in the batch.
fn at(frame: &Frame, values: &[f64], i: usize, row: usize, column: usize) -> f64 {
    let place =
        if frame.transposed { column * frame.rows + row } else { row * frame.columns + column };
    values[i * frame.size() + place]
}

/// How far the columns are from orthonormal.
fn skewness(frame: &Frame, q: &[f64]) -> f64 {
    let mut worst = 0.0f64;
    for i in 0..frame.batch {
        for a in 0..frame.columns {
            for b in 0..=a {
                let sum: f64 = (0..frame.rows)
                    .map(|row| at(frame, q, i, row, a) * at(frame, q, i, row, b))
                    .sum();
                worst = worst.max((sum - if a == b { 1.0 } else { 0.0 }).abs());
            }
        }
    }
    worst
}

fn bases(frame: &Frame, seed: u64) -> Vec<f64> {
    let square = Frame { columns: frame.rows, transposed: false, ..*frame };
    orthogonal(OrthogonalMap::Cayley, &square, &inputs(&square, 2.0, seed), None, false).unwrap().0
}

/// The shapes and sizes of input that every map is tried with.
fn cases() -> Vec<(Frame, f64)> {
    let mut cases = Vec::new();
    for (rows, columns) in [(1, 1), (2, 1), (4, 4), (7, 6), (11, 3), (12, 2), (40, 37)] {
        for transposed in [false, true] {
            for norm in [0.0, 1e-3, 0.05, 0.3, 1.0, 4.0, 30.0] {
                cases.push((frame(2, rows, columns, transposed), norm));
            }
        }
    }
    cases
}

#[test]
fn gradients_are_central_differences() {
    for map in MAPS {
        for (frame, norm) in cases() {
            for with_base in [false, true] {
                let x = inputs(&frame, norm, 3);
                let base = with_base.then(|| bases(&frame, 5));
                let base = base.as_deref();
                let weights = numbers(x.len(), 7);
                let (_, tape) = orthogonal(map, &frame, &x, base, true).unwrap();
                let gradient = orthogonal_backward(&tape.unwrap(), &x, base, &weights);
                let loss =
                    |x: &[f64]| dot(&orthogonal(map, &frame, x, base, false).unwrap().0, &weights);
                let h = 1e-5;
                for place in (0..x.len()).step_by(x.len() / 23 + 1) {
                    let (i, rest) = (place / frame.size(), place % frame.size());
                    let (row, column) = if frame.transposed {
                        (rest % frame.rows, rest / frame.rows)
                    } else {
                        (rest / frame.columns, rest % frame.columns)
                    };
                    if row <= column {
                        assert_eq!(gradient[place], 0.0, "{map:?} {frame:?} does not count");
                        continue;
                    }
                    let mut moved = x.clone();
                    moved[place] = x[place] + h;
                    let above = loss(&moved);
                    moved[place] = x[place] - h;
                    let slope = (above - loss(&moved)) / (2.0 * h);
                    let off = (slope - gradient[place]).abs();
                    assert!(
                        off < 2e-7 * (1.0 + slope.abs()),
                        "{map:?} {frame:?} norm {norm} base {with_base} matrix {i}, ({row}, {column}): \
                         {slope} by differences, {}",
                        gradient[place]
                    );
                }
            }
        }
    }
}

#[test]
fn values_are_orthogonal() {
    for map in MAPS {
        for (frame, norm) in cases() {
            let x = inputs(&frame, norm, 11);
            let (q, _) = orthogonal(map, &frame, &x, None, false).unwrap();
            let off = skewness(&frame, &q);
            assert!(off < 1e-12, "{map:?} {frame:?} norm {norm}: {off}");
            let (q, _) = orthogonal(map, &frame, &x, Some(&bases(&frame, 13)), false).unwrap();
            assert!(skewness(&frame, &q) < 1e-12, "with a base");
        }
        for (columns, norm) in [(64, 1.0), (64, 30.0), (20, 5.0), (50, 5.0)] {
            let frame = frame(1, 64, columns, false);
            let x = inputs(&frame, norm, 17);
            let (q, _) = orthogonal(map, &frame, &x, None, false).unwrap();
            assert!(skewness(&frame, &q) < 1e-12);
            let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let (q, _) = orthogonal(map, &frame, &single, None, false).unwrap();
            let q: Vec<f64> = q.into_iter().map(f64::from).collect();
            let off = skewness(&frame, &q);
            assert!(off < 1e-5, "{map:?} {columns} columns of f32, norm {norm}: {off}");
        }
    }
}

#[test]
fn zero_gives_the_identity_to_the_last_bit() {
    for map in MAPS {
        for (rows, columns) in [(1, 1), (3, 3), (9, 3), (9, 8), (70, 70)] {
            for transposed in [false, true] {
                let frame = frame(1, rows, columns, transposed);
                let mut x = vec![0.0; rows * columns];
                if map == OrthogonalMap::Householder {
                    // Without vectors each reflection turns its own axis.
                    (0..columns).for_each(|i| {
                        x[if transposed { i * rows + i } else { i * columns + i }] = -1.0;
                    });
                }
                let (q, _) = orthogonal(map, &frame, &x, None, false).unwrap();
                for row in 0..rows {
                    for column in 0..columns {
                        let expected = if row == column { 1.0 } else { 0.0 };
                        assert_eq!(at(&frame, &q, 0, row, column), expected, "{map:?} {frame:?}");
                    }
                }
            }
        }
    }
}

/// `exp(A)` in parts, halved often enough that few terms suffice.
fn exp_by_terms(x: &[f64], n: usize) -> Vec<f64> {
    let times = |a: &[f64], b: &[f64]| -> Vec<f64> {
        (0..n * n).map(|i| (0..n).map(|p| a[i / n * n + p] * b[p * n + i % n]).sum()).collect()
    };
    let halvings = 12;
    let a: Vec<f64> = (0..n * n)
        .map(|i| match (i / n, i % n) {
            (row, column) if row > column => x[row * n + column],
            (row, column) if row < column => -x[column * n + row],
            _ => 0.0,
        })
        .map(|x| x / f64::from(1 << halvings))
        .collect();
    let mut sum: Vec<f64> = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    let mut term = sum.clone();
    for p in 1..8 {
        term = times(&term, &a).into_iter().map(|x| x / f64::from(p)).collect();
        sum.iter_mut().zip(&term).for_each(|(sum, term)| *sum += term);
    }
    for _ in 0..halvings {
        sum = times(&sum, &sum);
    }
    sum
}

#[test]
fn the_exponential_is_the_series() {
    let n = 9;
    for norm in [0.01, 0.1, 0.5, 1.0, 3.0, 10.0, 200.0] {
        let square = frame(1, n, n, false);
        let mut x = inputs(&square, norm, 19);
        // Only the first columns count, so that the thin way can be held against the square one.
        x.iter_mut().enumerate().filter(|(i, _)| i % n >= 3).for_each(|(_, x)| *x = 0.0);
        let expected = exp_by_terms(&x, n);
        let (q, _) = orthogonal(OrthogonalMap::Exp, &square, &x, None, false).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12 * norm.max(1.0);
        assert!(q.iter().zip(&expected).all(|(&a, &b)| near(a, b)), "norm {norm}");
        let first: Vec<f64> = (0..3 * n).map(|i| x[i / 3 * n + i % 3]).collect();
        assert!(thin::pays(n, 3));
        let (q, _) =
            orthogonal(OrthogonalMap::Exp, &frame(1, n, 3, false), &first, None, false).unwrap();
        for i in 0..3 * n {
            assert!(near(q[i], expected[i / 3 * n + i % 3]), "norm {norm}");
        }
    }
}

#[test]
fn cayley_solves_its_equation() {
    for (n, norm) in [(5, 1.0), (33, 3.0), (70, 30.0)] {
        let frame = frame(1, n, n, false);
        let x = inputs(&frame, norm, 23);
        let (q, _) = orthogonal(OrthogonalMap::Cayley, &frame, &x, None, false).unwrap();
        let a = |i: usize, j: usize| match i.cmp(&j) {
            std::cmp::Ordering::Greater => x[i * n + j],
            std::cmp::Ordering::Less => -x[j * n + i],
            std::cmp::Ordering::Equal => 0.0,
        };
        for i in 0..n {
            for j in 0..n {
                // (I - A/2) Q = I + A/2
                let left: f64 =
                    q[i * n + j] - (0..n).map(|p| 0.5 * a(i, p) * q[p * n + j]).sum::<f64>();
                let right = 0.5 * a(i, j) + if i == j { 1.0 } else { 0.0 };
                assert!((left - right).abs() < 1e-12, "n {n}: {left} {right}");
            }
        }
    }
}

#[test]
fn reflectors_are_the_inverse_of_the_householder_map() {
    for (rows, columns) in [(1, 1), (3, 1), (6, 6), (40, 33), (70, 70), (100, 40)] {
        let frame = frame(2, rows, columns, false);
        let tall = orthogonal(OrthogonalMap::Exp, &frame, &inputs(&frame, 3.0, 29), None, false)
            .unwrap()
            .0;
        let x: Vec<f64> = tall
            .chunks(rows * columns)
            .flat_map(|q| householder_reflectors(rows, columns, q).unwrap())
            .collect();
        let (again, _) = orthogonal(OrthogonalMap::Householder, &frame, &x, None, false).unwrap();
        assert!(tall.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12), "{frame:?}");
    }
    // The identity needs no reflection: signs alone, as PyTorch leaves them.
    let x = householder_reflectors(2, 2, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    assert_eq!(x, [-1.0, 0.0, 0.0, -1.0]);
    // LAPACK's factors of [[3, 1], [4, 2]]: R = [[-5, -2.2], [0, 0.4]], v = 4 / (3 + 5).
    let x = householder_reflectors(2, 2, &[3.0f64, 1.0, 4.0, 2.0]).unwrap();
    assert!(x.iter().zip([-1.0, -2.2, 0.5, -1.0]).all(|(a, b)| (a - b).abs() < 1e-14), "{x:?}");
}

#[test]
fn a_batch_is_its_matrices_one_by_one() {
    let (n, k, batch) = (24, 20, 40);
    let whole = frame(batch, n, k, true);
    let one = Frame { batch: 1, ..whole };
    assert!(whole.spread() && !one.spread());
    let (x, weights) = (inputs(&whole, 2.0, 31), numbers(batch * n * k, 37));
    for map in MAPS {
        let (q, tape) = orthogonal(map, &whole, &x, None, true).unwrap();
        let dx = orthogonal_backward(&tape.unwrap(), &x, None, &weights);
        for i in 0..batch {
            let range = i * n * k..(i + 1) * n * k;
            let (alone, tape) = orthogonal(map, &one, &x[range.clone()], None, true).unwrap();
            assert_eq!(alone, q[range.clone()]);
            let alone = orthogonal_backward(
                &tape.unwrap(),
                &x[range.clone()],
                None,
                &weights[range.clone()],
            );
            assert_eq!(alone, dx[range]);
        }
    }
}

#[test]
fn what_is_not_finite_stays_so_and_ends() {
    for map in MAPS {
        for (rows, columns) in [(4, 4), (9, 2)] {
            for bad in [f64::NAN, f64::INFINITY, 1e200] {
                let frame = frame(1, rows, columns, false);
                let mut x = inputs(&frame, 1.0, 41);
                x[2 * columns] = bad;
                let (q, tape) = orthogonal(map, &frame, &x, None, true).unwrap();
                let dx = orthogonal_backward(&tape.unwrap(), &x, None, &q);
                assert_eq!(dx.len(), x.len());
                if bad.is_nan() {
                    assert!(q.iter().any(|x| x.is_nan()), "{map:?}");
                }
            }
        }
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let go = |frame: Frame, x: &[f64], base: Option<&[f64]>| {
        orthogonal(OrthogonalMap::Exp, &frame, x, base, false).map(|(q, _)| q)
    };
    assert_eq!(
        go(frame(1, 2, 3, false), &[0.0; 6], None),
        Err(DenseError::Wide { rows: 2, columns: 3 })
    );
    assert_eq!(
        go(frame(2, 3, 2, false), &[0.0; 6], None),
        Err(DenseError::Length { rows: 6, columns: 2, found: 6 })
    );
    assert_eq!(
        go(frame(1, 3, 2, false), &[0.0; 6], Some(&[0.0; 6])),
        Err(DenseError::Length { rows: 3, columns: 3, found: 6 })
    );
    assert_eq!(go(frame(0, 3, 2, false), &[], None), Ok(vec![]));
    assert_eq!(go(frame(2, 3, 0, false), &[], None), Ok(vec![]));
}

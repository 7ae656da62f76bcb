//! Samples against the moments that theory gives them, and what each method refuses.

use espalier::init::{Fan, Init, InitError, Nonlinearity, Rng};

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

fn sample(init: Init, shape: &[usize], seed: u64) -> Vec<f64> {
    init.values(shape, &mut Rng::seeded(seed)).unwrap()
}

/// Fails unless mean and deviation are those of theory to five standard errors.
#[track_caller]
fn assert_moments(what: &str, values: &[f64], mean: f64, std: f64) {
    let root = (values.len() as f64).sqrt();
    let (m, s) = moments(values);
    assert!((m - mean).abs() <= 5.0 * std / root + 1e-15, "{what}: mean {m} against {mean}");
    // The error of a deviation is at most that of a normal distribution here: no heavy tails.
    assert!((s - std).abs() <= 5.0 * std / root + 1e-15, "{what}: std {s} against {std}");
}

#[test]
fn samples_have_the_moments_of_theory() {
    let shape = [64, 32, 5, 5]; // fan_in 800, fan_out 1600
    let relu = Nonlinearity::Relu;
    let leaky = Nonlinearity::LeakyRelu(0.5);
    let cases = [
        (Init::Uniform(-1.0, 3.0), 1.0, 4.0 / 12f64.sqrt()),
        (Init::Normal(2.0, 0.5), 2.0, 0.5),
        (Init::Normal(-3.0, 0.0), -3.0, 0.0),
        (Init::KaimingUniform(relu, Fan::In), 0.0, (2.0 / 800f64).sqrt()),
        (Init::KaimingNormal(relu, Fan::Out), 0.0, (2.0 / 1600f64).sqrt()),
        (Init::KaimingNormal(leaky, Fan::In), 0.0, (1.6 / 800f64).sqrt()),
        (Init::XavierUniform(1.0), 0.0, (2.0 / 2400f64).sqrt()),
        (Init::XavierNormal(2.0), 0.0, 2.0 * (2.0 / 2400f64).sqrt()),
        (Init::Constant(0.25), 0.25, 0.0),
    ];
    for (init, mean, std) in cases {
        assert_moments(&format!("{init:?}"), &sample(init, &shape, 1), mean, std);
    }
}

#[test]
fn uniform_values_reach_up_to_their_bounds_and_no_further() {
    for (init, bound) in [
        (Init::Uniform(-0.5, 0.5), 0.5),
        (Init::KaimingUniform(Nonlinearity::Tanh, Fan::Out), 5.0 / 3.0 * (3.0 / 400f64).sqrt()),
        (Init::XavierUniform(3.0), 3.0 * (6.0 / 600f64).sqrt()),
    ] {
        let largest = sample(init, &[400, 200], 2).into_iter().fold(0.0, |a, b| b.abs().max(a));
        assert!(largest <= bound && largest > 0.999 * bound, "{init:?}: {largest} {bound}");
    }
}

/// Mean and deviation of a truncated normal distribution, integrated by Simpson's rule.
fn truncated(mean: f64, std: f64, low: f64, high: f64) -> (f64, f64) {
    // What lies further than ten deviations from the nearest point to the mean is nothing.
    let peak = mean.clamp(low, high);
    let (low, high) = (low.max(peak - 10.0 * std), high.min(peak + 10.0 * std));
    let steps = 20_000;
    let width = (high - low) / f64::from(steps);
    let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
    for i in 0..=steps {
        let x = low + width * f64::from(i);
        let weight = if i == 0 || i == steps { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
        let density =
            (((peak - mean) / std).powi(2) / 2.0 - ((x - mean) / std).powi(2) / 2.0).exp();
        mass += weight * density;
        first += weight * density * (x - peak);
        second += weight * density * (x - peak).powi(2);
    }
    let shift = first / mass;
    (peak + shift, (second / mass - shift * shift).sqrt())
}

#[test]
fn the_integral_is_the_closed_form_where_that_is_known() {
    // Half a normal distribution.
    let (mean, std) = truncated(0.0, 2.0, 0.0, f64::INFINITY);
    let pi = std::f64::consts::PI;
    assert!((mean - 2.0 * (2.0 / pi).sqrt()).abs() < 1e-9, "{mean}");
    assert!((std - 2.0 * (1.0 - 2.0 / pi).sqrt()).abs() < 1e-9, "{std}");
}

#[test]
fn truncated_normals_have_the_moments_of_theory_for_any_bounds() {
    let infinity = f64::INFINITY;
    for (mean, std, low, high) in [
        (0.0, 1.0, -2.0, 2.0),           // PyTorch's defaults
        (0.0, 0.02, -2.0, 2.0),          // absolute bounds: not truncated
        (0.5, 1.0, -0.25, 3.0),          // asymmetric around the mean
        (0.0, 1.0, -0.1, 0.4),           // narrow around the mean
        (0.0, 1.0, 0.0, 5.0),            // the mean is a bound
        (3.0, 0.5, 0.0, 2.0),            // below the mean
        (0.0, 1.0, 4.0, 4.05),           // narrow in a tail
        (-1.0, 2.0, 7.0, 30.0),          // wide in a tail
        (0.0, 1.0, 30.0, infinity),      // far out
        (1.0, 3.0, -infinity, -90.0),    // far out on the other side
        (2.0, 1.5, -infinity, infinity), // no bounds at all
    ] {
        let init = Init::TruncNormal { mean, std, low, high };
        let values = sample(init, &[200, 300], 3);
        assert!(values.iter().all(|v| (low..=high).contains(v)), "{init:?}: out of bounds");
        let (expected_mean, expected_std) = truncated(mean, std, low, high);
        let root = (values.len() as f64).sqrt();
        let (m, s) = moments(&values);
        assert!((m - expected_mean).abs() < 5.0 * expected_std / root, "{init:?}: mean {m}");
        // An exponential tail has a kurtosis of 9: the error of its deviation is twice a normal's.
        assert!((s - expected_std).abs() < 8.0 * expected_std / root, "{init:?}: std {s}");
    }
}

#[test]
fn sparse_columns_have_exactly_their_zeros() {
    for (rows, columns, sparsity, zeros) in
        [(10, 7, 0.25, 3), (10, 7, 0.3, 3), (9, 4, 0.0, 0), (9, 4, 1.0, 9), (300, 200, 0.9, 270)]
    {
        let values = sample(Init::Sparse { sparsity, std: 0.01 }, &[rows, columns], 4);
        for column in 0..columns {
            let own = (0..rows).filter(|row| values[row * columns + column] == 0.0).count();
            assert_eq!(own, zeros, "column {column} of {rows} x {columns} at {sparsity}");
        }
        let rest: Vec<f64> = values.into_iter().filter(|value| *value != 0.0).collect();
        if rest.len() > 1000 {
            assert_moments("sparse", &rest, 0.0, 0.01);
        }
    }
    let values = sample(Init::Sparse { sparsity: 0.5, std: 1.0 }, &[8, 6], 4);
    let zeros = |column: usize| (0..8).map(|row| values[row * 6 + column] == 0.0).collect();
    let patterns: std::collections::BTreeSet<Vec<bool>> = (0..6).map(zeros).collect();
    assert!(patterns.len() > 1, "each column has its own places");
}

#[test]
fn orthogonal_rows_or_columns_and_no_preferred_sign() {
    for shape in [vec![12, 5], vec![5, 12], vec![6, 6], vec![4, 3, 2, 2], vec![20, 2, 3, 1]] {
        let w = sample(Init::Orthogonal(1.5), &shape, 3);
        let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
        let short = rows.min(columns);
        for i in 0..short {
            for j in 0..short {
                let dot: f64 = if rows < columns {
                    (0..columns).map(|k| w[i * columns + k] * w[j * columns + k]).sum()
                } else {
                    (0..rows).map(|k| w[k * columns + i] * w[k * columns + j]).sum()
                };
                let expected = if i == j { 2.25 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-12, "{shape:?} [{i}, {j}]: {dot}");
            }
        }
    }
    // A factor taken as an algorithm leaves it has the sign of the algorithm on the diagonal; with
    // the signs of the other factor it is uniform, and so is each element around 0.
    let first: Vec<f64> =
        (0..4000).map(|seed| sample(Init::Orthogonal(1.0), &[3, 3], seed)[0]).collect();
    assert_moments("first element", &first, 0.0, (1.0 / 3.0f64).sqrt());
}

#[test]
fn impossible_options_and_ranks_are_typed_errors() {
    let trunc = |mean, std, low, high| Init::TruncNormal { mean, std, low, high };
    let sparse = |sparsity, std| Init::Sparse { sparsity, std };
    for (init, shape, message) in [
        (
            Init::Uniform(1.0, 0.0),
            &[2][..],
            "expected a lower bound below the upper, both finite, found 1 and 0",
        ),
        (
            Init::Uniform(0.0, f64::INFINITY),
            &[2],
            "expected a lower bound below the upper, both finite, found 0 and inf",
        ),
        (Init::Normal(0.0, -1.0), &[2], "expected a standard deviation of 0 or more, found -1"),
        (
            Init::Normal(0.0, f64::NAN),
            &[2],
            "expected a standard deviation of 0 or more, found NaN",
        ),
        (trunc(0.0, 0.0, -1.0, 1.0), &[2], "expected a standard deviation above 0, found 0"),
        (trunc(0.0, 1.0, 1.0, 1.0), &[2], "expected a lower bound below the upper, found 1 and 1"),
        (trunc(f64::NAN, 1.0, 0.0, 1.0), &[2], "expected a finite mean, found NaN"),
        (Init::XavierNormal(1.0), &[2], "fans need at least two dimensions, found shape [2]"),
        (Init::XavierUniform(f64::INFINITY), &[2, 2], "expected a finite gain, found inf"),
        (
            Init::KaimingNormal(Nonlinearity::LeakyRelu(f64::NAN), Fan::In),
            &[2, 2],
            "expected a finite gain, found NaN",
        ),
        (Init::Eye, &[2, 2, 2], "an identity has two dimensions, found shape [2, 2, 2]"),
        (
            Init::Dirac { groups: 1 },
            &[2, 2],
            "a convolution has three to five dimensions, found shape [2, 2]",
        ),
        (
            Init::Dirac { groups: 3 },
            &[4, 2, 3],
            "expected groups that divide the output channels, found 3 for 4",
        ),
        (
            Init::Dirac { groups: 0 },
            &[4, 2, 3],
            "expected groups that divide the output channels, found 0 for 4",
        ),
        (Init::Orthogonal(1.0), &[3], "an orthogonal matrix has two dimensions, found shape [3]"),
        (sparse(0.5, 0.01), &[3], "a sparse matrix has two dimensions, found shape [3]"),
        (sparse(1.5, 0.01), &[3, 3], "expected a share of zeros in 0.0..=1.0, found 1.5"),
        (sparse(0.5, -0.1), &[3, 3], "expected a standard deviation of 0 or more, found -0.1"),
    ] {
        let error: InitError = init.values(shape, &mut Rng::seeded(0)).unwrap_err();
        assert_eq!(error.to_string(), message, "{init:?}");
    }
}

#[test]
fn tensors_without_elements_are_filled_with_nothing() {
    for init in [
        Init::Dirac { groups: 1 },
        Init::XavierUniform(1.0),
        Init::KaimingNormal(Nonlinearity::Relu, Fan::In),
        Init::Orthogonal(1.0),
    ] {
        assert_eq!(init.values(&[3, 0, 2], &mut Rng::seeded(0)).unwrap(), [0.0; 0], "{init:?}");
    }
}

#[test]
fn bounds_farther_out_than_squares_reach_are_drawn_at_the_near_one() {
    let far = [
        (1e-160, 1.0, 2.0, 1.0),
        (1e-300, 1e10, 2e10, 1e10),
        (1e-300, -2e10, -1e10, -1e10),
        (1e-320, 1.0, f64::INFINITY, 1.0),
    ];
    for (std, low, high, near) in far {
        let init = Init::TruncNormal { mean: 0.0, std, low, high };
        let values = init.values(&[8], &mut Rng::seeded(0)).unwrap();
        assert_eq!(values, [near; 8], "{init:?}");
    }
}

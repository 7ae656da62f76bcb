//! The singular values of a weight.

use espalier_checkpoint::Dtype;
use espalier_kernels::singular_values;
use serde::Serialize;

use super::passes::Passes;
use crate::error::FilesError;
use crate::observe::Observer;

/// A matrix of more elements than this many times the square of the longest side that is asked for is left out.
const LONG: usize = 4;

/// The singular values of a matrix: of a tensor of more than two dimensions the first against all others together, as
/// of a convolution's weight.
///
/// ```
/// # use std::sync::Arc;
/// # use espalier_checkpoint::NamedTensor;
/// # use espalier_files::{Detail, Silent, Spectrum, measure};
/// let tensor = NamedTensor::f32("w", vec![2, 2], &[0.0, 2.0, 3.0, 0.0])?;
/// let measured = measure(&tensor, Detail::default(), &Arc::new(Silent))?;
/// assert!(matches!(measured.spectrum, Some(Spectrum::Values { count: 2, values, .. }) if values == [3.0, 2.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Spectrum {
    /// They are known.
    Values {
        /// Rows of the matrix.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// How many there are: the smaller of both.
        count: usize,
        /// How many of them are more than rounding leaves: than the greatest times the longer side times the distance from
        /// 1 to the next number of the type (of single precision for the half ones), as in `numpy.linalg.matrix_rank`.
        rank: usize,
        /// From the greatest down, to six digits; of many those at places `round(i (count - 1) / (n - 1))`, for `i` from
        /// 0 to `n - 1`.
        values: Vec<f64>,
    },
    /// They are not.
    LeftOut {
        /// Why.
        left_out: String,
    },
}

impl Spectrum {
    fn left_out(why: impl Into<String>) -> Self {
        Self::LeftOut { left_out: why.into() }
    }
}

/// Of a tensor of floating-point numbers with two dimensions or more; nothing for others. The smaller side may be at
/// most `side`, and the matrix may have `4 side^2` elements, for the work grows with their product.
pub(crate) fn spectrum<O: Observer>(
    passes: &Passes<'_, O>,
    (dtype, shape): (Dtype, &[usize]),
    nonfinite: u64,
    (side, points): (usize, usize),
) -> Result<Option<Spectrum>, FilesError> {
    let floats = matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
    let Some((rows, rest)) = shape.split_first().filter(|(_, rest)| floats && !rest.is_empty())
    else {
        return Ok(None);
    };
    let (rows, columns) = (*rows, rest.iter().product::<usize>());
    if side == 0 || rows * columns == 0 {
        return Ok(None);
    }
    if nonfinite > 0 {
        return Ok(Some(Spectrum::left_out("the tensor holds values that are not finite")));
    }
    let most = side.saturating_mul(side).saturating_mul(LONG);
    if rows.min(columns) > side || rows * columns > most {
        let why = format!(
            "the matrix is {rows} x {columns}; only those whose smaller side is at most {side} and which have at most \
             {most} elements are decomposed (--singular-values SIDE sets the bound)"
        );
        return Ok(Some(Spectrum::left_out(why)));
    }
    let found = if dtype == Dtype::F64 {
        let mut all = Vec::with_capacity(rows * columns);
        passes.each(|_, values| values.to_vec(), |values| all.extend(values))?;
        singular_values(rows, columns, &all)
    } else {
        // Half the memory and the time; the elements themselves have no more digits.
        let mut all: Vec<f32> = Vec::with_capacity(rows * columns);
        passes.each(
            |_, values| values.iter().map(|value| *value as f32).collect::<Vec<_>>(),
            |values| all.extend(values),
        )?;
        let found = singular_values(rows, columns, &all);
        found.map(|found| found.into_iter().map(f64::from).collect())
    };
    Ok(Some(match found {
        Ok(found) => {
            let count = found.len();
            let step = if dtype == Dtype::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
            let least = found.first().map_or(0.0, |s| s * rows.max(columns) as f64 * step);
            let rank = found.iter().filter(|value| **value > least).count();
            let values = thinned(count, points).map(|at| rounded(found[at])).collect();
            Spectrum::Values { rows, columns, count, rank, values }
        }
        Err(error) => Spectrum::left_out(error.to_string()),
    }))
}

/// At most `points` places, the first and the last among them.
fn thinned(count: usize, points: usize) -> impl Iterator<Item = usize> {
    let points = count.min(points.max(2));
    (0..points).map(move |at| match points {
        1 => 0,
        _ => (2 * at * (count - 1) + points - 1) / (2 * (points - 1)),
    })
}

/// To six significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_from_end_to_end() {
        let places = |count, points| thinned(count, points).collect::<Vec<_>>();
        assert_eq!(places(0, 5), [0; 0]);
        assert_eq!(places(1, 5), [0]);
        assert_eq!(places(3, 5), [0, 1, 2]);
        assert_eq!(places(9, 5), [0, 2, 4, 6, 8]);
        assert_eq!(places(10, 4), [0, 3, 6, 9]);
        let many = places(1024, 256);
        assert_eq!((many.len(), many[255]), (256, 1023));
        assert!(many.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn six_digits() {
        assert_eq!(rounded(1.0 / 3.0), 0.333333);
        assert_eq!(rounded(0.0), 0.0);
        assert_eq!(rounded(f64::MAX), 1.79769e308);
    }
}

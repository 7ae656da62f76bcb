//! Slices of a tensor brought to other lengths, in place.

use pulp::Arch;

use crate::Real;
use crate::pieces::{Pieces, each};
use crate::sums::dot;
use crate::weight_norm::Slices;

/// Multiplies each slice by what `factor` gives for its Euclidean norm. A slice whose factor is 1
/// stays as it is, to the bit.
///
/// ```
/// use espalier_kernels::{Slices, rescale};
/// let mut columns = [3.0f64, 0.5, 4.0, 0.0]; // 2 x 2: norms 5 and 0.5
/// let slices = Slices { outer: 2, kept: 2, inner: 1 };
/// rescale(&slices, &mut columns, |norm| if norm > 1.0 { 1.0 / norm } else { 1.0 });
/// assert_eq!(columns, [3.0 * 0.2, 0.5, 4.0 * 0.2, 0.0]);
/// ```
///
/// # Panics
///
/// If the slice does not have the length said.
pub fn rescale<T: Real>(
    slices: &Slices,
    values: &mut [T],
    factor: impl Fn(f64) -> f64 + Sync + Send,
) {
    assert!(values.len() == slices.len(), "as many elements as said");
    if slices.is_empty() {
        return;
    }
    let factor_of = |squares: f64| T::of(factor(squares.sqrt()));
    if slices.by_run() {
        let size = slices.group() * slices.inner;
        each(values.len(), Pieces::new(size, values.len(), &mut *values), |piece| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for run in piece.chunks_mut(slices.inner) {
                        multiply(run, factor_of(dot(run, run)));
                    }
                },
            );
        });
        return;
    }
    let factors: Vec<T> = slices.dots(values, values).into_iter().map(factor_of).collect();
    // Common: after most steps nothing has left its bounds.
    if factors.iter().all(|factor| *factor == T::of(1.0)) {
        return;
    }
    let spread = slices.spread(&factors);
    slices.apply(
        values,
        #[inline(always)]
        |rows: &mut [T]| {
            for row in rows.chunks_mut(slices.width()) {
                row.iter_mut().zip(&spread).for_each(|(x, factor)| *x *= *factor);
            }
        },
        #[inline(always)]
        |index, run: &mut [T]| multiply(run, factors[index]),
    );
}

#[inline(always)]
fn multiply<T: Real>(run: &mut [T], factor: T) {
    if factor != T::of(1.0) {
        run.iter_mut().for_each(|x| *x *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{assert_near, assert_same_on_threads, numbers, single};

    const SHAPES: [[usize; 3]; 12] = [
        [1, 1, 1],
        [1, 5, 0],
        [1, 3, 37],
        [7, 5, 1],
        [130, 9, 1],
        [5, 3, 19],
        [3, 1, 1],
        [1, 4, 40_000],
        [2, 2, 70_000],
        [700, 300, 1],
        [70, 40, 70],
        [1, 700, 300],
    ];

    fn shapes() -> impl Iterator<Item = Slices> {
        SHAPES.into_iter().map(|[outer, kept, inner]| Slices { outer, kept, inner })
    }

    /// One norm, then one element, after the other.
    fn plain(slices: &Slices, values: &[f64], factor: impl Fn(f64) -> f64) -> Vec<f64> {
        let Slices { outer, kept, inner } = *slices;
        let mut out = values.to_vec();
        for k in 0..kept {
            let places: Vec<usize> = (0..outer)
                .flat_map(|o| (0..inner).map(move |i| (o * kept + k) * inner + i))
                .collect();
            let norm = places.iter().map(|i| values[*i] * values[*i]).sum::<f64>().sqrt();
            places.iter().for_each(|i| out[*i] = values[*i] * factor(norm));
        }
        out
    }

    #[test]
    fn every_shape_and_type_as_plain_loops() {
        let factor = |norm: f64| if norm > 1.0 { 1.0 / norm } else { 1.0 };
        for slices in shapes() {
            let values = numbers(slices.len(), 9);
            let expected = plain(&slices, &values, factor);
            let mut found = values.clone();
            rescale(&slices, &mut found, factor);
            assert_near(&found, &expected, 1e-13);
            let mut found = single(&values);
            rescale(&slices, &mut found, factor);
            assert_near(&found, &expected, 2e-7);
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        for slices in shapes() {
            let values = single(&numbers(slices.len(), 3));
            assert_same_on_threads(|| {
                let mut values = values.clone();
                rescale(&slices, &mut values, |norm| 0.3 / norm);
                values
            });
        }
    }

    #[test]
    fn a_slice_that_is_to_stay_stays_also_where_others_move() {
        for (outer, kept, inner) in [(2, 2, 1), (1, 2, 2)] {
            let mut values = [f32::INFINITY, 0.1, 0.2, 0.7];
            rescale(&Slices { outer, kept, inner }, &mut values, |norm| {
                if norm.is_finite() { 1.0 } else { 0.5 }
            });
            assert_eq!(values[3], 0.7);
            assert_eq!(values[1], if inner == 1 { 0.1 } else { 0.05 });
        }
    }
}

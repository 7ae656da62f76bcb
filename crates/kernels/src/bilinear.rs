//! A tensor between two vectors: the singular value that these stand for.

use crate::{Real, Slices};

/// `u^T M v`, where `M` has a row for each index of the dimension kept, and a column for each place in the
/// others.
///
/// `u` has `kept` elements, `v` has `outer * inner`, in the order of the tensor. Summed in double precision.
///
/// ```
/// use espalier_kernels::{Slices, bilinear};
/// let rows = Slices { outer: 1, kept: 2, inner: 2 };
/// assert_eq!(bilinear(&rows, &[1.0f32, 2.0, 3.0, 4.0], &[1.0, 0.0], &[0.0, 1.0]), 2.0);
/// let columns = Slices { outer: 2, kept: 2, inner: 1 };
/// assert_eq!(bilinear(&columns, &[1.0f32, 2.0, 3.0, 4.0], &[1.0, 0.0], &[0.0, 1.0]), 3.0);
/// ```
///
/// # Panics
///
/// If the slices do not have the lengths said.
pub fn bilinear<T: Real>(slices: &Slices, w: &[T], u: &[T], v: &[T]) -> f64 {
    assert!(w.len() == slices.len(), "as many elements as said");
    assert!(u.len() == slices.kept && v.len() == slices.outer * slices.inner, "a vector a side");
    if slices.is_empty() {
        return 0.0;
    }
    let rows = w.chunks_exact(slices.inner);
    let sides = v.chunks_exact(slices.inner).flat_map(|v| u.iter().map(move |u| (u, v)));
    rows.zip(sides).map(|(row, (u, v))| u.wide() * crate::sums::dot(row, v)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_three_dimensions_is_kept() {
        let w: Vec<f64> = (0..24).map(f64::from).collect();
        let (u, v): (Vec<f64>, Vec<f64>) =
            ([1.0, -2.0, 0.5].into(), (0..8).map(|i| f64::from(i) - 2.0).collect());
        let mut expected = 0.0;
        for outer in 0..2 {
            for kept in 0..3 {
                for inner in 0..4 {
                    expected += u[kept] * w[outer * 12 + kept * 4 + inner] * v[outer * 4 + inner];
                }
            }
        }
        let slices = Slices { outer: 2, kept: 3, inner: 4 };
        assert!((bilinear(&slices, &w, &u, &v) - expected).abs() < 1e-12);
        assert_eq!(bilinear::<f32>(&Slices { outer: 0, kept: 1, inner: 2 }, &[], &[1.0], &[]), 0.0);
    }
}

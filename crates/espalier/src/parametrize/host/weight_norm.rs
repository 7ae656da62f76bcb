//! `g V / ||V||` in one pass over `V`.

use espalier_kernels::{Real, Slices, weight_norm, weight_norm_backward};

use crate::host::{Computed, Gradient, Operation, Slice};

/// Of `g` and `V`; the dimension kept, none for the whole tensor.
#[derive(Debug)]
pub(in crate::parametrize) struct Normed(pub(in crate::parametrize) Option<usize>);

impl Normed {
    fn slices(&self, shape: &[usize]) -> Slices {
        match self.0 {
            Some(dim) => Slices {
                outer: shape[..dim].iter().product(),
                kept: shape[dim],
                inner: shape[dim + 1..].iter().product(),
            },
            None => Slices { outer: 1, kept: 1, inner: shape.iter().product() },
        }
    }
}

impl Operation<2> for Normed {
    /// The norms.
    type Saved<T: Real> = Vec<T>;

    fn forward<T: Real>(&self, [g, v]: [Slice<'_, T>; 2], keep: bool) -> Computed<T, Vec<T>> {
        let (values, norms) = weight_norm(&self.slices(v.shape), g.values, v.values);
        Computed { values, shape: v.shape.to_vec(), saved: keep.then_some(norms) }
    }

    fn backward<T: Real>(
        &self,
        [g, v]: [Slice<'_, T>; 2],
        norms: &Vec<T>,
        gradient: &mut [T],
    ) -> [Gradient<T>; 2] {
        let slices = self.slices(v.shape);
        let to_g = weight_norm_backward(&slices, g.values, v.values, norms, gradient);
        [Gradient::New(to_g), Gradient::InPlace]
    }
}

//! Symmetric and skew-symmetric matrices from one triangle.

use espalier_kernels::{Real, skew, skew_backward, symmetric, symmetric_backward};

use crate::host::{Computed, Gradient, Operation, Slice};

/// Symmetric matrices.
#[derive(Debug)]
pub(in crate::parametrize) struct Symmetrized {
    /// Whether the triangle that counts is the lower one.
    pub(in crate::parametrize) lower: bool,
}

/// Skew-symmetric matrices.
#[derive(Debug)]
pub(in crate::parametrize) struct Skewed {
    /// Whether the triangle that counts is the lower one.
    pub(in crate::parametrize) lower: bool,
}

/// The number of matrices and their side.
fn sizes(shape: &[usize]) -> (usize, usize) {
    let n = shape.last().copied().unwrap_or(0);
    (shape.iter().product::<usize>() / (n * n).max(1), n)
}

macro_rules! triangle_operation {
    ($name:ident $forward:ident $backward:ident) => {
        impl Operation<1> for $name {
            type Saved<T: Real> = ();

            fn forward<T: Real>(&self, [x]: [Slice<'_, T>; 1], keep: bool) -> Computed<T, ()> {
                let (batch, n) = sizes(x.shape);
                let values = $forward(batch, n, self.lower, x.values);
                Computed { values, shape: x.shape.to_vec(), saved: keep.then_some(()) }
            }

            fn backward<T: Real>(
                &self,
                [x]: [Slice<'_, T>; 1],
                (): &(),
                gradient: &mut [T],
            ) -> [Gradient<T>; 1] {
                let (batch, n) = sizes(x.shape);
                [Gradient::New($backward(batch, n, self.lower, gradient))]
            }
        }
    };
}
triangle_operation!(Symmetrized symmetric symmetric_backward);
triangle_operation!(Skewed skew skew_backward);

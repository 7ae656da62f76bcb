//! Symmetric matrices from eigenvectors and eigenvalues.

use espalier_kernels::{Real, congruence, congruence_backward};

use super::orthogonal::frame;
use crate::host::{Computed, Gradient, Operation, Slice};

/// `Q diag(l) Q^T` for a stack of tall `Q` and of rows `l`.
#[derive(Debug)]
pub(in crate::parametrize) struct Congruence {
    /// Whether each `Q` is stored as its transpose.
    pub(in crate::parametrize) transposed: bool,
}

impl Operation<2> for Congruence {
    type Saved<T: Real> = ();

    fn forward<T: Real>(&self, [q, l]: [Slice<'_, T>; 2], keep: bool) -> Computed<T, ()> {
        let frame = frame(q.shape, self.transposed);
        let values = congruence(&frame, q.values, l.values);
        let mut shape = q.shape.to_vec();
        let sides = shape.len() - 2;
        shape[sides..].fill(frame.rows);
        Computed { values, shape, saved: keep.then_some(()) }
    }

    fn backward<T: Real>(
        &self,
        [q, l]: [Slice<'_, T>; 2],
        (): &(),
        gradient: &mut [T],
    ) -> [Gradient<T>; 2] {
        let frame = frame(q.shape, self.transposed);
        let (dq, dl) = congruence_backward(&frame, q.values, l.values, gradient);
        [Gradient::New(dq), Gradient::New(dl)]
    }
}

//! Orthonormal columns.

use espalier_kernels::{self as kernels, Frame, OrthogonalTape, Real};

use crate::host::{Computed, Constant, Gradient, Operation, Slice};
use crate::parametrize::OrthogonalMap;

/// `base @ Q` for a stack of tall matrices, or of wide ones that are their transposes.
#[derive(Debug)]
pub(in crate::parametrize) struct Orthonormal {
    map: kernels::OrthogonalMap,
    base: Option<Constant>,
    /// Whether each matrix is stored as its transpose.
    transposed: bool,
}

impl Orthonormal {
    pub(in crate::parametrize) fn new(
        map: OrthogonalMap,
        base: Option<Constant>,
        transposed: bool,
    ) -> Self {
        let map = match map {
            OrthogonalMap::Exp => kernels::OrthogonalMap::Exp,
            OrthogonalMap::Cayley => kernels::OrthogonalMap::Cayley,
            OrthogonalMap::Householder => kernels::OrthogonalMap::Householder,
        };
        Self { map, base, transposed }
    }
}

/// The last two dimensions are the matrices.
pub(super) fn frame(shape: &[usize], transposed: bool) -> Frame {
    let (stack, sides) = shape.split_at(shape.len().saturating_sub(2));
    let (first, second) = (sides[0], sides[1]);
    let (rows, columns) = if transposed { (second, first) } else { (first, second) };
    Frame { batch: stack.iter().product(), rows, columns, transposed }
}

impl Operation<1> for Orthonormal {
    type Saved<T: Real> = OrthogonalTape<T>;

    fn forward<T: Real>(
        &self,
        [x]: [Slice<'_, T>; 1],
        keep: bool,
    ) -> Computed<T, OrthogonalTape<T>> {
        let base = self.base.as_ref().map(Constant::values);
        match kernels::orthogonal(self.map, &frame(x.shape, self.transposed), x.values, base, keep)
        {
            Ok((values, saved)) => Computed { values, shape: x.shape.to_vec(), saved },
            Err(error) => unreachable!("registered for this shape: {error}"),
        }
    }

    fn backward<T: Real>(
        &self,
        [x]: [Slice<'_, T>; 1],
        tape: &OrthogonalTape<T>,
        gradient: &mut [T],
    ) -> [Gradient<T>; 1] {
        let base = self.base.as_ref().map(Constant::values);
        [Gradient::New(kernels::orthogonal_backward(tape, x.values, base, gradient))]
    }
}

//! Division by the largest singular value, and the iterations that find it.

use espalier_kernels::{Real, Spectral, power_iteration, spectral_norm, spectral_norm_backward};

use crate::host::{Computed, Constant, Gradient, Operation, Slice};

/// A matrix and the vectors of its iteration.
#[derive(Debug, Clone)]
pub(in crate::parametrize) struct Vectors {
    pub(in crate::parametrize) u: Constant,
    pub(in crate::parametrize) v: Constant,
    pub(in crate::parametrize) eps: f64,
    /// Whether the matrix is stored as its transpose.
    pub(in crate::parametrize) transposed: bool,
}

impl Vectors {
    fn matrix<T: Real>(&self) -> Spectral {
        let (rows, columns) = (self.u.values::<T>().len(), self.v.values::<T>().len());
        Spectral { rows, columns, transposed: self.transposed }
    }
}

/// `u` and `v` one after the other, after so many iterations. It has no gradient.
#[derive(Debug)]
pub(in crate::parametrize) struct Iterated(
    pub(in crate::parametrize) Vectors,
    pub(in crate::parametrize) usize,
);

impl Operation<1> for Iterated {
    type Saved<T: Real> = ();

    fn forward<T: Real>(&self, [w]: [Slice<'_, T>; 1], keep: bool) -> Computed<T, ()> {
        let Self(vectors, n) = self;
        let mut u = vectors.u.values::<T>().to_vec();
        let mut v = vectors.v.values::<T>().to_vec();
        power_iteration(&vectors.matrix::<T>(), w.values, &mut u, &mut v, vectors.eps, *n);
        u.extend(v);
        let shape = vec![u.len()];
        Computed { values: u, shape, saved: keep.then_some(()) }
    }

    fn backward<T: Real>(&self, [w]: [Slice<'_, T>; 1], (): &(), _: &mut [T]) -> [Gradient<T>; 1] {
        [Gradient::New(vec![T::ZERO; w.values.len()])]
    }
}

/// `W / sigma` for the vectors as they are.
#[derive(Debug)]
pub(in crate::parametrize) struct Normalized(pub(in crate::parametrize) Vectors);

impl Operation<1> for Normalized {
    /// `sigma`.
    type Saved<T: Real> = T;

    fn forward<T: Real>(&self, [w]: [Slice<'_, T>; 1], keep: bool) -> Computed<T, T> {
        let Self(vectors) = self;
        let mut u = vectors.u.values::<T>().to_vec();
        let mut v = vectors.v.values::<T>().to_vec();
        let matrix = vectors.matrix::<T>();
        let (values, sigma) = spectral_norm(&matrix, w.values, &mut u, &mut v, vectors.eps, 0);
        Computed { values, shape: w.shape.to_vec(), saved: keep.then_some(sigma) }
    }

    fn backward<T: Real>(
        &self,
        [w]: [Slice<'_, T>; 1],
        sigma: &T,
        gradient: &mut [T],
    ) -> [Gradient<T>; 1] {
        let Self(vectors) = self;
        let (u, v) = (vectors.u.values::<T>(), vectors.v.values::<T>());
        let matrix = vectors.matrix::<T>();
        [Gradient::New(spectral_norm_backward(&matrix, w.values, u, v, *sigma, gradient))]
    }
}

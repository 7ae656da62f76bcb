//! Matrices by their singular values or eigenvalues: the library's rules of a rank or a sign.

use espalier_kernels::{
    DenseError, Frame, OrthogonalMap, Product, Real, add_product, congruence, orthogonal,
};

/// What a positive singular value or eigenvalue is at least.
const LEAST: f64 = 1e-6;

/// From free numbers to singular values or eigenvalues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// The numbers themselves.
    Free,
    /// Their magnitudes.
    Magnitude,
    /// `softplus + 1e-6`.
    Positive,
}

impl Values {
    fn of<T: Real>(self, x: T) -> T {
        let x = x.wide();
        T::of(match self {
            Self::Free => x,
            Self::Magnitude => x.abs(),
            Self::Positive => softplus(x) + LEAST,
        })
    }
}

/// As PyTorch's: the identity where the difference does not show.
pub(super) fn softplus(x: f64) -> f64 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// A rule by `rank` values and as many orthonormal vectors, made from bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spectrum {
    pub(super) rank: usize,
    pub(super) map: OrthogonalMap,
    pub(super) values: Values,
    /// The matrices in the last two dimensions, turned to be tall.
    pub(super) frame: Frame,
}

impl Spectrum {
    /// The first columns of each tall matrix, or of its transpose, as rows of `rank` numbers.
    fn left<T: Real>(&self, x: &[T], of_transpose: bool) -> Vec<T> {
        let Frame { rows, columns, transposed, .. } = self.frame;
        let (size, width) = (rows * columns, if transposed { rows } else { columns });
        let length = if of_transpose { columns } else { rows };
        let mut out = Vec::with_capacity(x.len() / size.max(1) * length * self.rank);
        for matrix in x.chunks_exact(size.max(1)) {
            for row in 0..length {
                out.extend((0..self.rank).map(|column| {
                    let at_row = if transposed == of_transpose { row } else { column };
                    let at_column = if transposed == of_transpose { column } else { row };
                    matrix[at_row * width + at_column]
                }));
            }
        }
        out
    }

    /// The values of every matrix.
    fn diagonals<T: Real>(&self, x: &[T]) -> Vec<T> {
        let Frame { rows, columns, transposed, .. } = self.frame;
        let width = if transposed { rows } else { columns };
        x.chunks_exact((rows * columns).max(1))
            .flat_map(|matrix| (0..self.rank).map(move |i| matrix[i * (width + 1)]))
            .map(|x| self.values.of(x))
            .collect()
    }

    /// `Q diag(L) Q^T`, `Q` from one base.
    pub(super) fn eigen<T: Real>(&self, x: &[T], base: &[T]) -> Result<Vec<T>, DenseError> {
        let frame = Frame { columns: self.rank, transposed: false, ..self.frame };
        let (q, _) = orthogonal(self.map, &frame, &self.left(x, false), Some(base), false)?;
        Ok(congruence(&frame, &q, &self.diagonals(x)))
    }

    /// `U diag(S) V^T`, each from a base of its own.
    pub(super) fn singular<T: Real>(
        &self,
        x: &[T],
        u_base: &[T],
        v_base: &[T],
    ) -> Result<Vec<T>, DenseError> {
        let Frame { batch, rows, columns, transposed } = self.frame;
        let of = |rows| Frame { batch, rows, columns: self.rank, transposed: false };
        let (mut u, _) =
            orthogonal(self.map, &of(rows), &self.left(x, false), Some(u_base), false)?;
        let frame = of(columns);
        let (v, _) = orthogonal(self.map, &frame, &self.left(x, true), Some(v_base), false)?;
        let s = self.diagonals(x);
        let mut out = vec![T::ZERO; x.len()];
        let sizes = Product { rows, inner: self.rank, columns, transposed };
        for (at, out) in out.chunks_exact_mut((rows * columns).max(1)).enumerate() {
            let u = &mut u[at * rows * self.rank..][..rows * self.rank];
            let v = &v[at * columns * self.rank..][..columns * self.rank];
            let s = &s[at * self.rank..][..self.rank];
            u.iter_mut().enumerate().for_each(|(i, u)| *u *= s[i % self.rank]);
            let turned: Vec<T> =
                (0..v.len()).map(|i| v[i % columns * self.rank + i / columns]).collect();
            add_product(&sizes, 1.0, u, &turned, out)?;
        }
        Ok(out)
    }
}

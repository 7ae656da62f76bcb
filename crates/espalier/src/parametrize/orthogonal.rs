//! Orthogonal matrices.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::math::{epsilon, identity, inverse, largest, orthonormal_columns};
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::init::Rng;
use crate::tree::{Buffer, Layout};

/// How skew-symmetric matrices become orthogonal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrthogonalMap {
    /// `(I - A/2)^-1 (I + A/2)`.
    Cayley,
}

/// Matrices with orthonormal columns (tall and square) or rows (wide).
///
/// - Formula (Cayley): `A = tril(X) - tril(X)^T`, `Q = (I - A/2)^-1 (I + A/2)`, the first `k`
///   columns of it for a tall `n x k` weight; a wide weight is the transpose of a tall one. With
///   trivialization the value is `B Q` for a fixed orthogonal `B` (the buffer `base`).
/// - Shapes: `[..., n, k]` to the same; leading dimensions are a batch. In PyTorch's layout.
/// - Initialization: with trivialization `B` is the orthogonal factor of the given weight (the
///   weight itself if it is orthogonal) and the original is `-I`, so that training starts there.
///   The columns that complete a non-square `B` are drawn from a fixed seed; they are random in
///   PyTorch too and do not change the value.
/// - Right inverse: with trivialization, `B` is set and the original goes back to `-I`; without it
///   there is none.
/// - Errors: [`RuleError::Rank`] below two dimensions, [`RuleError::Empty`] without elements.
/// - Source: Lezcano-Casado and Martínez-Rubio, 2019, arXiv:1901.08428 (Cayley and exponential
///   maps); Lezcano-Casado, 2019, arXiv:1909.09501 (trivializations);
///   `torch.nn.utils.parametrizations.orthogonal`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor, Tolerance};
/// use espalier::parametrize::Orthogonal;
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(6, 4).init(&device));
/// net.register("weight", Orthogonal::cayley())?;
/// let w: Tensor<2> = net.get("weight")?; // [in, out] = [6, 4]: orthonormal columns
/// let gram = w.clone().transpose().matmul(w);
/// gram.into_data().assert_approx_eq::<f32>(
///     &Tensor::<2>::eye(4, &device).into_data(),
///     Tolerance::absolute(1e-5),
/// );
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orthogonal {
    map: OrthogonalMap,
    trivialization: bool,
}

impl Orthogonal {
    /// By the Cayley map, with trivialization.
    pub fn cayley() -> Self {
        Self { map: OrthogonalMap::Cayley, trivialization: true }
    }

    /// With or without trivialization (PyTorch's `use_trivialization`).
    pub fn trivialization(self, trivialization: bool) -> Self {
        Self { trivialization, ..self }
    }
}

impl Default for Orthogonal {
    fn default() -> Self {
        Self::cayley()
    }
}

impl Rule for Orthogonal {
    fn name(&self) -> &str {
        "orthogonal"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let rank = site.shape.len();
        let too_few = || RuleError::Rank { expected: 2, found: site.shape.clone() };
        if rank < 2 {
            return Err(too_few());
        }
        if site.shape.contains(&0) {
            return Err(RuleError::Empty { found: site.layout.torch_shape(&site.shape) });
        }
        with_rank!(rank, D => {
            if D < 2 {
                return Err(too_few());
            }
            let shape = site.layout.torch_shape(&site.shape);
            let side = shape[rank - 2].max(shape[rank - 1]);
            let base = self.trivialization.then(|| {
                let like = Tensor::<D>::zeros([1; D], (&site.device, site.dtype));
                let mut dims = [1; D];
                let batch = D.saturating_sub(2);
                dims[..batch].copy_from_slice(&shape[..batch]);
                Buffer::new(identity(side, &like).repeat(&dims))
            });
            let transposed = site.layout == Layout::Transposed;
            Ok(Link::new::<D, _>(self, OrthogonalLink { base, transposed, shape }))
        }, else Err(too_few()))
    }
}

/// [`Orthogonal`] on one parameter.
#[derive(Module, Debug)]
pub struct OrthogonalLink<const D: usize> {
    /// The orthogonal matrix that training starts from, in PyTorch's layout.
    base: Option<Buffer<D>>,
    /// Whether the parameter is stored transposed.
    transposed: bool,
    /// The shape of the weight in PyTorch's layout.
    #[module(skip)]
    shape: Vec<usize>,
}

impl<const D: usize> OrthogonalLink<D> {
    fn is_wide(&self) -> bool {
        self.shape[D - 2] < self.shape[D - 1]
    }

    /// Between Burn's layout of the weight and a tall matrix, both ways.
    fn turn(&self, value: Tensor<D>) -> Tensor<D> {
        // Two swaps cancel.
        if self.transposed == self.is_wide() { value } else { value.swap_dims(D - 2, D - 1) }
    }
}

/// `(I - A/2)^-1 (I + A/2)`, which is `2 (I - A/2)^-1 - I`: the two factors commute.
fn cayley<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    let id = identity(a.dims()[D - 1], &a);
    inverse(id.clone() - a * 0.5) * 2.0 - id
}

impl<const D: usize> Parametrization<D> for OrthogonalLink<D> {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = self.turn(originals[0].clone()).tril(0);
        let dims = x.dims();
        let (n, k) = (dims[D - 2], dims[D - 1]);
        let x = if n == k {
            x
        } else {
            let mut pad = dims;
            pad[D - 1] = n - k;
            let zeros = Tensor::zeros(pad, (&x.device(), x.dtype()));
            Tensor::cat(vec![x, zeros], D - 1)
        };
        let q = cayley(x.clone() - x.swap_dims(D - 2, D - 1));
        let q = if n == k { q } else { q.narrow(D - 1, 0, k) };
        self.turn(match &self.base {
            Some(base) => base.value().matmul(q),
            None => q,
        })
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let tall = self.turn(value.clone());
        let mut expected = self.shape.clone();
        if self.is_wide() {
            expected.swap(D - 2, D - 1);
        }
        if tall.dims().as_slice() != expected {
            return Err(RuleError::Value {
                expected: self.shape.clone(),
                found: value.dims().to_vec(),
            });
        }
        let Some(base) = &mut self.base else {
            return Err(RuleError::NoRightInverse {
                hint: "the Cayley map can be assigned only with trivialization",
            });
        };
        base.set(complete(tall)?);
        Ok(vec![identity_like(&value).neg()])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = deviation(&self.turn(value.clone()));
        if by <= 1e3 * epsilon(value.dtype()) * (self.shape[D - 1] as f64).sqrt() {
            return Ok(());
        }
        Err(RuleError::NotInSet { set: "orthogonal", by })
    }
}

/// The largest element of `|Q^T Q - I|`.
fn deviation<const D: usize>(q: &Tensor<D>) -> f64 {
    let gram = q.clone().swap_dims(D - 2, D - 1).matmul(q.clone());
    let id = identity(q.dims()[D - 1], q);
    largest(gram - id)
}

/// The square orthogonal matrix that starts with the orthogonal factor of a tall one.
fn complete<const D: usize>(tall: Tensor<D>) -> Result<Tensor<D>, RuleError> {
    let tall = tall.detach();
    let dims = tall.dims();
    let (n, k) = (dims[D - 2], dims[D - 1]);
    if n == k {
        // Kept to the bit where it is orthogonal already (PyTorch's tolerance).
        let tolerance = 10.0 * n as f64 * epsilon(tall.dtype()) + 1e-5;
        return if deviation(&tall) <= tolerance {
            Ok(tall)
        } else {
            Ok(orthonormal_columns(&tall)?)
        };
    }
    let mut missing = dims;
    missing[D - 1] = n - k;
    let mut rng = Rng::seeded(0);
    let normal: Vec<f64> = (0..missing.iter().product()).map(|_| rng.normal()).collect();
    let normal = TensorData::new(normal, missing).convert_dtype(tall.dtype());
    let normal = Tensor::from_data(normal, (&tall.device(), tall.dtype()));
    Ok(orthonormal_columns(&Tensor::cat(vec![tall, normal], D - 1))?)
}

/// Ones on the diagonal of the last two dimensions, the shape of `like`.
fn identity_like<const D: usize>(like: &Tensor<D>) -> Tensor<D> {
    let dims = like.dims();
    let (rows, columns) = (dims[D - 2], dims[D - 1]);
    let total: usize = dims.iter().product();
    let size = (rows * columns).max(1);
    let on_diagonal = |i: usize| (i % size) / columns.max(1) == (i % size) % columns.max(1);
    let data: Vec<f64> = (0..total).map(|i| if on_diagonal(i) { 1.0 } else { 0.0 }).collect();
    let data = TensorData::new(data, dims).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

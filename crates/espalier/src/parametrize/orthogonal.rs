//! Orthogonal matrices.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::link::matrix_link;
use super::math::{identity_like, reflectors, tolerance};
use super::stiefel::{Tall, complete, deviation, uniform};
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::init::Rng;
use crate::tree::Buffer;

/// How unconstrained numbers become orthonormal columns: PyTorch's `orthogonal_map`.
///
/// `X` is a tall `n x k` matrix, `A = tril(X, -1) - tril(X, -1)^T` the skew-symmetric `n x n` matrix
/// of it (with zeros for the columns that `X` lacks).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrthogonalMap {
    /// `exp(A)`, PyTorch's `matrix_exp`.
    #[default]
    Exp,
    /// `(I - A/2)^-1 (I + A/2)`.
    Cayley,
    /// `H_1 .. H_k diag(s)` with `H_i = I - 2 v_i v_i^T / |v_i|^2`, `v_i` the columns of
    /// `tril(X, -1) + I` and `s_i` the sign of `X_ii` (0 counts as positive).
    Householder,
}

/// Matrices with orthonormal columns (tall and square) or rows (wide).
///
/// - Formula: the first `k` columns of the matrix that the [`OrthogonalMap`] makes, for a tall
///   `n x k` weight; a wide weight is the transpose of a tall one. With trivialization the value is
///   `B` times that for a fixed orthogonal `B` (the buffer `base`).
/// - Shapes: `[..., n, k]` to the same; leading dimensions are a batch. In PyTorch's layout.
/// - Initialization: with trivialization `B` is the orthogonal factor of the given weight (the
///   weight itself if it is orthogonal) and the original is `-I`, so that training starts there.
///   The columns that complete a non-square `B` are drawn from a fixed seed; they are random in
///   PyTorch too and do not change the value.
/// - Right inverse: with trivialization, `B` is set and the original goes back to `-I`. Without it
///   the Householder map has one, the reflectors of a QR decomposition (LAPACK's `geqrf`); the
///   other maps have none.
/// - Signs: PyTorch multiplies by the diagonal of the original rounded towards zero, so that any
///   weight decay makes whole columns zero. Here it is the sign of the diagonal.
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
    /// None where the shape decides.
    map: Option<OrthogonalMap>,
    trivialization: bool,
}

impl Orthogonal {
    /// PyTorch's default, with trivialization: the exponential for square matrices, else
    /// Householder. The choice is made where the rule is registered, and saved.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::Orthogonal;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(6, 4).init(&Device::default()));
    /// net.register("weight", Orthogonal::new())?;
    /// let list = net.parametrizations("weight")?;
    /// assert_eq!(list.links()[0].options()["map"], "householder");
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn new() -> Self {
        Self { map: None, trivialization: true }
    }

    /// By the matrix exponential, with trivialization.
    pub fn exp() -> Self {
        Self::new().map(OrthogonalMap::Exp)
    }

    /// By the Cayley map, with trivialization.
    pub fn cayley() -> Self {
        Self::new().map(OrthogonalMap::Cayley)
    }

    /// By Householder reflections, with trivialization.
    pub fn householder() -> Self {
        Self::new().map(OrthogonalMap::Householder)
    }

    /// By this map.
    pub fn map(self, map: OrthogonalMap) -> Self {
        Self { map: Some(map), ..self }
    }

    /// With or without trivialization (PyTorch's `use_trivialization`).
    pub fn trivialization(self, trivialization: bool) -> Self {
        Self { trivialization, ..self }
    }
}

impl Default for Orthogonal {
    fn default() -> Self {
        Self::new()
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
        let tall = Tall::of(site)?;
        let map = self.map.unwrap_or(if tall.rows() == tall.columns() {
            OrthogonalMap::Exp
        } else {
            OrthogonalMap::Householder
        });
        let chosen = self.map(map);
        matrix_link!(site, D => {
            let base = self.trivialization.then(|| tall.base(tall.rows(), site));
            Ok(Link::new::<D, _>(&chosen, OrthogonalLink { base, map, tall }))
        })
    }
}

/// [`Orthogonal`] on one parameter.
#[derive(Module, Debug)]
pub struct OrthogonalLink<const D: usize> {
    /// The orthogonal matrix that training starts from, in PyTorch's layout.
    base: Option<Buffer<D>>,
    #[module(skip)]
    map: OrthogonalMap,
    #[module(skip)]
    tall: Tall,
}

impl<const D: usize> Parametrization<D> for OrthogonalLink<D> {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let base = self.base.as_ref().map(Buffer::value);
        self.tall.orthonormal(self.map, originals[0].clone(), base)
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let tall = self.tall.take(value.clone())?;
        match &mut self.base {
            Some(base) => {
                base.set(complete(tall)?);
                Ok(vec![identity_like(&value).neg()])
            }
            None if self.map == OrthogonalMap::Householder => {
                Ok(vec![self.tall.turn(reflectors(&tall)?)])
            }
            None => Err(RuleError::NoRightInverse {
                hint: "the exponential and Cayley maps can be assigned only with trivialization",
            }),
        }
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = deviation(&self.tall.take(value.clone())?);
        if by <= tolerance(value.dtype(), self.tall.last()) {
            return Ok(());
        }
        Err(RuleError::NotInSet { set: "orthogonal", by })
    }

    /// Evenly among all: the orthogonal factor of a normal matrix.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        let dims = self.tall.take(like.clone())?.dims();
        Ok(self.tall.turn(uniform(dims, like, rng)?))
    }
}

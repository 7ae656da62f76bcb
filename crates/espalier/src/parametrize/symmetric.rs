//! Symmetric matrices.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::math::largest;
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::tree::Layout;

/// Symmetric matrices from their upper triangle.
///
/// - Formula: `W = triu(X) + triu(X, 1)^T` over the last two dimensions, in PyTorch's layout.
/// - Shapes: `[..., n, n]` to the same.
/// - Right inverse: `X = triu(W)`. Of a matrix that is not symmetric it keeps the upper triangle.
/// - Errors: [`RuleError::NotSquare`], [`RuleError::Rank`], [`RuleError::Empty`].
/// - Source: the `Symmetric` of PyTorch's parametrizations tutorial.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::Symmetric;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
/// net.register("weight", Symmetric::new())?;
/// let w: Tensor<2> = net.get("weight")?;
/// w.clone().into_data().assert_eq(&w.transpose().into_data(), true);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symmetric {}

impl Symmetric {
    /// The rule. It has no options.
    pub fn new() -> Self {
        Self {}
    }
}

impl Rule for Symmetric {
    fn name(&self) -> &str {
        "symmetric"
    }

    fn options(&self) -> Value {
        serde_json::json!({})
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let shape = &site.shape;
        let rank = shape.len();
        if rank < 2 {
            return Err(RuleError::Rank { expected: 2, found: shape.clone() });
        }
        if shape.contains(&0) {
            return Err(RuleError::Empty { found: site.layout.torch_shape(shape) });
        }
        if shape[rank - 1] != shape[rank - 2] {
            return Err(RuleError::NotSquare { found: site.layout.torch_shape(shape) });
        }
        let lower = site.layout == Layout::Transposed;
        with_rank!(rank, D => Ok(Link::new::<D, _>(self, SymmetricLink { lower })), else {
            Err(RuleError::Rank { expected: 2, found: shape.clone() })
        })
    }
}

/// [`Symmetric`] on one parameter.
#[derive(Module, Debug)]
pub struct SymmetricLink {
    /// Whether the triangle that counts is the lower one (the upper one of PyTorch's layout).
    lower: bool,
}

impl SymmetricLink {
    fn triangle<const D: usize>(&self, value: Tensor<D>, off: i64) -> Tensor<D> {
        if self.lower { value.tril(-off) } else { value.triu(off) }
    }
}

impl<const D: usize> Parametrization<D> for SymmetricLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = &originals[0];
        let strict = self.triangle(x.clone(), 1);
        self.triangle(x.clone(), 0) + strict.swap_dims(D - 2, D - 1)
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![self.triangle(value, 0)])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = largest(value.clone() - value.clone().swap_dims(D - 2, D - 1));
        if by == 0.0 { Ok(()) } else { Err(RuleError::NotInSet { set: "symmetric", by }) }
    }
}

//! Symmetric matrices.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::Symmetrized;
use super::link::matrix_link;
use super::math::{drawn, largest, transposed};
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::host::unary;
use crate::init::{Init, Rng};
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
        site.squares()?;
        let layout = site.layout;
        matrix_link!(site, D => Ok(Link::new::<D, _>(self, SymmetricLink { layout })))
    }
}

/// [`Symmetric`] on one parameter.
#[derive(Module, Debug)]
pub struct SymmetricLink {
    #[module(skip)]
    layout: Layout,
}

/// As [`Symmetrized`] on any device.
pub(super) fn symmetrized_by_tensors<const D: usize>(lower: bool, x: Tensor<D>) -> Tensor<D> {
    if lower {
        x.clone().tril(0) + transposed(x.tril(-1))
    } else {
        x.clone().triu(0) + transposed(x.triu(1))
    }
}

impl<const D: usize> Parametrization<D> for SymmetricLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = &originals[0];
        // The upper triangle of PyTorch's layout.
        let lower = self.layout == Layout::Transposed;
        unary(x, Symmetrized { lower }).unwrap_or_else(|| symmetrized_by_tensors(lower, x.clone()))
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![self.layout.turn(self.layout.turn(value).triu(0))])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = largest(value.clone() - transposed(value.clone()));
        if by == 0.0 { Ok(()) } else { Err(RuleError::NotInSet { set: "symmetric", by }) }
    }

    /// From the upper triangle of a normal matrix of Xavier's standard deviation.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        Ok(Self::forward(self, &[drawn(Init::XavierNormal(1.0), like.dims(), like, rng)?]))
    }
}

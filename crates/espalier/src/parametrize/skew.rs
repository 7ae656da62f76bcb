//! Skew-symmetric matrices.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::Skewed;
use super::link::matrix_link;
use super::math::{drawn, largest, transposed};
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::host::unary;
use crate::init::{Init, Rng};
use crate::tree::Layout;

/// Skew-symmetric matrices from their lower triangle.
///
/// - Formula: `W = tril(X, -1) - tril(X, -1)^T` over the last two dimensions, in PyTorch's layout.
/// - Shapes: `[..., n, n]` to the same.
/// - Right inverse: `X = tril(W, -1)`. Of a matrix that is not skew-symmetric it keeps the lower
///   triangle (geotorch refuses one).
/// - Errors: [`RuleError::NotSquare`], [`RuleError::Rank`], [`RuleError::Empty`].
/// - Source: `Skew` of geotorch (Lezcano-Casado, 2019, arXiv:1909.09501).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::Skew;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
/// net.register("weight", Skew::new())?;
/// let w: Tensor<2> = net.get("weight")?;
/// w.clone().into_data().assert_eq(&w.transpose().neg().into_data(), true);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {}

impl Skew {
    /// The rule. It has no options.
    pub fn new() -> Self {
        Self {}
    }
}

impl Rule for Skew {
    fn name(&self) -> &str {
        "skew"
    }

    fn options(&self) -> Value {
        serde_json::json!({})
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        site.squares()?;
        let layout = site.layout;
        matrix_link!(site, D => Ok(Link::new::<D, _>(self, SkewLink { layout })))
    }
}

/// [`Skew`] on one parameter.
#[derive(Module, Debug)]
pub struct SkewLink {
    #[module(skip)]
    layout: Layout,
}

/// As [`Skewed`] on any device: the strict triangle less its transpose.
pub(super) fn skewed_by_tensors<const D: usize>(lower: bool, x: Tensor<D>) -> Tensor<D> {
    let x = if lower { x.tril(-1) } else { x.triu(1) };
    x.clone() - transposed(x)
}

impl<const D: usize> Parametrization<D> for SkewLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = &originals[0];
        // The lower triangle of PyTorch's layout.
        let lower = self.layout == Layout::Torch;
        unary(x, Skewed { lower }).unwrap_or_else(|| skewed_by_tensors(lower, x.clone()))
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![self.layout.turn(self.layout.turn(value).tril(-1))])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = largest(value.clone() + transposed(value.clone()));
        if by == 0.0 { Ok(()) } else { Err(RuleError::NotInSet { set: "skew-symmetric", by }) }
    }

    /// From the lower triangle of a normal matrix of Xavier's standard deviation.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        Ok(Self::forward(self, &[drawn(Init::XavierNormal(1.0), like.dims(), like, rng)?]))
    }
}

//! Slices of a given length.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::math::{drawn, largest, norm, tolerance};
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::init::{Init, Rng};

/// Slices on a sphere: the length of each slice is a given radius.
///
/// - Formula: `W = r * X / ||X||`, the norm taken over all dimensions but `dim` (over all of them
///   for [`Sphere::whole`]), as [`WeightNorm`](super::WeightNorm) counts.
/// - Shapes: any to the same.
/// - Initialization and right inverse: `X = W / r`. Of a value that is not on the sphere this is the
///   nearest one of it; geotorch refuses such a value.
/// - A slice of zeros has no direction: its value is NaN.
/// - Errors: [`RuleError::Dim`] if the parameter has no such dimension, [`RuleError::Option`] for a
///   radius that is not positive, [`RuleError::Empty`].
/// - Source: `SphereEmbedded` of geotorch, which takes the norm over the last dimension.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::Sphere;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
/// net.register("weight", Sphere::dim(0).radius(2.0))?; // the weights of each output
/// let w: Tensor<2> = net.get("weight")?; // [in, out]
/// let length = w.slice([0..5, 1..2]).square().sum().sqrt().into_scalar::<f32>();
/// assert!((length - 2.0).abs() < 1e-5);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sphere {
    dim: Option<usize>,
    #[serde(default = "one")]
    radius: f64,
}

fn one() -> f64 {
    1.0
}

impl Sphere {
    /// One length for each index of `dim`, counted in PyTorch's layout; of radius 1.
    pub fn dim(dim: usize) -> Self {
        Self { dim: Some(dim), radius: 1.0 }
    }

    /// One length for the whole tensor; of radius 1.
    pub fn whole() -> Self {
        Self { dim: None, radius: 1.0 }
    }

    /// Of this radius, a positive number.
    pub fn radius(self, radius: f64) -> Self {
        Self { radius, ..self }
    }
}

impl Rule for Sphere {
    fn name(&self) -> &str {
        "sphere"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let radius = positive("radius", self.radius)?;
        let dim = self.dim.map(|dim| site.dim(dim)).transpose()?;
        site.elements()?;
        with_rank!(site.shape.len(), D => {
            Ok(Link::new::<D, _>(self, SphereLink { dim, radius }))
        }, else Err(RuleError::Rank { expected: 1, found: site.shape.clone() }))
    }
}

/// Refuses an option that is not a positive number.
pub(super) fn positive(option: &'static str, found: f64) -> Result<f64, RuleError> {
    if found.is_finite() && found > 0.0 {
        return Ok(found);
    }
    let expected = "a positive number".to_owned();
    Err(RuleError::Option { option, expected, found: found.to_string() })
}

/// [`Sphere`] on one parameter.
#[derive(Module, Debug)]
pub struct SphereLink {
    /// The dimension kept, in Burn's layout; none for the whole tensor.
    #[module(skip)]
    dim: Option<usize>,
    #[module(skip)]
    radius: f64,
}

impl<const D: usize> Parametrization<D> for SphereLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = originals[0].clone();
        (x.clone() / norm(x, self.dim)) * self.radius
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        Ok(vec![value / self.radius])
    }

    fn check(&self, value: &Tensor<D>) -> Result<(), RuleError> {
        let by = largest(norm(value.clone(), self.dim) - self.radius);
        if by <= tolerance(value.dtype(), value.shape().num_elements()) * self.radius {
            return Ok(());
        }
        Err(RuleError::NotInSet { set: "on the sphere", by })
    }

    /// Evenly on the sphere.
    fn sample(&self, like: &Tensor<D>, rng: &mut Rng) -> Result<Tensor<D>, RuleError> {
        Ok(self.forward(&[drawn(Init::Normal(0.0, 1.0), like.dims(), like, rng)?]))
    }
}

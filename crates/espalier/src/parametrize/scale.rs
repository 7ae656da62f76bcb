//! A factor, fixed or learned.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;

/// The parameter times one factor.
///
/// - Formula: `W = c * X`, with a fixed `c` or a trained one (the link's own parameter `scale`, of
///   one element).
/// - Shapes: any to the same.
/// - Initialization and right inverse: `X = W / c`, so that the value does not change. A learned
///   factor stays what it is when a value is assigned.
/// - Errors: [`RuleError::Option`] for a factor that is zero or not finite;
///   [`RuleError::NoRightInverse`] where a learned one has become zero.
/// - Source: a fixed factor equalizes learning rates in Karras et al., 2018, arXiv:1710.10196; a
///   learned one for the whole weight is that of Salimans and Kingma, 2016, arXiv:1602.07868,
///   without the norm.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::Scale;
/// use espalier::{ParameterTree, Parametrized};
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
/// net.register("weight", Scale::learned(0.5))?;
/// let names: Vec<_> = net.named_parameters().into_iter().map(|p| p.path).collect();
/// assert_eq!(names[1], "parametrizations.weight.0.scale");
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    factor: f64,
    #[serde(default)]
    learned: bool,
}

impl Scale {
    /// By a fixed factor.
    pub fn by(factor: f64) -> Self {
        Self { factor, learned: false }
    }

    /// By a factor that is trained, starting from `initial`.
    pub fn learned(initial: f64) -> Self {
        Self { factor: initial, learned: true }
    }
}

impl Rule for Scale {
    fn name(&self) -> &str {
        "scale"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        if !self.factor.is_finite() || self.factor == 0.0 {
            return Err(RuleError::Option {
                option: "factor",
                expected: "a number other than zero".to_owned(),
                found: self.factor.to_string(),
            });
        }
        let scale = self.learned.then(|| {
            let factor = Tensor::<1>::full([1], self.factor, (&site.device, site.dtype));
            Param::from_tensor(factor)
        });
        let factor = self.factor;
        with_rank!(site.shape.len(), D => {
            Ok(Link::new::<D, _>(self, ScaleLink { scale, factor }))
        }, else Err(RuleError::Rank { expected: 1, found: site.shape.clone() }))
    }
}

/// [`Scale`] on one parameter.
#[derive(Module, Debug)]
pub struct ScaleLink {
    /// The factor, if it is learned.
    scale: Option<Param<Tensor<1>>>,
    #[module(skip)]
    factor: f64,
}

impl<const D: usize> Parametrization<D> for ScaleLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        let x = originals[0].clone();
        match &self.scale {
            Some(scale) => x * scale.val().reshape([1; D]),
            None => x * self.factor,
        }
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let Some(scale) = &self.scale else {
            return Ok(vec![value / self.factor]);
        };
        let scale = scale.val().detach();
        if scale.clone().into_scalar::<f64>() == 0.0 {
            let hint = "the learned factor is zero: set `scale` to another number";
            return Err(RuleError::NoRightInverse { hint });
        }
        Ok(vec![value / scale.reshape([1; D])])
    }
}

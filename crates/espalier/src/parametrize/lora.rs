//! Low-rank adapters.

// PEFT's names, which are those in files.
#![allow(non_snake_case)]

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::erase::with_rank;
use crate::init::Rng;
use crate::tree::Layout;

/// A low-rank adapter: a product of two thin matrices on top of the weight.
///
/// - Formula: `W = X + alpha / r * B A`, over the matrix of the first dimension by all others in
///   PyTorch's layout (output features by input features and kernel).
/// - Shapes: the weight's; `lora_A` is `[r, in]`, `lora_B` is `[out, r]`. Both are parameters of
///   the link, trained and saved with the network (`parametrizations.weight.0.lora_A`).
/// - Initialization: `lora_A` uniform within `1 / sqrt(in)` from the seed, `lora_B` zero, so that
///   the value does not change.
/// - Right inverse: `X = W - alpha / r * B A`.
/// - The original is trained too, unless it is frozen: adapters usually are all that is.
/// - Errors: [`RuleError::Rank`] below two dimensions, [`RuleError::Empty`] without elements,
///   [`RuleError::Option`] for an `r` of zero or above the smaller side.
/// - Source: Hu et al., 2021, arXiv:2106.09685; initialized as by the PEFT library.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::Lora;
/// use espalier::{ParameterTree, Parametrized};
///
/// let mut net = Parametrized::new(LinearConfig::new(8, 6).with_bias(false).init(&Device::default()));
/// let before: Tensor<2> = net.get("weight")?;
/// net.register("weight", Lora::new(2).alpha(4.0))?;
/// net.get::<2>("weight")?.into_data().assert_eq(&before.into_data(), true);
/// let names: Vec<_> = net.named_parameters().into_iter().map(|p| (p.path, p.shape)).collect();
/// assert_eq!(names[1], ("parametrizations.weight.0.lora_A".to_string(), vec![2, 8]));
/// assert_eq!(names[2], ("parametrizations.weight.0.lora_B".to_string(), vec![6, 2]));
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    rank: usize,
    #[serde(default)]
    alpha: Option<f64>,
    #[serde(default)]
    seed: u64,
}

impl Lora {
    /// Adapters of rank `rank`, scaled by one: `alpha` is the rank.
    pub fn new(rank: usize) -> Self {
        Self { rank, alpha: None, seed: 0 }
    }

    /// With a scale of `alpha / rank`.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha: Some(alpha), ..self }
    }

    /// With `lora_A` drawn from this seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

impl Rule for Lora {
    fn name(&self) -> &str {
        "lora"
    }

    fn options(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        let torch_shape = site.layout.torch_shape(&site.shape);
        if torch_shape.len() < 2 {
            return Err(RuleError::Rank { expected: 2, found: torch_shape });
        }
        if torch_shape.contains(&0) {
            return Err(RuleError::Empty { found: torch_shape });
        }
        let (outputs, inputs) = (torch_shape[0], torch_shape[1..].iter().product::<usize>());
        if self.rank == 0 || self.rank > outputs.min(inputs) {
            return Err(RuleError::Option {
                option: "rank",
                expected: format!("a number from 1 to {}", outputs.min(inputs)),
                found: self.rank.to_string(),
            });
        }
        let mut rng = Rng::seeded(self.seed);
        let bound = 1.0 / (inputs as f64).sqrt();
        let a: Vec<f64> =
            (0..self.rank * inputs).map(|_| (2.0 * rng.uniform() - 1.0) * bound).collect();
        let b = vec![0.0f64; outputs * self.rank];
        let parameter = |values: Vec<f64>, dims: [usize; 2]| {
            let data = TensorData::new(values, dims).convert_dtype(site.dtype);
            Param::from_tensor(Tensor::<2>::from_data(data, (&site.device, site.dtype)))
        };
        let link = LoraLink {
            lora_A: parameter(a, [self.rank, inputs]),
            lora_B: parameter(b, [outputs, self.rank]),
            scale: self.alpha.map_or(1.0, |alpha| alpha / self.rank as f64),
            layout: site.layout,
            shape: torch_shape,
        };
        with_rank!(site.shape.len(), D => Ok(Link::new::<D, _>(self, link)), else {
            Err(RuleError::Rank { expected: 2, found: site.shape.clone() })
        })
    }
}

/// [`Lora`] on one parameter.
#[derive(Module, Debug)]
pub struct LoraLink {
    lora_A: Param<Tensor<2>>,
    lora_B: Param<Tensor<2>>,
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    layout: Layout,
    /// The shape of the weight in PyTorch's layout.
    #[module(skip)]
    shape: Vec<usize>,
}

impl LoraLink {
    /// What is added to the weight, in Burn's layout.
    fn delta<const D: usize>(&self) -> Tensor<D> {
        let delta = self.lora_B.val().matmul(self.lora_A.val()) * self.scale;
        let mut dims = [1; D];
        dims.copy_from_slice(&self.shape);
        self.layout.turn(delta.reshape(dims))
    }
}

impl<const D: usize> Parametrization<D> for LoraLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        originals[0].clone() + self.delta()
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let delta = self.delta::<D>().detach().set_require_grad(false);
        Ok(vec![value - delta])
    }
}

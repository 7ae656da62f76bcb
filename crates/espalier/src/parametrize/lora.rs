//! Low-rank adaptation: a weight and a product of two thin matrices.

// The names that such matrices have in files everywhere.
#![allow(non_snake_case)]

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::math::drawn;
use super::{Link, Parametrization, Rule, RuleError, Site};
use crate::init::{Init, Rng};
use crate::parametrize::link::matrix_link;
use crate::tree::Layout;

/// Low-rank adaptation: the weight plus a product of two thin matrices.
///
/// - Formula: `W = X + (alpha / r) B A`, for the weight as a matrix of one row for each output and the
///   rest as columns, in PyTorch's layout. `lora_A` of `[r, rest]` and `lora_B` of `[outputs, r]` are
///   the link's own trained parameters. To train them alone, freeze the original.
/// - Shapes: any of two dimensions or more to the same. The outputs are dimension 0 (of a transposed
///   convolution that is its inputs).
/// - Initialization: `A` uniform within `1 / sqrt(rest)` (Kaiming's with `a = sqrt(5)`, as PEFT's) from
///   the rule's seed, `B` zero, so that the value does not change.
/// - Right inverse: `X = W - (alpha / r) B A`.
/// - Errors: [`RuleError::Option`] for a rank of 0 or an alpha that is not finite,
///   [`RuleError::Rank`], [`RuleError::Empty`].
/// - Source: Hu et al., 2021, arXiv:2106.09685; Hugging Face's PEFT for the initial values.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::Lora;
/// use espalier::{ParameterTree, Parametrized};
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 3).init(&Device::default()));
/// net.register("weight", Lora::new(2).alpha(4.0))?;
/// let added: Vec<_> = net.named_parameters().into_iter().skip(1).take(2).collect();
/// assert_eq!(added[0].path, "parametrizations.weight.0.lora_A");
/// assert_eq!([added[0].shape.as_slice(), &added[1].shape], [[2, 5], [3, 2]]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    rank: usize,
    /// None for the rank.
    #[serde(default)]
    alpha: Option<f64>,
    #[serde(default)]
    seed: u64,
}

impl Lora {
    /// Matrices of this rank, at a scale of 1, from seed 0.
    pub fn new(rank: usize) -> Self {
        Self { rank, alpha: None, seed: 0 }
    }

    /// The product is scaled by `alpha / rank`.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha: Some(alpha), ..self }
    }

    /// Where the initial numbers come from; the same ones for every parameter of a shape.
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
        let alpha = self.alpha.unwrap_or(self.rank as f64);
        let (option, expected, found) = if self.rank == 0 {
            ("rank", "one or more", "0".to_owned())
        } else if !alpha.is_finite() {
            ("alpha", "a finite number", alpha.to_string())
        } else {
            ("", "", String::new())
        };
        if !option.is_empty() {
            return Err(RuleError::Option { option, expected: expected.to_owned(), found });
        }
        site.matrices()?;
        let shape = site.torch_shape();
        let (outputs, rest) = (shape[0], shape[1..].iter().product::<usize>());
        let like = Tensor::<1>::zeros([1], (&site.device, site.dtype));
        let bound = 1.0 / (rest as f64).sqrt();
        let mut rng = Rng::seeded(self.seed);
        let a = drawn(Init::Uniform(-bound, bound), [self.rank, rest], &like, &mut rng)?;
        let b = Tensor::<2>::zeros([outputs, self.rank], (&site.device, site.dtype));
        let link = LoraLink {
            lora_A: Param::from_tensor(a),
            lora_B: Param::from_tensor(b),
            scale: alpha / self.rank as f64,
            layout: site.layout,
        };
        matrix_link!(site, D => Ok(Link::new::<D, _>(self, link)))
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
}

impl LoraLink {
    /// What is added to a weight of this shape, in the layout of the weight.
    fn delta<const D: usize>(&self, dims: [usize; D]) -> Tensor<D> {
        let mut torch = dims;
        torch.copy_from_slice(&self.layout.torch_shape(&dims));
        let product = self.lora_B.val().matmul(self.lora_A.val()) * self.scale;
        self.layout.turn(product.reshape(torch))
    }
}

impl<const D: usize> Parametrization<D> for LoraLink {
    fn forward(&self, originals: &[Tensor<D>]) -> Tensor<D> {
        originals[0].clone() + self.delta(originals[0].dims())
    }

    fn right_inverse(&mut self, value: Tensor<D>) -> Result<Vec<Tensor<D>>, RuleError> {
        let delta = self.delta(value.dims()).detach();
        Ok(vec![value - delta])
    }
}

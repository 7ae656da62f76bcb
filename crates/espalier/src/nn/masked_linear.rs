//! A linear layer that is sparse from the start.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::linear;
use burn::tensor::{Bool, Device, Tensor};

use super::layer::{Layer, WidthError};
use super::layers::linear_dims;
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;
use crate::prune::{Amount, BasePruningMethod, Mask, PruneError, RandomUnstructured};

/// A linear layer whose weights are zero where a fixed mask says so, in training as well.
///
/// Its tensors are saved as those of a pruned `Linear` of PyTorch: `weight_orig`, `bias`,
/// `weight_mask`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::MaskedLinear;
///
/// let device = Device::default();
/// // 90 % of the weights are zero; which ones follows from the seed.
/// let layer = MaskedLinear::sparse(&LinearConfig::new(20, 10), 0.9, 7, &device)?;
/// assert_eq!(layer.sparsity(), 0.9);
/// assert_eq!(layer.forward(Tensor::<2>::ones([3, 20], &device)).dims(), [3, 10]);
/// # Ok::<(), espalier::prune::PruneError>(())
/// ```
#[derive(Module, Debug)]
pub struct MaskedLinear {
    /// `[in, out]`, as in Burn's `Linear`; what the mask hides does not count.
    pub weight_orig: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// What is kept.
    pub weight_mask: Mask<2>,
}

impl MaskedLinear {
    /// A fraction `sparsity` of the weights zero, chosen by the seed.
    ///
    /// # Errors
    ///
    /// [`PruneError::Amount`] for a sparsity outside `[0, 1]`.
    pub fn sparse(
        config: &LinearConfig,
        sparsity: f64,
        seed: u64,
        device: &Device,
    ) -> Result<Self, PruneError> {
        let layer = config.init(device);
        let method = RandomUnstructured::new(Amount::fraction(sparsity), seed);
        let kept = method.mask(layer.weight.val(), None, None)?;
        Self::masked(layer, kept)
    }

    /// A layer under a mask, true where a weight is kept, `[in, out]`.
    ///
    /// # Errors
    ///
    /// [`PruneError::Shape`] for a mask of another shape.
    pub fn masked(layer: Linear, kept: Tensor<2, Bool>) -> Result<Self, PruneError> {
        let expected = layer.weight.dims();
        if kept.dims() != expected {
            let found = kept.dims().to_vec();
            return Err(PruneError::Shape { what: "mask", expected: expected.to_vec(), found });
        }
        Ok(Self { weight_orig: layer.weight, bias: layer.bias, weight_mask: Mask::keeping(kept) })
    }

    /// The weight with its zeros, `[in, out]`.
    pub fn weight(&self) -> Tensor<2> {
        self.weight_mask.apply(self.weight_orig.val())
    }

    /// The fraction of weights that the mask makes zero.
    pub fn sparsity(&self) -> f64 {
        self.weight_mask.sparsity()
    }

    /// `x W + b` over the last dimension.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        linear(input, self.weight(), self.bias.as_ref().map(Param::val))
    }
}

impl Layer for MaskedLinear {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        linear_dims(input, self.weight_mask.dims())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        with_rank!(input.rank(), D => Ok(self.forward(input.into_rank::<D>()?).into()), else {
            Err(Error::Rank { expected: 8, found: input.dims() })
        })
    }
}

//! Pruning: how much, by which method, and the mask that holds it.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::tensor::{Bool, Device, Tensor};

pub use crate::error::AmountError;

/// How much to prune, of what is not pruned yet.
///
/// ```
/// use espalier::prune::Amount;
/// assert_eq!(Amount::fraction(0.3).of(10)?, 3);
/// assert_eq!(Amount::count(4).of(10)?, 4);
/// assert!(Amount::count(11).of(10).is_err());
/// assert!(Amount::fraction(1.5).of(10).is_err());
/// # Ok::<(), espalier::prune::AmountError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Fraction(f64),
    Count(usize),
}

impl Amount {
    /// A fraction within `[0, 1]`, rounded half to even: PyTorch's float amount.
    pub fn fraction(fraction: f64) -> Self {
        Self(Kind::Fraction(fraction))
    }

    /// A number of values: PyTorch's int amount.
    pub fn count(count: usize) -> Self {
        Self(Kind::Count(count))
    }

    /// The number of values to prune out of `available`.
    ///
    /// # Errors
    ///
    /// [`AmountError::Fraction`] outside `[0, 1]`, [`AmountError::Count`] above `available`.
    pub fn of(self, available: usize) -> Result<usize, AmountError> {
        match self.0 {
            Kind::Fraction(found) if (0.0..=1.0).contains(&found) => {
                Ok(espalier_kernels::count_to_prune(found, available))
            }
            Kind::Fraction(found) => Err(AmountError::Fraction { found }),
            Kind::Count(asked) if asked <= available => Ok(asked),
            Kind::Count(asked) => Err(AmountError::Count { asked, available }),
        }
    }
}

/// A way to choose single values to prune from their scores.
pub trait Unstructured {
    /// Clears in `keep` the `count` kept positions to prune. `scores` are the values themselves, or
    /// the importance scores given in their place, in PyTorch's layout.
    fn choose(&self, scores: &[f64], keep: &mut [bool], count: usize);
}

/// The values of smallest magnitude: `torch.nn.utils.prune.l1_unstructured`.
///
/// Equal magnitudes are pruned in the order they are stored in (PyTorch's layout), so that the
/// count is exact and the same on every run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct L1Unstructured;

impl Unstructured for L1Unstructured {
    fn choose(&self, scores: &[f64], keep: &mut [bool], count: usize) {
        espalier_kernels::prune_smallest(scores, keep, count);
    }
}

/// Which values of a tensor of rank `D` are pruned. A buffer, saved as the values kept.
#[derive(Clone, Debug)]
pub struct Mask<const D: usize> {
    id: ParamId,
    /// True where pruned: `mask_fill` takes it as it is.
    pruned: Tensor<D, Bool>,
}

impl<const D: usize> Mask<D> {
    /// The mask that keeps the positions where `kept` is true.
    pub fn keeping(kept: Tensor<D, Bool>) -> Self {
        Self { id: ParamId::new(), pruned: kept.bool_not() }
    }

    /// True where a value is kept: PyTorch's `weight_mask`.
    pub fn kept(&self) -> Tensor<D, Bool> {
        self.pruned.clone().bool_not()
    }

    /// The value with exact zeros where pruned. No gradient flows to those places.
    pub fn apply(&self, value: Tensor<D>) -> Tensor<D> {
        value.mask_fill(self.pruned.clone(), 0.0)
    }

    /// The value with those of `under` where pruned.
    pub(crate) fn with_pruned(&self, value: Tensor<D>, under: Tensor<D>) -> Tensor<D> {
        value.mask_where(self.pruned.clone(), under)
    }

    fn with(&self, pruned: Tensor<D, Bool>) -> Self {
        Self { id: self.id, pruned }
    }
}

impl<const D: usize> Module for Mask<D> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.pruned.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        Module::to_device(self, device)
    }
    fn to_device(self, device: &Device) -> Self {
        self.with(self.pruned.clone().to_device(device))
    }
    fn train(self) -> Self {
        self.with(Tensor::from_inner(self.pruned.clone().without_autodiff()))
    }
    fn valid(&self) -> Self {
        self.with(self.pruned.clone().without_autodiff())
    }
    fn materialize(self) -> Self {
        self
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_bool(&Param::initialized(self.id, self.kept()));
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        let param = mapper.map_bool(Param::initialized(self.id, self.kept()));
        let (id, kept, _) = param.consume();
        Self { id, pruned: kept.bool_not() }
    }
}

impl<const D: usize> ModuleDisplayDefault for Mask<D> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_single(&format!("Mask {:?}", self.pruned.dims())).optional()
    }
}

impl<const D: usize> ModuleDisplay for Mask<D> {}

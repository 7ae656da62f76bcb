//! What every pruning method is.

use std::fmt::Debug;

use burn::tensor::{Bool, Tensor, TensorData};
use espalier_kernels::Bits;

use super::{PruneError, Target};
use crate::erase::AnyTensor;
use crate::host::Numbers;
use crate::tree::Layout;

/// What a method prunes: PyTorch's `PRUNING_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PruningType {
    /// Single values; several tensors may be pruned together.
    Unstructured,
    /// Whole channels.
    Structured,
    /// Values after the whole mask as it is.
    Global,
}

/// A pruning method: `torch.nn.utils.prune.BasePruningMethod`.
///
/// An own method says which positions go; what is pruned before, composition, masks on parameters,
/// saving and undoing are the library's.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::prune::{BasePruningMethod, PruneError, PruningType, Target};
///
/// /// Every other value.
/// #[derive(Debug)]
/// struct EveryOther;
///
/// impl BasePruningMethod for EveryOther {
///     fn pruning_type(&self) -> PruningType {
///         PruningType::Unstructured
///     }
///     fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
///         (0..target.len()).step_by(2).for_each(|position| target.prune(position));
///         Ok(())
///     }
/// }
///
/// let bare = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &Device::default());
/// let pruned = EveryOther.prune(bare, None, None)?;
/// assert_eq!(pruned.into_data().try_into_vec::<f32>()?, [0.0, 2.0, 0.0, 4.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait BasePruningMethod: Debug {
    /// What it prunes.
    fn pruning_type(&self) -> PruningType;

    /// Prunes in the target what is to go, out of what it still keeps.
    ///
    /// # Errors
    ///
    /// [`PruneError`] if the options do not fit the tensor. The target is not used then.
    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError>;

    /// The same for several tensors that compete with one another, as one vector.
    ///
    /// # Errors
    ///
    /// [`PruneError::NotUnstructured`] for a method of another type, and what
    /// [`compute_mask`](Self::compute_mask) refuses.
    fn compute_masks(&self, targets: &mut [Target]) -> Result<(), PruneError> {
        self.assert_unstructured()?;
        let mut pooled = Target::pooled(targets);
        self.compute_mask(&mut pooled)?;
        let mut start = 0;
        for target in targets {
            let len = target.len();
            for position in (0..len).filter(|position| !pooled.is_kept(start + position)) {
                target.prune(position);
            }
            start += len;
        }
        Ok(())
    }

    /// Refuses to pool where the type does not allow it.
    ///
    /// # Errors
    ///
    /// [`PruneError::NotUnstructured`].
    fn assert_unstructured(&self) -> Result<(), PruneError> {
        match self.pruning_type() {
            PruningType::Unstructured => Ok(()),
            _ => Err(PruneError::NotUnstructured { method: format!("{self:?}") }),
        }
    }

    /// The mask of a bare tensor, true where kept; with `importance_scores` by them instead of the
    /// values. Dimensions are the tensor's own.
    ///
    /// As in PyTorch the method sees the whole tensor, and what `default_mask` prunes is added: only
    /// masks on parameters count what is left.
    ///
    /// # Errors
    ///
    /// As [`compute_mask`](Self::compute_mask), and [`PruneError::Shape`] for a mask or scores of
    /// another shape.
    fn mask<const D: usize>(
        &self,
        t: Tensor<D>,
        default_mask: Option<Tensor<D, Bool>>,
        importance_scores: Option<Tensor<D>>,
    ) -> Result<Tensor<D, Bool>, PruneError>
    where
        Self: Sized,
    {
        let (dims, device) = (t.dims(), t.device());
        let fits = |what: &'static str, found: [usize; D]| {
            if found == dims {
                return Ok(());
            }
            Err(PruneError::Shape { what, expected: dims.to_vec(), found: found.to_vec() })
        };
        if let Some(mask) = &default_mask {
            fits("default mask", mask.dims())?;
        }
        if let Some(scores) = &importance_scores {
            fits("importance scores", scores.dims())?;
        }
        let given = importance_scores.is_some();
        let scores = Numbers::of(&AnyTensor::from(importance_scores.unwrap_or(t)));
        let all = Bits::all(dims.iter().product());
        let mut target = Target::new(scores, given, all, dims.to_vec(), Layout::Torch);
        self.compute_mask(&mut target)?;
        let kept: Vec<bool> = target.kept().iter().collect();
        let kept = Tensor::from_data(TensorData::new(kept, dims), &device);
        Ok(match default_mask {
            Some(mask) => kept.bool_and(mask),
            None => kept,
        })
    }

    /// A bare tensor with exact zeros where [`mask`](Self::mask) prunes it:
    /// `BasePruningMethod.prune`.
    ///
    /// # Errors
    ///
    /// As [`mask`](Self::mask).
    fn prune<const D: usize>(
        &self,
        t: Tensor<D>,
        default_mask: Option<Tensor<D, Bool>>,
        importance_scores: Option<Tensor<D>>,
    ) -> Result<Tensor<D>, PruneError>
    where
        Self: Sized,
    {
        let kept = self.mask(t.clone(), default_mask, importance_scores)?;
        Ok(t.mask_fill(kept.bool_not(), 0.0))
    }
}

impl<P: BasePruningMethod + ?Sized> BasePruningMethod for &P {
    fn pruning_type(&self) -> PruningType {
        (**self).pruning_type()
    }
    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        (**self).compute_mask(target)
    }
    fn compute_masks(&self, targets: &mut [Target]) -> Result<(), PruneError> {
        (**self).compute_masks(targets)
    }
}

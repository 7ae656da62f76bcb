//! Masks of which the original holds the zeros itself.

use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor, TensorData, bf16, f16};
use espalier_kernels::{Bits, mask, pruned_values, restore};

use super::slot::{self, Computed, Original, take};
use super::{Parametrized, access};
use crate::erase::{AnyModule, AnyTensor};
use crate::error::Error;
use crate::select::IntoSelector;
use crate::tree::{Buffer, map_untracked};

/// How a mask is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaskMode {
    /// The original keeps all its values, and each forward pass computes the masked ones: PyTorch's
    /// `weight_orig` times `weight_mask`. What is under the mask shows again wherever the mask goes.
    #[default]
    Exact,
    /// The original has zeros where it is pruned and is used as it is; the values that were there are
    /// kept beside it, one after the other. A training step costs little more than without a mask.
    /// Only for parameters that are pruned and not parametrized: elsewhere it is as
    /// [`Exact`](Self::Exact).
    Stored,
}

impl<M: Module> Parametrized<M> {
    /// Sets how the masks of the selected parameters are held, and returns their paths. No value
    /// changes; pruning again, restoring and saving give the same in both modes.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::{L1Unstructured, MaskMode};
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
    /// let before: Tensor<2> = net.get("weight")?;
    /// net.prune("weight", L1Unstructured::new(0.5))?;
    /// net.set_mask_mode("weight", MaskMode::Stored)?;
    /// assert_eq!(net.mask_mode("weight")?, MaskMode::Stored);
    /// assert_eq!(net.zeros("weight")?, 10);
    /// net.restore("weight")?;
    /// assert_eq!(net.get::<2>("weight")?.into_data(), before.into_data());
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::NotPruned`] for a parameter without a mask.
    /// Then nothing is changed anywhere.
    pub fn set_mask_mode(
        &mut self,
        selector: impl IntoSelector,
        mode: MaskMode,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let mut slots = Vec::new();
        for path in self.parameters_of(selector)? {
            let slot = self.computed(&path).filter(|slot| slot.mask.is_some());
            let Some(slot) = slot else { return Err(Error::NotPruned { path }) };
            let slot = slot.held(mode);
            slots.push((path, slot));
        }
        let paths = slots.iter().map(|(path, _)| path.clone()).collect();
        self.insert(slots);
        Ok(paths)
    }

    /// How the mask of `path`, or of the parameter it is tied to, is held now.
    ///
    /// # Errors
    ///
    /// [`Error::NotPruned`] if there is no mask, [`Error::NoMatch`] for an unknown path.
    pub fn mask_mode(&self, path: &str) -> Result<MaskMode, Error> {
        match self.computed(self.canonical(path)) {
            Some(Computed { away: Some(_), .. }) => Ok(MaskMode::Stored),
            Some(Computed { mask: Some(_), .. }) => Ok(MaskMode::Exact),
            _ => {
                self.exists(path)?;
                Err(Error::NotPruned { path: path.to_owned() })
            }
        }
    }
}

/// What a mask took out of an original.
#[derive(Debug, Clone)]
pub(super) struct Away {
    /// An erased `Buffer<1>`: the values, in the order of the original.
    pub(super) values: AnyModule,
    /// The bits of the mask that took them.
    pub(super) kept: Arc<Bits>,
    /// Whether whatever mapped the original last has left its zeros.
    pub(super) is_clean: bool,
}

impl Away {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        access::read(&self.values).value.dims().iter().product()
    }

    /// Whether there is one for each position that the mask prunes. A record can bring a mask and values
    /// that do not belong together.
    fn fits(&self) -> bool {
        self.len() == pruned(&self.kept)
    }
}

/// The number of positions that are not kept.
fn pruned(kept: &Bits) -> usize {
    kept.len() - kept.count()
}

impl Computed {
    /// The slot with all values in its original: what everything that edits slots works on.
    pub(super) fn opened(mut self) -> Self {
        self.open();
        self
    }

    /// The same slot with its mask to be held so, opened.
    pub(super) fn held(&self, mode: MaskMode) -> Self {
        Self { mode, ..self.clone().opened() }
    }

    fn open(&mut self) {
        if let Some(away) = self.away.take().filter(Away::fits)
            && let Some(leaf) = self.only_leaf_mut()
        {
            let values = access::read(&away.values).value;
            take(leaf, |leaf| leaf.map(&mut PutBack { kept: &away.kept, values }));
        }
    }

    /// Leaves zeros in the original, where that is wanted and can be.
    pub(super) fn close(&mut self) {
        if self.mode != MaskMode::Stored || self.away.is_some() || !self.links.is_empty() {
            return;
        }
        let Some(kept) = self.bits() else { return };
        if let Some(leaf) = self.only_leaf_mut() {
            let mut taken = TakeAway { kept: &kept, values: None };
            take(leaf, |leaf| leaf.map(&mut taken));
            self.away = taken.values.map(|values| Away { values, kept, is_clean: true });
        }
    }

    /// Opens it, and what its originals are computed by.
    pub(super) fn open_all(&mut self) {
        self.open();
        self.nested_mut().for_each(Self::open_all);
    }

    /// Closes it, and what its originals are computed by.
    pub(super) fn close_all(&mut self) {
        self.close();
        self.nested_mut().for_each(Self::close_all);
    }

    fn nested_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.originals.iter_mut().filter_map(|original| match original {
            Original::Nested(nested) => Some(&mut **nested),
            Original::Leaf(_) => None,
        })
    }

    /// The bits of the mask.
    fn bits(&self) -> Option<Arc<Bits>> {
        let rank = self.dims().len();
        self.mask.as_ref().map(|mask| Arc::clone(slot::bits(mask, rank)))
    }

    fn only_leaf_mut(&mut self) -> Option<&mut AnyModule> {
        match self.originals.as_mut_slice() {
            [Original::Leaf(leaf)] => Some(leaf),
            _ => None,
        }
    }

    /// Sees to the zeros after a map, here and in parametrized originals.
    ///
    /// An optimizer that knows of the mask has done so already. Anything else may move what is pruned (a
    /// momentum from before), or bring a mask of its own with what it took (a record).
    pub(super) fn tidy(&mut self) {
        self.nested_mut().for_each(Self::tidy);
        let Some(kept) = self.away.is_some().then(|| self.bits()).flatten() else { return };
        let Some(away) = self.away.take() else { return };
        if Arc::ptr_eq(&kept, &away.kept) {
            if !away.is_clean {
                self.clear(&kept);
            }
            self.away = Some(Away { is_clean: true, ..away });
            return;
        }
        let replaced_alone = away.fits() && away.len() != pruned(&kept);
        if replaced_alone {
            // What the old mask took is put back, and taken by the new.
            self.away = Some(away);
            self.open();
            return self.close();
        }
        self.clear(&kept);
        self.away = Some(Away { kept, is_clean: true, ..away });
    }

    /// Sets what is not kept in the original to zero.
    fn clear(&mut self, kept: &Bits) {
        if let Some(leaf) = self.only_leaf_mut() {
            take(leaf, |leaf| leaf.map(&mut Clear { kept }));
        }
    }

    /// Makes room for so many values that are about to be loaded together with their mask.
    pub(super) fn hold(&mut self, pruned: usize) {
        if let Some(away) = &mut self.away {
            let like = access::read(&away.values);
            let zeros = Tensor::<1>::zeros([pruned], (&like.value.device(), like.value.dtype()));
            away.values = AnyModule::new(Buffer::with_id(like.id, zeros));
        }
    }
}

/// Puts taken values back among those of a parameter.
struct PutBack<'a> {
    kept: &'a Bits,
    values: AnyTensor,
}

/// Takes the values that are not kept out of a parameter, and leaves zeros.
struct TakeAway<'a> {
    kept: &'a Bits,
    values: Option<AnyModule>,
}

/// Sets what is not kept in a parameter to zero.
struct Clear<'a> {
    kept: &'a Bits,
}

/// Runs `$body` with `$values` the numbers of a tensor, in its own float type `$T`; gives the tensor with
/// what has become of them, which is no copy where nothing else holds them.
macro_rules! with_values {
    ($tensor:expr, $T:ident, $values:ident => $body:expr) => {{
        let (device, dtype) = ($tensor.device(), $tensor.dtype());
        let mut data = $tensor.into_data();
        if !matches!(data.dtype(), DType::F64 | DType::F16 | DType::BF16 | DType::F32) {
            data = data.convert_dtype(DType::F32);
        }
        macro_rules! run {
            ($float:ty) => {{
                type $T = $float;
                let $values = data.as_mut_slice::<$T>().unwrap_or_default();
                $body
            }};
        }
        match data.dtype() {
            DType::F64 => run!(f64),
            DType::F16 => run!(f16),
            DType::BF16 => run!(bf16),
            _ => run!(f32),
        }
        Tensor::from_data(data, (&device, dtype))
    }};
}

impl ModuleMapper for PutBack<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        map_untracked(param, |tensor| {
            let like = tensor.clone().into();
            let Ok(taken) = self.values.conform(&like).into_rank::<1>() else {
                unreachable!("taken values stand in one row")
            };
            drop(like);
            let taken = taken.into_data();
            with_values!(tensor, T, values => {
                restore(values, self.kept, taken.as_slice::<T>().unwrap_or_default());
            })
        })
    }
}

impl ModuleMapper for TakeAway<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        map_untracked(param, |tensor| {
            let like = (tensor.device(), tensor.dtype());
            with_values!(tensor, T, values => {
                let taken = pruned_values(values, self.kept);
                mask(values, self.kept);
                let count = taken.len();
                let taken = Tensor::<1>::from_data(TensorData::new(taken, [count]), (&like.0, like.1));
                self.values = Some(AnyModule::new(Buffer::new(taken)));
            })
        })
    }
}

impl ModuleMapper for Clear<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        map_untracked(
            param,
            |tensor| with_values!(tensor, T, values => mask::<T>(values, self.kept)),
        )
    }
}

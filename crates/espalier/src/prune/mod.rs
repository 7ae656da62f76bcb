//! Pruning: what is chosen, from which scores, how much, and the mask that holds it.
//!
//! `torch.nn.utils.prune` under its own names, and what it lacks. A [method](BasePruningMethod)
//! chooses values; [`Parametrized::prune`](crate::Parametrized::prune) puts a mask over a parameter,
//! whatever else stands at its path.
//!
//! | PyTorch | here |
//! | --- | --- |
//! | `Identity`, `CustomFromMask` | [`Identity`], [`CustomFromMask`] |
//! | `L1Unstructured`, `RandomUnstructured` | [`L1Unstructured`], [`RandomUnstructured`] |
//! | `LnStructured`, `RandomStructured` | [`LnStructured`], [`RandomStructured`] |
//! | `PruningContainer` | [`PruningContainer`] |
//! | `BasePruningMethod` | [`BasePruningMethod`] |
//! | `prune.l1_unstructured(module, name, amount)` ... | [`l1_unstructured`], [`ln_structured`], [`random_unstructured`], [`random_structured`], [`global_unstructured`], [`custom_from_mask`], [`identity`], [`remove`], [`is_pruned`] |
//! | `importance_scores=` | [`Importance`] |
//! | N of M (semi-structured) | [`NOfM`] |
//!
//! A mask is held in one of two [modes](MaskMode): as PyTorch does, or at hardly any cost.
//!
//! In training: [`PruningSchedule`] says how much when, [`erdos_renyi_kernel`] and [`uniform`] share a
//! sparsity out to layers, [`Parametrized::sensitivity`](crate::Parametrized::sensitivity) measures
//! what each layer bears, [`Parametrized::rewind`](crate::Parametrized::rewind) goes back to earlier
//! values under the masks found since, and
//! [`Parametrized::restore`](crate::Parametrized::restore) undoes pruning.
//!
//! Equal scores are pruned in the order of their positions in PyTorch's layout, so that the count is
//! exact and the same on every run and number of threads. A NaN counts as greater than every number.

mod allocation;
mod amount;
mod container;
mod custom_from_mask;
mod error;
mod functions;
mod identity;
mod importance;
pub(crate) mod in_force;
mod l1_unstructured;
mod ln_structured;
mod mask;
mod method;
mod n_of_m;
mod random_structured;
mod random_unstructured;
mod schedule;
mod sensitivity;
mod target;

pub use crate::frame::MaskMode;
pub use allocation::{erdos_renyi_kernel, uniform};
pub use amount::Amount;
pub use container::PruningContainer;
pub use custom_from_mask::CustomFromMask;
pub use error::{AmountError, PruneError, ScheduleFault};
pub use functions::{
    custom_from_mask, global_unstructured, identity, is_pruned, l1_unstructured, ln_structured,
    random_structured, random_unstructured, remove,
};
pub use identity::Identity;
pub use importance::{ActivationNorm, Importance};
pub use l1_unstructured::L1Unstructured;
pub use ln_structured::LnStructured;
pub use mask::Mask;
pub use method::{BasePruningMethod, PruningType};
pub use n_of_m::NOfM;
pub use random_structured::RandomStructured;
pub use random_unstructured::RandomUnstructured;
pub use schedule::{PruningSchedule, Rounds};
pub use sensitivity::Sensitivity;
pub use target::Target;

//! Optimizers at memory speed, and parameter groups with options of their own.
//!
//! [`Sgd`], [`Adam`] and [`AdamW`] are optimizers for any Burn module; [`Groups`] gives parts of a
//! network their own options and schedules, as `torch.optim` does.

mod adam;
mod defaults;
mod foreign;
mod grouped;
mod groups;
mod host;
mod hyper;
mod modify;
mod options;
mod plan;
mod sgd;
mod state;

pub use adam::{Adam, AdamW, MomentState};
pub use defaults::Defaults;
pub use foreign::BurnOptimizer;
pub use grouped::{GroupState, GroupedOptimizer};
pub use groups::Groups;
pub(crate) use host::{Taken, with_real};
pub use hyper::Hyper;
pub use options::{GroupOptimizer, OptionError, Options};
pub use plan::{Plan, PlannedGroup};
pub use sgd::{Sgd, SgdState};
pub use state::StateError;

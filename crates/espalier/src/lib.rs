//! Parametrize, tie, prune, group and save the parameters of any Burn module.
//!
//! What `torch.nn.utils.parametrize`, `prune`, parameter groups and `state_dict` are to PyTorch,
//! on the [Burn](https://burn.dev) framework. Start at [`Parametrized`].
//!
//! | to | use |
//! | --- | --- |
//! | build networks indexed like lists | [`nn::Sequential`], [`nn::ModuleList`], [`nn::ParameterList`] |
//! | let layers find their input size | [`nn::lazy`] |
//! | look into a forward pass, or change it | [`nn::Hooked`] |
//! | name, read, set and select parameters | [`ParameterTree`], [`Tree`], [`Selector`] |
//! | print what a network has | [`Summary`] |
//! | initialize them | [`init::Init`] |
//! | constrain, share and prune them | [`Parametrized`], [`parametrize`], [`prune`] |
//! | train them in groups, on a schedule | [`optim::Groups`], [`schedule`] |
//! | project them after each step | [`constrain`] |
//! | clip gradients, average networks | [`clip`], [`average`] |
//! | watch them while they are trained | [`observe::Watch`] |
//! | save and load them | [`state::StateDict`] |

pub mod average;
pub mod clip;
pub mod constrain;
mod erase;
mod error;
mod frame;
mod host;
pub mod init;
pub mod nn;
pub mod observe;
pub mod optim;
pub mod parametrize;
pub mod prune;
pub mod schedule;
mod select;
pub mod state;
mod tree;

pub use erase::{AnyModule, AnyTensor};
pub use error::{Error, LayerFault, TieError};
pub use frame::{Cached, Leave, Parametrizations, Parametrized};
pub use select::{IntoSelector, Selection, Selector};
pub use tree::{
    Buffer, DtypeMismatch, Kind, Layout, ModuleInfo, ParamInfo, ParameterTree, ShapeMismatch,
    Summary, SummaryRow, Totals, Tree, TreeReport,
};
